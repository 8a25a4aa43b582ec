"""What a network is made of: groups of layers, their outputs, parameters and multiply-adds."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.flop_counter import FlopCounterMode

WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
SILENT = (nn.Identity, nn.Flatten)


@dataclass(frozen=True)
class Group:
    """A layer with what follows it up to the next one that has weights, or a stage of blocks.

    `name` is the module's in the network, `output` the size of what leaves the group, without the
    batch: (channels, height, width), (channels, tokens) or (width,). `trained` counts the
    parameters that have a gradient. `multiply_adds` are those of convolutions and linear layers for
    one image: a multiplication and its addition count once, as torchvision counts them; norms,
    activations, pooling and interpolation are left out.
    """

    name: str
    layers: str
    output: tuple[int, ...]
    parameters: int
    trained: int
    multiply_adds: int


def layer_groups(network: nn.Module, size: tuple[int, int]) -> list[Group]:
    """The groups of a network in the order in which one image of `size` (H, W) passes them.

    The network lies on the device `meta`, so nothing is computed; it is put in evaluation mode.

    Raises:
        ValueError: a parameter or a multiplication is in none of the groups.
    """
    units = dict(_units(network.eval(), ""))
    outputs: dict[str, tuple[int, ...]] = {}
    counts = dict.fromkeys(units, 0)
    counter = FlopCounterMode(display=False)

    def before(name: str) -> None:
        counts[name] -= counter.get_total_flops() // 2

    def after(name: str, output: Tensor) -> None:
        counts[name] += counter.get_total_flops() // 2
        outputs[name] = tuple(output.shape[1:])

    hooks = []
    for name, unit in units.items():
        hooks.append(unit.register_forward_pre_hook(lambda *_, n=name: before(n)))
        hooks.append(unit.register_forward_hook(lambda *args, n=name: after(n, args[-1])))
    with torch.no_grad(), counter:
        answer: Tensor = network(torch.empty(1, 3, *size, device="meta"))
    for hook in hooks:
        hook.remove()

    groups = _joined([(name, units[name], outputs[name], counts[name]) for name in outputs])
    if tuple(answer.shape[1:]) != groups[-1].output:
        resized = "resized or cropped to the image"
        groups.append(Group("output", resized, tuple(answer.shape[1:]), 0, 0, 0))
    return whole_network(groups, network, counter)


def whole_network(groups: list[Group], network: nn.Module, counter: FlopCounterMode) -> list[Group]:
    """The groups, when nothing of the network is outside of them.

    Raises:
        ValueError: a parameter, or a multiplication that `counter` saw, is in none of the groups.
    """
    whole = (sum(p.numel() for p in network.parameters()), counter.get_total_flops() // 2)
    found = (sum(g.parameters for g in groups), sum(g.multiply_adds for g in groups))
    if found != whole:
        raise ValueError(f"parameters and multiply-adds of the groups {found}, in all {whole}")
    return groups


def _units(module: nn.Module, path: str) -> Iterator[tuple[str, nn.Module]]:
    """The modules that are measured whole, by name: layers, and stages of blocks."""
    for name, child in module.named_children():
        inner = f"{path}.{name}" if path else name
        if _is_layer(child) or name.isdigit() or _is_stage(child):
            # a list has no forward of its own, nor has an item of a list of lists
            yield inner, child
        else:
            yield from _units(child, inner)


def _is_layer(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm) or not list(module.children())


def _is_stage(module: nn.Module) -> bool:
    """Blocks after each other, as in the four stages of a ResNet."""
    children = list(module.children())
    return isinstance(module, nn.Sequential) and all(
        not _is_layer(child) and not isinstance(child, nn.Sequential) for child in children
    )


def _joined(units: list[tuple[str, nn.Module, tuple[int, ...], int]]) -> list[Group]:
    """A unit without a weighted layer joins the one before it."""
    groups: list[Group] = []
    for name, unit, output, multiply_adds in units:
        joins = groups and not any(isinstance(part, WEIGHTED) for part in unit.modules())
        last = groups.pop() if joins else Group(_short(name), "", (), 0, 0, 0)
        layers = ", ".join(filter(None, [last.layers, describe(unit)]))
        own = list(unit.parameters())
        parameters = last.parameters + sum(p.numel() for p in own)
        trained = last.trained + sum(p.numel() for p in own if p.requires_grad)
        made = last.multiply_adds + multiply_adds
        size = last.output if joins and isinstance(unit, nn.Flatten) else output
        groups.append(Group(last.name, layers, size, parameters, trained, made))
    return groups


def _short(name: str) -> str:
    """Without the wrappers that hold a library's own keys."""
    return ".".join(part for part in name.split(".") if part != "net") or name


def describe(module: nn.Module) -> str:
    """A module in words; "" for one that does nothing. Layers of one kind in a row are counted."""
    children = list(module.children())
    if _is_layer(module):
        return _layer(module)
    if not isinstance(module, nn.Sequential):
        return type(module).__name__
    counts: dict[str, int] = {}
    for said in filter(None, map(describe, children)):
        counts[said] = counts.get(said, 0) + 1
    return ", ".join(f"{n} x {said}" if n > 1 else said for said, n in counts.items())


def _layer(layer: nn.Module) -> str:
    if isinstance(layer, SILENT):
        return ""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        kind = "deconvolution" if isinstance(layer, nn.ConvTranspose2d) else "convolution"
        height, width = layer.kernel_size
        stride = f", stride {layer.stride[0]}" if layer.stride[0] > 1 else ""
        return f"{kind} {height} x {width}{stride}"
    known = {nn.Linear: "linear", nn.MaxPool2d: "max-pool", nn.AdaptiveAvgPool2d: "mean-pool"}
    if isinstance(layer, _BatchNorm):
        return "batch norm"
    said = [name for kind, name in known.items() if isinstance(layer, kind)]
    return said[0] if said else type(layer).__name__

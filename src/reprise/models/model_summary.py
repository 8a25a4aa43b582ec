"""What a network consists of: groups of layers, their outputs, parameters and multiply-adds."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.flop_counter import FlopCounterMode

WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
UNNAMED = (nn.Identity, nn.Flatten)
RESIZED = "resized or cropped to the image"
Shape = tuple[int, ...]


@dataclass(frozen=True)
class LayerGroup:
    """A layer with what follows it up to the next one that has weights, or a stage of blocks.

    name: the module's in the network. output: the size of what leaves the group, without the batch:
    (channels, height, width), (channels, tokens) or (width,). trained: parameters that have a
    gradient. multiply_adds: those of convolutions and linear layers for one image; a multiplication
    and its addition count once, as torchvision counts them. Norms, activations, pooling and
    interpolation are not counted.
    """

    name: str
    layers: str
    output: Shape
    parameters: int
    trained: int
    multiply_adds: int


def layer_groups(network: nn.Module, size: tuple[int, int]) -> list[LayerGroup]:
    """The groups of a network in the order in which an image of `size` (H, W) passes them.

    The network is on the device `meta`, so nothing is computed; it is put in evaluation mode.
    Raises ValueError if a parameter or a multiplication is in none of the groups.
    """
    units = dict(_units(network.eval(), ""))
    outputs: dict[str, Shape] = {}

    def record(name: str, output: Tensor) -> None:
        outputs[name] = tuple(output.shape[1:])

    hooks = [
        unit.register_forward_hook(lambda *args, n=name: record(n, args[-1]))
        for name, unit in units.items()
    ]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        output: Tensor = network(torch.empty(1, 3, *size, device="meta"))
    for hook in hooks:
        hook.remove()
    work, root = _multiply_adds(counter), type(network).__name__
    groups = _join((n, units[n], outputs[n], work.get(f"{root}.{n}", 0)) for n in outputs)
    if tuple(output.shape[1:]) != groups[-1].output:
        groups.append(_group("output", RESIZED, tuple(output.shape[1:]), [], 0))
    return _check_totals(groups, network, counter)


def describe(module: nn.Module) -> str:
    """A module in words; "" for one that does nothing. Equal layers in a row are counted."""
    children = list(module.children())
    if _is_layer(module):
        return _describe_layer(module)
    if not isinstance(module, nn.Sequential):
        return type(module).__name__
    counts: dict[str, int] = {}
    for words in filter(None, map(describe, children)):
        counts[words] = counts.get(words, 0) + 1
    return ", ".join(f"{n} x {words}" if n > 1 else words for words, n in counts.items())


def sam_groups(model: Any, size: tuple[int, int]) -> list[LayerGroup]:
    """The groups of a Segment Anything network on the device `meta`, for one point in one image.

    Unlike those of `layer_groups`, the multiply-adds include the products of attention, of position
    encodings, and of mask tokens with the feature map, and those with the padding of windows.

    model: of `sam.build_sam`; it is frozen, because it is not trained here. size: its
    `sam.image_size`. Raises ValueError if a parameter or a multiplication is in none of the groups.
    """
    model.requires_grad_(False)
    with FlopCounterMode(display=False) as counter:
        embedding, tokens, logits = _one_point(model, size)
        masks = model.postprocess_masks(logits, size, size)
    work = _multiply_adds(counter)
    encoder, prompts, decoder = model.image_encoder, model.prompt_encoder, model.mask_decoder
    in_encoder, in_prompts, in_decoder = (type(m).__name__ for m in (encoder, prompts, decoder))
    patches, two_way, up = encoder.patch_embed, decoder.transformer, decoder.output_upscaling
    tokens_shape, map_shape = (tokens.shape[2], tokens.shape[1]), tuple(embedding.shape[1:])
    patch_shape = (patches.proj.out_channels, *map_shape[1:])
    groups = [
        _group(
            "image_encoder.patch_embed", f"{describe(patches.proj)}, position embedding",
            patch_shape, [*patches.parameters(), encoder.pos_embed],
            work[f"{in_encoder}.patch_embed"],
        )
    ]  # fmt: skip
    ends = [i for i, block in enumerate(encoder.blocks, 1) if not block.window_size]
    ends += [len(encoder.blocks)] if ends[-1:] != [len(encoder.blocks)] else []
    for start, end in zip([0, *ends], ends, strict=False):
        blocks = encoder.blocks[start:end]
        name, words = f"image_encoder.blocks.{start}-{end - 1}", _describe_blocks(blocks)
        count = sum(work[f"{in_encoder}.blocks.{i}"] for i in range(start, end))
        groups.append(_group(name, words, patch_shape, blocks.parameters(), count))
    two_way_work, up_work = (
        work[f"{in_decoder}.{name}"] for name in ("transformer", "output_upscaling")
    )
    counted_weights = {id(weight) for module in (two_way, up) for weight in module.parameters()}
    head_weights = [weight for weight in decoder.parameters() if id(weight) not in counted_weights]
    head_work = work[in_decoder] - two_way_work - up_work
    # the decoder gets the position of every patch
    prompt_work = work[in_prompts] + work[f"{in_prompts}.pe_layer"]
    mlps = len(decoder.output_hypernetworks_mlps) + 1
    groups += [
        _group("image_encoder.neck", describe(encoder.neck), map_shape,
               encoder.neck.parameters(), work[f"{in_encoder}.neck"]),
        _group("prompt_encoder", "one point, with a token for the absence of a second",
               tokens_shape, prompts.parameters(), prompt_work),
        _group("mask_decoder.transformer",
               f"{len(two_way.layers)} x two-way block, attention of tokens to the map",
               map_shape, two_way.parameters(), two_way_work),
        _group("mask_decoder.output_upscaling", describe(up),
               (up[-2].out_channels, *logits.shape[2:]), up.parameters(), up_work),
        _group("mask_decoder.heads", f"{mlps} x MLP, product of mask tokens and map",
               tuple(logits.shape[1:]), head_weights, head_work),
        _group("output", RESIZED, tuple(masks.shape[1:]), [], 0),
    ]  # fmt: skip
    return _check_totals(groups, model, counter)


def _multiply_adds(counter: FlopCounterMode) -> dict[str, int]:
    """Multiply-adds by the path of the module, which begins with the class of the outermost one."""
    return {name: sum(ops.values()) // 2 for name, ops in counter.get_flop_counts().items()}


def _check_totals(
    groups: list[LayerGroup], network: nn.Module, counter: FlopCounterMode
) -> list[LayerGroup]:
    total = (sum(p.numel() for p in network.parameters()), counter.get_total_flops() // 2)
    grouped = (sum(g.parameters for g in groups), sum(g.multiply_adds for g in groups))
    if grouped != total:
        raise ValueError(f"parameters and multiply-adds of the groups {grouped}, in total {total}")
    return groups


def _group(
    name: str, layers: str, output: Shape, weights: Iterable[nn.Parameter], work: int
) -> LayerGroup:
    sizes = [(weight.numel(), weight.requires_grad) for weight in weights]
    trained = sum(size for size, has_gradient in sizes if has_gradient)
    return LayerGroup(name, layers, output, sum(size for size, _ in sizes), trained, work)


def _units(module: nn.Module, path: str) -> Iterator[tuple[str, nn.Module]]:
    """The modules that are measured as a whole, by name: layers, and stages of blocks."""
    for name, child in module.named_children():
        inner = f"{path}.{name}" if path else name
        if _is_layer(child) or name.isdigit() or _is_stage(child):
            # a list has no forward, and neither has an item of a list of lists
            yield inner, child
        else:
            yield from _units(child, inner)


def _is_layer(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm) or not list(module.children())


def _is_stage(module: nn.Module) -> bool:
    """Blocks after each other, as in the four stages of a ResNet."""
    return isinstance(module, nn.Sequential) and all(
        not _is_layer(child) and not isinstance(child, nn.Sequential) for child in module.children()
    )


def _join(units: Iterable[tuple[str, nn.Module, Shape, int]]) -> list[LayerGroup]:
    """A unit without a weighted layer joins the one before it."""
    groups: list[LayerGroup] = []
    for name, unit, output, work in units:
        group = _group(_short(name), describe(unit), output, unit.parameters(), work)
        if groups and not any(isinstance(layer, WEIGHTED) for layer in unit.modules()):
            last = groups.pop()
            group = LayerGroup(
                last.name, ", ".join(filter(None, [last.layers, group.layers])),
                last.output if isinstance(unit, nn.Flatten) else output,
                last.parameters + group.parameters, last.trained + group.trained,
                last.multiply_adds + work,
            )  # fmt: skip
        groups.append(group)
    return groups


def _short(name: str) -> str:
    """Without the wrappers that hold a library's keys."""
    return ".".join(word for word in name.split(".") if word != "net") or name


def _describe_layer(layer: nn.Module) -> str:
    if isinstance(layer, UNNAMED):
        return ""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        kind = "deconvolution" if isinstance(layer, nn.ConvTranspose2d) else "convolution"
        height, width = layer.kernel_size
        stride = f", stride {layer.stride[0]}" if layer.stride[0] > 1 else ""
        return f"{kind} {height} x {width}{stride}"
    names = {nn.Linear: "linear", nn.MaxPool2d: "max-pool", nn.AdaptiveAvgPool2d: "mean-pool"}
    if isinstance(layer, _BatchNorm):
        return "batch norm"
    name = next((name for kind, name in names.items() if isinstance(layer, kind)), None)
    return name or type(layer).__name__


def _one_point(model: Any, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """The image's embedding, the tokens of one point, and the logits of its three masks."""
    embedding = model.image_encoder(torch.empty(1, 3, *size, device="meta"))
    # it looks up which labels there are, which `meta` cannot; 5 MB, whose values do not matter
    prompts = model.prompt_encoder.to_empty(device="cpu")
    point = (torch.zeros(1, 1, 2, device="cpu"), torch.ones(1, 1, device="cpu"))
    tokens, no_mask = (tensor.to("meta") for tensor in prompts(point, None, None))
    positions = prompts.get_dense_pe().to("meta")
    # three masks of different extent for each point, as in the automatic generator
    logits, _ = model.mask_decoder(embedding, positions, tokens, no_mask, True)
    return embedding, tokens, logits


def _describe_blocks(blocks: Any) -> str:
    sides = [block.window_size for block in blocks if block.window_size]
    near = f"{len(sides)} in windows of {sides[0]} x {sides[0]} patches" if sides else ""
    far = f"{len(blocks) - len(sides)} over the whole image" if len(sides) < len(blocks) else ""
    kind = type(blocks[0]).__name__
    return f"{len(blocks)} x {kind}, {' and '.join(filter(None, [near, far]))}"

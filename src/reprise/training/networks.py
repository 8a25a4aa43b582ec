"""What the networks of params.yaml consist of, from networks built without memory.

Groups of layers, the sizes of their outputs, parameters and multiply-adds.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.module import register_module_forward_hook
from torch.utils.flop_counter import FlopCounterMode

from reprise.jobs import STAGES, tasks
from reprise.models.build import BUILDERS
from reprise.models.sam import build_sam, image_size
from reprise.params.load import Params
from reprise.plugins import load

COLUMNS = ["stage", "task", "run", "model", "input", "group", "layers", "output", "parameters"]
COLUMNS += ["trained", "multiply_adds"]
WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
# "": what does nothing; the classes that are not listed have their own names
LAYER_NAMES: dict[type[nn.Module], str] = {
    nn.Identity: "", nn.Flatten: "", nn.Linear: "linear", nn.Conv2d: "convolution",
    nn.ConvTranspose2d: "deconvolution", nn.MaxPool2d: "max-pool",
    nn.AdaptiveAvgPool2d: "mean-pool", _BatchNorm: "batch norm",
}  # fmt: skip
RESIZED = "resized or cropped to the image"
Shape = tuple[int, ...]
Size = tuple[int, int]
Info = Mapping[str, Any]  # content of a dataset.json


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


def layer_table(params: Params, datasets: Mapping[str, Info]) -> pd.DataFrame:
    """The layer groups of every run's network; columns COLUMNS.

    Sizes are texts, such as "channels x height x width". datasets: content of dataset.json by the
    dataset's name.
    """
    rows = []
    for stage, name, task in tasks(params, *STAGES, "segment_anything"):
        for run in task.runs:
            with torch.device("meta"):
                model, network, size = _network(stage, task, run, datasets.get(task.data, {}))
                measure = sam_groups if stage == "segment_anything" else layer_groups
                groups = measure(network, size)
            for group in groups:
                shapes = [" x ".join(map(str, shape)) for shape in ((3, *size), group.output)]
                counts = [group.parameters, group.trained, group.multiply_adds]
                words = [shapes[0], group.name, group.layers, shapes[1]]
                rows.append([stage, name, run, model, *words, *counts])
    return pd.DataFrame(rows, columns=COLUMNS)


def _network(stage: str, task: Any, run: str, info: Info) -> tuple[str, Any, Size]:
    """Of a run: the name of its network, the network, and (H, W) of the images that it takes."""
    recipe = task.recipes[run]
    if stage == "segment_anything":
        return recipe.model, build_sam(recipe.model), image_size(recipe.model)
    merged = getattr(recipe, "merge_classes", None)
    n_classes = len((info if merged is None else info["merged"][str(merged)])["classes"])
    options = task.common if stage == "finetune" else recipe
    network: Any
    if stage == "pretrain":
        method = load("ssl", recipe.method)
        network = nn.Sequential(OrderedDict(method.trained_layers(recipe, n_classes)))
    else:
        network = BUILDERS[stage](options, n_classes)
    if getattr(recipe, "frozen", False):
        network.backbone.freeze()
    if hasattr(options, "model"):
        return options.model, network, (options.image_size, options.image_size)
    return options.backbone, network, (info["height"], info["width"])


def layer_groups(network: nn.Module, size: Size) -> list[LayerGroup]:
    """The groups of a network in the order in which an image of `size` (H, W) passes them.

    The network is on the device `meta`, so nothing is computed; it is put in evaluation mode. A
    group `rest` has the parameters and the multiply-adds outside of layers, such as a transformer's
    position embedding. Raises ValueError if there are fewer of them in total than in the groups.
    """
    names = {unit: name for name, unit in _units(network.eval(), "")}
    outputs: dict[nn.Module, Shape] = {}

    def record(module: nn.Module, _: Any, output: Any) -> None:
        if module in names:
            outputs[module] = tuple(output.shape[1:])

    with register_module_forward_hook(record):
        output, work = _run(network, size)
    groups: list[LayerGroup] = []
    for unit, shape in outputs.items():
        # without the wrappers that hold a library's keys
        name = ".".join(word for word in names[unit].split(".") if word != "net") or names[unit]
        group = _group(name, describe(unit), shape, unit.parameters(), work[names[unit]])
        if groups and not any(isinstance(layer, WEIGHTED) for layer in unit.modules()):
            last = groups.pop()
            words = ", ".join(filter(None, [last.layers, group.layers]))
            shape = last.output if isinstance(unit, nn.Flatten) else shape
            group = _join([last, group], last.name, words, shape)
        groups.append(group)
    if rest := _rest(groups, network, work, outputs):
        groups.append(rest)
    if tuple(output.shape[1:]) != groups[-1].output:
        groups.append(_group("output", RESIZED, tuple(output.shape[1:]), [], 0))
    return _check_totals(groups, network, work)


def _rest(
    groups: list[LayerGroup], network: nn.Module, work: Counter[str], units: Iterable[nn.Module]
) -> LayerGroup | None:
    """What is in none of the groups; None if that is nothing."""
    inside = {weight for unit in units for weight in unit.parameters()}
    outside = [weight for weight in network.parameters() if weight not in inside]
    missing = work["Global"] - sum(group.multiply_adds for group in groups)
    if not outside and missing <= 0:
        return None
    return _group("rest", "outside of layers", groups[-1].output, outside, missing)


def describe(module: nn.Module) -> str:
    """A module in words; "" for one that does nothing. Equal layers in a row are counted."""
    if _is_layer(module):
        kinds = (name for kind, name in LAYER_NAMES.items() if isinstance(module, kind))
        name = next(kinds, type(module).__name__)
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            height, width = module.kernel_size
            stride = f", stride {module.stride[0]}" if module.stride[0] > 1 else ""
            name += f" {height} x {width}{stride}"
        return name
    if not isinstance(module, nn.Sequential):
        return type(module).__name__
    counts = Counter(filter(None, map(describe, module.children())))
    return ", ".join(f"{n} x {words}" if n > 1 else words for words, n in counts.items())


class OnePoint(nn.Module):
    """Segment Anything for one point: embedding of an image, tokens, logits of masks, masks."""

    def __init__(self, sam: Any, size: Size) -> None:
        super().__init__()
        self.sam = sam
        self.size = size

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        embedding = self.sam.image_encoder(images)
        # it looks up which labels there are, which `meta` cannot; 5 MB, whose values do not matter
        prompts = self.sam.prompt_encoder.to_empty(device="cpu")
        point = (torch.zeros(1, 1, 2, device="cpu"), torch.ones(1, 1, device="cpu"))
        tokens, no_mask = (tensor.to("meta") for tensor in prompts(point, None, None))
        positions = prompts.get_dense_pe().to("meta")
        # three masks of different extent for each point, as in the automatic generator
        logits, _ = self.sam.mask_decoder(embedding, positions, tokens, no_mask, True)
        return embedding, tokens, logits, self.sam.postprocess_masks(logits, self.size, self.size)


def sam_groups(model: Any, size: Size) -> list[LayerGroup]:
    """The groups of a Segment Anything network on the device `meta`, for one point in one image.

    Unlike those of `layer_groups`, the multiply-adds include the products of attention, of position
    encodings, and of mask tokens with the feature map, and those with the padding of windows.

    model: of `sam.build_sam`; it is frozen, because it is not trained here. size: its
    `sam.image_size`. Raises ValueError if a parameter or a multiplication is in none of the groups.
    """
    model.requires_grad_(False)
    (embedding, tokens, logits, masks), work = _run(OnePoint(model, size), size)
    # the prompt encoder also gives the decoder the position of every patch
    work["sam.prompt_encoder"] += work["sam.prompt_encoder.pe_layer"]

    def group(name: str, layers: str, output: Shape, *weights: nn.Parameter) -> LayerGroup:
        parameters = [*model.get_submodule(name).parameters(), *weights]
        return _group(name, layers, output, parameters, work[f"sam.{name}"])

    encoder, decoder = model.image_encoder, model.mask_decoder
    map_shape = tuple(embedding.shape[1:])
    patches, up = encoder.patch_embed.proj, decoder.output_upscaling
    patch_shape = (patches.out_channels, *map_shape[1:])
    words = f"{describe(patches)}, position embedding"
    groups = [group("image_encoder.patch_embed", words, patch_shape, encoder.pos_embed)]
    whole_image = (i for i, block in enumerate(encoder.blocks, 1) if not block.window_size)
    for start, end in pairwise(sorted({0, *whole_image, len(encoder.blocks)})):
        blocks = [group(f"image_encoder.blocks.{i}", "", patch_shape) for i in range(start, end)]
        words = _in_words(encoder.blocks[start:end])
        groups.append(_join(blocks, f"image_encoder.blocks.{start}-{end - 1}", words, patch_shape))
    words = f"{len(decoder.transformer.layers)} x two-way block, attention of tokens to the map"
    two_way = group("mask_decoder.transformer", words, map_shape)
    up_shape = (up[-2].out_channels, *logits.shape[2:])
    upscaling = group("mask_decoder.output_upscaling", describe(up), up_shape)
    all_of_decoder = group("mask_decoder", "", ())
    mlps = len(decoder.output_hypernetworks_mlps) + 1
    words = "one point, with a token for the absence of a second"
    groups += [
        group("image_encoder.neck", describe(encoder.neck), map_shape),
        group("prompt_encoder", words, (tokens.shape[2], tokens.shape[1])),
        two_way,
        upscaling,
        LayerGroup(
            "mask_decoder.heads",
            f"{mlps} x MLP, product of mask tokens and map",
            tuple(logits.shape[1:]),
            all_of_decoder.parameters - two_way.parameters - upscaling.parameters,
            0,
            all_of_decoder.multiply_adds - two_way.multiply_adds - upscaling.multiply_adds,
        ),
        _group("output", RESIZED, tuple(masks.shape[1:]), [], 0),
    ]
    return _check_totals(groups, model, work)


def _in_words(blocks: Any) -> str:
    """Consecutive blocks of Segment Anything's image encoder in words."""
    sides = [block.window_size for block in blocks if block.window_size]
    near = f"{len(sides)} in windows of {sides[0]} x {sides[0]} patches" if sides else ""
    far = f"{len(blocks) - len(sides)} over the whole image" if len(sides) < len(blocks) else ""
    kind = type(blocks[0]).__name__
    return f"{len(blocks)} x {kind}, {' and '.join(filter(None, [near, far]))}"


def _run(network: nn.Module, size: Size) -> tuple[Any, Counter[str]]:
    """A network's output for an image, and the multiply-adds by module; Global: of all."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        output = network(torch.empty(1, 3, *size, device="meta"))
    root = f"{type(network).__name__}."
    counts = counter.get_flop_counts().items()
    work = {name.removeprefix(root): sum(kinds.values()) // 2 for name, kinds in counts}
    return output, Counter(work)


def _check_totals(
    groups: list[LayerGroup], network: nn.Module, work: Counter[str]
) -> list[LayerGroup]:
    total = (sum(p.numel() for p in network.parameters()), work["Global"])
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


def _join(groups: Sequence[LayerGroup], name: str, layers: str, output: Shape) -> LayerGroup:
    """Consecutive groups as one."""
    counts = zip(*((g.parameters, g.trained, g.multiply_adds) for g in groups), strict=True)
    parameters, trained, work = map(sum, counts)
    return LayerGroup(name, layers, output, parameters, trained, work)


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

"""What Segment Anything is made of, counted over one image and one point prompt."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from reprise.models.layers import Group, describe, whole_network


def image_size(name: str) -> tuple[int, int]:
    """(H, W) of the images that a network of `sam` takes in; the stage scales and pads others."""
    return (64, 64) if name == "small" else (1024, 1024)


def anything_groups(model: Any, size: tuple[int, int]) -> list[Group]:
    """The groups of a network that `sam` built on the device `meta`, for one point in one image.

    The multiply-adds are those of convolutions and linear layers and, other than in `layer_groups`,
    the products of attention, of position encodings, and of mask tokens with the map: matrices that
    no layer holds. The padding of windows is multiplied too, and counts.

    Args:
        model: the network; it is frozen, for nothing of it is trained here.
        size: its `image_size`.

    Raises:
        ValueError: a parameter or a multiplication is in none of the groups.
    """
    counter = FlopCounterMode(display=False)
    model.requires_grad_(False)
    with counter:
        embedding, tokens, logits = _one_point(model, size)
        masks = model.postprocess_masks(logits, size, size)
    work = {name: sum(ops.values()) // 2 for name, ops in counter.get_flop_counts().items()}
    groups = [
        *_encoder(model.image_encoder, embedding, work),
        _prompts(model.prompt_encoder, tokens, work),
        *_decoder(model.mask_decoder, embedding, logits, work),
        Group("output", "resized or cropped to the image", tuple(masks.shape[1:]), 0, 0, 0),
    ]
    return whole_network(groups, model, counter)


def _one_point(model: Any, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """The image's embedding, the tokens of one point, and the logits of its three masks."""
    embedding = model.image_encoder(torch.empty(1, 3, *size, device="meta"))
    # it looks up which labels there are, which `meta` cannot; 5 MB, whose values do not matter
    prompts = model.prompt_encoder.to_empty(device="cpu")
    point = (torch.zeros(1, 1, 2, device="cpu"), torch.ones(1, 1, device="cpu"))
    tokens, no_mask = (made.to("meta") for made in prompts(point, None, None))
    places = prompts.get_dense_pe().to("meta")
    # three masks of different extent for each point, as the automatic generator asks
    logits, _ = model.mask_decoder(embedding, places, tokens, no_mask, True)
    return embedding, tokens, logits


def _encoder(encoder: Any, embedding: Tensor, work: dict[str, int]) -> list[Group]:
    """Patches, each run of blocks that ends in one with global attention, and the neck."""
    path, patches = type(encoder).__name__, encoder.patch_embed
    grid = tuple(embedding.shape[2:])
    width = patches.proj.out_channels
    first = [*patches.parameters(), encoder.pos_embed]
    said = f"{describe(patches.proj)}, position embedding"
    count = work[f"{path}.patch_embed"]
    groups = [_group("image_encoder.patch_embed", said, (width, *grid), first, count)]
    start = 0
    for end, block in enumerate(encoder.blocks, 1):
        if block.window_size and end < len(encoder.blocks):
            continue
        own = encoder.blocks[start:end]
        said = f"{end - start} x {type(block).__name__}, {_windows(own)}"
        count = sum(work[f"{path}.blocks.{i}"] for i in range(start, end))
        name = f"image_encoder.blocks.{start}-{end - 1}"
        groups.append(_group(name, said, (width, *grid), own.parameters(), count))
        start = end
    neck, size = encoder.neck, tuple(embedding.shape[1:])
    count = work[f"{path}.neck"]
    return [*groups, _group("image_encoder.neck", describe(neck), size, neck.parameters(), count)]


def _windows(blocks: Any) -> str:
    sides = [block.window_size for block in blocks if block.window_size]
    near = f"{len(sides)} in windows of {sides[0]} x {sides[0]} patches" if sides else ""
    far = f"{len(blocks) - len(sides)} over the whole image" if len(sides) < len(blocks) else ""
    return " and ".join(filter(None, [near, far]))


def _prompts(prompts: Any, tokens: Tensor, work: dict[str, int]) -> Group:
    """The prompt encoder; its layers for masks as prompts are not asked."""
    path = type(prompts).__name__
    # the second is the position of every patch, which the decoder is handed
    count = work[path] + work[f"{path}.pe_layer"]
    said = "one point, with a token that stands for no more"
    size = (tokens.shape[2], tokens.shape[1])
    return _group("prompt_encoder", said, size, prompts.parameters(), count)


def _decoder(decoder: Any, embedding: Tensor, logits: Tensor, work: dict[str, int]) -> list[Group]:
    """The two-way transformer, the upscaling of the map, and the heads with their tokens."""
    path = type(decoder).__name__
    two_way, up = decoder.transformer, decoder.output_upscaling
    pair = (work[f"{path}.transformer"], work[f"{path}.output_upscaling"])
    said = f"{len(two_way.layers)} x two-way block, attention of tokens to the map"
    finer = (up[-2].out_channels, *logits.shape[2:])
    heads = [
        weight
        for name, weight in decoder.named_parameters()
        if not name.startswith(("transformer.", "output_upscaling."))
    ]
    last = f"{len(decoder.output_hypernetworks_mlps) + 1} x MLP, product of mask tokens and map"
    size = tuple(embedding.shape[1:])
    return [
        _group("mask_decoder.transformer", said, size, two_way.parameters(), pair[0]),
        _group("mask_decoder.output_upscaling", describe(up), finer, up.parameters(), pair[1]),
        _group("mask_decoder.heads", last, tuple(logits.shape[1:]), heads, work[path] - sum(pair)),
    ]


def _group(
    name: str, layers: str, output: tuple[int, ...], weights: Iterable[nn.Parameter], work: int
) -> Group:
    own = list(weights)
    return Group(name, layers, output, sum(p.numel() for p in own), 0, work)

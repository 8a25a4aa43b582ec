"""Every kind of operation that the presets use, on fixed inputs: a line `name,sha256` for each.

test_operations.py runs it natively and under emulated processors, whose digests shall be those of
digests.csv. Inputs come from integers alone, so that they are the same everywhere.

    REPRISE_NUMERICS=portable python tests/portable/operations.py > tests/portable/digests.csv
"""

import hashlib
import io
import sys
from collections.abc import Callable, Iterator
from typing import Any

import reprise  # noqa: F401  (sets the variables up, before torch and NumPy)

import numpy as np  # isort: skip
import torch  # isort: skip
import torch.nn.functional as F  # isort: skip
from matplotlib import pyplot  # isort: skip
from PIL import Image  # isort: skip
from scipy import special, stats  # isort: skip
from torch import Tensor, nn  # isort: skip

from reprise.datasets.policies import apply_policies  # isort: skip
from reprise.datasets.transforms import augment, sample_augmentations  # isort: skip
from reprise.evaluation.embedding import pca, tsne  # isort: skip
from reprise.params.embed import Embed  # isort: skip
from reprise.params.training import Augment  # isort: skip

Result = Iterator[Any]
EMBED = Embed(
    stage="classify", task="t", run="r", seed=0, split="test", methods=["tsne"], max_points=120,
    pca_components=20, perplexity=15.0,
)  # fmt: skip
OPERATIONS: dict[str, Callable[[], Result]] = {}


def operation(function: Callable[[], Result]) -> Callable[[], Result]:
    OPERATIONS[function.__name__] = function
    return function


def values(*shape: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    """float32 in [-1, 1), each a multiple of 2**-20, from a hash of its index."""
    index = np.arange(int(np.prod(shape)), dtype=np.uint64) + np.uint64(1_000_003 * (seed + 1))
    index *= np.uint64(0x9E3779B97F4A7C15)
    index ^= index >> np.uint64(29)
    index *= np.uint64(0xBF58476D1CE4E5B9)
    integers = (index >> np.uint64(43)).astype(np.int64) - 2**20
    return (integers / 2**20).astype(np.float32).reshape(shape)


def tensor(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(values(*shape, seed=seed))


def images(*shape: int, seed: int = 0) -> Tensor:
    """A batch with channels last, as in training, that collects its gradient."""
    last = tensor(*shape, seed=seed).to(memory_format=torch.channels_last)
    return last.requires_grad_()


def digest(result: Any) -> str:
    if isinstance(result, bytes):
        return hashlib.sha256(result).hexdigest()
    array = result.detach().numpy() if isinstance(result, Tensor) else np.asarray(result)
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def with_gradients(output: Tensor, *leaves: Tensor) -> Result:
    """The output, and the gradients of a weighted sum of it."""
    yield output
    weights = tensor(*output.shape, seed=99)
    yield from torch.autograd.grad((output * weights).sum(), leaves)


def convolution(channels: int, out: int, kernel: int, size: int, **options: Any) -> Result:
    layer = nn.Conv2d(channels, out, kernel, **options)
    fill(layer)
    batch = images(8, channels, size, size)
    layer.to(memory_format=torch.channels_last)
    yield from with_gradients(layer(batch), batch, *layer.parameters())


def fill(network: nn.Module) -> None:
    with torch.no_grad():
        for number, parameter in enumerate(network.parameters()):
            parameter.copy_(tensor(*parameter.shape, seed=number) * 0.1)


@operation
def convolutions() -> Result:
    yield from convolution(3, 32, 3, 32, padding=1)
    yield from convolution(64, 64, 3, 16, padding=1, bias=False)
    yield from convolution(48, 96, 1, 16)
    yield from convolution(3, 64, 7, 32, stride=2, padding=3, bias=False)
    yield from convolution(40, 40, 5, 16, padding=2, groups=40)
    yield from convolution(64, 32, 3, 16, padding=4, dilation=4)
    yield from convolution(24, 7, 1, 8, stride=2)


@operation
def transposed_convolution() -> Result:
    layer = nn.ConvTranspose2d(11, 11, 4, stride=2, padding=1, bias=False)
    fill(layer)
    batch = images(4, 11, 9, 9)
    yield from with_gradients(layer(batch), batch, *layer.parameters())


@operation
def products() -> Result:
    for rows, inner, columns in ((128, 512, 16), (300, 700, 500), (64, 2048, 256), (7, 33, 5)):
        a = tensor(rows, inner).requires_grad_()
        b = tensor(inner, columns, seed=1).requires_grad_()
        yield from with_gradients(a @ b, a, b)
    yield torch.bmm(tensor(6, 30, 40), tensor(6, 40, 20, seed=1))
    yield F.linear(tensor(9, 100), tensor(4, 100, seed=1), tensor(4, seed=2))
    yield tensor(40, 30) @ tensor(30, seed=1)


@operation
def norms() -> Result:
    for layer, batch in (
        (nn.BatchNorm2d(64), images(16, 64, 8, 8)),
        (nn.BatchNorm1d(300), tensor(50, 300).requires_grad_()),
        (nn.LayerNorm(200), tensor(20, 200).requires_grad_()),
        (nn.GroupNorm(4, 64), images(16, 64, 8, 8)),
    ):
        yield from with_gradients(layer(batch), batch, *layer.parameters())
        yield layer.eval()(batch)


@operation
def activations() -> Result:
    batch = images(8, 16, 12, 12)
    for function in (
        F.relu, F.silu, F.gelu, F.hardswish, F.hardsigmoid, torch.sigmoid, torch.tanh, torch.exp,
        F.softplus, torch.special.entr, lambda x: (x.abs() + 1e-3).rsqrt(),
        lambda x: F.normalize(x, dim=1), lambda x: F.softmax(x, 1), lambda x: F.log_softmax(x, 1),
    ):  # fmt: skip
        yield from with_gradients(function(batch), batch)


@operation
def pooling_and_resizing() -> Result:
    batch = images(4, 24, 15, 15)
    for function in (
        lambda x: F.max_pool2d(x, 3, 2, 1), lambda x: F.avg_pool2d(x, 2),
        lambda x: F.adaptive_avg_pool2d(x, 1), lambda x: F.adaptive_avg_pool2d(x, 4),
        lambda x: F.interpolate(x, (37, 41), mode="bilinear", align_corners=False),
        lambda x: F.interpolate(x, (31, 29), mode="nearest"),
    ):  # fmt: skip
        yield from with_gradients(function(batch), batch)
    pixels = (tensor(4, 3, 33, 47).abs() * 255).floor()
    grid = tensor(4, 9, 9, 2, seed=3)
    yield F.grid_sample(pixels, grid, "nearest", "zeros", align_corners=False)
    yield F.grid_sample(pixels, grid, "bilinear", "reflection", align_corners=False)
    yield F.interpolate(pixels, (20, 20), mode="bicubic", antialias=True)


@operation
def masked_gathers() -> Result:
    """Not under emulation: qemu 7.2 reads where the mask of a gather says that it shall not."""
    pixels, grid = (tensor(4, 3, 33, 47).abs() * 255).floor(), tensor(4, 9, 9, 2, seed=3)
    for padding in ("zeros", "border"):
        yield F.grid_sample(pixels, 1.3 * grid, "bilinear", padding, align_corners=False)


@operation
def augmentations() -> Result:
    pixels = (tensor(6, 3, 32, 40).abs() * 255).to(torch.uint8)
    rows = np.arange(6)
    recipe = Augment(
        flip=True, translate=0.1, degrees=15, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1,
        grayscale_p=0.2, auto_augment=["blur"],
    )  # fmt: skip
    yield augment(pixels, sample_augmentations(rows, recipe, 0, 1, ratio=40 / 32))
    for policy in ("trivial_wide", "autoaugment_cifar10", "cutout", "cutout_16"):
        yield apply_policies(pixels, [policy], rows)


@operation
def losses() -> Result:
    logits = tensor(64, 16).requires_grad_()
    target = torch.arange(64) % 16
    yield from with_gradients(F.cross_entropy(logits, target, label_smoothing=0.1), logits)
    maps = images(3, 7, 20, 20)
    labels = (torch.arange(1200) * 5 % 7).reshape(3, 20, 20)
    yield from with_gradients(F.cross_entropy(maps, labels, ignore_index=6), maps)
    one_hot = F.one_hot(labels, 7).movedim(3, 1).float()
    yield from with_gradients(F.binary_cross_entropy_with_logits(maps, one_hot), maps)
    first, second = tensor(32, 64).requires_grad_(), tensor(32, 64, seed=1)
    yield from with_gradients(F.mse_loss(first, second), first)
    yield from with_gradients(F.cosine_similarity(first, second).mean(), first)
    normal = (first - first.mean(0)) / first.std(0)
    yield from with_gradients(normal.T @ normal / 32, first)


@operation
def reductions() -> Result:
    wide = tensor(333, 1001)
    yield from (wide.sum(), wide.sum(0), wide.sum(1), wide.mean(), wide.var(0), wide.std())
    yield from (wide.double().sum(), wide.norm(), wide.amax(1), wide.cumsum(1), wide.logsumexp(1))
    yield torch.linalg.svdvals(wide[:40, :60])


@operation
def random_numbers() -> Result:
    torch.manual_seed(0)
    yield from (
        torch.rand(1001),
        torch.randn(1001),
        torch.randn(7),
        torch.empty(99).bernoulli_(0.3),
    )
    yield torch.empty(33, 40).normal_(0, 0.02)
    yield F.dropout(tensor(50, 40))


@operation
def moving_averages() -> Result:
    slow, fast = tensor(50, 40), tensor(50, 40, seed=1)
    yield slow.clone().lerp_(fast, 0.01)
    torch._foreach_lerp_([slow], [fast], 0.996)
    yield slow


@operation
def optimizers() -> Result:
    makers: tuple[Callable[[Any], torch.optim.Optimizer], ...] = (
        lambda p: torch.optim.AdamW(p, 1e-3, weight_decay=0.01, fused=True),
        lambda p: torch.optim.Adam(p, 1e-3, amsgrad=True, fused=True),
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=1e-4, fused=True),
    )
    for maker in makers:
        parameters = [tensor(50, 70).requires_grad_(), tensor(33, seed=1).requires_grad_()]
        optimizer = maker(parameters)
        for step in range(5):
            for number, parameter in enumerate(parameters):
                parameter.grad = tensor(*parameter.shape, seed=10 * step + number)
            optimizer.step()
        yield from parameters


@operation
def statistics() -> Result:
    wide = values(400, 30).astype(np.float64)
    yield from (wide.sum(), wide.mean(0), wide.std(1, ddof=1), np.exp(wide), np.log(1.5 + wide))
    yield from (np.sqrt(1 + wide), wide**3, (wide + 2) ** 0.3, wide[:40] @ wide[:40].T)
    yield from (np.cumsum(wide), np.percentile(wide, [2.5, 50]), np.linalg.norm(wide, axis=1))
    yield values(1000).sum()
    yield special.expit(wide)
    yield [stats.t.ppf(0.975, n) for n in (2, 5, 41.5)]
    yield [stats.t.cdf(x, 7.5) for x in (0.1, 1.7, -3.2)]
    yield [stats.beta.ppf(0.025, n, 9.5) for n in (2, 5, 41.5)]
    yield np.linalg.svd(wide[:50], full_matrices=False)[1]


@operation
def embeddings() -> Result:
    features = values(120, 64) + np.repeat(values(4, 64, seed=5), 30, axis=0)
    yield pca(features, 10)[0]
    yield tsne(features, EMBED)


@operation
def pictures() -> Result:
    pixels = (np.abs(values(60, 80, 3)) * 255).astype(np.uint8)
    picture = Image.fromarray(pixels)
    for size in ((33, 21), (128, 128)):
        for how in (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS):
            yield np.asarray(picture.resize(size, how))
    for form, options in (("PNG", {}), ("JPEG", {"quality": 90}), ("WEBP", {"lossless": True})):
        stream = io.BytesIO()
        picture.save(stream, form, **options)
        yield stream.getvalue()
        yield np.asarray(Image.open(stream))
    figure, axes = pyplot.subplots(figsize=(3, 2))
    axes.plot(np.sin(np.arange(50) / 5), label="$x^2$")
    axes.scatter(np.arange(50), values(50), c=values(50, seed=1))
    axes.imshow(values(9, 9), extent=(0, 20, 0, 1))
    axes.legend()
    yield from map(drawn, ("png", "svg"))


def drawn(form: str) -> bytes:
    stream = io.BytesIO()
    metadata = {"Date": None} if form == "svg" else {}
    with pyplot.rc_context({"svg.hashsalt": "same"}):
        pyplot.savefig(stream, format=form, metadata=metadata)
    return stream.getvalue()


def main() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    chosen = sys.argv[1:] or list(OPERATIONS)
    for name in chosen:
        for number, result in enumerate(OPERATIONS[name]()):
            print(f"{name} {number},{digest(result)}", flush=True)


if __name__ == "__main__":
    main()

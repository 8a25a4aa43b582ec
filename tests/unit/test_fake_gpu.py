"""The fake GPU finds what raises on a GPU, and what waits for it."""

import re
from collections.abc import Callable

import pytest
import torch
from support.fake_gpu import META, RAISES, GpuError, install, watching
from torch import Tensor, nn
from torch.nn import functional as F


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(*shape, device=META, dtype=dtype, requires_grad=dtype.is_floating_point)


# one of each kind that raises on a GPU, or waits for it
ERRORS: dict[str, Callable[[], object]] = {
    "adaptive pooling": lambda: nn.AdaptiveAvgPool2d((6, 6))(meta(2, 3, 9, 9)).sum().backward(),
    "reflection": lambda: F.pad(meta(1, 2, 4, 4), (1, 1, 1, 1), "reflect").sum().backward(),
    "mean of label maps": lambda: F.cross_entropy(
        meta(2, 3, 4, 4), meta(2, 4, 4, dtype=torch.long)
    ),
    "gradient of a grid": lambda: F.grid_sample(
        meta(1, 1, 4, 4), meta(1, 4, 4, 2), align_corners=False
    ).sum().backward(),
    "item": lambda: meta(1).sum().item(),
    "float": lambda: float(meta(1).sum()),
    "mask": lambda: meta(4)[meta(4) > 0],
    "assigned by a mask": lambda: meta(4).detach().__setitem__(meta(4) > 0, meta(1)),
    "nonzero": lambda: meta(4).nonzero(),
    "to the CPU": lambda: meta(4).cpu(),
    "numpy": lambda: meta(4).detach().numpy(),
    "from the CPU": lambda: torch.ones(4).to(META),
    "pageable": lambda: torch.ones(4).to(META, non_blocking=True),
    "pinned and blocking": lambda: torch.ones(4).pin_memory().to(META),
    "assigned": lambda: meta(4).detach().copy_(torch.ones(4)),
    "made there": lambda: torch.tensor([1.0, 2.0], device=META),
    "indices": lambda: meta(4)[torch.ones(2, dtype=torch.long)],
    "weighted counts": lambda: torch.bincount(
        meta(4, dtype=torch.long), meta(4), minlength=3
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")
@pytest.mark.parametrize("name", ERRORS)
def test_an_operation_that_raises_or_waits_on_a_gpu_is_detected(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch)
    with pytest.raises((GpuError, RuntimeError, TypeError)), watching():
        ERRORS[name]()


def test_the_list_is_that_of_the_documentation() -> None:
    text = torch.use_deterministic_algorithms.__doc__ or ""
    start = text.index("The following normally-nondeterministic operations will throw")
    bullets = re.split(r"\n\s+\* ", text[start : text.index("In addition", start)])[1:]
    listed = {name for bullet in bullets for name in re.findall(r"`(torch\.[\w.]+)`", bullet)}
    assert listed == set(RAISES) and len(bullets) >= 25
    packets = {name for names in RAISES.values() for name in names or ()}
    assert [name for name in sorted(packets) if not hasattr(torch.ops.aten, name)] == []

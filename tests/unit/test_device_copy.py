"""Copies to a GPU, and the small tensors of torchvision's policies, are not waited for."""

import numpy as np
import pytest
import torch
from support.fake_gpu import META, install, watching

from reprise.datasets import device_copy, transforms
from reprise.datasets.device_copy import NoWait, to_device
from reprise.datasets.transforms import apply_policies

POLICIES = ["trivial_wide", "autoaugment_cifar10", "cutout", "blur"]


def test_a_copy_to_a_gpu_is_not_waited_for_and_one_to_cpu_is_not_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch)
    values = torch.arange(3)
    with watching():
        assert to_device(values, META).device == META
        assert to_device(values, torch.device("cpu")) is values


@pytest.mark.parametrize("policy", POLICIES)
def test_no_policy_waits_for_a_gpu(policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    images = torch.empty(100, 3, 24, 24, dtype=torch.uint8, device=META)
    with watching() as watcher:  # 100 draws include every transform
        changed = apply_policies(images, [policy], np.arange(100))
    assert changed.shape == images.shape
    assert watcher.names & {"grid_sampler_2d", "copy_", "convolution"}


def test_policies_give_the_same_images_with_copies_that_do_not_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = torch.randint(0, 256, (60, 3, 24, 24), dtype=torch.uint8)
    expected = apply_policies(images, POLICIES, np.arange(60))
    devices = []
    monkeypatch.setattr(device_copy, "to_device", lambda values, d: devices.append(d) or values)
    monkeypatch.setattr(transforms, "nullcontext", NoWait)
    assert torch.equal(apply_policies(images, POLICIES, np.arange(60)), expected)
    assert len(devices) > 60  # a fill value for each image, and matrices

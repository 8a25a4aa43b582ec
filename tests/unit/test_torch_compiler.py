"""A training starts without torch's compiler, which stays available."""

import subprocess
import sys

TRAINING = """
import sys
import torch
from reprise.models.build import build_backbone
from reprise.params.training import Runtime
from reprise.torch_compiler import without_dynamo
from reprise.training.runtime import configure_torch

configure_torch(Runtime(device="cpu", precision="float32"), 0)
with without_dynamo():
    network = build_backbone("resnet10", "small").net
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    network(torch.ones(2, 3, 32, 32)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
assert torch.are_deterministic_algorithms_enabled()
assert not [name for name in sys.modules if name.startswith("torch._dynamo")]
assert torch.compile(lambda x: x + 1, backend="eager")(torch.ones(1)) == 2
optimizer.step()
"""


def test_a_training_does_not_import_the_compiler_which_works_afterwards() -> None:
    command = [sys.executable, "-c", TRAINING]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr

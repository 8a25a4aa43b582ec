"""Torch and torchvision without torch._dynamo, which takes as long to import as torch itself."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

DYNAMO, UTILS = "torch._dynamo", "torch._dynamo.utils"


@contextmanager
def without_dynamo() -> Iterator[None]:
    """In this block, `torch._dynamo` is a stand-in, unless it has been imported before.

    Torch's optimizers import it only to exclude themselves from torch.compile, and torchvision for
    one operation on GPUs; nothing here compiles. After the block the module can be imported.
    """
    if DYNAMO in sys.modules:
        yield
        return
    dynamo: Any = ModuleType(DYNAMO)
    dynamo.disable = lambda function, *_, **__: function
    dynamo.graph_break = lambda: None
    utils: Any = ModuleType(UTILS)
    utils.is_compile_supported = lambda device: importlib.import_module(UTILS).is_compile_supported(
        device
    )
    sys.modules |= {DYNAMO: dynamo, UTILS: utils}
    try:
        yield
    finally:
        del sys.modules[DYNAMO], sys.modules[UTILS]

"""The mode of `runtime.numerics`, whose variables are set before torch and NumPy are imported.

fast: the libraries choose their kernels by the CPU. portable: kernels for AVX2 in one order of
additions, so that outputs have the same bytes on every x86-64 CPU that has AVX2. The libraries
read the variables when they are loaded, so `import reprise` calls `set_variables`. What each is
for is in docs/determinism.md.
"""

import os
import re
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal

from reprise.errors import RepriseError

Mode = Literal["fast", "portable"]
FAST: Final = "fast"
PORTABLE: Final = "portable"
VARIABLE = "REPRISE_NUMERICS"  # the mode, for the processes that this one starts
PORTABLE_VARIABLES = {
    "ATEN_CPU_CAPABILITY": "avx2",  # torch's own kernels
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # convolutions
    "MKL_CBWR": "COMPATIBLE",  # products of matrices; AVX2 differs between vendors
    "OPENBLAS_CORETYPE": "Haswell",  # products and decompositions of NumPy and SciPy
    # all that NumPy chooses at run time and that is not in AVX2
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
_PARAMS = Path("params.yaml")
# `numerics: portable` in the block `runtime`, not in a comment; importing a parser of YAML would
# take longer. `check` compares the result with that of the parser.
_IN_PARAMS = re.compile(
    r"^runtime:(?:[^\n]*\n(?=[ \t#\n]))*?[^\n#]*\bnumerics:[ \t]*[\"']?portable\b", re.MULTILINE
)
_mode = FAST
_imported: list[str] = []  # libraries that were loaded before the variables were set


def set_variables() -> None:
    """Set the variables of the mode that this process runs in.

    It is the value of REPRISE_NUMERICS; else, that of the file after --params, or of params.yaml.
    """
    global _mode
    _mode = os.environ.get(VARIABLE) or _read(_params_file(sys.argv))
    _imported[:] = [name for name in ("torch", "numpy") if name in sys.modules]
    if _mode == PORTABLE:
        os.environ |= PORTABLE_VARIABLES | {VARIABLE: PORTABLE}


def mode() -> Mode:
    """The mode that this process runs in."""
    return PORTABLE if _mode == PORTABLE else FAST


def is_portable() -> bool:
    """Whether it is the portable mode."""
    return mode() == PORTABLE


def check(numerics: str, capability: str) -> None:
    """Raise RepriseError unless this process computes as `runtime.numerics` says.

    numerics: that value. capability: torch.backends.cpu.get_cpu_capability().
    """
    where = f"params.yaml: runtime.numerics is {numerics}"
    if numerics != _mode:
        raise RepriseError(
            f"{where}, but this process began as {_mode}; unset {VARIABLE}, and write the value "
            "without anchors or tags"
        )
    if numerics == PORTABLE and _imported:
        raise RepriseError(
            f"{where}, but {_imported[0]} was imported before reprise; import reprise first"
        )
    if numerics == PORTABLE and capability != "AVX2":
        raise RepriseError(f"{where}, which needs an x86-64 CPU with AVX2; use fast")


def _params_file(words: Sequence[str]) -> Path:
    """The file after --params, or params.yaml."""
    named = [value for option, value in pairwise(words) if option == "--params"]
    joined = [word.partition("=")[2] for word in words if word.startswith("--params=")]
    return Path((named + joined)[-1]) if named or joined else _PARAMS


def _read(params: Path) -> str:
    try:
        text = params.read_text("utf-8", errors="replace") if params.is_file() else ""
    except OSError:
        text = ""  # whoever reads its values says so
    return PORTABLE if _IN_PARAMS.search(text) else FAST

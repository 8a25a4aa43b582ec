"""Run a training script with a stop-watch on its loop and on the making of its batches.

python -m bench.probe RESULT.json SCRIPT [its arguments]
"""

import json
import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SPENT = {"batches": 0.0, "loop": 0.0}


def watched(work: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The same function; its wall time is added up under a name."""

    def timed(*args: Any, **named: Any) -> Any:
        start = time.perf_counter()
        try:
            return work(*args, **named)
        finally:
            SPENT[name] += time.perf_counter() - start

    return timed


def main() -> None:
    """Put the stop-watches in before the script imports what they watch."""
    import reprise.training.loop as loop
    from reprise.data.inputs import Inputs

    result, script = Path(sys.argv[1]), sys.argv[2]
    Inputs.train = watched(Inputs.train, "batches")  # type: ignore[method-assign]
    loop.step = watched(loop.step, "loop")
    sys.argv = sys.argv[2:]
    runpy.run_path(script, run_name="__main__")
    result.write_text(json.dumps(SPENT))


if __name__ == "__main__":
    main()

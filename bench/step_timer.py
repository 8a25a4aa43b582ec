"""Run a training script with timers on its loop and on its batches.

python -m bench.step_timer RESULT.json SCRIPT [its arguments]
"""

import json
import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SPENT = {"batches": 0.0, "loop": 0.0}


def timed_calls(work: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The same function; its wall time is added to SPENT[name]."""

    def timed(*args: Any, **named: Any) -> Any:
        start = time.perf_counter()
        try:
            return work(*args, **named)
        finally:
            SPENT[name] += time.perf_counter() - start

    return timed


def main() -> None:
    """Install the timers before the script imports what they measure."""
    import reprise.training.loop as loop
    from reprise.datasets.batches import Batches

    result, script = Path(sys.argv[1]), sys.argv[2]
    for method in ("train_batch", "train_batch_with_labels"):
        setattr(Batches, method, timed_calls(getattr(Batches, method), "batches"))
    loop.step = timed_calls(loop.step, "loop")
    sys.argv = sys.argv[2:]
    runpy.run_path(script, run_name="__main__")
    result.write_text(json.dumps(SPENT))


if __name__ == "__main__":
    main()

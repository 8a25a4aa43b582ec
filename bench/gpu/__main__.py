"""Run one part, or note how one ended.

    python3 -m bench.gpu PART --out FOLDER [--cpu]
    python3 -m bench.gpu PART --out FOLDER --ended STATUS SECONDS
    python3 -m bench.gpu --list

`bench/gpu_check.sh` calls this for each part. --cpu tries a part with tiny sizes on a processor;
its numbers mean nothing. --list prints the most seconds for all parts, then name and most seconds
of each.
"""

import argparse
import sys
from importlib import import_module
from pathlib import Path

from bench.gpu.result import MOST, PARTS, Part, begin, end


def main() -> None:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("bench.gpu", description=__doc__, formatter_class=layout)
    parser.add_argument("part", nargs="?", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--out", type=Path, help="folder of the JSON file and the page")
    parser.add_argument("--cpu", action="store_true", help="tiny sizes on a processor")
    parser.add_argument("--ended", nargs=2, metavar=("STATUS", "SECONDS"))
    parser.add_argument("--list", action="store_true")
    given = parser.parse_args()
    if given.list:
        print(MOST, *(f"{name} {most}" for name, (_, most, _, _) in PARTS.items()), sep="\n")
        return
    if not given.part or not given.out:
        parser.error("name a part and --out")
    if given.ended:
        end(given.out, given.part, int(given.ended[0]), float(given.ended[1]))
        return
    measure(given.part, given.out, given.cpu)


def measure(name: str, out: Path, tiny: bool) -> None:
    """Run a part in this process; what is wrong is one line, also where torch has no CUDA."""
    begin(out, name, tiny, "a processor" if tiny else card(name))
    _, _, module, function = PARTS[name]
    getattr(import_module(f"bench.gpu.{module}"), function)(Part(name, out, tiny))


def card(part: str) -> str:
    """The name of the GPU. Ends with one line where none is visible."""
    import torch

    if not torch.cuda.is_available():
        sys.exit(f"{part}: no GPU is visible to torch {torch.__version__}; --cpu tries the script")
    return torch.cuda.get_device_name()


if __name__ == "__main__":
    main()

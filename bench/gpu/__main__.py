"""Run one part, or record how one ended.

    python3 -m bench.gpu PART --out FOLDER [--cpu]
    python3 -m bench.gpu PART --out FOLDER --ended STATUS SECONDS
    python3 -m bench.gpu --list

`bench/gpu_check.sh` calls this for each part. --cpu tries a part with tiny sizes on CPU, with
meaningless numbers. --list prints the time limit of all parts together, then the name and the time
limit of each, in seconds.
"""

import argparse
import sys
from importlib import import_module
from pathlib import Path

from bench.gpu.result import MAX_SECONDS, PARTS, Part, begin, end


def main() -> None:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("bench.gpu", description=__doc__, formatter_class=layout)
    parser.add_argument("part", nargs="?", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--out", type=Path, help="folder of the JSON file and the page")
    parser.add_argument("--cpu", action="store_true", help="tiny sizes on CPU")
    parser.add_argument("--ended", nargs=2, metavar=("STATUS", "SECONDS"))
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    if args.list:
        print(MAX_SECONDS, *(f"{name} {part[1]}" for name, part in PARTS.items()), sep="\n")
        return
    if not args.part or not args.out:
        parser.error("name a part and --out")
    if args.ended:
        end(args.out, args.part, int(args.ended[0]), float(args.ended[1]))
        return
    measure(args.part, args.out, args.cpu)


def measure(name: str, out: Path, tiny: bool) -> None:
    """Run a part in this process; exits with one line if torch has no GPU."""
    begin(out, name, tiny, "CPU" if tiny else gpu_name(name))
    _, _, module, function = PARTS[name]
    getattr(import_module(f"bench.gpu.{module}"), function)(Part(name, out, tiny))


def gpu_name(part: str) -> str:
    """The name of the GPU; exits with one line if none is visible."""
    import torch

    if not torch.cuda.is_available():
        sys.exit(f"{part}: no GPU is visible to torch {torch.__version__}; --cpu tries the script")
    return torch.cuda.get_device_name()


if __name__ == "__main__":
    main()

"""The packages that a bare machine needs besides torch and torchvision, and their installation.

    python3 bench/gpu/needs.py --collect FOLDER               where there is a network
    python3 bench/gpu/needs.py --wheels FOLDER --into TARGET  where there is none

--collect downloads wheels for Python 3.12 on x86-64 Linux, of the versions in
requirements/lock.txt. --wheels installs the missing ones into TARGET, to be put on PYTHONPATH.
Without a folder it only names the missing packages. Only the standard library is imported.
"""

import argparse
import re
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]
MIN_TORCH = (2, 11)
# imported module -> packages that provide it; training imports them, and the tests import pytest
NEEDED = {
    "numpy": ["numpy"],
    "pandas": ["pandas", "python-dateutil"],
    "PIL": ["pillow"],
    "pydantic": [
        "pydantic", "pydantic-core", "annotated-types", "typing-inspection", "typing-extensions",
    ],
    "ruamel.yaml": ["ruamel-yaml"],
    "yaml": ["pyyaml"],
    "safetensors": ["safetensors"],
    "tqdm": ["tqdm"],
    "pytest": ["pytest", "iniconfig", "packaging", "pluggy", "pygments"],
}  # fmt: skip
PLATFORMS = ["manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_28_x86_64"]


def main() -> None:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--collect", type=Path, metavar="FOLDER")
    parser.add_argument("--wheels", type=Path, metavar="FOLDER")
    parser.add_argument("--into", type=Path, metavar="TARGET")
    args = parser.parse_args()
    if args.collect:
        collect(args.collect)
        return
    check_torch()
    names = missing()
    if not names:
        return
    if not args.wheels or not args.into:
        sys.exit(
            f"gpu_check: {', '.join(names)} not installed; collect wheels where there is a "
            "network (bench/gpu_check.sh --collect FOLDER), and pass them: --wheels FOLDER"
        )
    install(names, args.wheels, args.into)


def check_torch() -> None:
    """Exit with one line if torch or torchvision is missing or too old."""
    for name in ("torch", "torchvision"):
        try:
            number = version(name)
        except PackageNotFoundError:
            sys.exit(f"gpu_check: {name} is not installed for {sys.executable}; set PYTHON")
        major, minor = (int(part) for part in re.findall(r"\d+", number)[:2])
        if name == "torch" and (major, minor) < MIN_TORCH:
            sys.exit(f"gpu_check: torch is {number}, but must be 2.11 or later")


def missing() -> list[str]:
    """The packages of every module that cannot be imported."""
    return [name for module, names in NEEDED.items() if not importable(module) for name in names]


def importable(module: str) -> bool:
    """Whether a module can be imported."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def collect(folder: Path) -> None:
    """Download the wheels of every package of NEEDED."""
    locked = dict(
        line.split("==")
        for line in (ROOT / "requirements" / "lock.txt").read_text().split()
        if "==" in line
    )
    names = [name for names in NEEDED.values() for name in names]
    pinned = [f"{name}=={locked[name]}" if name in locked else name for name in names]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--dest", str(folder)]
    command += ["--only-binary=:all:", "--python-version", "3.12", "--implementation", "cp"]
    command += [word for name in PLATFORMS for word in ("--platform", name)]
    if subprocess.run([*command, *pinned], check=False).returncode:
        sys.exit("gpu_check: not all wheels were downloaded; see pip's message above")


def install(names: list[str], wheels: Path, into: Path) -> None:
    """Install packages from wheels; without pip, unpack them."""
    paths = []
    for name in names:
        start = re.sub(r"[-.]", "_", name).lower()
        matches = [
            p for p in sorted(wheels.glob("*.whl")) if p.name.lower().startswith(f"{start}-")
        ]
        if not matches:
            sys.exit(f"gpu_check: {wheels} has no wheel of {name}; collect them again (--collect)")
        paths.append(matches[-1])
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    command += ["--disable-pip-version-check", "--no-compile", "--target", str(into)]
    if importable("pip"):
        if subprocess.run([*command, *map(str, paths)], check=False).returncode:
            sys.exit("gpu_check: pip could not install the wheels; see its message above")
        return
    for path in paths:
        with zipfile.ZipFile(path) as wheel_file:
            wheel_file.extractall(into)


if __name__ == "__main__":
    main()

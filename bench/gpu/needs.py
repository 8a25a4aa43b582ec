"""The packages that a bare machine needs beside torch and torchvision, and how they get there.

    python3 bench/gpu/needs.py --collect FOLDER              where there is a network
    python3 bench/gpu/needs.py --wheels FOLDER --into PLACE  where there is none

--collect downloads wheels for Python 3.12 on x86-64 Linux, of the versions in requirements.lock.
--wheels installs those that are missing into PLACE, which then belongs on PYTHONPATH. Without a
folder it only says what is missing. Nothing but the standard library is imported.
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
LEAST = (2, 11)  # of torch
# module that is imported -> the packages that bring it; training imports all, and pytest the tests
NEEDED = {
    "numpy": ["numpy"],
    "pandas": ["pandas", "python-dateutil"],
    "PIL": ["pillow"],
    "pydantic": [
        "pydantic", "pydantic-core", "annotated-types", "typing-inspection", "typing-extensions",
    ],
    "ruamel.yaml": ["ruamel-yaml"],
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
    parser.add_argument("--into", type=Path, metavar="PLACE")
    given = parser.parse_args()
    if given.collect:
        collect(given.collect)
        return
    check_torch()
    wanted = missing()
    if not wanted:
        return
    if not given.wheels or not given.into:
        sys.exit(
            f"gpu_check: {', '.join(wanted)} not installed; collect wheels where there is a "
            "network (bench/gpu_check.sh --collect FOLDER) and bring them: --wheels FOLDER"
        )
    install(wanted, given.wheels, given.into)


def check_torch() -> None:
    """End with one line where torch or torchvision is absent or too old."""
    for name in ("torch", "torchvision"):
        try:
            number = version(name)
        except PackageNotFoundError:
            sys.exit(f"gpu_check: {name} is not installed for {sys.executable}; set PYTHON")
        major, minor = (int(part) for part in re.findall(r"\d+", number)[:2])
        if name == "torch" and (major, minor) < LEAST:
            sys.exit(f"gpu_check: torch is {number}, and has to be 2.11 or later")


def missing() -> list[str]:
    """The packages of every module that is not there."""
    return [name for module, names in NEEDED.items() if not there(module) for name in names]


def there(module: str) -> bool:
    """Whether a module can be imported, by its finder."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def collect(folder: Path) -> None:
    """Download the wheels of every package of NEEDED."""
    locked = dict(
        line.split("==")
        for line in (ROOT / "requirements.lock").read_text().split()
        if "==" in line
    )
    names = [name for group in NEEDED.values() for name in group]
    pinned = [f"{name}=={locked[name]}" if name in locked else name for name in names]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--dest", str(folder)]
    command += ["--only-binary=:all:", "--python-version", "3.12", "--implementation", "cp"]
    command += [word for name in PLATFORMS for word in ("--platform", name)]
    if subprocess.run([*command, *pinned], check=False).returncode:
        sys.exit("gpu_check: not all wheels were downloaded; pip says why above")


def install(names: list[str], wheels: Path, into: Path) -> None:
    """Install packages from wheels; where there is no pip, unpack them."""
    found = []
    for name in names:
        start = re.sub(r"[-.]", "_", name).lower()
        wheel = [p for p in sorted(wheels.glob("*.whl")) if p.name.lower().startswith(f"{start}-")]
        if not wheel:
            sys.exit(f"gpu_check: {wheels} has no wheel of {name}; collect them anew (--collect)")
        found.append(wheel[-1])
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    command += ["--disable-pip-version-check", "--no-compile", "--target", str(into)]
    if there("pip"):
        if subprocess.run([*command, *map(str, found)], check=False).returncode:
            sys.exit("gpu_check: pip could not install the wheels; it says why above")
        return
    for path in found:
        with zipfile.ZipFile(path) as wheel_file:
            wheel_file.extractall(into)


if __name__ == "__main__":
    main()

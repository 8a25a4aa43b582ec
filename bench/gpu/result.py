"""The results of the parts: one JSON file that is written as they come, and the page that it gives.

Nothing but the standard library is imported: what went wrong is noted where nothing else runs.
"""

import json
import os
from pathlib import Path
from typing import Any

from bench.gpu.page import page

JSON, PAGE = "gpu-check.json", "benchmarks-gpu.md"
# name -> title, most seconds, module and function of (Part)
PARTS: dict[str, tuple[str, int, str, str]] = {
    "environment": ("Environment", 40, "machine", "environment"),
    "tests": ("The tests that need a GPU", 150, "suite", "tests"),
    "rates": ("Matrix and memory rates", 40, "machine", "rates"),
    "byol": ("BYOL, ResNet-50", 60, "steps", "byol"),
    "frozen": ("Frozen backbone", 45, "steps", "frozen"),
    "deeplab": ("DeepLabV3-ResNet101", 60, "steps", "deeplab"),
    "fcn32s": ("FCN-32s", 45, "steps", "fcn32s"),
    "resnext101": ("ResNeXt-101", 45, "steps", "resnext101"),
    "augmentation": ("Augmentation's share of a step", 60, "augmentation", "shares"),
    "bytes": ("The same bytes", 110, "jobs", "same_bytes"),
    "moved": ("Processor and GPU", 60, "jobs", "moved"),
}
MOST = 525  # seconds for all parts together


class Part:
    """One part: what it finds is in the file as soon as it is said."""

    def __init__(self, name: str, out: Path, tiny: bool) -> None:
        self.name, self.out, self.tiny = name, out, tiny

    def say(self, key: str, value: Any) -> None:
        """Write one value of this part."""
        change(self.out, self.name, lambda entry: entry["values"].update({key: value}))
        print(f"{self.name}: {key}: {json.dumps(value)[:300]}", flush=True)

    def other(self, name: str) -> dict[str, Any]:
        """What another part has found so far."""
        values: dict[str, Any] = read(self.out)["parts"].get(name, {}).get("values", {})
        return values


def read(out: Path) -> dict[str, Any]:
    """The results so far."""
    path = out / JSON
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"parts": {}}
    return found


def change(out: Path, name: str, edit: Any) -> None:
    """Change one part's entry, and write file and page again."""
    found = read(out)
    entry = found["parts"].setdefault(name, {"title": PARTS[name][0], "values": {}})
    edit(entry)
    found["parts"] = {key: found["parts"][key] for key in PARTS if key in found["parts"]}
    whole(out / JSON, json.dumps(found, indent=1) + "\n")
    whole(out / PAGE, page(found))


def begin(out: Path, name: str, tiny: bool, device: str) -> None:
    """A part starts: what it found before is dropped, and all that is of another device."""
    out.mkdir(parents=True, exist_ok=True)
    found = read(out)
    if (found.get("tiny"), found.get("device")) != (tiny, device):
        found = {"tiny": tiny, "device": device, "parts": {}}
    found["parts"].pop(name, None)
    whole(out / JSON, json.dumps(found, indent=1) + "\n")
    change(out, name, lambda entry: entry.update(status="started"))


def end(out: Path, name: str, status: int, seconds: float) -> None:
    """A part has ended: with an exit status of its own, or that of `timeout`."""
    said = {0: "done", 124: "ran out of time", 137: "ran out of time"}
    words = said.get(status, f"failed, exit status {status}")
    change(out, name, lambda entry: entry.update(status=words, seconds=seconds))


def whole(path: Path, text: str) -> None:
    """Write a file aside and rename it."""
    aside = path.with_name(f".{path.name}.part")
    aside.write_text(text)
    os.replace(aside, path)

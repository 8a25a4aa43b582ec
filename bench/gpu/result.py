"""The results of the parts: one JSON file, written value by value, and the page made from it.

Only the standard library is imported: errors are recorded even where nothing else can run.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.gpu.page import page

JSON, PAGE = "gpu-check.json", "benchmarks-gpu.md"
# name -> title, time limit in seconds, module and function of (Part)
PARTS: dict[str, tuple[str, int, str, str]] = {
    "environment": ("Environment", 40, "machine", "environment"),
    "tests": ("The tests that need a GPU", 120, "suite", "tests"),
    "rates": ("Matrix and memory rates", 40, "machine", "rates"),
    "byol": ("BYOL, ResNet-50", 50, "steps", "byol"),
    "frozen": ("Frozen backbone", 45, "steps", "frozen"),
    "deeplab": ("DeepLabV3-ResNet101", 60, "steps", "deeplab"),
    "fcn32s": ("FCN-32s", 45, "steps", "fcn32s"),
    "resnext101": ("ResNeXt-101", 45, "steps", "resnext101"),
    "augmentation": ("Share of augmentation in a step", 60, "augmentation", "shares"),
    "bytes": ("Equal bytes", 170, "jobs", "equal_bytes"),
    "cpu_and_gpu": ("CPU and GPU", 110, "jobs", "cpu_and_gpu"),
}
MAX_SECONDS = 525  # of all parts together


class Part:
    """One part; its values are in the file as soon as they are recorded."""

    def __init__(self, name: str, out: Path, tiny: bool) -> None:
        self.name, self.out, self.tiny = name, out, tiny

    def record(self, key: str, value: Any) -> None:
        """Write one value of this part."""
        change(self.out, self.name, lambda entry: entry["values"].update({key: value}))
        print(f"{self.name}: {key}: {json.dumps(value)[:300]}", flush=True)

    def values(self) -> dict[str, Any]:
        """The values of this part so far."""
        values: dict[str, Any] = read(self.out)["parts"][self.name]["values"]
        return values


def read(out: Path) -> dict[str, Any]:
    """The results so far."""
    path = out / JSON
    result: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"parts": {}}
    return result


def change(out: Path, name: str, edit: Callable[[dict[str, Any]], None]) -> None:
    """Change the entry of a part, and write file and page again."""
    result = read(out)
    entry = result["parts"].setdefault(name, {"title": PARTS[name][0], "values": {}})
    edit(entry)
    result["parts"] = {key: result["parts"][key] for key in PARTS if key in result["parts"]}
    replace_file(out / JSON, json.dumps(result, indent=1) + "\n")
    replace_file(out / PAGE, page(result))


def begin(out: Path, name: str, tiny: bool, device: str) -> None:
    """Record that a part starts; drop its earlier values, and all those of another device."""
    out.mkdir(parents=True, exist_ok=True)
    result = read(out)
    if (result.get("tiny"), result.get("device")) != (tiny, device):
        result = {"tiny": tiny, "device": device, "parts": {}}
    result["parts"].pop(name, None)
    replace_file(out / JSON, json.dumps(result, indent=1) + "\n")
    change(out, name, lambda entry: entry.update(status="started"))


def end(out: Path, name: str, status: int, seconds: float) -> None:
    """Record that a part ended, with its exit status or that of `timeout`."""
    texts = {0: "done", 124: "ran out of time", 137: "ran out of time"}
    text = texts.get(status, f"failed, exit status {status}")
    change(out, name, lambda entry: entry.update(status=text, seconds=seconds))


def replace_file(path: Path, text: str) -> None:
    """Write a file under another name and rename it."""
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(text)
    os.replace(temporary, path)

"""Promise: any params.yaml is right or refused in one line; nothing in it reaches a shell."""

import copy
import datetime
import itertools
import json
import os
import random
import re
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.utils.serialize import parse_yaml as dvc_yaml
from support.engine_jobs import dvc_jobs, snakemake_jobs
from support.faults import FAULTS, Ending, count, ending_of_main

from reprise.engines.dvcyaml import CHECK
from reprise.engines.preset import render
from reprise.engines.verify import clone, environment
from reprise.errors import RepriseError, one_line
from reprise.params.load import load_params, parse
from reprise.params.reader import parse_yaml, read_yaml
from reprise.training.checkpoint import VARIABLE, seconds_between

ROOT = Path(__file__).parents[2]
EARTH, COURSE = (parse_yaml(render(name, ROOT / "presets")) for name in ("earth", "course"))
SHELL = [
    "x; touch PWNED #", "$(touch PWNED)", "`touch PWNED`", "'; touch PWNED; '", '"; touch PWNED; "',
    "x\ntouch PWNED\n", "x & touch PWNED", "x | touch PWNED", "x > PWNED", "a b", "-x", "--out=x",
    "../../PWNED", "/PWNED", "$HOME", "${item.run}", "*", "~", "é", "x\u2028touch PWNED", "%s",
    "{x}",
    "$(touch PWNED)/../all", "'; touch PWNED; '/../all",
]  # fmt: skip
VALUES = [
    None, True, False, "", " ", "x", "none", "no", "010", "1e-3", "__1__", "x" * 61, "x" * 100_000,
    "\x00", "\x1b[31m", *SHELL, 0, 1, -1, 2, 3, 7, 31, 33, 4096, 4097, 10**6, 10**6 + 1, 10**9,
    10**26,
    -(10**26), 10**400, 2**31, 2**32 - 1, 2**32, 2**63, 2**64, 0.0, -0.0, 1e-320, 1e-9, 0.01, 0.5,
    1.0,
    1.5, 1e6, 1e300, float("inf"), float("-inf"), float("nan"), [], [0], [0, 0], [-1], ["a", "a"],
    [[]], [[0] * 1000] * 40, {}, {"x": 1}, {1: 2}, b"x", {1}, datetime.date(2024, 1, 1),
]  # fmt: skip
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{below}'] * 9)}]\n"
    for below, name in itertools.pairwise("abcdefghi")
)
# none of them is a params.yaml
TEXTS = [
    "", "# x", "3", '""', "- a", "[", "{", "a", "a: [", "a: 1\na: 2", "a: *b", "&a [*a]",
    "a: &a {b: *a}",
    "a:\tb", "a:\n\tb: 1", "a: b: c", "? [a]\n: 1", "? {a: b}\n: 1", "--- \n---\n",
    "a: 1\n---\nb: 1",
    "%YAML 1.1\n---\na: 1", "%TAG ! x\n---\na", "a: '", 'a: "\\x"', "a: |\n x\n  y\n z", "!x a",
    "a: !x",
    "!!python/object:os.system x", "a: !!int abc", "a: !!bool abc", "a: !!float abc", "a: !!null x",
    "a: !!timestamp x", "a: !!binary x", "a: !!set {x}", "a: !!omap [a: 1]", "a: =", "a: 0x_",
    "a: -_",
    "a: 2024-99-99", "a: 2024-02-30", "a: 2001-12-14t99:59:43Z", "a: " + "9" * 5000, "a: \x00",
    "a: \x07",
    "\ufffe", LAUGHS, "[" * 3000, "[" * 100_000, "{a: " * 3000, "- " * 3000, "x" * 90_000 + ": 1",
    "\n".join(" " * i + "a:" for i in range(1500)), "a: " + "x" * 90_000, "\n" * 400_000,
"a: [" + "[], " * 24_000 + "]",
]  # fmt: skip
# what the two versions of YAML, or a person and either of them, read differently
MISREAD = [
    "no", "No", "yes", "YES", "on", "off", "Off", "010", "0777", "08", "00", "-01", "+07", "0o17",
    "1:30",
    "-1:30", "190:20:30", "190:20:30.15", "2024-01-01", "2001-12-14t21:59:43Z",
    "2001-1-1 1:01:01", "0_1",
]  # fmt: skip
NUMBERS = {"1e-3": 1e-3, "2e-05": 2e-05, "1E3": 1000.0, "1.5e3": 1500.0, "-.5": -0.5, "0x1F": 31}
exhaustive = pytest.mark.exhaustive


def ending_of(read: Callable[[], Any]) -> Ending:
    """How a command ends that reads parameters."""
    start, status, stderr = time.process_time(), 0, ""  # what others run does not count
    try:
        read()
    except RepriseError as error:
        status, stderr = 1, f"reprise: {one_line(error, 900)}\n"
    except Exception:
        status, stderr = 1, traceback.format_exc()
    return Ending(status, "", stderr, time.process_time() - start, ())


def judge(kind: str, what: object, read: Callable[[], Any], *outcomes: str) -> Ending:
    """Count how a reading ends; assert that it is by one of the outcomes, default: by no fault."""
    ending = ending_of(read)
    count(kind, ending)
    assert ending.outcome not in FAULTS, (repr(what)[:200], ending.stderr)
    assert ending.seconds < 10, (repr(what)[:200], ending)
    assert not outcomes or ending.outcome in outcomes, (repr(what)[:200], ending)
    return ending


def places(values: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value, of mappings and lists as well."""
    if path:
        yield path
    if isinstance(values, dict | list):
        for key, value in values.items() if isinstance(values, dict) else enumerate(values):
            yield from places(value, (*path, key))


def replaced(values: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy in which one value is another."""
    if not path:
        return value
    new = copy.copy(values)
    new[path[0]] = replaced(values[path[0]], path[1:], value)
    return new


def renamed(values: Any, path: tuple[Any, ...], name: Any) -> Any:
    """A copy in which the last key of a path has another name."""
    *above, last = path
    block = values
    for key in above:
        block = block[key]
    new = {name if key == last else key: value for key, value in block.items()}
    return replaced(values, tuple(above), new)


def mutants(values: Any) -> Iterator[tuple[str, tuple[Any, ...], Any]]:
    """Every value and every key replaced by every value, every item doubled, every key gone."""
    for path in places(values):
        for value in VALUES:
            yield f"value {value!r:.40}", path, replaced(values, path, value)
        if isinstance(path[-1], str):
            for name in ("x", "", 1, None, *SHELL):
                yield f"key {name!r:.40}", path, renamed(values, path, name)
        block = values
        for key in path[:-1]:
            block = block[key]
        rest = copy.copy(block)
        del rest[path[-1]]
        yield "gone", path, replaced(values, path[:-1], rest)
        if isinstance(block, list):
            yield "twice", path, replaced(values, path[:-1], [*block, block[path[-1]]])


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("earth", 400),
        pytest.param("earth", 1, marks=exhaustive),
        pytest.param("course", 1, marks=exhaustive),
    ],
)
def test_any_value_is_accepted_or_refused_in_one_line(name: str, share: int) -> None:
    """Of all mutants, one in `share`."""
    chosen = random.Random(0)
    for what, path, values in mutants(EARTH if name == "earth" else part_of_course()):
        if not chosen.randrange(share):
            judge("values of params.yaml", (what, path), lambda v=values: parse(v))


def part_of_course() -> dict[str, Any]:
    """Of the preset course what has keys that earth lacks."""
    values = {key: COURSE[key] for key in ("weights", "segment_anything")}
    names = ("resnet101", "sam_vit_b", "sam_vit_h")
    values["weights"] = {name: COURSE["weights"][name] for name in names}
    datasets = {task["data"] for task in COURSE["segment_anything"].values()}
    datasets |= {"office_home"} & COURSE["datasets"].keys()
    return values | {"datasets": {name: COURSE["datasets"][name] for name in datasets}}


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_a_text_that_is_no_params_yaml_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    judge("texts of params.yaml", text, lambda: load_params(path), "refused")


@pytest.mark.parametrize("word", MISREAD)
def test_what_readers_of_yaml_read_differently_is_refused_with_line_and_key(word: str) -> None:
    for text in (f"# x\na:\n  b: [{word}]\n", f"# x\na:\n\n  {word}: 1\n"):
        ending = judge(
            "values that readers of YAML disagree on", text, lambda t=text: parse_yaml(t)
        )
        key = "a.b[0]" if "b:" in text else f"a.{word}"
        assert f"line {3 if 'b:' in text else 4}: {key}: {word} is " in ending.stderr
        assert "quote it" in ending.stderr
    assert parse_yaml(f'a: "{word}"') == {"a": word}


@pytest.mark.parametrize(("word", "value"), NUMBERS.items())
def test_a_number_is_the_same_for_dvc_and_for_us(word: str, value: float) -> None:
    text = f"a: {word}"
    assert parse_yaml(text) == dvc_yaml(text, "params.yaml") == {"a": value}


def test_a_file_of_any_encoding_or_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "presets/earth.yaml").read_text()
    path = Path("params.yaml")
    for right in (text, f"\ufeff{text}", text.replace("\n", "\r\n")):
        path.write_bytes(right.encode())
        assert read_yaml(path) == EARTH == dvc_yaml(path.read_bytes().decode(), "params.yaml")
    for wrong in (text.encode("utf-16"), "a: é".encode("latin-1"), b"\xff\xfe", b"\x00" * 9):
        path.write_bytes(wrong)
        judge("files in place of params.yaml", wrong, lambda: load_params(path), "refused")
    path.unlink()
    server = socket.socket(socket.AF_UNIX)
    kinds: list[Callable[[], Any]] = [
        path.mkdir, lambda: os.mkfifo(path), lambda: server.bind(str(path)),
        lambda: path.symlink_to("/dev/zero"), lambda: path.symlink_to(path),
        lambda: path.symlink_to("missing"),
    ]  # fmt: skip
    for make in kinds:
        make()
        judge("files in place of params.yaml", make, lambda: load_params(path), "refused")
        ending = ending_of_main(lambda: None, ["--log", "logs/x.log"], tmp_path)
        assert ending.outcome == "right"  # the record takes a copy of a file only
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    server.close()
    for name in ("x" * 300, "x\x00", "x/" * 3000):
        judge("files in place of params.yaml", name, lambda n=name: load_params(Path(n)), "refused")


def free_texts(values: Any, texts: list[str]) -> list[tuple[Any, ...]]:
    """The places of texts and keys that can be one of these texts; they must be in no command."""
    found = []
    for path in places(values):
        for text in texts:
            change = [replaced(values, path, text)]
            if isinstance(path[-1], str):
                change.append(renamed(values, path, text))
            if any(ending_of(lambda c=c: parse(c)).outcome == "right" for c in change):
                found.append(path)
                break
    return found


def test_no_free_text_is_part_of_a_name() -> None:
    """Where shell characters are accepted: ids of images, questions, where weights come from."""
    stages = ("weights", "segment", "segment_anything", "datasets")
    small = {key: COURSE[key] for key in stages}
    keys = {path[2] for path in free_texts(small, SHELL[:1])}
    assert keys <= {"images", "comparisons", "path", "url", "torchvision"}, keys


def test_every_command_of_dvc_checks_params_yaml_first() -> None:
    """Names are quoted, and come from axes and names that have a type."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    templates = r"item\.(dataset|run|seed|method)|\w+\.\w+\.data|embed\.\w+\.(run|seed)|"
    templates += r"pretrain\.\w+\.seeds\[0\]"
    for name, stage in stages.items():
        command = stage["cmd"]
        if isinstance(command, list):
            assert command[0] == CHECK and len(command) == 2
            for word in re.findall(r"\S*\$\S*", command[1]):
                assert re.fullmatch(r"'[^']*'", word), f"{name}: {word} is not quoted"
            for key in re.findall(r"\$\{([^}]*)\}", command[1]):
                assert re.fullmatch(templates, key), f"{name}: {key}"
        else:
            assert "$" not in command
            script = re.search(r"workflow/scripts/\w+\.py|-m reprise\.engines\.code$", command)
            assert script
            file = script[0] if script[0][0] == "w" else "src/reprise/engines/code.py"
            assert "load_params(" in (ROOT / file).read_text(), f"{name}: does not check"


EVIL = ["x; touch PWNED #", "$(touch PWNED)/../all", "'; touch PWNED; '/../all"]


@pytest.mark.parametrize("number", [1, *(pytest.param(n, marks=exhaustive) for n in (0, 2))])
def test_dvc_runs_nothing_of_a_params_yaml(tmp_path: Path, number: int) -> None:
    """One stage alone, also where the digests of its sources exist, also with --force."""
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["prepare"]
    stage["deps"], stage["params"] = ["code/${item.dataset}.sha256"], ["runtime"]
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"prepare": stage}}))
    (tmp_path / "src").symlink_to(ROOT / "src")
    (tmp_path / "code").mkdir()
    (tmp_path / "code/all.sha256").touch()
    recipe = {"source": "orl", "val": 0.2, "test": 0.2}
    text = json.dumps({"runtime": {}, "datasets": {EVIL[number]: recipe}})
    (tmp_path / "params.yaml").write_text(text)
    variables = environment(tmp_path)
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "init", "--no-scm", "-q"], cwd=tmp_path, check=True, env=variables)
    ended = subprocess.run(
        [*dvc, "repro", "-s", "-f", "prepare"], cwd=tmp_path, env=variables, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    count("shell characters under DVC", "refused" if ended.returncode else "right")
    assert ended.returncode and "is not a name" in ended.stderr, ended
    assert not list(tmp_path.rglob("*PWNED"))


@exhaustive
@pytest.mark.workflow
def test_no_accepted_text_is_in_a_command_of_either_engine(tmp_path: Path) -> None:
    folder = clone(ROOT, tmp_path / "clone", "course")
    values = read_yaml(folder / "params.yaml")
    for number, path in enumerate(free := free_texts(values, SHELL)):
        for text in SHELL:
            changed = replaced(values, path, f"{text} {number}")
            if ending_of(lambda c=changed: parse(c)).outcome == "right":
                values = changed
                break
    (folder / "params.yaml").write_text(json.dumps(values))
    texts = {at(values, path) for path in free}
    commands = [
        job.command
        for engine in (snakemake_jobs(folder), dvc_jobs(folder))
        for jobs in engine.values()
        for job in jobs
    ]
    assert len(commands) > 100
    for command in commands:
        assert re.fullmatch(r"[\w ./=-]+", command), command
        assert not [text for text in texts if text in command]


def at(values: Any, path: tuple[Any, ...]) -> Any:
    """The value at a path."""
    for key in path:
        values = values[key]
    return values


@pytest.mark.parametrize("text", ["abc", "", " ", "nan", "inf", "-1", "1e400", "0x1", "1,5", "\n"])
def test_a_wrong_time_between_checkpoints_is_refused(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, text)
    ending = judge("environment variables", text, seconds_between, "refused")
    assert ending.stderr.startswith(f"reprise: {VARIABLE}: ")
    monkeypatch.setenv(VARIABLE, "0")
    assert seconds_between() == 0

"""`reprise export RUN --out FOLDER`: a trained run as files that work without this project.

model.safetensors: weights, with all that predictions need in its metadata; `reprise predict
--model FOLDER` reads it. model.pt2 and model.onnx: the network as a program. README.md: the card.
"""

import argparse
import logging
import os
from pathlib import Path

from reprise import __version__
from reprise.atomic_io import atomic_folder, refuse_overwrite, sha256, write_bytes, write_text
from reprise.errors import RepriseError, one_line
from reprise.export.card import model_card
from reprise.export.programs import write_programs
from reprise.params.base import PARAMS
from reprise.params.load import load_params
from reprise.predict.exported import describe, model_bytes, read_metadata
from reprise.predict.trained_run import MODEL, input_size, open_run

FILES = {MODEL, "model.pt2", "model.onnx", "README.md"}
RUN = "trained run below results/, e.g. classify/baseline/cnn/0"
OUT = "folder to write; an earlier export in it is replaced"
PROJECT = "folder that holds params.yaml and results/ (default: the current folder)"


def main() -> None:
    """Export a trained run: weights with metadata, torch.export, ONNX, and a model card."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("run", help=RUN)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help=OUT)
    parser.add_argument("--project", type=Path, default=Path(), metavar="FOLDER", help=PROJECT)
    args = parser.parse_args()
    export(args.run, args.out, args.project)


def export(name: str, out: str | Path, project: str | Path = ".") -> None:
    """Write the folder of an exported model, completely or not at all.

    name: of a run (see `open_run`). Raises RepriseError if there is no such run, or `out` has files
    of another kind.
    """
    out, project = Path(out), Path(project)
    check_folder(out)
    run = open_run(name, project)
    refuse_overwrite([out / file for file in FILES], run.inputs)
    params = load_params(project / PARAMS)
    described = [run.inputs[2], *run.inputs[3:]]
    digests = {path.relative_to(project).as_posix(): sha256(path) for path in described}
    metadata = describe(run, params.runtime.precision, __version__, digests)
    with atomic_folder(out) as folder:
        write_bytes(folder / MODEL, model_bytes(run, metadata))
        left_out = write_programs(folder, run.model, input_size(run))
        for file, reason in left_out.items():
            logging.warning("%s: not written: %s", out / file, reason)
        files = {file.name: sha256(file) for file in sorted(folder.iterdir())}
        write_text(folder / "README.md", model_card(run, params, metadata, project, files))
    logging.info("%s: exported %s as %s", out, run.job.path, ", ".join([*files, "README.md"]))


def check_folder(out: Path) -> None:
    """Raise RepriseError unless a folder is new, empty, or a whole earlier export."""
    if not os.path.lexists(out):
        return
    if not out.is_dir():
        raise RepriseError(f"{out}: is not a folder; pass another one")
    names = set(os.listdir(out))
    if others := sorted(names - FILES):
        raise RepriseError(f"{out}: has other files, such as {others[0]}; pass a new folder")
    try:
        if names:
            read_metadata(out / MODEL)
    except RepriseError as error:
        reason = f"is not an earlier export ({one_line(error, 200)})"
        raise RepriseError(f"{out}: {reason}; pass a new folder") from None

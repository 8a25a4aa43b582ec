"""Promise: a value that the check of params.yaml accepts is right or refused in its stage."""

import copy
import importlib
import json
import random
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.faults import Ending, count, ending_of_main, is_reason
from support.small_datasets import dark_and_bright, small_dataset, write_and_read

from reprise.errors import RepriseError
from reprise.params.load import parse

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "workflow" / "scripts"
TRAINING = {"epochs": 2, "batch_size": 4, "learning_rate": 0.01, "weight_decay": 0.01, "warmup": 0}
TRAINING |= {"optimizer": "sgd", "momentum": 0.9, "amsgrad": False, "max_grad_norm": None}
TRAINING |= {"schedule": "cosine", "lr_interval": "step", "step_size": 1, "T_0": 1, "T_mult": 1}
TRAINING |= {"milestones": [], "gamma": 0.1, "power": 0.9, "restart_epochs": []}
TRAINING |= {"normalize": "dataset"}
AUGMENT = {"min_scale": 0.5, "flip": True, "dihedral": False, "translate": 0.1, "degrees": 5.0}
AUGMENT |= {"brightness": 0.1, "contrast": 0.1, "saturation": 0.1, "hue": 0.1, "grayscale_p": 0.1}
AUGMENT |= {"color_jitter_p": 0.5, "flip_vertical": True, "auto_augment": [], "fill": "reflect"}
AUGMENT |= {"shared_auto_augment": [], "order": ["auto_augment", "geometry", "colors"]}
AUGMENT |= {"crop_pixels": None, "eval_resize": None}
SUPERVISED = {"backbone": "resnet10", "stem": "small", "knn_k": 2, "method": "supervised"}
BYOL = SUPERVISED | {"method": "byol", "base_tau": 0.9, "proj_hidden_dim": 8, "proj_output_dim": 8}
BYOL |= {"use_momentum": True, "ema_buffers": False, "allow_collapse": True}
CLASSIFIER = {"image_size": 64, "frozen": False, "ensemble_epochs": 2, "feature_epochs": [1]}
SEGMENTER = {"width_mult": 0.03125, "image_size": 32, "middle_epoch": None, "merge_classes": None}
SEGMENTER |= {"loss": "cross_entropy", "freeze_bn": False, "score_shown_epochs": False}
GRID = {"tile": 64, "stride": 64, "min_land_fraction": 0.3, "block_degrees": 30, "val": 0.2}
GRID |= {"test": 0.2, "seed": 0, "max_train_images": 40}
TILES = GRID | {"source": "earth_tiles", "labels": "koeppen", "region": "world"}
TILES |= {"min_majority_fraction": 0.2, "min_images_per_class": 2}
HANDED_OUT = {"source": "course", "layout": "dlcv_50", "registered_as": "none_registered"}
HANDED_OUT |= {"sha256": None, "size": 16, "val": 0.2, "seed": 0, "synthetic_per_class": 2}
SAM = {"model": "small", "weights": "none", "points_per_side": 2, "min_predicted_iou": 0.0}
SAM |= {"min_stability": 0.0, "seed": 0}
VALUES: dict[str, Any] = {
    "runtime": {"device": "cpu", "precision": "float32", "threads": 1},
    "datasets": {
        "tiles": TILES,
        "maps": GRID | {"source": "earth_maps", "labels": "igbp"},
        "faces": {"source": "orl", "val": 0.2, "test": 0.2, "seed": 0},
        "course": HANDED_OUT,
        "toy": {"source": "orl", "val": 0.2, "test": 0.2},
    },
    "pretrain": {
        "t": {
            "data": "toy", "seeds": [0], "runs": ["byol", "supervised"],
            "recipes": {
                "byol": TRAINING | BYOL | {"augment": AUGMENT},
                "supervised": TRAINING | SUPERVISED,
            },
        }
    },
    "finetune": {
        "t": {
            "data": "toy", "seeds": [0], "runs": ["A"],
            "common": TRAINING | {
                "backbone": "resnet10", "stem": "small", "head_hidden_dim": 4,
                "keep_imagenet_fc": False, "feature_epochs": [1],
            },
            "recipes": {
                "A": {"start": "none", "frozen": False, "learning_rate": 0.1, "weight_decay": 0.0},
            },
        }
    },
    "classify": {
        "t": {
            "data": "toy", "seeds": [0], "runs": ["cnn", "alexnet"],
            "recipes": {
                "cnn": TRAINING | CLASSIFIER | {"model": "cnn", "augment": AUGMENT},
                "alexnet": TRAINING | CLASSIFIER
                | {"model": "alexnet", "width_mult": 0.03125, "dropout": 0.5},
            },
        }
    },
    "segment": {
        "t": {
            "data": "toymaps", "seeds": [0], "runs": ["fcn32s", "fcn8s"], "images": [],
            "recipes": {
                "fcn32s": TRAINING | SEGMENTER | {"model": "fcn32s", "augment": AUGMENT},
                "fcn8s": TRAINING | SEGMENTER | {"model": "fcn8s"},
            },
        }
    },
    "segment_anything": {
        "t": {"data": "toy", "runs": ["small"], "images": [], "recipes": {"small": SAM}},
    },
    "embed": {
        "e": {
            "stage": "classify", "task": "t", "run": "cnn", "seed": 0, "split": "test",
            "methods": ["pca", "tsne"], "max_points": 100, "pca_components": 2, "perplexity": 3.0,
            "random_state": 0,
        }
    },
    "plot": {"dpi": 100},
}  # fmt: skip
VALUES["datasets"]["toymaps"] = VALUES["datasets"]["maps"]
NUMBERS = [
    None, True, False, 0, 1, 2, 3, 5, 7, 31, 32, 33, 63, 64, 100, 4096, 10**6, 2**31, 2**32 - 1,
    0.0, 1e-320, 1e-30, 1e-9, 0.03125, 0.1, 0.5, 0.999, 1.0, 1.5, 180.0, 1000.0, 1e6, [], [1], [2],
    [1, 2], [1, 1], ["cutout"], ["blur", "autoaugment_cifar10"],
]  # fmt: skip
NAMES = [
    "cuda", "auto", "bfloat16", "float16", "adam", "adamw", "constant", "cosine_restarts", "step",
    "milestones", "exponential", "polynomial", "epoch", "imagenet", "none", "black",
    "resnet18", "resnet50", "cnn", "lite0", "fcn8s_noskip", "fcn32s_k44s52", "fcn32s_2021",
    "deeplabv3", "unet_mobilenetv3",
    "weighted_cross_entropy", "bce", "igbp", "deepglobe", "oldworld", "office_home",
    "mini_imagenet", "celeba_makeup", "camvid", "byol", "vit_b", "tsne",
]  # fmt: skip
# what takes long because these values ask for it is right; its first minute is tried
LONG = ("epochs", "points_per_side", "tile", "image_size", "synthetic_per_class", "size", "dpi")


def accepted() -> Iterator[tuple[str, str, Any]]:
    """Script, dotted key and params of every change of one value that the check accepts."""
    for path in list(leaves(VALUES)):
        for value in [*NUMBERS, *NAMES]:
            values = copy.deepcopy(VALUES)
            block = values
            for key in path[:-1]:
                block = block[key]
            if block[path[-1]] == value and type(block[path[-1]]) is type(value):
                continue
            block[path[-1]] = value
            try:
                parse(values)
            except RepriseError:
                continue
            yield path[0], ".".join(map(str, path)), values


def leaves(values: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(values, dict):
        for key, value in values.items():
            yield from leaves(value, (*path, key))
    else:
        yield path


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two tiny datasets and what the stages after the first read."""
    torch.set_num_threads(1)
    for module in ("sklearn.manifold", "reprise.evaluation.tables", "reprise.datasets.course"):
        importlib.import_module(module)  # once, not in every child
    folder = tmp_path_factory.mktemp("project")
    dark_and_bright(folder / "results/prepare/toy")
    rng = np.random.default_rng(0)
    maps = small_dataset(
        rng.integers(0, 256, (12, 32, 32, 3), dtype=np.uint8),
        rng.integers(0, 3, (12, 32, 32)).astype(np.uint8), 3,
    )  # fmt: skip
    write_and_read(folder / "results/prepare/toymaps", maps)
    (folder / "data").symlink_to(ROOT / "data")
    (folder / "src").symlink_to(ROOT / "src")
    (folder / "params.yaml").write_text(json.dumps(VALUES))
    for stage in ("pretrain", "classify"):
        for line in lines(stage, VALUES, f"{stage}.t"):
            ending = try_line(folder, line, 300)
            assert ending.outcome == "right", (line, ending)
    return folder


def lines(stage: str, values: Any, key: str) -> list[str]:
    """The command lines of the jobs that read a key."""
    name = key.split(".")[1] if "." in key else ""
    if stage == "runtime":
        return lines("classify", values, "classify.t.recipes.cnn")
    if stage == "datasets":
        return [f"prepare.py --dataset {name} --out out --log logs/x.log"]
    if stage == "plot":
        return ["plot.py --figures curves --out out --vector out --log logs/x.log"]
    if stage == "embed":
        methods = values["embed"]["e"]["methods"]
        features = "--features results/classify/t/cnn/0/features.safetensors"
        head = f"embed.py --name e {features} --log logs/x.log"
        return [f"{head} --method {method} --out out/{method}.csv" for method in methods]
    task = values[stage]["t"]
    runs = [run for run in task["runs"] if "recipes" not in key or f"recipes.{run}" in key]
    found = []
    for run in runs or task["runs"]:
        for seed in task.get("seeds", [None])[:1]:
            out = f"results/{stage}/t/{run}/0" if values is VALUES else "out"
            words = [f"{stage}.py --task t --run {run} --data results/prepare/{task['data']}"]
            words += [f"--seed {seed}"] if seed is not None else []
            found.append(" ".join([*words, f"--out {out} --log logs/x.log"]))
    return found


def try_line(folder: Path, line: str, seconds: float = 60) -> Ending:
    script, *words = line.split()

    def main() -> None:
        # as a script, but for the start of Python and torch
        module = runpy.run_path(str(SCRIPTS / script), run_name="script")
        sys.argv[0] = script
        module["main"]()

    return ending_of_main(main, words, folder, seconds)


@pytest.mark.exhaustive
@pytest.mark.parametrize("part", range(16))
def test_an_accepted_value_is_right_or_refused_in_its_stage(project: Path, part: int) -> None:
    cases = list(accepted())
    random.Random(0).shuffle(cases)
    faults = []
    for stage, key, values in cases[part::16]:
        (project / "params.yaml").write_text(json.dumps(values))
        for line in lines(stage, values, key):
            ending = try_line(project, line)
            outcome = ending.outcome
            if outcome == "hang" and key.rpartition(".")[2] in LONG:
                outcome = "right"
            # a training says how far it is before it refuses
            if outcome == "several lines" and is_reason(ending.stderr.splitlines()[-1]):
                outcome = "refused"
            count("accepted values in their stage", outcome)
            clear(project, ending)
            if outcome not in ("right", "refused"):
                block: Any = values
                for name in key.split("."):
                    block = block[name]
                faults.append(f"{outcome}: {key}: {block!r}: {line}\n{ending.stderr[-900:]}")
    assert not faults, "\n".join(faults)


def clear(folder: Path, ending: Ending) -> None:
    """Delete what a command wrote."""
    for name in ending.changed:
        if name.startswith(("out", ".out")):
            (folder / name).unlink(missing_ok=True)

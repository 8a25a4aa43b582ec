"""Rewrite a params.yaml of version 0.1 (with the block `prepare`) in the present form.

`python -m reprise.params.migrate params.yaml` replaces the file and keeps the old one with the
ending .old. Comments behind values are kept.
"""

import argparse
import logging
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from reprise.atomic_io import write_text
from reprise.cli import run
from reprise.errors import RepriseError
from reprise.params.base import PARAMS
from reprise.params.load import OLD_KEYS, parse
from reprise.params.reader import parse_yaml, read_yaml, yaml_text

# new names of the keys of a dataset, a recipe or its augmentation
KEYS = {
    "land": "min_land_fraction", "majority": "min_majority_fraction",
    "least": "min_images_per_class", "block": "block_degrees", "select": "val", "report": "test",
    "train": "max_train_images", "folder": "registered_as", "sample": "synthetic_per_class",
    "tau": "base_tau", "projection": "proj_output_dim", "neighbours": "knn_k",
    "imagenet_layer": "keep_imagenet_fc", "held_norm": "freeze_bn", "width": "width_mult",
    "vote": "ensemble_epochs", "middle": "middle_epoch", "merge": "merge_classes",
    "normalise": "normalize", "schedule_by": "lr_interval", "multiply": "T_mult",
    "clip_norm": "max_grad_norm", "phases": "restart_epochs", "features": "feature_epochs",
    "least_iou": "min_predicted_iou", "least_stability": "min_stability",
    "points": "points_per_side", "crop": "min_scale", "shift": "translate", "rotate": "degrees",
    "jitter": "color_jitter_p", "grey": "grayscale_p", "policy": "auto_augment",
}  # fmt: skip
# new values, by the new name of their key
VALUES = {
    "source": {"tiles": "earth_tiles", "maps": "earth_maps", "faces": "orl"},
    "layout": {
        "fifty": "dlcv_50", "office": "office_home", "mini": "mini_imagenet",
        "satellite": "deepglobe", "makeup": "celeba_makeup",
    },
    "labels": {"course": "deepglobe"},
    "normalize": {"set": "dataset"},
    "loss": {"weighted": "weighted_cross_entropy", "binary": "bce"},
}  # fmt: skip
TASKS = {
    "classify": ("classify", "baseline"), "faces": ("classify", "transfer"),
    "segment": ("segment", "baseline"), "street": ("segment", "skips"),
    "anything": ("segment_anything", "baseline"),
}  # fmt: skip
EMBEDDED = {"classify": "cnn", "finetune": "byol_finetuned"}
QUESTIONS = [["B", "A"], ["C", "A"], ["C", "B"], ["E", "D"]]


def main() -> None:
    """Rewrite a file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("path", type=Path, nargs="?", default=PARAMS)
    path = parser.parse_args().path
    old = read_yaml(path, layout=True)
    try:
        text = yaml_text(migrate(old))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RepriseError(f"{path}: is not a whole file of version 0.1 ({error})") from None
    parse(parse_yaml(text), str(path))
    write_text(path.with_name(f"{path.name}.old"), path.read_text(encoding="utf-8"))
    write_text(path, text)
    logging.info("%s: rewritten; the old file is %s.old", path, path)


def migrate(old: CommentedMap) -> CommentedMap:
    """The new form of an old params.yaml.

    Raises RepriseError if it is not in the old form.
    """
    if not any(key in old for key in OLD_KEYS):
        raise RepriseError("no key of version 0.1 in this file; nothing to rewrite")
    new = CommentedMap({key: old[key] for key in ("runtime", "weights") if key in old})
    datasets = old["prepare"]["recipes"]
    names = old["prepare"]["sets"]
    new["datasets"] = CommentedMap({name: _update(datasets[name]) for name in names})
    new["pretrain"] = _pretrain(old["pretrain"])
    new["finetune"] = _finetune(old["finetune"], new["pretrain"])
    for key, (stage, task) in TASKS.items():
        block, tasks = old.get(key), new.setdefault(stage, CommentedMap())
        if block and (block["runs"] or key != "anything"):
            for recipe in block["recipes"].values():
                _update(recipe)
            tasks[task] = block
    new["embed"] = _embed(old["embed"])
    new["plot"] = old["plot"]
    return new


def _pretrain(block: CommentedMap) -> CommentedMap:
    tasks = CommentedMap()
    for name in block["runs"]:
        recipes = block["recipes"][name]
        seeds = sorted({recipe.pop("seed", 0) for recipe in recipes.values()})
        for method, recipe in recipes.items():
            _update(recipe, hidden="proj_hidden_dim")
            recipe.insert(0, "method", method)
        task = CommentedMap(data=block["data"], seeds=_flow(seeds), runs=_flow(block["methods"]))
        task["recipes"] = recipes
        tasks[name] = task
    return tasks


def _finetune(block: CommentedMap, pretrain: CommentedMap) -> CommentedMap:
    starts = {
        run: "none" if start == "scratch" else start
        for start, runs in block["settings"].items()
        for run in runs
    }
    tasks = CommentedMap()
    for name in block["runs"]:
        recipes = block["recipes"][name]
        common = recipes.pop("common")
        _update(common, hidden="head_hidden_dim")
        for setting, recipe in recipes.items():
            recipe.insert(0, "start", starts.get(setting, "none"))
        task = CommentedMap(data=block["data"], pretraining=name)
        task["pretraining_seeds"] = "shared"
        task["seeds"] = _flow(block["seeds"])
        task["runs"] = _flow(sorted(starts))
        task["comparisons"] = _flow([_flow(p) for p in QUESTIONS if set(p) <= set(starts)])
        task["common"] = common
        task["recipes"] = recipes
        tasks[name] = task
    return tasks


def _embed(block: CommentedMap) -> CommentedMap:
    shared = {
        "max_points": block["points"], "pca_components": block["components"],
        "perplexity": block["perplexity"], "random_state": block["seed"],
    }  # fmt: skip
    tasks = CommentedMap()
    for stage, name in EMBEDDED.items():
        one = block[stage]
        where = {"stage": stage, "task": "baseline", "run": one["run"]}
        if stage == "finetune":
            where |= {"task": one["run"], "run": one["setting"]}
        split = "test" if stage == "classify" else "train"
        tasks[name] = CommentedMap(**where, seed=one["seed"], split=split)
        tasks[name]["methods"] = _flow(block["methods"])
        tasks[name].update(shared)
    return tasks


def _update(block: CommentedMap, **keys: str) -> CommentedMap:
    """Rename the keys of a recipe, of its augmentation and their values, in place.

    The order of the keys and their comments stay. keys: further new names.
    """
    period = "T_0" if block.get("schedule") == "cosine_restarts" else "step_size"
    names = KEYS | {"period": period} | keys
    for place, key in enumerate(list(block)):
        if key in names:
            comment = block.ca.items.pop(key, None)
            block.insert(place, names[key], block.pop(key))
            if comment is not None:
                block.ca.items[names[key]] = comment
    for key in VALUES.keys() & block.keys():
        block[key] = VALUES[key].get(block[key], block[key])
    if "augment" in block:
        _update(block["augment"])
    return block


def _flow(values: Any) -> CommentedSeq:
    """A list that is written on one line."""
    sequence = CommentedSeq(values)
    sequence.fa.set_flow_style()
    return sequence


if __name__ == "__main__":
    run(main)

"""Rewrite a params.yaml of version 0.1 (with the block `prepare`) in the present form.

`python -m reprise.params.migrate params.yaml` replaces the file and keeps the old one with the
ending .old. Comments behind values are kept.
"""

import argparse
import io
import logging
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from reprise.atomic_io import write_text
from reprise.cli import run
from reprise.errors import RepriseError
from reprise.params.load import OLD_KEYS, parse

LAYOUTS = {
    "fifty": "dlcv_50", "office": "office_home", "mini": "mini_imagenet",
    "satellite": "deepglobe", "makeup": "celeba_makeup",
}  # fmt: skip
SOURCES = {"tiles": "earth_tiles", "maps": "earth_maps", "faces": "orl"}
LOSSES = {"weighted": "weighted_cross_entropy", "binary": "bce"}
DATASET_KEYS = {
    "land": "min_land_fraction", "majority": "min_majority_fraction",
    "least": "min_images_per_class", "block": "block_degrees", "select": "val", "report": "test",
    "train": "max_train_images", "folder": "registered_as", "sample": "synthetic_per_class",
}  # fmt: skip
RECIPE_KEYS = {
    "tau": "base_tau", "projection": "proj_output_dim", "neighbours": "knn_k",
    "imagenet_layer": "keep_imagenet_fc", "held_norm": "freeze_bn", "width": "width_mult",
    "vote": "ensemble_epochs", "middle": "middle_epoch", "merge": "merge_classes",
    "normalise": "normalize", "schedule_by": "lr_interval", "multiply": "T_mult",
    "clip_norm": "max_grad_norm", "phases": "restart_epochs", "features": "feature_epochs",
    "least_iou": "min_predicted_iou", "least_stability": "min_stability",
    "points": "points_per_side",
}  # fmt: skip
AUGMENT_KEYS = {
    "crop": "min_scale", "shift": "translate", "rotate": "degrees", "jitter": "color_jitter_p",
    "grey": "grayscale_p", "policy": "auto_augment",
}  # fmt: skip
TASKS = {
    "classify": ("classify", "baseline"), "faces": ("classify", "transfer"),
    "segment": ("segment", "baseline"), "street": ("segment", "skips"),
}  # fmt: skip
EMBEDDED = {"classify": "cnn", "finetune": "byol_finetuned"}
QUESTIONS = [["B", "A"], ["C", "A"], ["C", "B"], ["E", "D"]]


def main() -> None:
    """Rewrite a file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("path", type=Path, nargs="?", default=Path("params.yaml"))
    path = parser.parse_args().path
    text = path.read_text()
    yaml = _yaml()
    values = migrate(yaml.load(text))
    out = io.StringIO()
    yaml.dump(values, out)
    parse(YAML(typ="safe", pure=True).load(out.getvalue()), str(path))
    write_text(path.with_name(f"{path.name}.old"), text)
    write_text(path, out.getvalue())
    logging.info("%s: rewritten; the old file is %s.old", path, path)


def migrate(old: CommentedMap) -> CommentedMap:
    """The new form of an old params.yaml.

    Raises RepriseError if it is not in the old form.
    """
    if not any(key in old for key in OLD_KEYS):
        raise RepriseError("no key of version 0.1 in this file; nothing to rewrite")
    new = CommentedMap()
    for key in ("runtime", "weights"):
        if key in old:
            new[key] = old[key]
    new["datasets"] = _datasets(old["prepare"])
    new["pretrain"] = _pretrain(old["pretrain"])
    new["finetune"] = _finetune(old["finetune"], new["pretrain"])
    for key, (stage, task) in TASKS.items():
        block = old[key]
        for recipe in block["recipes"].values():
            _rename_recipe(recipe)
        new.setdefault(stage, CommentedMap())[task] = block
    new["segment_anything"] = _segment_anything(old.get("anything"))
    new["embed"] = _embed(old["embed"])
    new["plot"] = old["plot"]
    return new


def _datasets(prepare: CommentedMap) -> CommentedMap:
    datasets = CommentedMap()
    for name in prepare["sets"]:
        recipe = prepare["recipes"][name]
        _rename(recipe, DATASET_KEYS)
        recipe["source"] = SOURCES.get(recipe["source"], recipe["source"])
        if "layout" in recipe:
            recipe["layout"] = LAYOUTS.get(recipe["layout"], recipe["layout"])
        if recipe.get("labels") == "course":
            recipe["labels"] = "deepglobe"
        datasets[name] = recipe
    return datasets


def _pretrain(block: CommentedMap) -> CommentedMap:
    tasks = CommentedMap()
    for name in block["runs"]:
        recipes = block["recipes"][name]
        seeds = sorted({recipe.pop("seed", 0) for recipe in recipes.values()})
        for method, recipe in recipes.items():
            _rename(recipe, {"hidden": "proj_hidden_dim"})
            _rename_recipe(recipe)
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
        _rename(common, {"hidden": "head_hidden_dim"})
        _rename_recipe(common)
        for setting, recipe in recipes.items():
            recipe.insert(0, "start", starts.get(setting, "none"))
        task = CommentedMap(data=block["data"], pretraining=name)
        task["pretraining_seed"] = pretrain[name]["seeds"][0]
        task["seeds"] = _flow(block["seeds"])
        task["runs"] = _flow(sorted(starts))
        task["comparisons"] = _flow([_flow(p) for p in QUESTIONS if set(p) <= set(starts)])
        task["common"] = common
        task["recipes"] = recipes
        tasks[name] = task
    return tasks


def _segment_anything(block: CommentedMap | None) -> CommentedMap:
    if not block or not block["runs"]:
        return CommentedMap()
    for recipe in block["recipes"].values():
        _rename_recipe(recipe)
    return CommentedMap(baseline=block)


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


def _rename_recipe(recipe: CommentedMap) -> None:
    """Rename the keys and values of a recipe and of its augmentation, in place."""
    period = "T_0" if recipe.get("schedule") == "cosine_restarts" else "step_size"
    _rename(recipe, RECIPE_KEYS | {"period": period})
    if recipe.get("normalize") == "set":
        recipe["normalize"] = "dataset"
    if "loss" in recipe:
        recipe["loss"] = LOSSES.get(recipe["loss"], recipe["loss"])
    if "augment" in recipe:
        _rename(recipe["augment"], AUGMENT_KEYS)


def _rename(block: CommentedMap, names: dict[str, str]) -> None:
    """Rename keys in place; their order and comments stay."""
    for place, key in enumerate(list(block)):
        if key in names:
            comment = block.ca.items.pop(key, None)
            value = block.pop(key)
            block.insert(place, names[key], value)
            if comment is not None:
                block.ca.items[names[key]] = comment


def _flow(values: Any) -> CommentedSeq:
    """A list that is written on one line."""
    sequence = CommentedSeq(values)
    sequence.fa.set_flow_style()
    return sequence


def _yaml() -> YAML:
    yaml = YAML()
    yaml.width = 100
    yaml.preserve_quotes = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(
        type(None), lambda writer, _: writer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    return yaml


if __name__ == "__main__":
    run(main)

"""The ranking of methods: equal tries, and a page that says what the rows of its tables say."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from bench import ranking
from reprise.engines.preset import render
from reprise.params.load import Params, parse
from reprise.params.pretrain import methods
from reprise.params.reader import parse_yaml

ROOT = Path(__file__).parents[2]
FACTS = {
    "machine": {}, "commit": "abc", "cpu_minutes": 60, "epochs": [6], "batch_size": [64],
    "finetune_epochs": 9, "images": {"pretrain": {"train": 1600}, "finetune": {"train": 120}},
}  # fmt: skip


def preset(name: str) -> Params:
    return parse(parse_yaml(render(name, ROOT / "presets")))


def test_every_method_has_five_whole_chains_full_and_frozen():
    params = preset("methods")
    pretrain, finetune = params.pretrain["earth"], params.finetune["earth"]
    assert sorted(pretrain.runs) == methods()
    assert pretrain.seeds == finetune.seeds and len(finetune.seeds) >= 5
    assert finetune.pretraining_seeds == "paired"
    starts = {(r.start, r.frozen) for r in (finetune.recipes[run] for run in finetune.runs)}
    assert starts == {("none", False)} | {(m, f) for m in methods() for f in (True, False)}


def test_methods_differ_in_what_is_theirs_only():
    recipes = preset("methods").pretrain["earth"].recipes
    same = ("backbone", "stem", "epochs", "batch_size", "warmup", "schedule", "optimizer", "knn_k")
    values = [recipe.model_dump(include={*same}) for recipe in recipes.values()]
    assert all(value == values[0] for value in values)
    views = [r.model_dump(include={"augment", "weight_decay"}) for m, r in recipes.items()
             if m != "supervised"]  # fmt: skip
    assert all(view == views[0] for view in views)


def test_all_methods_have_the_same_tries_with_a_seed_of_no_chain():
    tried, chains = preset("methods_tries").pretrain["earth"], preset("methods").pretrain["earth"]
    rates: dict[str, set[float]] = {}
    for run in tried.runs:
        recipe = tried.recipes[run]
        rates.setdefault(recipe.method, set()).add(recipe.learning_rate)
        ours = chains.recipes[recipe.method].model_dump(exclude={"learning_rate"})
        assert recipe.model_dump(exclude={"learning_rate"}) == ours
    assert sorted(rates) == methods() and len({tuple(sorted(r)) for r in rates.values()}) == 1
    assert not set(tried.seeds) & set(chains.seeds)
    for method, recipe in chains.recipes.items():
        assert recipe.learning_rate in rates[method]


def write_run(folder: Path, scores: dict[str, float], rates: dict[str, float]) -> None:
    recipes = {run: {"method": run[:-2], "learning_rate": rates[run]} for run in scores}
    block = {"earth": {"runs": [*scores], "recipes": recipes}}
    (folder / "params.yaml").write_text(yaml.safe_dump({"pretrain": block}))
    (folder / "results/tables").mkdir(parents=True)
    table = pd.DataFrame({"run": [*scores], "knn_accuracy": [*scores.values()]})
    table.to_csv(folder / "results/tables/pretrain_earth.csv", index=False)


def test_the_best_on_val_is_chosen_and_written_into_the_preset(tmp_path):
    scores = {"byol_1": 0.5, "byol_2": 0.5, "simclr_1": 0.2, "simclr_2": 0.3}
    write_run(tmp_path, scores, {"byol_1": 0.001, "byol_2": 0.003, "simclr_1": 0.001,
                                 "simclr_2": 0.003})  # fmt: skip
    table = ranking.tries(tmp_path)
    chosen = table[table["chosen"] == 1].set_index("method")["learning_rate"].to_dict()
    assert chosen == {"byol": 0.001, "simclr": 0.003}
    text = (ROOT / "presets/methods.yaml").read_text()
    before, after = (yaml.safe_load(t) for t in (text, ranking.with_rates(text, chosen)))
    assert after["pretrain"]["earth"]["recipes"]["simclr"].pop("learning_rate") == 0.003
    assert after["pretrain"]["earth"]["recipes"]["byol"].pop("learning_rate") == 0.001
    for method in chosen:
        del before["pretrain"]["earth"]["recipes"][method]["learning_rate"]
    assert after == before


def test_unequal_tries_are_refused(tmp_path):
    write_run(tmp_path, {"byol_1": 0.5, "simclr_1": 0.2}, {"byol_1": 0.001, "simclr_1": 0.01})
    with pytest.raises(SystemExit, match="different tries"):
        ranking.tries(tmp_path)


def tables() -> dict[str, pd.DataFrame]:
    runs = ["A", "byol", "simclr", "supervised"]
    runs += [f"{m}_frozen" for m in runs[1:]]
    scores = dict(zip(runs, (0.5, 0.6, 0.4, 0.55, 0.45, 0.35, 0.5), strict=True))
    finetune = pd.DataFrame(
        {"run": runs, "test_accuracy": scores.values(), "test_accuracy_ci_low": 0.3,
         "test_accuracy_ci_high": 0.7, "seeds": 5, "images": 442, "groups": 39}
    )  # fmt: skip
    rows = [("byol", "A", 0.1, 0.02, 0.18, True), ("simclr", "A", -0.1, -0.2, 0.004, False),
            ("supervised", "A", 0.05, -0.07, 0.17, False),
            ("byol_frozen", "supervised_frozen", -0.05, -0.09, -0.01, True)]  # fmt: skip
    columns = ["a", "b", "difference", "ci_low", "ci_high", "significant"]
    pairs = pd.DataFrame(rows, columns=columns).assign(named=True)
    knn = pd.DataFrame({"run": ["byol", "simclr", "supervised"], "knn_accuracy": [0.4, 0.3, 0.5]})
    tried = pd.DataFrame({"method": ["byol", "byol"], "learning_rate": [0.003, 0.001],
                          "knn_accuracy": [0.41, 0.4], "chosen": [1, 0]})  # fmt: skip
    return {"finetune_earth": finetune, "comparisons": pairs, "pretrain_earth": knn, "tries": tried}


def test_the_page_ranks_by_full_fine_tuning_and_says_what_is_sure_at_this_budget():
    text = ranking.page(tables(), FACTS)
    assert text.startswith("# Ways to pretrain, at this budget\n")
    lines = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| ")]
    assert lines[1:5] == ["| byol", "| supervised", "| none (from scratch)", "| simclr"]
    assert "Full fine-tuning: Better than training from scratch: byol. No difference" in text
    assert "shown for simclr, supervised; the intervals allow up to 20.0 points." in text
    assert "Frozen backbone: Worse than a frozen supervised backbone: byol." in text
    assert "| byol | 0.4000 | **0.4100** |" in text and "Each method had 2 tries" in text


@pytest.mark.skipif(not (ranking.METHODS / "README.md").exists(), reason="not yet run")
def test_the_committed_page_is_what_its_tables_say():
    found, facts = ranking.read(ranking.METHODS)
    assert ranking.page(found, facts) == (ranking.METHODS / "README.md").read_text()
    chosen = found["tries"][found["tries"]["chosen"] == 1]
    recipes = preset("methods").pretrain["earth"].recipes
    for row in chosen.itertuples():
        assert recipes[row.method].learning_rate == row.learning_rate

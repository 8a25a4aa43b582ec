"""One word for one thing: the words that we replaced do not come back.

WORDS is the dictionary: a pattern, what to write instead, and where the pattern must not match:

    key     a key of params.yaml or a preset, as a dotted path; the pattern matches its end
    string  a string of one word in code (a column, a file, a choice), a value in YAML, a cell in
            the header of a csv file, a word in a code span of a page
    name    an identifier in code, with a dot in front if it is an attribute
    text    prose: comments, docstrings, messages and help in code, comments in YAML, pages

A pattern matches the whole of a string or a name, and any place in a text.
"""

import csv
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RECIPE = r"(recipes\.\w+|common)"
AUGMENT = rf"{RECIPE}\.augment"

WORDS = (
    # splits
    (r"roles?", "split", "key string"),
    (r"(\w+_)?roles?(_\w+)?|ROLES", "split", "name"),
    (r"\broles?\b(?!=)", "split", "text"),
    (r"select", "val", "key string"),
    (r"\.?select_(accuracy|loss|miou|score|rows)", "val_accuracy", "string name"),
    (r"\b[Ss]elect (accuracy|loss|mIoU|miou|score|images|role|split)\b", "validation", "text"),
    (r"select_(accuracy|loss|miou)", "val_accuracy", "text"),
    (r"\b[Rr]eport (accuracy|mIoU|miou|images|pixels|role|split)\b", "test accuracy", "text"),
    (r"train, select", "train, val and test", "text"),
    (r"settings?", "run", "key string name"),
    # what a run is part of
    (r"parts?", "stage, task", "key string"),
    (r"part", "stage, task, chunk, temporary", "name"),
    (r"\b(each|every|one|a) part('s)?\b(?! of)", "stage, task", "text"),
    (r"faces|street|anything", "transfer, skips, segment_anything", "key string"),
    (r"\.?(street|anything)", "skips, segment_anything", "name"),
    (r"\bstreet\b(?! scenes?)|stage `?anything|`(faces|street|anything)`", "skips", "text"),
    (r"fifty|office|mini|satellite|makeup", "dlcv_50, office_home, ...", "key"),
    (r"fifty|satellite|makeup", "dlcv_50, deepglobe, celeba_makeup", "string"),
    (r"prepare(\.sets|\.recipes)?|sets", "datasets", "key"),
    (r"\b[Dd]ata sets?\b", "dataset", "text"),
    (r"\w*PreparedSet|(Tile|Map|Face|Course)Set|(write|data)_set", "dataset", "name"),
    (r"reprise[./](data|pipeline|prediction)\b", "datasets, engines, predict", "string text"),
    (r"\b(five|other|20\d\d) reports?\b|\breports' |\bof the reports\b", "homework", "text"),
    (r"\breport's (own )?(number|network|recipe|value)", "homework's", "text"),
    # keys of params.yaml
    (rf"{RECIPE}\.tau", "base_tau", "key"),
    (r"recipes\.\w+\.hidden", "proj_hidden_dim", "key"),
    (r"common\.hidden", "head_hidden_dim", "key"),
    (rf"{RECIPE}\.projection", "proj_output_dim", "key"),
    (r"neighbours", "knn_k", "key"),
    (r"imagenet_layer", "keep_imagenet_fc", "key string"),
    (r"\.?imagenet_layer", "keep_imagenet_fc", "name"),
    (r"held_norm", "freeze_bn", "key string"),
    (r"\.?held_norm|HeldNorm", "freeze_bn, FrozenBatchNorm", "name"),
    (rf"{RECIPE}\.width", "width_mult", "key"),
    (r"vote", "ensemble_epochs", "key"),
    (r"votes?", "ensemble_epochs", "string"),
    (r"\.?(vote|voters)", "ensemble_epochs", "name"),
    (rf"{RECIPE}\.middle", "middle_epoch", "key"),
    (rf"{RECIPE}\.merge", "merge_classes", "key"),
    (r"normalise", "normalize", "key string"),
    (r"\.?normalise", "normalize", "name"),
    (r"schedule_by", "lr_interval", "key string"),
    (rf"{RECIPE}\.(period|multiply|phases)", "step_size or T_0, T_mult, restart_epochs", "key"),
    (r"clip_norm", "max_grad_norm", "key"),
    (rf"{RECIPE}\.features", "feature_epochs", "key"),
    (rf"{AUGMENT}\.(crop|shift|rotate)", "min_scale, translate, degrees", "key"),
    (rf"{AUGMENT}\.(jitter|grey)", "color_jitter_p, grayscale_p", "key"),
    (rf"{AUGMENT}\.policy", "auto_augment", "key"),
    (r"least_iou|least_stability", "min_predicted_iou, min_stability", "key string"),
    (r"embed\.\w+\.(points|components)", "max_points, pca_components", "key"),
    (r"datasets\.\w+\.(land|majority|least|block)", "min_land_fraction, ...", "key"),
    (r"datasets\.\w+\.(select|report|train|folder|sample)", "val, test, ...", "key"),
    # tables and figures
    (r"\w+_both_(low|high)|(low|high)_both", "_ci_low, _ci_high", "string"),
    (r"stands_in|near_best|said", "proxy_run, epochs_to_95pct, summary", "string"),
    (r"surest|mistakes_\w+", "misclassified", "string text"),
    (r"\bdigests\.csv", "checksums.csv", "string text"),
    (
        r"tables/(pairs|mcnemar|votes|reported|epochs|iou|architecture)\.",
        "comparisons, ...",
        "text",
    ),
    (r"tables/(finetune|classify|faces|segment|street|pretrain)\.", "one table a task", "text"),
    (r"workflow/reported", "workflow/published", "string text"),
    (r"\bimages and seeds, Student", "95 % CI (images + seeds)", "text"),
    # terms
    (r"(\w+_)?holes?(_\w+)?|Holes|HOLES", "missing", "string name"),
    (r"\bholes?\b", "missing", "text"),
    (r"answers?|ANSWERS?", "predictions", "name"),
    (
        r"\banswers\b(?! (it|(the|one) (same )?question)|\.(csv|md)\b)|\banswered\b",
        "predictions",
        "text",
    ),
    (r"asked|ASKED\w*", "requested, questions", "name"),
    (r"\basked\b", "requested", "text"),
    (r"beside", "published_numbers", "name"),
    (r"\bbeside\b", "next to", "text"),
    (r"\bsecond[-_ ]last\b", "penultimate", "text"),
    (r"\.?second_last", "penultimate", "name"),
    (r"\.?moments(_of)?|Moments", "normalization, shown_epochs", "name"),
    (r"moments", "mean and std, shown_epochs", "string"),
    (r"\b(own|set's|their) moments\b", "mean and std", "text"),
    (r"judged?|judges", "evaluated", "name"),
    (r"\bjudge(d|s)?\b", "evaluate", "text"),
    (r"(?<!\(R\) )\b[Pp]rocessors?\b", "CPU", "text"),  # but for a name, such as Xeon(R) Processor
    (r"\bcommonest\b", "most frequent", "text"),
    (r"\bhand-outs?\b", "course data", "text"),
    # English
    (r"\b(stands?|stood) (in|there|below|above|at|on|as|behind|where|with)\b", "is in", "text"),
    (
        r"\blies? ((below|above|there|beside)\b|in (`|\w+/|(the|a) (cache|folder|file)\b))",
        "is",
        "text",
    ),
    (r"(?<!here )\b(is|are) no (?!(longer|more|less|other|better|worse|\d))", "is not a", "text"),
    (r"[,(] as (`[^`]+`|'[^']+'|\{\}|\w+/[\w/]+)([,.;:)]|$)", "such as, e.g.", "text"),
    (r"\bfor to\b", "because ... to", "text"),
    (r"\bcan not\b", "cannot", "text"),
    (r"\bso many\b", "this many, at most n", "text"),
    (r"\bof (its|their) own\b([.,;:)]|$| (and|as|in|that|which|with)\b)", "separate", "text"),
    (r"\bin the way\b", "already exists", "text"),
    (r"\bmend\b", "fix", "text"),
    (r"(\d+|\{\}) faults\b", "n problems", "text"),
    (r"\bmere\b", "(leave out)", "text"),
    # functions, classes and local names
    ("aside|folder_aside|into_folder", "atomic_file, atomic_folder, move_into_folder", "name"),
    ("drop_parts", "remove_leftovers", "name"),
    ("read_table", "read_csv", "name"),
    ("value_of", "value_at, config_value", "name"),
    ("open_set", "read_prepared", "name"),
    (r"\.?leave_out", "collecting", "name"),
    ("set_up", "configure_torch", "name"),
    (r"\.?values_of", "training_step", "name"),
    ("evaluating", "eval_mode", "name"),
    (r"\.?at_once", "eval_batch_size", "name"),
    ("every_class_trains", "require_all_classes", "name"),
    ("taken_out", "pop_votes", "name"),
    ("finite_views", "count_views", "name"),
    ("FrozenFeatures", "CachedFeatures", "name"),
    ("truth_of", "targets", "name"),
    ("logits_at", "resize_logits", "name"),
    ("take_over", "load_pretrained", "name"),
    ("Neighbours", "evaluate_knn", "name"),
    ("LEAST_SPREAD", "MIN_NORMALIZED_STD", "name"),
    ("with_head", "finetune_head", "name"),
    ("start_(segmenter|backbone|sam)", "load_weights_into", "name"),
    ("sees_all", "covers_input", "name"),
    ("learns_in_bfloat16", "needs_bf16_grad", "name"),
    ("Connected", "AsLinear", "name"),
    ("Unfolded", "Im2colGrad", "name"),
    ("become", "swap_layers", "name"),
    ("whole_network", "check_totals", "name"),
    (r"\.?recolours", "changes_colors", "name"),
    ("counterpart", "matching_run", "name"),
    ("verdict|outlook", "conclusion, power_note", "name"),
    ("house_style", "figure_style", "name"),
    ("notice", "empty_figure", "name"),
    ("paint", "colorize", "name"),
    ("wrong_alone", "errors_only", "name"),
    (
        "settle|doubt|adopt|forget",
        "sync_before, reason_not_proven, mark_current, mark_outdated",
        "name",
    ),
    ("of_jobs", "job_outputs", "name"),
    ("data_sets", "datasets", "name"),
    ("found|said|wanted|whole|given|own", "a name that says what the value is", "name"),
)

FILES = (
    *sorted((ROOT / "src").rglob("*.py")),
    *(
        path
        for suffix in (".csv", ".html", ".py", ".rst", ".smk")
        for path in sorted((ROOT / "workflow").rglob(f"*{suffix}"))
    ),
    *sorted((ROOT / "presets").glob("*.yaml")),
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / name for name in ("README.md", "Makefile", "Snakefile", "params.yaml")),
)
# these read the old form of params.yaml
OLD_FORM = {
    "src/reprise/params/migrate.py": r".*",
    "src/reprise/params/load.py": r"faces|street|anything",
}

Item = tuple[str, int, str]  # kind (see above), line, content


def items(path: Path, text: str) -> Iterator[Item]:
    """The words of a file: kind, line and content of each."""
    if path.suffix in (".py", ".smk") or path.name == "Snakefile":
        yield from code_items(text)
    elif path.suffix in (".yaml", ".yml"):
        yield from yaml_items(text)
    elif path.suffix == ".csv":
        yield from (("string", 1, cell) for cell in next(csv.reader(io.StringIO(text)), []))
    elif path.suffix in (".html", ".md", ".rst") or path.name == "Makefile":
        yield from page_items(text)


def code_items(text: str) -> Iterator[Item]:
    dot = False  # whether the token before is one
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        line = token.start[0]
        kind = tokenize.tok_name[token.type]
        if kind == "NAME":
            yield "name", line, f".{token.string}" if dot else token.string
        elif kind == "COMMENT":
            yield "text", line, token.string
        elif kind in ("STRING", "FSTRING_MIDDLE"):
            quoted = re.sub(r"^[rbfRBF]*('''|\"\"\"|'|\")|('''|\"\"\"|'|\")$", "", token.string)
            content = re.sub(r"\{[^{}]*\}", "{}", quoted)
            if re.fullmatch(r"[\w.-]*", content):
                yield "string", line, content
            else:
                for number, text_line in enumerate(content.split("\n")):
                    yield "text", line + number, text_line
        dot = token.string == "."


def yaml_items(text: str) -> Iterator[Item]:
    def walk(node: yaml.Node, path: str) -> Iterator[Item]:
        line = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                dotted = f"{path}.{key.value}".strip(".")
                yield "key", key.start_mark.line + 1, dotted
                yield from walk(value, dotted)
        elif isinstance(node, yaml.SequenceNode):
            for value in node.value:
                yield from walk(value, path)
        elif isinstance(node, yaml.ScalarNode):
            yield "string", line, node.value

    yield from walk(yaml.compose(text), "")
    for number, line in enumerate(text.splitlines(), 1):
        if "#" in line:
            yield "text", number, line.partition("#")[2]


def page_items(text: str) -> Iterator[Item]:
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        fenced ^= line.startswith("```")
        yield "text", number, line
        for span in [line.partition("# ")[0]] if fenced else re.findall(r"`([^`]+)`", line):
            for word in re.findall(r"[\w.-]+", span):
                yield "string", number, word


def found(kind: str, content: str, pattern: str) -> bool:
    """Whether an item of a kind has a replaced word."""
    if kind == "text":
        return re.search(pattern, content) is not None
    if kind == "key":
        return re.search(rf"(^|\.)({pattern})$", content) is not None
    return re.fullmatch(pattern, content) is not None


def replaced_words(path: Path, text: str) -> list[str]:
    """A line for each replaced word in a file: file, line, word and what to write instead."""
    name = path.relative_to(ROOT).as_posix()
    old_form = OLD_FORM.get(name)
    return [
        f"{name}:{line}: {kind} '{content.strip()}' -> {replacement}"
        for kind, line, content in items(path, text)
        for pattern, replacement, where in WORDS
        if kind in where.split() and found(kind, content, pattern)
        if not (old_form and re.fullmatch(old_form, content))
    ]


def test_every_pattern_is_valid_and_says_what_to_write_instead() -> None:
    for pattern, replacement, where in WORDS:
        re.compile(pattern)
        assert replacement and set(where.split()) <= {"key", "string", "name", "text"}
    assert len({pattern for pattern, _, _ in WORDS}) == len(WORDS)


@pytest.mark.parametrize(
    ("file", "text", "lines"),
    [
        ("src/x.py", 'def f(role):\n    """A hole."""\n    return "select"\n', [1, 2, 3]),
        ("src/x.py", 'path.parts\nthe = "report"  # one part of it, and no other\n', []),
        ("src/x.py", 'f"{hole}: is no folder"\nf"{a}: there is no folder"\n', [1]),
        ("presets/x.yaml", "classify:\n  a: {recipes: {cnn: {vote: 1}, features: {}}}\n", [2]),
        ("presets/x.yaml", "a: {source: faces}  # asked\nfinetune: {}\n", [1, 1]),
        ("docs/x.md", "The `street` of a processor\n\n```\nx --role\n```\n", [1, 1, 1, 4]),
        ("docs/x.md", "The report's section; a street scene is a part of it.\n", []),
        ("workflow/x.csv", "a,role,b\nrole,1,2\n", [1]),
    ],
)
def test_a_replaced_word_is_found_where_it_must_not_be(
    file: str, text: str, lines: list[int]
) -> None:
    matches = replaced_words(ROOT / file, text)
    assert [int(match.split(":")[1]) for match in matches] == lines


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_replaced_word_is_left(path: Path) -> None:
    assert replaced_words(path, path.read_text()) == []

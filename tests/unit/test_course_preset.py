"""The presets of the homeworks: their values and where each is from; the union, its smoke form."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ruamel.yaml import YAML
from torchvision.models import get_weight

from reprise.engines.preset import render
from reprise.jobs import tasks
from reprise.params.load import Params, parse

PRESETS = Path(__file__).parents[2] / "presets"
HOMEWORKS = ["dlcv2021", "dlcv2022", "dlcv2023", "dlcv2024", "cs6550"]
MARK = re.compile(r"# (printed|code|course|chosen)\b")
MACHINE = ("runtime", "weights", "plot")  # sections that say nothing of a homework


def preset(name: str) -> Params:
    return parse(YAML(typ="safe", pure=True).load(render(name, PRESETS)))


@pytest.fixture(scope="module")
def course() -> Params:
    return preset("course")


@pytest.fixture(scope="module")
def smoke() -> Params:
    return preset("course-smoke")


def unmarked(text: str) -> list[str]:
    """The lines of a preset that give a value of a dataset or a task without saying whence."""
    lines = text.splitlines()
    marked = {number for number, line in enumerate(lines) if MARK.search(line)}
    ends = [node.end_mark.line for node in leaves(yaml.compose(text))]
    return [lines[number] for number in sorted(set(ends) - marked)]


def leaves(node: yaml.Node, depth: int = 0) -> Iterator[yaml.Node]:
    """The values of a preset: scalars, and lists that are written on one line."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if depth or key.value not in MACHINE:
                yield from leaves(value, depth + 1)
    elif isinstance(node, yaml.SequenceNode) and not node.flow_style:
        for value in node.value:
            yield from leaves(value, depth + 1)
    else:
        yield node


@pytest.mark.parametrize("name", HOMEWORKS)
def test_each_value_says_where_it_is_from(name: str) -> None:
    assert unmarked((PRESETS / f"{name}.yaml").read_text()) == []


@pytest.mark.parametrize(
    ("line", "bare"),
    [
        ("epochs: 90              # printed", "epochs: 90"),
        ("flip: true            # chosen", "flip: true"),
        ("runs: [cnn, resnext101] # printed: models A and B", "runs: [cnn, resnext101]"),
        ("size: null              # course: 32 x 32 pixels", "size: null  # 32 x 32 pixels"),
    ],
)
def test_a_value_without_its_mark_is_found(line: str, bare: str) -> None:
    text = (PRESETS / "dlcv2022.yaml").read_text()
    key, words = line.split("#")
    spaced = re.compile(re.escape(key.strip()) + " +#" + re.escape(words))
    changed = spaced.sub(bare, text, count=1)
    assert changed != text
    assert [found.strip() for found in unmarked(changed)] == [bare]


@pytest.mark.parametrize("name", HOMEWORKS)
def test_a_homeworks_tasks_are_named_after_it_and_its_pairs_are_its_own(name: str) -> None:
    params = preset(name)
    for stage, task, block in tasks(params):
        assert task.partition("_")[0] == name
        assert stage == "pretrain" or block.comparisons is not None  # not all pairs
    used = {block.data for _, _, block in tasks(params)}
    used |= {block.data for block in params.segment_anything.values()}
    assert used == set(params.datasets)  # `make data` needs nothing else


def test_the_union_is_the_five_homeworks(course: Params) -> None:
    for name in HOMEWORKS:
        one = preset(name)
        assert set(one.datasets.items()) == set(one.datasets.items()) & set(course.datasets.items())
        for stage in ("pretrain", "finetune", "classify", "segment", "segment_anything", "embed"):
            blocks, together = getattr(one, stage), getattr(course, stage)
            assert {key: together[key] for key in blocks} == blocks
        assert {key: course.weights[key] for key in one.weights} == one.weights
    count = sum(len(tasks(preset(name))) for name in HOMEWORKS)
    assert len(tasks(course)) == count


# what the homeworks print: stage, task, run -> epochs, batch, optimizer, learning rate, schedule
PRINTED = {
    "classify dlcv2022 cnn": (90, None, "sgd", 0.01, "constant"),
    "classify dlcv2022 resnext101": (200, None, "sgd", 0.01, "constant"),
    "classify dlcv2023 cnn": (50, 16, "adam", 1e-3, "cosine"),
    "classify dlcv2023 resnet101": (15, 32, "sgd", 7e-4, "cosine"),
    "classify dlcv2021 resnet101": (15, 32, "adam", 2e-5, "milestones"),
    "classify cs6550 features": (25, 4, "sgd", 1e-3, "step"),
    "classify cs6550 efficientnet_b2": (15, None, "adam", 1e-3, "step"),
    "segment dlcv2021 deeplabv3": (25, 8, "adamw", 1e-4, None),
    "segment dlcv2023 fcn32s": (100, 8, "adam", 1e-4, "cosine"),
    "segment dlcv2023 deeplabv3": (30, 4, "sgd", 2e-3, "cosine"),
    "segment dlcv2024 unet": (150, None, None, None, None),
    "segment cs6550 fcn8s": (20, 6, "adam", 1e-4, "constant"),
}


@pytest.mark.parametrize("run", PRINTED)
def test_a_recipe_has_the_homeworks_values(course: Params, run: str) -> None:
    stage, task, name = run.split()
    recipe = getattr(course, stage)[task].recipes[name]
    values = (recipe.epochs, recipe.batch_size, recipe.optimizer, recipe.learning_rate)
    for value, printed in zip((*values, recipe.schedule), PRINTED[run], strict=True):
        assert printed in (None, value)


def test_the_images_are_prepared_as_each_homework_prints(course: Params) -> None:
    datasets = course.datasets
    assert datasets["office_home"].resize == "squash"
    assert datasets["office_home_bicubic"].resize == "cover"
    for name in ("office_home_bicubic", "mini_imagenet_bicubic"):
        assert datasets[name].interpolation == "bicubic"
    assert course.finetune["dlcv2024"].data == "office_home_bicubic"
    for name in ("camvid", "celeba_makeup", "deepglobe", "dlcv_50"):
        assert datasets[name].size is None  # stored whole
    cnn = course.classify["dlcv2023"].recipes["cnn"]
    assert cnn.normalize.mean == [0.508, 0.481, 0.431]
    assert cnn.normalize.std == [0.2, 0.199, 0.203]
    assert cnn.augment.fill == "black"
    street = course.segment["cs6550"].recipes["fcn8s"]
    assert (street.image_size, street.augment.crop_pixels) == (256, 256)
    assert street.normalize.std == [1, 1, 1]
    faces = course.classify["cs6550"].recipes
    assert {recipe.augment.eval_resize for recipe in faces.values()} == {256}
    efficient = faces["efficientnet_b2"].augment
    assert efficient.order == ["colors", "geometry", "auto_augment"]
    assert efficient.auto_augment == ["autoaugment_cifar10", "cutout_16_slip"]
    assert course.pretrain["dlcv2024"].recipes["byol"].augment.shared_auto_augment == [
        "trivial_wide"
    ]


def test_pretraining_and_the_settings_are_those_of_2023_and_2024(course: Params) -> None:
    byol_2023, byol_2024 = (
        course.pretrain[task].recipes["byol"] for task in ("dlcv2023", "dlcv2024")
    )
    assert (byol_2023.epochs, byol_2023.batch_size, byol_2023.learning_rate) == (500, 128, 1e-4)
    assert (byol_2024.epochs, byol_2024.batch_size, byol_2024.learning_rate) == (100, 32, 1e-2)
    assert not byol_2023.use_momentum and byol_2024.use_momentum
    assert byol_2024.restart_epochs == [50, 50]
    for name, epochs, rate in (("dlcv2023", 200, 3e-4), ("dlcv2024", 100, 1e-3)):
        task = course.finetune[name]
        assert (task.common.epochs, task.common.learning_rate) == (epochs, rate)
        assert task.common.keep_imagenet_fc and task.common.backbone == "resnet50"
        assert [run for run in task.runs if task.recipes[run].frozen] == ["D", "E"]
        starts = {run: recipe.start for run, recipe in task.recipes.items()}
        assert starts == dict(zip("ABCDE", ["none", *["supervised", "byol"] * 2], strict=True))
        assert all(task.training(run) == task.common for run in "ABCDE")
        # what the homeworks discuss: pretraining, and full fine-tuning against a fixed backbone
        assert set(task.named_pairs) == {
            ("B", "A"), ("C", "A"), ("C", "B"), ("E", "D"), ("B", "D"), ("C", "E"),
        }  # fmt: skip


def test_what_the_homeworks_show_is_drawn(course: Params) -> None:
    shown = {(one.stage, one.task, one.run, one.split) for one in course.embed.values()}
    assert shown == {
        ("classify", "dlcv2021", "resnet101", "test"),
        ("classify", "dlcv2022", "cnn", "test"),
        ("classify", "dlcv2023", "cnn", "test"),
        ("finetune", "dlcv2024", "C", "train"),
    }
    assert course.finetune["dlcv2024"].gap == ["A", "C"]
    assert course.segment["dlcv2022"].overlays == ["deeplabv3"]
    assert course.segment["dlcv2022"].recipes["deeplabv3"].score_shown_epochs
    assert course.segment["cs6550"].published_curve == "fcn8s"


def test_the_slips_are_flags_next_to_the_correct_recipe(course: Params) -> None:
    segment, skips = course.segment["dlcv2024"].recipes, course.segment["cs6550"].recipes
    assert segment["fcn32s_k44s52"].model == "fcn32s_k44s52"
    correct = segment["fcn32s_k44s52"].model_copy(update={"model": "fcn32s_vgg16"})
    assert segment["fcn32s"] == correct
    slip = skips["fcn8s"]
    assert slip.freeze_bn
    assert skips["fcn8s_learned_norm"] == slip.model_copy(update={"freeze_bn": False})
    assert course.classify["dlcv2021"].recipes["resnet101"].ensemble_epochs == 5


def test_the_weights_have_the_digits_that_their_publisher_gave_them(course: Params) -> None:
    for name, file in course.weights.items():
        if file.torchvision:
            url = str(get_weight(file.torchvision).url)
            assert Path(file.path).name == url.rsplit("/", 1)[1], name
        if name.startswith("sam"):
            assert len(str(file.sha256)) == 64 and str(file.url).endswith(Path(file.path).name)
        elif file.sha256:
            assert Path(file.path).stem.endswith(file.sha256), name
    assert course.weights["sl"].sha256 is None  # the course hands it out without one


def test_the_small_form_runs_every_recipe_of_the_complete_one(
    course: Params, smoke: Params
) -> None:
    stages = ("pretrain", "finetune", "classify", "segment", "segment_anything")
    small = {(stage, name): task for stage, name, task in tasks(smoke, *stages)}
    for stage, name, task in tasks(course, *stages):
        assert small[stage, name].runs == task.runs == list(task.recipes)
        if stage in ("classify", "segment"):
            for run in task.runs:
                assert small[stage, name].recipes[run].model == task.recipes[run].model
    assert all(recipe.source == "course" for recipe in smoke.datasets.values())

"""Names of the networks of timm and segmentation_models_pytorch, read without importing them.

A recipe names such a network with its library: `timm/resnet50d`, or with the name of published
weights `timm/resnet50d.ra2_in1k`; `smp/<decoder>/<encoder>`, such as `smp/unet/resnet18` and, for
an encoder of timm, `smp/unet/tu-mobilenetv3_large_100`. Importing the libraries takes two seconds,
and Snakemake reads params.yaml in every process.
"""

import difflib
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

TIMM, SMP = "timm/", "smp/"
KINDS = {TIMM: ("BACKBONES", "CLASSIFIERS"), SMP: ("SEGMENTERS",)}
PATTERN = r"(timm|smp)/[A-Za-z0-9][A-Za-z0-9_./-]{0,119}"
REGISTERED = re.compile(r"^@register_model\s*\n(?:@.*\n)*def (\w+)\(", re.M)
DECODERS = re.compile(r"^_MODEL_ARCHITECTURES = \[(.*?)\]", re.M | re.S)
ENCODERS = re.compile(r"^    [\"']([\w.-]+)[\"']: \{", re.M)
# the smallest image, and what its size is a multiple of, by the beginning of the name
SIZES = {"smp/pan/": (128, 32), SMP: (32, 32)}


def prefix_of(name: str) -> str | None:
    """The prefix of a library's network; None for one of our own."""
    return next((prefix for prefix in KINDS if name.startswith(prefix)), None)


def image_sizes(name: str) -> tuple[int, int]:
    """The smallest height and width that a library's network takes, and what they multiply."""
    return next((size for start, size in SIZES.items() if name.startswith(start)), (1, 1))


def unknown_part(name: str) -> tuple[str, list[str]] | None:
    """What a library does not have of a name, and the three nearest names; None if it has all."""
    if name.startswith(TIMM):
        architecture = name.removeprefix(TIMM).partition(".")[0]
        is_known = architecture in timm_networks()
        return None if is_known else (f"timm has no '{architecture}'", _near(TIMM, name))
    decoder, _, encoder = name.removeprefix(SMP).partition("/")
    if decoder not in decoders():
        nearest = difflib.get_close_matches(decoder, decoders(), 3, 0)
        text = f"segmentation_models_pytorch has no decoder '{decoder}'"
        return text, [f"{SMP}{each}/{encoder or 'resnet18'}" for each in nearest]
    if not _is_encoder(encoder):
        text = f"segmentation_models_pytorch has no encoder '{encoder}'"
        if encoder.startswith("tu-"):
            nearest = [f"tu-{each.removeprefix(TIMM)}" for each in _near(TIMM, encoder[3:])]
        else:
            nearest = difflib.get_close_matches(encoder, encoders(), 3, 0)
        return text, [f"{SMP}{decoder}/{each}" for each in nearest]
    return None


@cache
def timm_networks() -> tuple[str, ...]:
    """The architectures of timm, sorted; none if it is not installed."""
    texts = (path.read_text("utf-8") for path in _folder("timm", "models").glob("*.py"))
    return tuple(sorted({name for text in texts for name in REGISTERED.findall(text)}))


@cache
def decoders() -> tuple[str, ...]:
    """The decoders of segmentation_models_pytorch, in lower case, in its order."""
    path = _folder("segmentation_models_pytorch") / "__init__.py"
    match = DECODERS.search(path.read_text("utf-8")) if path.is_file() else None
    return tuple(re.findall(r"\w+", match[1].lower())) if match else ()


@cache
def encoders() -> tuple[str, ...]:
    """Its own encoders, sorted; those of timm begin with `tu-`, and are not listed."""
    files = _folder("segmentation_models_pytorch", "encoders").glob("*.py")
    return tuple(sorted({name for path in files for name in ENCODERS.findall(path.read_text())}))


def _is_encoder(name: str) -> bool:
    """Whether it is an encoder of smp, or of timm by its present or its former prefix."""
    if name in encoders():
        return True
    of_timm = name.partition("-")[2].partition(".")[0] if name[:3] == "tu-" else ""
    former = name.removeprefix("timm-") if name.startswith("timm-") else ""
    return bool({of_timm, former, f"tf_{former}"} & set(timm_networks()))


def _near(prefix: str, name: str) -> list[str]:
    """The three nearest names of timm."""
    architecture = name.removeprefix(prefix).partition(".")[0]
    nearest = difflib.get_close_matches(architecture, timm_networks(), 3, 0)
    return [f"{prefix}{each}" for each in nearest]


def _folder(package: str, *below: str) -> Path:
    """The folder of an installed package; one that does not exist if it is not installed."""
    spec = find_spec(package)
    return Path(spec.origin).parent.joinpath(*below) if spec and spec.origin else Path("/nowhere")

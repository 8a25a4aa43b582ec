"""Any decoder and encoder of segmentation_models_pytorch: `smp/unet/tu-mobilenetv3_large_100`."""

import warnings
from typing import Any

import segmentation_models_pytorch as smp
from torch import Tensor, nn

from reprise.datasets.batches import Normalization
from reprise.errors import RepriseError, one_line
from reprise.models.alexnet import DeterministicAvgPool2d
from reprise.models.backbone import Options
from reprise.models.convolution import swap_layers
from reprise.models.weights import State, load_state

LIBRARY = "smp/"
OF_TIMM = ("tu-", "timm-")


class SmpSegmenter(nn.Module):
    """A network of the library; `net` has its keys. Height and width are multiples of 32."""

    def __init__(self, decoder: str, encoder: str, n_classes: int) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of the prefix timm-, which works
            options = {"dynamic_img_size": True} if decoder == "dpt" else {}
            self.net: Any = smp.create_model(
                decoder, encoder, encoder_weights=None, classes=n_classes, **options
            )
        swap_layers(self.net, {nn.AdaptiveAvgPool2d: DeterministicAvgPool2d})

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.net(images)
        return logits


def build_segmenter(recipe: Options, n_classes: int) -> nn.Module:
    """The randomly initialised network. Raises RepriseError if the two do not fit together."""
    decoder, _, encoder = recipe.model.removeprefix(LIBRARY).partition("/")
    try:
        return SmpSegmenter(decoder, encoder, n_classes)
    except Exception as error:  # each decoder decides what it refuses, and how
        raise RepriseError(
            f"{recipe.model}: {decoder} cannot be built on {encoder} ({one_line(error, 120)}); "
            "choose another encoder"
        ) from None


def normalization(name: str) -> Normalization:
    """Mean and std of the weights that timm publishes for the encoder.

    Raises RepriseError for the library's own encoders, whose numbers are not part of it.
    """
    encoder = name.rpartition("/")[2]
    if not encoder.startswith(OF_TIMM):
        raise RepriseError(
            f"{name}: mean and std of '{encoder}' are not known; set normalize: imagenet"
        )
    from reprise.models import timm_networks

    return timm_networks.normalization(timm_name(encoder))


def timm_name(encoder: str) -> str:
    """The name in timm of an encoder; the library calls some of the former `timm-` otherwise."""
    name = encoder.partition("-")[2]
    former = encoder.startswith("timm-") and name.startswith("mobilenetv3")
    return f"tf_{name}" if former else name


def load_weights(model: SmpSegmenter, state: State, path: str) -> None:
    """Load the encoder's weights: those of timm, or of the library's own encoder.

    See `build.load_weights_into`. The file's layers that the encoder ends before are left out.
    """
    encoder = model.net.encoder
    expected = encoder.state_dict().keys()
    of_timm = {f"model.{key}": value for key, value in state.items()}
    named = of_timm if of_timm.keys() & expected else state
    kept = {key: value for key, value in named.items() if key in expected}
    load_state(encoder, kept or named, path)

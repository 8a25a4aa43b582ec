"""torchvision's EfficientNet-B2."""

from torchvision.models import efficientnet_b2

from reprise.models.backbone import Backbone, Classifier, Options, linear_classifier

CLASSIFIERS = ("efficientnet_b2",)
DEPTHWISE = True


def build_classifier(recipe: Options, n_classes: int) -> Classifier:
    """EfficientNet-B2 with a new layer on its 1000 logits, as in the CS6550 homework."""
    backbone = Backbone(efficientnet_b2(weights=None), 1000)
    return linear_classifier(backbone, recipe.dropout, n_classes)

"""params.yaml as typed, frozen values; a wrong key is an error that names its nearest neighbour."""

from reprise.params.anything import Anything, AnythingRecipe
from reprise.params.sets import CourseSet, FaceSet, Grid, MapSet, TileSet
from reprise.params.stages import (
    ByolPretraining,
    Classify,
    ClassifyRecipe,
    Embed,
    Finetune,
    FinetuneCommon,
    Pretrain,
    Segment,
    SegmentRecipe,
    SupervisedPretraining,
)
from reprise.params.training import Augment, Training
from reprise.params.weights import WeightsFile
from reprise.params.whole import Params, Runtime, load_params, parse, schema_json

__all__ = [
    "Anything",
    "AnythingRecipe",
    "Augment",
    "ByolPretraining",
    "Classify",
    "ClassifyRecipe",
    "CourseSet",
    "Embed",
    "FaceSet",
    "Finetune",
    "FinetuneCommon",
    "Grid",
    "MapSet",
    "Params",
    "Pretrain",
    "Runtime",
    "Segment",
    "SegmentRecipe",
    "SupervisedPretraining",
    "TileSet",
    "Training",
    "WeightsFile",
    "load_params",
    "parse",
    "schema_json",
]

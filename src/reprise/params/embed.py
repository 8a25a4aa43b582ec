"""Which features are shown as points in the plane, and how."""

from typing import Literal

from reprise.params.base import Block, Distinct, Name, Positive, Rate, Seed


class Embed(Block):
    """PCA and t-SNE of the features of one trained job.

    stage, task, run, seed: the job. split: whose features the job saves. max_points: at most this
    many images. pca_components: PCA before t-SNE.
    """

    stage: Literal["classify", "finetune"]
    task: Name
    run: Name
    seed: Seed
    split: Literal["train", "val", "test"]
    methods: Distinct[list[Literal["pca", "tsne"]]]
    max_points: Positive
    pca_components: Positive
    perplexity: Rate
    random_state: Seed = 0

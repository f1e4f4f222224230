"""A run by a recipe: what isn't said follows from the data and the computer."""

from collections.abc import Mapping
from math import ceil, sqrt
from typing import Any

from core.home import weights_folder
from core.models.backbones import BACKBONES, Backbone
from core.models.spec import MOST_MULTIPLIED
from core.runs.spec import PRESETS, RunSpec

NETWORK = "squeezenet1_1"
"""The network unless another is named: the smallest, and no other was better."""
CARDS = ("recommended", "trained_head", "throughout")
"""The recipes that the page Train begins with."""


def fill_recipe(
    recipe: str, document: Mapping[str, Any], genes: int, network: str = NETWORK
) -> RunSpec:
    """The run of a recipe on a dataset.

    It starts from ImageNet's weights where they are on this computer, and its image has a pixel for
    each gene at least.

    Args:
        recipe: a preset; "recommended" stands for that of few genes where there are few.
        document: the parts of the run that are decided, such as its cohort and preparation.
        genes: of the dataset.
        network: the backbone.
    """
    preparation = document["preparation"]
    genes = min(genes, preparation["genes"])
    if recipe == "recommended" and genes <= MOST_MULTIPLIED:
        recipe = "few_genes"
    preset, side = PRESETS[recipe], 32 * ceil(sqrt(genes) / 32)
    return RunSpec.parse(
        preset.fill(
            {
                **document,
                "preparation": {**preparation, "genes": genes},
                "network": {
                    "backbone": network,
                    "weights": "imagenet" if is_here(BACKBONES[network]) else "scratch",
                    "image_size": max(preset.parts["network"]["image_size"], side),
                },
            }
        )
    )


def is_here(backbone: Backbone) -> bool:
    """Whether a network's file of ImageNet weights is on this computer."""
    return (weights_folder() / backbone.file).exists()

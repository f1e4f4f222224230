"""The paper's whole comparison as one study: networks x splits x with and without augmentation."""

from typing import Any

from core.runs.spec import PRESETS, RunSpec

NETWORKS = ("vgg16", "vgg19", "resnet50", "resnet101", "resnet152")
TEST_SHARES = (0.4, 0.3, 0.2, 0.1)
"""Of the four splits of Rukhsar et al. 2022: 60-40 to 90-10, as we read them."""
AUGMENTATIONS = ("none", "geometric")


def paper_study(common: dict[str, Any]) -> list[RunSpec]:
    """The 40 runs of the paper on a dataset, the cheapest network last.

    Args:
        common: a run's nested mapping without network, test share and augmentation. What it sets
            takes the place of the paper's recipe, such as smaller images.

    Raises:
        InputError: a field is unknown or out of bounds.
    """
    filled = PRESETS["paper"].fill(common)
    return [
        RunSpec.parse(
            {
                **filled,
                "network": {**filled["network"], "backbone": network},
                "split": {**filled.get("split", {}), "kind": "holdout", "test_size": share},
                "training": {**filled["training"], "augmentation": augmentation},
            }
        )
        for share in TEST_SHARES
        for network in NETWORKS
        for augmentation in AUGMENTATIONS
    ]

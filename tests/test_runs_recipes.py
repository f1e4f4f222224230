"""What a run is when no more than a recipe is named."""

import pytest

from core.home import weights_folder
from core.models.backbones import BACKBONES
from core.runs.recipes import CARDS, NETWORK, fill_recipe
from core.runs.spec import PRESETS, RunSpec

DOCUMENT = {"cohort": {"label": "type"}, "preparation": {"genes": 1024}}


@pytest.mark.parametrize(("genes", "painted", "side"), [(200, 200, 32), (5000, 1024, 32)])
def test_the_recommended_recipe_is_a_solved_head(genes: int, painted: int, side: int) -> None:
    spec = fill_recipe("recommended", DOCUMENT, genes)
    assert spec == RunSpec.parse(
        {**DOCUMENT, "preset": "recommended", "preparation": {"genes": painted}}
    )
    assert (spec.network.is_solved, spec.network.image_size) == (True, side)


def test_few_genes_are_multiplied_and_many_get_a_larger_image() -> None:
    assert fill_recipe("recommended", DOCUMENT, 64).network.products
    assert not fill_recipe("trained_head", DOCUMENT, 64).network.products
    many = {**DOCUMENT, "preparation": {"genes": 2000}}
    assert [fill_recipe(card, many, 2000).network.image_size for card in CARDS] == [64, 64, 64]


def test_cards_are_three_trainings_and_their_titles_differ() -> None:
    frozen = [fill_recipe(card, DOCUMENT, 500).network.freeze for card in CARDS]
    assert frozen == ["backbone", "backbone", "nothing"]
    assert len({fill_recipe(card, DOCUMENT, 500).id for card in CARDS}) == 3
    assert len({PRESETS[card].title for card in CARDS}) == 3


def test_imagenet_s_weights_are_taken_where_they_are_here() -> None:
    assert fill_recipe("recommended", DOCUMENT, 500).network.weights == "scratch"
    (weights_folder() / BACKBONES[NETWORK].file).touch()
    assert fill_recipe("recommended", DOCUMENT, 500).network.weights == "imagenet"

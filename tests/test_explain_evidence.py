"""The trust card: measures worked out by hand, and lights on networks that were planted."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from core.explain import evidence
from core.explain.case import Case
from core.explain.measures import MEASURES, Evidence, Measure, judge, judge_again
from core.explain.rankings import rank_correlation
from core.images.imager import GeneImager
from core.images.layout import GeneLayout
from core.models.network import build_network
from core.models.spec import IMAGE, NetworkSpec
from core.runs.attribute import explain_both
from core.training.tasks import TASKS


class WeightedSum(nn.Module):
    """Class 0 scores the weighted sum of all pixel values, class 1 the negative of it."""

    def __init__(self, weight: list[float], side: int) -> None:
        super().__init__()
        self.stages = nn.Sequential(nn.Identity())
        self.weight = nn.Parameter(torch.tensor(weight + [0.0] * (side**2 - len(weight))))

    def forward(self, images: Tensor) -> Tensor:
        score = self.stages(images).sum(1).flatten(1) @ self.weight
        return torch.stack([score, -score], dim=1)


UNIT = 1 / 0.229 + 1 / 0.224 + 1 / 0.225
"""By how much a class score changes when a gene of weight 1 changes by 1."""


def make_case(weight: list[float], x: np.ndarray, method: str = "integrated_gradients") -> Case:
    """A linear network on genes that stand row by row on the smallest canvas."""
    genes, side = len(weight), int(np.ceil(np.sqrt(len(weight))))
    number = np.arange(genes)
    layout = GeneLayout("order", number.astype(str), number // side, number % side, (side, side))
    return Case(
        method=method,
        network=WeightedSum(weight, side),
        untrained=WeightedSum([0.0] * genes, side),
        imager=GeneImager(layout, side),
        x=x.astype(np.float32),
        targets=np.zeros(len(x), int),
        baseline=np.zeros_like(x, dtype=np.float32),
        background=np.zeros((1, genes), dtype=np.float32),
        device="cpu",
    )


@pytest.fixture(scope="module")
def squeezenet() -> Case:
    """A real network with random weights, another one, and 6 samples of 2 classes."""
    rng, number = np.random.default_rng(0), np.arange(64)
    layout = GeneLayout("order", number.astype(str), number // 8, number % 8, (8, 8))
    networks = [build_network(NetworkSpec(image_size=32), 2, seed=seed)[0] for seed in (0, 1)]
    return Case(
        method="input_x_gradient",
        network=networks[0],
        untrained=networks[1],
        imager=GeneImager(layout, 32),
        x=rng.random((6, 64), dtype=np.float32),
        targets=np.array([0, 0, 0, 1, 1, 1]),
        baseline=np.full((6, 64), 0.5, dtype=np.float32),
        background=np.full((1, 64), 0.5, dtype=np.float32),
        device="cpu",
    )


def beat_chance(y: np.ndarray, right: np.ndarray) -> tuple[float, str]:
    """How far from chance class numbers are, of which some were named rightly."""
    named = np.where(right, y, -1).astype(str)
    names = [f"s{k}" for k in range(len(y))]
    table = pd.DataFrame({"sample": names, "true": y.astype(str), "predicted": named})
    return TASKS["classification"].beat_chance(None, table)


def skill(y: np.ndarray, right: np.ndarray) -> evidence.Evidence:
    return evidence.measure_skill(*beat_chance(y, right))


def test_lights_stand_at_their_limits() -> None:
    low = Measure("a", "A", "", "", green=0.2, red=0.5)
    assert [low.light(v) for v in (0.0, 0.2, 0.21, 0.49, 0.5, 3.0)] == (
        ["green", "green", "amber", "amber", "red", "red"]
    )
    high = Measure("b", "B", "", "", green=0.4, red=0.1)
    assert [high.light(v) for v in (0.5, 0.4, 0.2, 0.1, -1.0)] == (
        ["green", "green", "amber", "red", "red"]
    )
    assert high.light(None) == "none"
    assert Measure("c", "C", "", "").light(0.5) == "none"


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.name)
def test_every_limit_has_its_reason(measure: Measure) -> None:
    assert (measure.green is None) == (measure.red is None)
    assert measure.reason


def test_a_network_that_guesses_is_red_and_one_that_knows_is_green() -> None:
    """All of 2 x 20 right: recalls of 21/22, error of the mean sqrt(2 * .0434 / 22) / 2 = .0314.

    The lower end is .9545 - 1.96 * .0314 = .893, which is .786 of the way from .5 to 1.
    """
    y = np.repeat([0, 1], 20)
    knows = skill(y, np.ones(40))
    assert knows.value == pytest.approx(0.786, abs=1e-3)
    assert knows.light == "green"
    for guess in (np.zeros(40, int), np.tile([0, 1], 20)):
        assert skill(y, guess == y).light == "red"
    once = skill(y[::2], np.repeat([1, 0], [15, 5]))
    assert once.value < knows.value


def test_guessing_stays_red() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(5), [40, 30, 20, 20, 10])
    lights = [skill(y, rng.permutation(y) == y).light for _ in range(200)]
    assert lights.count("red") > 190
    assert "green" not in lights


def test_empty_maps_are_counted() -> None:
    scores = np.array([[0.0, 0, 0], [1, 2, 3], [0, 0, 0], [0, 0, 0]])
    found = evidence.measure_signal(scores)
    assert found.value == 0.75
    assert found.light == "red"


def test_completeness() -> None:
    assert evidence.measure_completeness(np.array([0.01, 0.03, 0.9])).light == "green"
    assert evidence.measure_completeness(np.array([0.01, 0.3, 0.9])).light == "red"
    assert evidence.measure_completeness(None).light == "none"
    assert evidence.measure_completeness(np.array([np.inf, np.inf])).value is None


def test_deletion_and_insertion_by_hand() -> None:
    """Weights 3 2 1 0 at values of 1: without the first genes the score falls by 3, 5, 6.

    The shares of the genes round to 0 0 0 0 0 1 1 2 3 4 genes. The area under 6 3 1 0 0 at steps
    of a quarter is (3 + 3 + 1 + 0) / 4 = 1.75; in random order the score falls on average like
    6 4.5 3 1.5 0, area 3. The gain is 1.25 / 6 = .21, for insertion as well.
    """
    case = make_case([3.0, 2, 1, 0], np.ones((6, 4)))
    scores = case.explain().scores
    deletion, insertion = evidence.measure_removal(case, scores)
    curve = np.array(deletion.details["curve"])
    np.testing.assert_allclose(
        (curve - curve[-1]) / UNIT, [6, 6, 6, 6, 6, 3, 3, 1, 0, 0], atol=1e-4
    )
    curve = np.array(insertion.details["curve"])
    np.testing.assert_allclose((curve - curve[0]) / UNIT, [0, 0, 0, 0, 0, 3, 3, 5, 6, 6], atol=1e-4)
    for found in (deletion, insertion):
        assert found.value == pytest.approx(1.25 / 6, abs=0.06)  # 20 random orders, not all 24
        assert found.light == "green"
    for found in evidence.measure_removal(case, -scores):
        assert found.value < -0.1
        assert found.light == "red"


def test_infidelity_of_the_exact_answer_is_zero_and_of_a_wrong_one_is_not() -> None:
    rng = np.random.default_rng(0)
    case = make_case(rng.normal(size=100).tolist(), rng.random((5, 100)))
    scores = case.explain().scores
    exact = evidence.measure_infidelity(case, scores)
    assert exact.value == pytest.approx(0, abs=1e-4)
    assert exact.light == "green"
    assert evidence.measure_infidelity(case, rng.permuted(scores, axis=1)).light == "red"
    assert evidence.measure_infidelity(replace(case, method="saliency"), scores).light == "none"


def test_sensitivity_of_a_linear_network() -> None:
    """Its slope is the same everywhere; its input x gradient moves by at most .02 in values of 1,
    half of them beyond the scale and so not at all.
    """
    case = make_case([3.0, 2, 1, 0], np.ones((3, 4)), "saliency")
    assert evidence.measure_sensitivity(case).value == pytest.approx(0, abs=1e-6)
    found = evidence.measure_sensitivity(replace(case, method="input_x_gradient"))
    assert 0 < found.value <= 0.02


def test_randomisation_goes_from_the_head_to_the_image(squeezenet: Case) -> None:
    before = {name: value.clone() for name, value in squeezenet.network.state_dict().items()}
    scores = squeezenet.explain().scores
    found, control = evidence.measure_randomisation(squeezenet, scores)
    assert found.details["layers"] == ["head", "fire6_9", "fire4_5", "fire2_3", "stem"]
    other = replace(squeezenet, network=squeezenet.untrained).explain().scores
    assert found.value == pytest.approx(np.abs(rank_correlation(scores, other)).mean(), abs=1e-4)
    assert found.details["similarity"][-1] == pytest.approx(found.value)
    after = squeezenet.network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    same = replace(squeezenet, untrained=squeezenet.network)
    kept, control = evidence.measure_randomisation(same, scores)
    assert (kept.value, kept.light) == (pytest.approx(1), "red")
    assert (control.value, control.light) == (pytest.approx(1), "red")


def test_agreement_and_class_mean_of_a_linear_network() -> None:
    """Every method finds weight x distance; equal weights find the genes that differ most."""
    rng = np.random.default_rng(0)
    case = make_case([1.0] * 100, rng.random((4, 100)))
    scores = case.explain().scores
    assert evidence.measure_agreement(case, scores).value == pytest.approx(1)
    assert evidence.measure_class_mean(case, scores).value == pytest.approx(1)
    assert evidence.measure_class_mean(case, scores).light == "none"
    assert evidence.measure_agreement(case, -scores).light == "red"


def test_stability_by_hand() -> None:
    """Two folds, 20 genes, lists of 5, of which 4 are common: (4 * 20 - 25) / (5 * 15) = 11/15."""
    first, second = np.zeros(21), np.zeros(21)
    first[:5], second[1:6] = 1, 1
    first[20] = np.nan  # not on the image of the first fold
    scores = np.stack([first, second])
    found = evidence.measure_stability(scores, np.array(["A", "A"]), np.array([0, 1]))
    assert found.value == pytest.approx(11 / 15)
    assert found.details["jaccard"] == pytest.approx(4 / 6)
    assert found.light == "green"
    alone = evidence.measure_stability(scores, np.array(["A", "A"]), np.array([0, 0]))
    assert (alone.value, alone.light) == (None, "none")


def test_resampling() -> None:
    rng, labels = np.random.default_rng(0), np.repeat(["A", "B"], 20)
    clear = np.zeros((40, 200))
    clear[:20, :10], clear[20:, 10:20] = 5, 5
    noise = rng.normal(size=(40, 200))
    assert evidence.measure_resampling(clear + 0.1 * noise, labels).value == pytest.approx(1)
    assert evidence.measure_resampling(noise, labels).light == "red"
    few = evidence.measure_resampling(noise[:2], labels[:2])
    assert few.value is None


def test_permuted_labels_and_planted_genes() -> None:
    """Class A ranks its planted genes 1 and 3 of 4: of 4 pairs 3 in order, 1 of 2 first; of class
    B none is on the images.
    """
    y = np.repeat([0, 1], 20)
    assert evidence.measure_permuted(*beat_chance(y, y == np.tile([0, 1], 20))).light == "green"
    assert evidence.measure_permuted(*beat_chance(y, np.ones(40))).light == "red"
    table = pd.DataFrame({"gene": list("abcd") * 2, "class": ["A"] * 4 + ["B"] * 4,
                          "rank": [1, 2, 3, 4] * 2})  # fmt: skip
    truth = pd.DataFrame({"gene": ["a", "c", "x"], "class": ["A", "A", "B"]})
    found = evidence.measure_planted(table, truth)
    assert (found.value, found.light) == (0.75, "amber")
    assert found.details["precision_at_k"] == 0.5
    assert evidence.measure_planted(table, truth[2:]).value is None


def test_the_card_is_as_good_as_its_worst_light() -> None:
    green = evidence.measure_completeness(np.array([0.01]))
    amber = evidence.measure_completeness(np.array([0.1]))
    red = evidence.measure_completeness(np.array([0.5]))
    none = evidence.measure_completeness(None)
    assert judge([green, none]) == "green"
    assert judge([green, amber]) == "amber"
    assert judge([amber, red, green]) == "red"
    assert judge([none]) == "none"


def test_a_stored_light_follows_the_limits_of_today() -> None:
    kept = evidence.measure_signal(np.zeros((4, 3)))
    old = replace(kept, light="green", red=2.0)
    assert judge_again(old, "saliency") == kept


def test_a_stored_light_for_genes_does_not_outlive_a_method_that_ranks_none() -> None:
    """An earlier version compared the genes of regions, in the order of their names."""
    kept = Evidence("untrained", "", 0.0, "green", 0.2, 0.5, "Names none of the same genes.")
    assert judge_again(kept, "saliency").light == "green"
    again = judge_again(kept, "gradcam")
    assert (again.value, again.light) == (None, "none")
    assert "Grad-CAM scores regions" in again.sentence


def test_what_is_explained_is_counted_by_what_it_takes(squeezenet: Case) -> None:
    """A linear head that counts the genes alone needs no stage: a twentieth of the other network.
    One that counts the first of four stages' maps needs a quarter of them.
    """
    seen: list[float] = []
    explain_both(squeezenet, seen.append)
    assert seen == [0.5, 1]

    linear = NetworkSpec(image_size=32, head="linear", freeze="backbone")
    solved = [build_network(linear, 2, seed=seed)[0] for seed in (0, 1)]
    assert solved[0].stages_needed == 1
    case = replace(squeezenet, network=solved[0], untrained=solved[1])
    for counted, first in (([IMAGE], 0.05 / 1.05), ([IMAGE, "stem"], 0.25 / 1.25)):
        solved[0].head.counted = counted
        seen.clear()
        explain_both(case, seen.append)
        assert seen == pytest.approx([first, 1])


def test_a_method_that_cuts_by_itself_tells_how_far_it_is(squeezenet: Case) -> None:
    """Of 6 samples with 16 points each, batches of 8 images: 2 samples are 4 batches."""
    seen: list[tuple[int, int]] = []
    case = replace(squeezenet, method="integrated_gradients", steps=16, batch_size=8)
    found = case.explain(lambda *step: seen.append(step))
    assert seen == [(2, 6), (4, 6), (6, 6)]
    at_once = replace(case, batch_size=64).explain()
    at_most = 0.02 * np.abs(at_once.scores).max()  # a ReLU may switch by a last bit at one point
    np.testing.assert_allclose(found.scores, at_once.scores, rtol=0, atol=at_most)

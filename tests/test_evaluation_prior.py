"""Parting a new cohort into two groups: known answers, and what must not matter."""

import numpy as np
import pytest

from core.evaluation.prior import move_to_two_groups, part_in_two


def answers(log_odds: list[float]) -> np.ndarray:
    above = 1 / (1 + np.exp(-np.array(log_odds)))
    return np.stack([1 - above, above], axis=1)


def test_the_threshold_lies_half_way_between_two_groups() -> None:
    """Groups at 3 and 5 log odds, all of them 'class 1' by the training cohort's threshold."""
    found = part_in_two(answers([3.0, 5.1, 2.9, 5.0, 3.1, 4.9]))
    assert np.log(found / (1 - found)) == pytest.approx((3.1 + 4.9) / 2)


def test_a_shift_of_all_scores_moves_the_threshold_along() -> None:
    scores = np.random.default_rng(0).normal(size=40) * 2
    calls = [
        (proba := answers(list(scores + shift)))[:, 1] >= part_in_two(proba) for shift in (0, 3, -3)
    ]
    assert (calls[0] == calls[1]).all()
    assert (calls[0] == calls[2]).all()
    assert 0 < calls[0].sum() < 40


def test_groups_may_differ_in_size() -> None:
    proba = answers([-4.0, -2.0, -2.1, -1.9, -2.2, -1.8, -2.0, 3.0])
    assert (proba[:, 1] >= part_in_two(proba)).sum() == 1


def test_one_far_sample_is_no_group() -> None:
    """Parting off the last one leaves a variance within of 20 x 4, the middle one of about 25."""
    proba = answers([-2.0] * 10 + [2.0] * 10 + [7.0])
    assert (proba[:, 1] >= part_in_two(proba)).sum() == 11


def test_moved_probabilities_are_parted_at_one_half_and_keep_their_order() -> None:
    proba = answers([3.0, 5.1, 2.9, 5.0, 3.1, 4.9])
    moved = move_to_two_groups(proba)
    assert (moved[:, 1] >= 0.5).tolist() == [False, True, False, True, False, True]
    assert np.allclose(np.log(moved[:, 1] / moved[:, 0]) - [3.0, 5.1, 2.9, 5.0, 3.1, 4.9], -4)
    assert np.allclose(moved.sum(axis=1), 1)


@pytest.mark.parametrize("shape", [(5, 3), (1, 2), (4,)])
def test_anything_but_two_classes_of_some_samples_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="Expected probabilities of"):
        part_in_two(np.full(shape, 0.5))

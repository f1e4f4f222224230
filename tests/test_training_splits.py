"""Splits: patients stay together, classes stay balanced, impossible ones are refused."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from core.errors import InputError
from core.training.splits import SplitSpec, make_folds

SPECS = [
    *(SplitSpec(test_size=share) for share in (0.4, 0.3, 0.2, 0.1)),
    SplitSpec(kind="kfold", folds=3),
    SplitSpec(kind="kfold", folds=5),
    SplitSpec(kind="repeated_holdout", repeats=3),
    SplitSpec(kind="repeated_kfold", folds=3, repeats=2),
]


def cohort(sizes: list[int], per_patient: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Labels and patients of classes with `sizes` patients of `per_patient` samples each."""
    labels = np.repeat([f"class{k}" for k in range(len(sizes))], np.array(sizes) * per_patient)
    patients = np.repeat([f"P{i}" for i in range(sum(sizes))], per_patient)
    return labels, patients


@pytest.mark.parametrize("spec", SPECS, ids=SplitSpec.title)
def test_parts_cover_all_samples_once(spec: SplitSpec) -> None:
    assert spec.record.help.endswith((".", "?"))
    labels, patients = cohort([30, 20, 11], per_patient=2)
    folds = make_folds(labels, patients, spec, seed=0)
    for fold in folds:
        parts = np.concatenate([fold.train, fold.validation, fold.test])
        assert sorted(parts) == list(range(len(labels)))
    if spec.kind == "kfold":
        tested = np.concatenate([fold.test for fold in folds])
        assert sorted(tested) == list(range(len(labels)))


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(5, 25), min_size=2, max_size=4),
    per_patient=st.integers(1, 3),
    seed=st.integers(0, 1000),
    spec=st.sampled_from(SPECS),
)
def test_no_patient_on_two_sides(
    sizes: list[int], per_patient: int, seed: int, spec: SplitSpec
) -> None:
    labels, patients = cohort(sizes, per_patient)
    for fold in make_folds(labels, patients, spec, seed):
        sides = [set(patients[part]) for part in (fold.train, fold.validation, fold.test)]
        assert not sides[0] & sides[1]
        assert not sides[0] & sides[2]
        assert not sides[1] & sides[2]
        assert set(labels[fold.train]) == set(labels[fold.test]) == set(labels)


def test_patients_with_samples_of_two_classes_stay_together() -> None:
    labels = np.tile(["tumour", "normal"], 20)
    patients = np.repeat([f"P{i}" for i in range(20)], 2)
    fold = make_folds(labels, patients, SplitSpec(test_size=0.3), seed=3)[0]
    assert not set(patients[fold.test]) & set(patients[fold.fitting])
    assert len(fold.test) == 12


@pytest.mark.parametrize("share", [0.4, 0.3, 0.2, 0.1])
def test_holdout_takes_the_asked_share_of_every_class(share: float) -> None:
    labels, _ = cohort([100, 50, 20])
    fold = make_folds(labels, None, SplitSpec(test_size=share), seed=0)[0]
    for name, size in (("class0", 100), ("class1", 50), ("class2", 20)):
        assert (labels[fold.test] == name).sum() == round(share * size)


def test_the_seed_decides_the_split() -> None:
    labels, _ = cohort([30, 30])
    first, again, other = (
        make_folds(labels, None, SplitSpec(), seed)[0].test for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_one_class_is_refused() -> None:
    with pytest.raises(InputError, match="at least two classes, found only 'class0'"):
        make_folds(cohort([10])[0], None, SplitSpec(), 0)


def test_a_class_too_small_for_the_split_is_named() -> None:
    labels, patients = cohort([10, 2], per_patient=3)
    with pytest.raises(InputError, match="at least 3 patients in each class, but class1 has 2"):
        make_folds(labels, patients, SplitSpec(), 0)
    with pytest.raises(InputError, match="at least 5 samples in each class, but class1 has 4"):
        make_folds(cohort([10, 4])[0], None, SplitSpec(kind="kfold", folds=5), 0)


def test_an_unknown_split_lists_the_known_ones() -> None:
    with pytest.raises(ValidationError, match=r"Unknown split 'halves'\. Known: holdout, kfold"):
        SplitSpec(kind="halves")


def test_repeats_are_drawn_anew_and_the_same_each_time() -> None:
    labels, patients = cohort([30, 20], per_patient=2)
    spec = SplitSpec(kind="repeated_holdout", repeats=4)
    tests = [tuple(fold.test) for fold in make_folds(labels, patients, spec, seed=0)]
    assert len(set(tests)) == 4
    assert tests == [tuple(fold.test) for fold in make_folds(labels, patients, spec, seed=0)]


def test_a_learning_curve_has_one_test_part_and_nested_training_parts() -> None:
    labels, patients = cohort([64, 32], per_patient=2)
    spec = SplitSpec(kind="learning_curve", sizes=3, test_size=0.25)
    folds = make_folds(labels, patients, spec, seed=0)
    assert [len(fold.fitting) for fold in folds] == [36, 72, 144]
    for smaller, larger in itertools.pairwise(folds):
        assert set(smaller.fitting) < set(larger.fitting)
        assert np.array_equal(smaller.test, larger.test)
    for fold in folds:
        assert not set(patients[fold.test]) & set(patients[fold.fitting])
        assert set(labels[fold.train]) == set(labels)
        assert not set(patients[fold.train]) & set(patients[fold.validation])


def test_a_learning_curve_that_is_too_long_says_what_is_possible() -> None:
    labels, patients = cohort([40, 8])
    with pytest.raises(InputError, match=r"fewer than 2 patients of class1.* At most 2 sizes"):
        make_folds(labels, patients, SplitSpec(kind="learning_curve", sizes=5, test_size=0.5), 0)


SITES = SplitSpec(kind="leave_one_batch_out", batch="site")


def test_each_batch_is_left_out_and_its_patients_train_nowhere() -> None:
    labels, patients = cohort([30, 30], per_patient=2)
    sites = np.repeat(np.tile(["A", "B", "C"], 20), 2)
    sites[1] = "B"  # the first patient was measured at two sites
    folds = make_folds(labels, patients, SITES, 0, sites)
    assert [set(sites[fold.test]) for fold in folds] == [{"A"}, {"B"}, {"C"}]
    for fold in folds:
        assert not set(patients[fold.test]) & set(patients[fold.fitting])
    assert len(folds[0].fitting) + len(folds[0].test) == len(labels) - 1
    assert len(folds[2].fitting) + len(folds[2].test) == len(labels)


def test_a_class_of_one_batch_can_not_be_tested_without_it() -> None:
    labels, patients = cohort([20, 20, 10])
    sites = np.where(labels == "class2", "C", np.tile(["A", "B"], 25))
    with pytest.raises(InputError, match=r"nothing to learn a class from: class2 \(only in C\)"):
        make_folds(labels, patients, SITES, 0, sites)


def test_too_many_batches_are_refused() -> None:
    labels, patients = cohort([40, 40])
    with pytest.raises(InputError, match="needs 2 to 30 batches, but site has 80 values"):
        make_folds(labels, patients, SITES, 0, patients)
    with pytest.raises(ValidationError, match="needs the column of the batch"):
        SplitSpec(kind="leave_one_batch_out")


def test_a_share_that_whole_patients_can_not_make_is_refused() -> None:
    labels = np.tile(["a", "b"], 30)
    patients = np.repeat(["P1", "P2", "P3"], 20)
    with pytest.raises(InputError, match=r"A test share of 5% can't be had: .* Ask for 33%"):
        make_folds(labels, patients, SplitSpec(test_size=0.05), 0)
    assert len(make_folds(labels, patients, SplitSpec(test_size=0.33), 0)[0].test) == 20

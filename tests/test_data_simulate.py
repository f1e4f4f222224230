"""The simulated cohort: deterministic, true to what it says, and neither easy nor hopeless."""

import numpy as np
import pandas as pd
import pytest

from core.data.prepare import PreparationSpec, Preprocessor
from core.data.simulate import TYPES, read_symbols, simulate
from core.data.store import content_hash
from core.errors import InputError
from core.models.baselines import fit_predict_proba
from core.training.splits import SplitSpec, make_folds


def test_the_same_seed_gives_the_same_data() -> None:
    (one, truth), (two, same_truth) = simulate(80, 300, seed=3), simulate(80, 300, seed=3)
    assert content_hash(one) == content_hash(two)
    pd.testing.assert_frame_equal(truth, same_truth)
    assert content_hash(simulate(80, 300, seed=4)[0]) != content_hash(one)


def test_what_is_in_it() -> None:
    data, truth = simulate()
    assert data.shape == (600, 1000)
    assert data.uns["scale"] == "counts"
    assert (data.X >= 0).all()
    assert (data.X.round() == data.X).all()
    assert data.obs_names.is_unique
    assert data.var_names.is_unique
    sizes = data.obs["tumour_type"].value_counts()
    assert list(sizes.index) == sorted(TYPES, key=TYPES.get, reverse=True)
    np.testing.assert_allclose(sizes / 600, pd.Series(TYPES)[sizes.index] / 2086, atol=0.005)
    patients = data.obs.groupby("patient")
    assert patients.size().max() == 2
    assert (patients["tumour_type"].nunique() == 1).all()
    assert 30 <= (patients.size() == 2).sum() <= 70
    assert data.obs["batch"].nunique() == 4
    assert set(truth["class"]) == set(TYPES)
    assert not truth["gene"].duplicated().any()
    assert {"GATA3", "CA9", "NAPSA", "TP63"} <= set(truth["gene"])
    assert ((truth["effect"] > 0) == (truth["direction"] == "up")).all()


def test_planted_genes_have_the_planted_fold_change_and_others_none() -> None:
    data, truth = simulate(2000, 500)
    log = np.log2(data.X / data.X.sum(axis=1, keepdims=True) * 1e6 + 1)
    log = pd.DataFrame(log, columns=data.var_names)
    for cls, planted in truth.groupby("class"):
        inside = (data.obs["tumour_type"] == cls).to_numpy()
        change = log[inside].mean() - log[~inside].mean()
        effect = planted.set_index("gene")["effect"]
        assert np.corrcoef(change[effect.index], effect)[0, 1] > 0.9
        assert change.drop(truth["gene"]).abs().max() < 0.5  # shares add up to one: all shift


def test_genes_of_a_module_rise_and_fall_together() -> None:
    data, truth = simulate()
    log = np.log2(data.X / data.X.sum(axis=1, keepdims=True) * 1e6 + 1)
    free = ~data.var_names.isin(truth["gene"])
    correlation = np.corrcoef(log[:, free].T)
    np.fill_diagonal(correlation, 0)
    assert np.median(correlation.max(axis=0)) > 0.4
    assert abs(np.median(correlation)) < 0.1


def test_a_plain_model_gets_93_to_97_percent_on_other_patients() -> None:
    accuracies = []
    for seed in range(5):
        data, _ = simulate(seed=seed)
        labels = data.obs["tumour_type"].to_numpy()
        fold = make_folds(labels, data.obs["patient"], SplitSpec(test_size=0.3), seed)[0]
        train, test = fold.fitting, fold.test
        prepared = Preprocessor.fit(
            data.X[train], data.var_names, "counts", PreparationSpec(genes=1000)
        )
        unit = prepared.transform(data.X, data.var_names)
        proba = fit_predict_proba(
            "logistic_regression", unit[train], np.unique(labels, return_inverse=True)[1][train],
            unit[test], len(TYPES), seed=0,
        )  # fmt: skip
        accuracies.append((np.unique(labels)[proba.argmax(axis=1)] == labels[test]).mean())
    assert 0.93 <= np.mean(accuracies) <= 0.97
    assert min(accuracies) > 0.9  # 180 test samples: one split is good to 1.6 points
    assert max(accuracies) < 0.995


def test_symbols_are_unique_and_named_after_no_clone() -> None:
    symbols = read_symbols()
    assert len(symbols) == len(set(symbols))
    assert not [name for name in symbols if "." in name or name.startswith("RP11-")]


@pytest.mark.parametrize(("samples", "genes"), [(49, 500), (100, 199), (100, 100_000)])
def test_wrong_sizes_are_refused(samples: int, genes: int) -> None:
    with pytest.raises(InputError, match="must be between"):
        simulate(samples, genes)

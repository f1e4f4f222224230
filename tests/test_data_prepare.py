"""Preparation: hand-worked values, and nothing learned from a test sample."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from core.data.prepare import PreparationSpec, Preprocessor
from core.data.simulate import simulate
from core.errors import InputError

GENES = ["a", "b", "c", "d", "e"]
X = np.array(
    [[0, 10, 1, 5, 7], [2, 10, 1, 5, 5], [4, 10, 4, np.nan, 6], [6, 10, 2, 9, 4]], dtype=np.float32
)


def fit(x: np.ndarray = X, scale: str = "log2", **spec: object) -> Preprocessor:
    return Preprocessor.fit(x, GENES, scale, PreparationSpec(**spec))


def test_the_most_variable_genes_are_kept_in_the_order_of_the_matrix() -> None:
    assert list(fit(genes=4).genes) == ["a", "c", "d", "e"]  # b is constant
    assert list(fit(X[:, [4, 2, 0, 1, 3]], genes=4).genes) == ["a", "b", "c", "e"]


def test_zscores_run_from_minus_4_to_4() -> None:
    prepared = fit()
    np.testing.assert_allclose(prepared.transform(X)[:, 0], 0.5 + (X[:, 0] - 3) / 5**0.5 / 8)
    far = X.copy()
    far[0, 0], far[1, 0] = 100, -100
    assert prepared.transform(far)[:2, 0].tolist() == pytest.approx([1, 0.5 - 3 / 5**0.5 / 8])


def test_minmax_runs_over_the_training_values() -> None:
    prepared = fit(scaling="minmax")
    np.testing.assert_allclose(prepared.transform(X)[:, 0], [0, 1 / 3, 2 / 3, 1], rtol=1e-6)
    assert prepared.transform(X + 100).max() == 1


def test_mean_and_sd_are_those_of_the_training_values() -> None:
    for scaling in ("zscore", "minmax"):
        prepared = fit(scaling=scaling)
        unit = prepared.transform(X)
        np.testing.assert_allclose(prepared.mean, unit.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(prepared.unit_sd, unit.std(axis=0), rtol=1e-6)


def test_missing_values_become_the_training_median_and_negative_ones_0() -> None:
    log = fit().log_expression(np.array([[-3, 1, np.nan, np.nan, 1]], dtype=np.float32))
    np.testing.assert_array_equal(log, [[0, 1.5, 5, 1]])


def test_counts_are_per_million_of_all_genes() -> None:
    counts = np.array([[10, 30, 60, 100, 0], [1, 1, 2, 4, 2]], dtype=np.float32)
    prepared = fit(counts, "counts", genes=4)
    expected = np.log2(counts / counts.sum(axis=1, keepdims=True) * 1e6 + 1)
    np.testing.assert_allclose(prepared.log_expression(counts), expected[:, prepared.index], 1e-5)
    np.testing.assert_allclose(
        prepared.log_expression(counts * 7), prepared.log_expression(counts), 1e-5
    )


def test_linear_values_become_log2() -> None:
    prepared = fit(2**X - 1, "linear")
    np.testing.assert_allclose(
        prepared.log_expression(2**X - 1), fit().log_expression(X), rtol=1e-5, atol=1e-6
    )


def test_a_sample_without_counts_stays_finite() -> None:
    counts = simulate(50, 200)[0].X
    prepared = Preprocessor.fit(
        counts, [f"g{n}" for n in range(200)], "counts", PreparationSpec(genes=50)
    )
    assert np.isfinite(prepared.transform(np.zeros((1, 200), dtype=np.float32))).all()


def test_a_gene_that_varies_by_rounding_only_is_constant() -> None:
    x = X.copy()
    x[:, 1] = [12, 12, 12, np.nextafter(np.float32(12), np.float32(13))]
    assert "b" not in fit(x, genes=5).genes


@pytest.mark.parametrize("scale", ["counts", "linear", "log2"])
@pytest.mark.parametrize("scaling", ["zscore", "minmax"])
def test_nothing_is_learned_from_test_samples(tmp_path: Path, scale: str, scaling: str) -> None:
    data = simulate(80, 200)[0]
    x = data.X if scale == "counts" else np.log2(data.X + 1)
    train, test = np.arange(0, 50), np.arange(50, 80)
    changed = x.copy()
    changed[test] = np.random.default_rng(1).permutation(changed[test].ravel()).reshape(30, -1) * 3
    changed[test[0], :40] = np.nan
    spec = PreparationSpec(genes=100, scaling=scaling)
    files = []
    for number, matrix in enumerate((x, changed)):
        prepared = Preprocessor.fit(matrix[train], data.var_names, scale, spec)
        prepared.save(tmp_path / f"{number}.npz")
        with np.load(tmp_path / f"{number}.npz", allow_pickle=False) as file:
            files.append({name: file[name].tobytes() for name in file.files})
    assert files[0] == files[1]
    together = prepared.transform(changed)
    alone = np.concatenate([prepared.transform(changed[[n]]) for n in range(80)])
    np.testing.assert_array_equal(together, alone)


def test_values_stay_between_0_and_1_as_float32() -> None:
    data = simulate(60, 200)[0]
    prepared = Preprocessor.fit(data.X[:40], data.var_names, "counts", PreparationSpec(genes=64))
    unit = prepared.transform(data.X)
    assert unit.dtype == np.float32
    assert unit.shape == (60, 64)
    assert unit.min() >= 0
    assert unit.max() <= 1


def test_saved_and_loaded_it_does_the_same(tmp_path: Path) -> None:
    prepared = fit(scaling="minmax")
    prepared.save(tmp_path / "p.npz")
    again = Preprocessor.load(tmp_path / "p.npz")
    assert (again.scale, again.scaling) == ("log2", "minmax")
    np.testing.assert_array_equal(again.genes, prepared.genes)
    np.testing.assert_array_equal(again.transform(X), prepared.transform(X))
    assert again.transform(X).dtype == np.float32


def test_wrong_input_is_refused() -> None:
    with pytest.raises(InputError, match=r"Expected 5 genes.*got 4"):
        fit().transform(X[:, :4])
    with pytest.raises(InputError, match="genes vary"):
        fit(np.ones((4, 5), dtype=np.float32))
    with pytest.raises(InputError, match="scale 'percent'"):
        fit(scale="percent")
    with pytest.raises(ValidationError):
        PreparationSpec(genes=3)
    with pytest.raises(ValidationError):
        PreparationSpec(colour="red")

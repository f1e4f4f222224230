"""Ways of bringing a cohort to training's, on tiny matrices with answers known by hand."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from core.data.join import join_datasets
from core.data.prepare import PreparationSpec, Preprocessor
from core.errors import InputError
from core.predict import together
from core.predict.together import TOGETHER, prepare_parts, prepare_rows

GENES = np.array(["A", "B", "C", "D"])
TRAINING = np.array([[2, 4, 6, 8], [4, 6, 8, 10], [3, 6, 6, 12]], dtype=np.float32)
"""log2 expression of three training samples."""


@dataclass
class Kept:
    """The fields of a reference that bringing cohorts together reads."""

    distribution: np.ndarray
    log_mean: np.ndarray
    log_sd: np.ndarray
    library_share: np.ndarray


def fit(x: np.ndarray = TRAINING, scale: str = "log2", told: str = "auto", **spec):
    """A fold with its preparation, from the lowest to the highest value of each gene."""
    spec = {"genes": 4, "scaling": "minmax", "scale": told, **spec}
    fitted = Preprocessor.fit(x, GENES[: x.shape[1]], scale, PreparationSpec(**spec))
    log = fitted.log_expression(x, GENES[: x.shape[1]])
    share = (x / x.sum(axis=1, keepdims=True)).mean(axis=0) if scale == "counts" else np.empty(0)
    kept = Kept(np.sort(log, axis=1).mean(axis=0), log.mean(axis=0), log.std(axis=0), share)
    return SimpleNamespace(preprocessor=fitted), kept


def cohort(x: np.ndarray, genes: np.ndarray = GENES, scale: str = "log2") -> AnnData:
    x = np.asarray(x, dtype=np.float32)
    return AnnData(x, var=pd.DataFrame(index=[*genes]), uns={"scale": scale})


def test_without_bringing_together_rows_are_those_of_training() -> None:
    fitted, kept = fit()
    order = [2, 0, 3, 1]
    rows = prepare_rows(fitted, kept, cohort(TRAINING[:, order], GENES[order]), "none")
    np.testing.assert_array_equal(rows, fitted.preprocessor.transform(TRAINING, GENES))
    np.testing.assert_allclose(rows[0], 0)


@pytest.mark.parametrize("name", ["none", "quantile", "gene_moments", "combat"])
def test_a_missing_gene_becomes_its_training_mean(name: str) -> None:
    fitted, kept = fit()
    data = cohort(np.tile(TRAINING[:, :3], (4, 1)), GENES[:3])
    rows = prepare_rows(fitted, kept, data, name)
    np.testing.assert_allclose(rows[:, 3], fitted.preprocessor.mean[3])
    assert (rows[:, :3] != fitted.preprocessor.mean[:3]).any()


def test_quantiles_replace_values_by_their_ranks() -> None:
    fitted, kept = fit()
    np.testing.assert_allclose(kept.distribution, [3, 16 / 3, 20 / 3, 10])
    low, high = TRAINING.min(axis=0), TRAINING.max(axis=0)
    target = np.array([10, 20 / 3, 16 / 3, 3])
    expected = np.clip((target - low) / (high - low), 0, 1)
    for x, scale in (([[8, 6, 4, 2]], "log2"), ([[900, 80, 7, 1]], "counts"), ([[9.5, 8, 7, 1]],
                     "linear")):  # fmt: skip
        rows = prepare_rows(fitted, kept, cohort(x, scale=scale), "quantile")
        np.testing.assert_allclose(rows[0], expected, rtol=1e-5)


def test_equal_values_get_the_mean_of_their_ranks() -> None:
    fitted, kept = fit()
    rows = prepare_rows(fitted, kept, cohort([[5, 5, 5, 9]]), "quantile")
    value = kept.distribution[:3].mean()
    low, high = TRAINING.min(axis=0), TRAINING.max(axis=0)
    np.testing.assert_allclose(rows[0, :3], np.clip((value - low) / (high - low), 0, 1)[:3], 1e-5)


def test_ranks_of_fewer_genes_lie_between() -> None:
    """Two of four genes: their ranks stand for a quarter and three quarters of the samples'."""
    distribution = np.array([0, 10, 20, 30])
    log = np.array([[1, np.nan, 7, np.nan], [9, 1, 3, 2]], np.float32)
    out = together._to_distribution(log, distribution)
    np.testing.assert_allclose(out, [[5, np.nan, 25, np.nan], [30, 0, 20, 10]])


def test_a_sample_is_the_same_alone_and_among_others() -> None:
    fitted, kept = fit()
    data = cohort([[1, 7, 3, 9], [2, 2, 8, 5], [6, 1, 0, 4]])
    for name in (record.name for record in TOGETHER if not record.learns_from_cohort):
        all_rows = prepare_rows(fitted, kept, data, name)
        np.testing.assert_array_equal(all_rows[1:2], prepare_rows(fitted, kept, data[1:2], name))


def test_moments_take_a_shift_and_a_stretch_of_each_gene_away() -> None:
    fitted, kept = fit()
    x = np.tile(TRAINING, (4, 1))
    moved = 3 * x + [1, -2, 0, 5]
    rows = prepare_rows(fitted, kept, cohort(moved), "gene_moments")
    expected = fitted.preprocessor.transform(x, GENES)
    np.testing.assert_allclose(rows, expected, atol=1e-5)


@pytest.mark.parametrize("name", TOGETHER.names)
def test_samples_that_are_asked_for_are_those_among_all(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is learned from the cohort is learned from all of it; parts never hold more than asked.

    So that a large cohort is called without a second matrix of its size.
    """
    fitted, kept = fit()
    data = cohort(np.random.default_rng(0).normal(6, 2, (30, 4)))
    whole, some = prepare_rows(fitted, kept, data, name), np.array([17, 3, 22, 4, 9])
    monkeypatch.setattr(together, "ROWS", 2)
    np.testing.assert_allclose(prepare_rows(fitted, kept, data, name, some), whole[some], atol=1e-6)
    parts = list(prepare_parts(fitted, kept, data, name))
    assert {len(rows) for _, rows in parts} == {2}
    np.testing.assert_allclose(np.concatenate([rows for _, rows in parts]), whole, atol=1e-6)


def test_moments_of_many_samples_are_gathered_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted, kept = fit()
    x = np.random.default_rng(0).normal(8, 2, (50, 4)).astype(np.float32)
    x[3, 1] = np.nan
    whole = prepare_rows(fitted, kept, cohort(x), "gene_moments")
    monkeypatch.setattr(together, "ROWS", 7)
    np.testing.assert_allclose(prepare_rows(fitted, kept, cohort(x), "gene_moments"), whole,
                               atol=1e-5)  # fmt: skip
    found = together._moments(fitted.preprocessor, cohort(x))
    np.testing.assert_array_equal(found.count, [50, 49, 50, 50])
    np.testing.assert_allclose(found.mean, np.nanmean(x, axis=0), rtol=1e-5)
    np.testing.assert_allclose(found.sd, np.nanstd(x, axis=0), rtol=1e-5)
    assert whole[3, 1] == fitted.preprocessor.mean[1]


def test_a_gene_that_does_not_vary_says_nothing() -> None:
    fitted, kept = fit()
    x = np.tile(TRAINING, (4, 1))
    x[:, 2] = 40
    rows = prepare_rows(fitted, kept, cohort(x), "gene_moments")
    at_mean = fitted.preprocessor.scale_log(kept.log_mean[None])
    np.testing.assert_allclose(rows[:, 2], at_mean[0, 2])


def levels(fitted, rows: np.ndarray) -> np.ndarray:
    """log2 expression that prepared rows stand for."""
    low, high = fitted.preprocessor.low, fitted.preprocessor.high
    return low + rows * (high - low)


def test_combat_gives_the_numbers_of_another_implementation() -> None:
    """neuroCombat 0.2.12 of these two batches with `ref_batch=0`, 6 decimals."""
    training = np.array([[2, 4, 6, 8], [4, 6, 8, 10], [3, 6, 6, 12], [3, 5, 7, 9]], np.float32)
    new = [[5, 9, 1, 8], [6, 7, 2, 9], [9, 6, 4, 13], [7, 7, 3, 8], [4, 8, 2, 10]]
    new += [[6, 8, 3, 11], [3, 9, 2, 9], [8, 8, 5, 10], [6, 5, 2, 12], [5, 7, 1, 9]]
    fitted, kept = fit(training, scaling="zscore")
    rows = prepare_rows(fitted, kept, cohort(new), "combat")
    expected = [
        [2.623649, 6.288068, 5.751827, 8.347309],
        [3.079481, 5.011740, 6.388316, 9.083549],
        [4.446975, 4.373575, 7.661294, 12.028512],
        [3.535312, 5.011740, 7.024805, 8.347309],
        [2.167818, 5.649904, 6.388316, 9.819790],
        [3.079481, 5.649904, 7.024805, 10.556031],
        [1.711987, 6.288068, 6.388316, 9.083549],
        [3.991143, 5.649904, 8.297783, 9.819790],
        [3.079481, 3.735411, 6.388316, 11.292271],
        [2.623649, 5.011740, 5.751827, 9.083549],
    ]
    np.testing.assert_allclose(levels(fitted, rows), expected, atol=2e-5)


def test_combat_of_many_samples_is_mean_and_sd_of_each_gene() -> None:
    """What is measured so well is hardly drawn towards what genes share."""
    fitted, kept = fit(scaling="zscore")
    moved = np.tile(TRAINING, (2000, 1)) * [3, 1, 0.5, 2] + [1, -2, 0, 5]
    own = prepare_rows(fitted, kept, cohort(moved), "gene_moments")
    np.testing.assert_allclose(prepare_rows(fitted, kept, cohort(moved), "combat"), own, atol=1e-3)


def test_combat_moves_all_genes_alike_where_they_differ_in_nothing() -> None:
    """Shifts of 2 SD and three times the SD: no gene has one of its own, and none is made up.

    The variance is that of a sample: 12 / 11 of what these samples have.
    """
    fitted, kept = fit(scaling="zscore")
    x = np.tile(TRAINING, (4, 1))
    moved = 3 * (x - kept.log_mean) + kept.log_mean + 2 * kept.log_sd
    rows = prepare_rows(fitted, kept, cohort(moved), "combat")
    expected = (x - kept.log_mean) * np.sqrt(11 / 12) + kept.log_mean
    np.testing.assert_allclose(levels(fitted, rows), expected, atol=1e-5)


def test_combat_draws_a_gene_that_stands_out_less_far_the_fewer_samples_there_are() -> None:
    fitted, kept = fit(scaling="zscore")
    for few, many in ((4, 20), (20, 2000)):
        left = []
        for times in (few, many):
            x = np.tile(TRAINING + np.array([0, 0, 0, 1.5]), (times, 1))
            rows = prepare_rows(fitted, kept, cohort(x), "combat")
            left.append(levels(fitted, rows)[:, 3].mean() - kept.log_mean[3])
        assert 0 < left[1] < left[0] < 1.5


def test_combat_leaves_a_gene_that_does_not_vary_as_it_is_and_learns_nothing_from_it() -> None:
    fitted, kept = fit(scaling="zscore")
    x = np.tile(TRAINING, (4, 1)) * [2, 1, 1, 3] + [2, -1, 0, 1]
    x[:, 2] = 6.5
    rows = prepare_rows(fitted, kept, cohort(x), "combat")
    np.testing.assert_allclose(levels(fitted, rows)[:, 2], 6.5, rtol=1e-6)
    others = [0, 1, 3]
    alone = prepare_rows(fitted, kept, cohort(x[:, others], GENES[others]), "combat")
    np.testing.assert_array_equal(rows[:, others], alone[:, others])


def test_combat_of_a_single_gene_is_its_own_mean_and_sd() -> None:
    fitted, kept = fit(scaling="zscore")
    x = 2 * np.tile(TRAINING[:, :1], (4, 1)) + 3
    rows = prepare_rows(fitted, kept, cohort(x, GENES[:1]), "combat")
    expected = (TRAINING[:, 0] - kept.log_mean[0]) * np.sqrt(11 / 12) + kept.log_mean[0]
    np.testing.assert_allclose(levels(fitted, rows)[:3, 0], expected, atol=1e-5)


def test_log_ratios_keep_their_lower_half_where_they_are_moved() -> None:
    """Values around 0 lie below the floor by half; a shift by gene brings all of them back."""
    fitted, kept = fit()
    x = np.tile(TRAINING, (4, 1))
    rows = prepare_rows(fitted, kept, cohort(x - x.mean(axis=0)), "gene_moments")
    np.testing.assert_allclose(rows, fitted.preprocessor.transform(x, GENES), atol=1e-5)


def test_counts_that_lack_genes_are_not_inflated() -> None:
    """Genes C and D are missing: A and B have a fifth of a training sample's reads."""
    counts = np.array([[10, 10, 40, 40], [12, 8, 30, 50], [8, 12, 35, 45]], np.float32)
    fitted, kept = fit(counts, "counts")
    np.testing.assert_allclose(kept.library_share, [0.1, 0.1, 0.35, 0.45])
    whole = prepare_rows(fitted, kept, cohort(counts, scale="counts"), "none")
    np.testing.assert_array_equal(whole, fitted.preprocessor.transform(counts, GENES))
    half = cohort(counts[:, :2], GENES[:2], scale="counts")
    np.testing.assert_allclose(prepare_rows(fitted, kept, half, "none")[:, :2], whole[:, :2], 1e-4)


@pytest.mark.parametrize("scale", ["counts", "linear"])
def test_logarithms_of_any_cohort_are_those_of_training_to_the_last_bit(scale: str) -> None:
    """One function makes them for the preparation, for other cohorts and for cohorts joined."""
    x = np.random.default_rng(0).gamma(1, 700, (12, 40)).astype(np.float32).round()
    genes = np.array([f"G{n}" for n in range(40)])
    fitted = Preprocessor.fit(x, genes, scale, PreparationSpec(genes=40, scaling="minmax"))
    data = cohort(x, genes, scale)
    [(_, log)] = together.log_parts(fitted, data)
    np.testing.assert_array_equal(log, fitted.log_expression(x, genes))
    data.obs_names = [f"S{n}" for n in range(12)]
    joint = join_datasets({"one": data, "two": cohort(np.zeros((1, 40)), genes)})
    np.testing.assert_array_equal(joint.X[:12], log)


def test_tmm_needs_no_such_share() -> None:
    rng = np.random.default_rng(0)
    genes = np.array([f"G{n}" for n in range(60)])
    counts = rng.poisson(rng.gamma(2, 100, 60), (8, 60)).astype(np.float32)
    spec = PreparationSpec(genes=60, library="tmm", scaling="minmax")
    fitted = SimpleNamespace(preprocessor=Preprocessor.fit(counts, genes, "counts", spec))
    kept = Kept(*np.zeros((3, 60)), (counts / counts.sum(axis=1, keepdims=True)).mean(axis=0))
    half = cohort(counts[:, :30], genes[:30], scale="counts")
    log = fitted.preprocessor.columns(counts[:, :30], genes[:30], absent="mean")
    whole = fitted.preprocessor.columns(counts, genes)
    np.testing.assert_allclose(log.per_million, whole.per_million, rtol=0.1)
    np.testing.assert_array_equal(
        prepare_rows(fitted, kept, half, "none"),
        fitted.preprocessor.transform(counts[:, :30], genes[:30], absent="mean"),
    )


def test_another_scale_is_refused_or_taken_as_logarithms() -> None:
    fitted, kept = fit()
    counts = cohort(2 ** np.tile(TRAINING, (4, 1)), scale="counts")
    with pytest.raises(
        InputError, match=r"learned from log2 values, and these are counts of reads"
    ):
        prepare_rows(fitted, kept, counts, "none")
    for name in (record.name for record in TOGETHER if record.any_scale):
        assert prepare_rows(fitted, kept, counts, name).shape == (12, 4)


def test_counts_and_linear_values_are_alike_where_the_run_was_told_which() -> None:
    counts = np.array([[10, 10, 40, 40], [12, 8, 30, 50], [8, 12, 35, 45]], np.float32)
    fitted, kept = fit(counts, "counts", told="counts")
    rows = prepare_rows(fitted, kept, cohort(counts + 0.25, scale="linear"), "none")
    np.testing.assert_allclose(rows, fitted.preprocessor.transform(counts + 0.25, GENES), atol=1e-6)
    with pytest.raises(InputError, match="learned from counts of reads"):
        prepare_rows(fitted, kept, cohort(TRAINING), "none")


@pytest.mark.parametrize("across", ["rank", "quantile"])
def test_a_preparation_within_samples_needs_nothing_more(across: str) -> None:
    fitted, kept = fit(across=across)
    rows = prepare_rows(fitted, kept, cohort(2 * TRAINING), "none")
    np.testing.assert_allclose(rows, fitted.preprocessor.transform(TRAINING, GENES), atol=1e-6)
    for name in ("quantile", "gene_moments", "combat"):
        with pytest.raises(InputError, match="brings cohorts together already"):
            prepare_rows(fitted, kept, cohort(np.tile(TRAINING, (4, 1))), name)


@pytest.mark.parametrize("name", ["gene_moments", "combat"])
def test_what_is_learned_from_few_samples_is_refused(name: str) -> None:
    fitted, kept = fit()
    with pytest.raises(InputError, match="needs at least 10 samples of it; there are 3"):
        prepare_rows(fitted, kept, cohort(TRAINING), name)


@pytest.mark.parametrize("name", ["none", "quantile"])
def test_genes_that_stand_twice_or_not_at_all_are_refused(name: str) -> None:
    fitted, kept = fit()
    with pytest.raises(InputError, match="stand there more than once"):
        prepare_rows(fitted, kept, cohort(TRAINING, np.array(["A", "B", "B", "D"])), name)
    with pytest.raises(InputError, match="None of the 4 genes"):
        prepare_rows(fitted, kept, cohort(TRAINING, np.array(["W", "X", "Y", "Z"])), name)


def test_a_sample_without_values_says_nothing() -> None:
    fitted, kept = fit()
    x = np.tile(TRAINING, (4, 1))
    x[2] = np.nan
    for name in ("quantile", "gene_moments", "combat"):
        rows = prepare_rows(fitted, kept, cohort(x), name)
        np.testing.assert_array_equal(rows[2], fitted.preprocessor.mean)

"""Preparation: hand-worked values, and nothing learned from a test sample."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from core.data import prepare
from core.data.prepare import PreparationSpec, Preprocessor, _tmm_factor, to_log2
from core.data.simulate import simulate
from core.errors import InputError

GENES = ["a", "b", "c", "d", "e"]
DATA = simulate(50, 200)[0]
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
    np.testing.assert_allclose(prepared.transform(X, GENES)[:, 0], 0.5 + (X[:, 0] - 3) / 5**0.5 / 8)
    far = X.copy()
    far[0, 0], far[1, 0] = 100, -100
    assert prepared.transform(far, GENES)[:2, 0].tolist() == pytest.approx(
        [1, 0.5 - 3 / 5**0.5 / 8]
    )


def test_minmax_runs_over_the_training_values() -> None:
    prepared = fit(scaling="minmax")
    np.testing.assert_allclose(prepared.transform(X, GENES)[:, 0], [0, 1 / 3, 2 / 3, 1], rtol=1e-6)
    assert prepared.transform(X + 100, GENES).max() == 1


def test_mean_and_sd_are_those_of_the_training_values() -> None:
    for scaling in ("zscore", "minmax"):
        prepared = fit(scaling=scaling)
        unit = prepared.transform(X, GENES)
        np.testing.assert_allclose(prepared.mean, unit.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(prepared.unit_sd, unit.std(axis=0), rtol=1e-6)


def test_missing_values_become_the_training_median_and_negative_ones_0() -> None:
    log = fit().log_expression(np.array([[-3, 1, np.nan, np.nan, 1]], dtype=np.float32), GENES)
    np.testing.assert_array_equal(log, [[0, 1.5, 5, 1]])


def test_counts_are_per_million_of_all_genes() -> None:
    counts = np.array([[10, 30, 60, 100, 0], [1, 1, 2, 4, 2]], dtype=np.float32)
    prepared = fit(counts, "counts", genes=4)
    expected = np.log2(counts / counts.sum(axis=1, keepdims=True) * 1e6 + 1)
    np.testing.assert_allclose(
        prepared.log_expression(counts, GENES), expected[:, prepared.index], 1e-5
    )
    np.testing.assert_allclose(
        prepared.log_expression(counts * 7, GENES), prepared.log_expression(counts, GENES), 1e-5
    )


def test_linear_values_become_log2() -> None:
    prepared = fit(2**X - 1, "linear")
    np.testing.assert_allclose(
        prepared.log_expression(2**X - 1, GENES),
        fit().log_expression(X, GENES),
        rtol=1e-5,
        atol=1e-6,
    )


def test_a_sample_without_counts_stays_finite() -> None:
    data = simulate(50, 200)[0]
    prepared = Preprocessor.fit(data.X, data.var_names, "counts", PreparationSpec(genes=50))
    nothing = np.zeros((1, 200), dtype=np.float32)
    assert np.isfinite(prepared.transform(nothing, data.var_names)).all()


def test_a_gene_that_varies_by_rounding_only_is_constant() -> None:
    x = X.copy()
    x[:, 1] = [12, 12, 12, np.nextafter(np.float32(12), np.float32(13))]
    assert "b" not in fit(x, genes=5).genes


def test_the_floor_is_the_same_for_all_samples() -> None:
    low = np.array([[-9, 1, 2, 3, 4], [-1, 1, 2, 3, 4]], dtype=np.float32)
    np.testing.assert_array_equal(fit(floor=-2).log_expression(low, GENES)[:, 0], [-2, -1])
    np.testing.assert_array_equal(fit().log_expression(low, GENES)[:, 0], [0, 0])


def test_missing_values_become_the_floor_or_their_genes_are_dropped() -> None:
    floored = fit(missing="floor", floor=0.5)
    assert floored.log_expression(X, GENES)[2, list(floored.genes).index("d")] == 0.5
    assert "d" not in fit(missing="drop").genes
    test = X.copy()
    test[0, 0] = np.nan  # a hole in a test sample is filled all the same
    assert fit(missing="drop").log_expression(test, GENES)[0, 0] == 3


def test_a_robust_scale_isnt_moved_by_one_outlier() -> None:
    x = np.stack([[1, 2, 3, 4, 1000], [5, 6, 7, 8, 9]], axis=1).astype(np.float32)
    prepared = Preprocessor.fit(x, ["a", "b"], "log2", PreparationSpec(scaling="robust"))
    unit = prepared.transform(x, ["a", "b"])
    np.testing.assert_allclose(unit[:4, 0], 0.5 + np.array([-2, -1, 0, 1]) / 1.4826 / 8, rtol=1e-5)
    assert unit[4, 0] == 1


def test_a_rank_scale_is_the_share_of_training_values_below() -> None:
    x = np.stack([np.arange(101), np.arange(101) ** 2 / 100], axis=1).astype(np.float32)
    prepared = Preprocessor.fit(x, ["a", "b"], "log2", PreparationSpec(scaling="rank"))
    new = np.array([[0, 0], [50, 25], [100, 100], [900, 900]], np.float32)
    unit = prepared.transform(new, ["a", "b"])
    np.testing.assert_allclose(unit, [[0, 0], [0.5, 0.5], [1, 1], [1, 1]], atol=1e-6)


def test_quantiles_give_every_sample_the_mean_training_profile() -> None:
    # Bolstad et al. 2003: sort each sample, average, put back. (1,3,2) and (4,8,6) -> 2.5, 4, 5.5
    x = np.array([[1, 3, 2], [4, 8, 6]], dtype=np.float32)
    spec = PreparationSpec(across="quantile", scaling="minmax")
    with pytest.raises(InputError, match="0 genes"):  # afterwards these two samples are the same
        Preprocessor.fit(x, ["a", "b", "c"], "log2", spec)
    x = np.array([[1, 3, 2], [8, 4, 6]], dtype=np.float32)
    prepared = Preprocessor.fit(x, ["a", "b", "c"], "log2", spec)
    np.testing.assert_array_equal(prepared.distribution, [2.5, 4, 5.5])
    assert list(prepared.genes) == ["a", "b"]  # c is 4 in both
    np.testing.assert_array_equal(prepared.transform(x, ["a", "b", "c"]), [[0, 1], [1, 0]])


def test_ranks_ignore_any_rising_change_of_a_sample() -> None:
    data = simulate(60, 200)[0]
    spec = PreparationSpec(across="rank", genes=50)
    prepared = Preprocessor.fit(data.X, data.var_names, "counts", spec)
    again, first = (prepared.transform(data.X * by, data.var_names) for by in (3, 1))
    np.testing.assert_allclose(again, first, atol=1e-6)


def test_tmm_isnt_fooled_by_a_few_very_active_genes() -> None:
    rng = np.random.default_rng(0)
    base = rng.integers(50, 500, 200).astype(np.float32)
    active = base.copy()
    active[:10] *= 100  # the other 190 genes are the same, but a smaller share of all reads
    x = np.stack([base, base * 2, active])
    genes = [f"g{n}" for n in range(200)]
    for library, same in (("cpm", False), ("tmm", True)):
        spec = PreparationSpec(library=library, genes=200)
        prepared = Preprocessor.fit(x, genes, "counts", spec)
        log = prepared.columns(x, genes).take(np.arange(10, 200))
        assert np.allclose(log[0], log[1], atol=1e-3)  # twice the reads change nothing
        assert np.allclose(log[0], log[2], atol=0.02) == same
    assert 2**prepared.log_library == pytest.approx(
        np.prod([_tmm_factor(row, prepared.reference) for row in x]) ** (1 / 3)
    )


def test_only_listed_genes_are_painted() -> None:
    assert list(fit(gene_list=("e", "a", "unknown")).genes) == ["a", "e"]
    with pytest.raises(InputError, match="of the list's 2"):
        fit(gene_list=("b", "a"))


def test_left_out_genes_are_never_painted() -> None:
    assert list(fit(without=("a", "e")).genes) == ["c", "d"]
    assert "without 1 named genes" in PreparationSpec(without=("a",)).describe("log2")


def test_dispersion_compares_genes_of_similar_mean() -> None:
    rng = np.random.default_rng(0)
    mean = np.repeat([2.0, 12.0], 20)
    sd = np.repeat([0.2, 2.0], 20)
    sd[3] = 0.8  # much for its mean, yet less than any gene of the other half
    x = (mean + sd * rng.normal(size=(400, 40))).astype(np.float32)
    genes = [f"g{n:02d}" for n in range(40)]

    def chosen(by: str) -> list[str]:
        spec = PreparationSpec(choose=by, genes=4)
        return Preprocessor.fit(x, genes, "log2", spec).genes.tolist()

    assert "g03" not in chosen("variance")
    assert "g03" in chosen("dispersion")


def test_the_scale_can_be_corrected() -> None:
    corrected = Preprocessor.fit(X, GENES, "counts", PreparationSpec(scale="log2"))
    np.testing.assert_array_equal(corrected.transform(X, GENES), fit(X, "log2").transform(X, GENES))


def test_the_steps_are_told_in_their_order() -> None:
    spec = PreparationSpec(library="tmm", across="rank", gene_list=("a",), scaling="robust")
    told = spec.describe("counts")
    assert told[0] == "log2 of TMM-scaled counts per million + 1"
    assert [step.split()[0] for step in told] == [
        "log2", "values", "missing", "values", "of", "the", "each",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "choices",
    [
        {"scaling": "minmax"},
        {"scaling": "robust", "missing": "floor"},
        {"scaling": "rank", "choose": "dispersion"},
        {"library": "tmm", "missing": "drop"},
        {"across": "quantile"},
        {"across": "rank", "floor": -1.0},
    ],
    ids=str,
)
@pytest.mark.parametrize("scale", ["counts", "linear", "log2"])
def test_nothing_is_learned_from_test_samples(tmp_path: Path, scale: str, choices: dict) -> None:
    data = simulate(80, 200)[0]
    x = data.X if scale == "counts" else np.log2(data.X + 1)
    train, test = np.arange(0, 50), np.arange(50, 80)
    changed = x.copy()
    changed[test] = np.random.default_rng(1).permutation(changed[test].ravel()).reshape(30, -1) * 3
    changed[test[0], :40] = np.nan
    spec = PreparationSpec(genes=100, **choices)
    files = []
    for number, matrix in enumerate((x, changed)):
        prepared = Preprocessor.fit(matrix[train], data.var_names, scale, spec)
        prepared.save(tmp_path / f"{number}.npz")
        with np.load(tmp_path / f"{number}.npz", allow_pickle=False) as file:
            files.append({name: file[name].tobytes() for name in file.files})
    assert files[0] == files[1]
    together = prepared.transform(changed, data.var_names)
    alone = np.concatenate([prepared.transform(changed[[n]], data.var_names) for n in range(80)])
    np.testing.assert_array_equal(together, alone)
    assert together.dtype == np.float32
    assert 0 <= together.min() <= together.max() <= 1


@pytest.mark.parametrize("choices", [{}, {"across": "quantile"}, {"scaling": "rank"}], ids=str)
def test_a_large_matrix_is_prepared_like_a_small_one(
    choices: dict, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = simulate(60, 200)[0]
    data.X[3, :20] = np.nan
    files, units = [], []
    for most in (prepare.VALUES_AT_A_TIME, 1000):
        monkeypatch.setattr(prepare, "VALUES_AT_A_TIME", most)
        spec = PreparationSpec(genes=70, **choices)
        prepared = Preprocessor.fit(data.X, data.var_names, "counts", spec)
        prepared.save(tmp_path / "preprocessor.npz")
        with np.load(tmp_path / "preprocessor.npz", allow_pickle=False) as file:
            files.append({name: file[name].tobytes() for name in file.files})
        units.append(prepared.transform(data.X, data.var_names))
    assert files[0] == files[1]
    np.testing.assert_array_equal(*units)


def test_values_stay_between_0_and_1_as_float32() -> None:
    data = simulate(60, 200)[0]
    prepared = Preprocessor.fit(data.X[:40], data.var_names, "counts", PreparationSpec(genes=64))
    unit = prepared.transform(data.X, data.var_names)
    assert unit.dtype == np.float32
    assert unit.shape == (60, 64)
    assert unit.min() >= 0
    assert unit.max() <= 1


def test_saved_and_loaded_it_does_the_same(tmp_path: Path) -> None:
    prepared = fit(scaling="minmax", across="quantile", gene_list=("a", "d", "e"))
    prepared.save(tmp_path / "p.npz")
    again = Preprocessor.load(tmp_path / "p.npz")
    assert (again.scale, again.spec.scaling) == ("log2", "minmax")
    np.testing.assert_array_equal(again.genes, prepared.genes)
    np.testing.assert_array_equal(again.transform(X, GENES), prepared.transform(X, GENES))
    assert again.transform(X, GENES).dtype == np.float32


def test_wrong_input_is_refused() -> None:
    with pytest.raises(InputError, match=r"a column for each of 5 genes.*\(4, 4\)"):
        fit().transform(X[:, :4], GENES)
    with pytest.raises(InputError, match="genes vary"):
        fit(np.ones((4, 5), dtype=np.float32))
    with pytest.raises(InputError, match="scale 'percent'"):
        fit(scale="percent")
    with pytest.raises(ValidationError):
        PreparationSpec(genes=3)
    with pytest.raises(ValidationError):
        PreparationSpec(colour="red")


PREPARATIONS = {
    f"{scale} {choices}": Preprocessor.fit(
        DATA.X[:30], DATA.var_names, scale, PreparationSpec(genes=40, **choices)
    )
    for scale in ("counts", "log2")
    for choices in ({}, {"library": "tmm"}, {"across": "quantile"}, {"scaling": "rank"})
}


@pytest.mark.parametrize("prepared", PREPARATIONS.values(), ids=list(PREPARATIONS))
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_genes_are_found_by_their_ids(prepared: Preprocessor, data: st.DataObject) -> None:
    """In any order, beside others: bit for bit the same. Without one that is needed: refused."""
    names = DATA.var_names.to_numpy()
    expected = prepared.transform(DATA.X[30:], names)
    more = data.draw(st.integers(0, 5))
    order = np.array(data.draw(st.permutations(range(len(names) + more))))
    genes = np.array([*names, *(f"NEW{n}" for n in range(more))])[order]
    others = np.full((len(DATA) - 30, more), 1e6, np.float32)
    x = np.hstack([DATA.X[30:], others])[:, order]
    np.testing.assert_array_equal(prepared.transform(x, genes), expected)
    log = prepared.log_expression(DATA.X[30:], names)
    np.testing.assert_array_equal(prepared.log_expression(x, genes), log)

    gone = data.draw(st.sets(st.sampled_from(names.tolist()), min_size=1, max_size=60))
    left = ~np.isin(genes, list(gone))
    missing = [gene for gene in prepared.needed if gene in gone]
    if not missing:
        np.testing.assert_array_equal(prepared.transform(x[:, left], genes[left]), expected)
        return
    with pytest.raises(InputError, match=f"^{len(missing)} genes .{missing[0]}.* are missing"):
        prepared.transform(x[:, left], genes[left])
    filled = prepared.transform(x[:, left], genes[left], absent="mean")
    at = np.isin(prepared.genes, missing)
    np.testing.assert_array_equal(filled[:, at], np.tile(prepared.mean[at], (len(x), 1)))
    if len(prepared.needed) == len(prepared.genes):  # what is there follows from itself alone
        np.testing.assert_array_equal(filled[:, ~at], expected[:, ~at])


def test_a_gene_that_stands_there_twice_is_refused() -> None:
    twice = np.hstack([X, X[:, :1]])
    with pytest.raises(InputError, match=r"1 genes \(a\) stand there more than once"):
        fit().transform(twice, [*GENES, "a"])
    np.testing.assert_array_equal(
        fit().transform(np.hstack([twice, X[:, :1]])[:, 1:], [*GENES[1:], "new", "a"]),
        fit().transform(X, GENES),
    )


def test_other_ids_than_those_of_training_are_named() -> None:
    with pytest.raises(InputError, match="expected ids such as a, got ids such as ENSG1"):
        fit().transform(X[:, :2], ["ENSG1", "ENSG2"], absent="mean")


@pytest.mark.parametrize("across", ["rank", "quantile"])
def test_ranks_among_fewer_genes_stand_for_those_among_all(across: str) -> None:
    """Another platform whose values are higher, without half of the genes: ranks stay where a
    sample's ranks were, and are not pushed down by training's own medians of the others.
    """
    rng = np.random.default_rng(0)
    genes = np.array([f"g{n}" for n in range(400)])
    x = rng.normal(rng.uniform(4, 12, 400), 1, (20, 400)).astype(np.float32)
    spec = PreparationSpec(genes=400, across=across, scaling="minmax")
    prepared = Preprocessor.fit(x, genes, "log2", spec)
    half = rng.permutation(400)[:200]
    whole = prepared.transform(x, genes)[:, half]
    filled = prepared.transform(3 * x[:, half] + 20, genes[half], absent="mean")[:, half]
    assert np.abs(filled - whole).mean() < 0.2
    assert abs((filled - whole).mean()) < 0.05
    lowest, highest = x[:, half].argmin(axis=1), x[:, half].argmax(axis=1)
    assert (filled[range(20), highest] > 0.3).all()
    assert (filled[range(20), lowest] < 0.7).all()


def test_log2_values_of_other_origin_are_scaled_as_training_was() -> None:
    prepared = fit()
    log = prepared.log_expression(X, GENES)
    np.testing.assert_array_equal(prepared.scale_log(log), prepared.transform(X, GENES))
    log[0, 0] = np.nan
    log[1, 1] = -50
    unit = prepared.scale_log(log)
    assert unit[0, 0] == prepared.mean[0]
    low = log.copy()
    low[1, 1] = prepared.spec.floor
    assert unit[1, 1] == prepared.scale_log(low)[1, 1]
    with pytest.raises(InputError, match="across: rank"):
        Preprocessor.fit(X, GENES, "log2", PreparationSpec(across="rank")).scale_log(log)


def test_a_library_that_lacks_genes_is_taken_for_its_share() -> None:
    counts = np.array([[10, 30, 60], [20, 20, 60], [5, 35, 60], [30, 10, 60]], np.float32)
    spec = PreparationSpec(genes=4, scaling="minmax")
    prepared = Preprocessor.fit(counts, ["a", "b", "c"], "counts", spec)
    at = {"absent": "mean", "library_share": 0.4}
    np.testing.assert_allclose(
        prepared.transform(counts[:, :2], ["a", "b"], **at)[:, :2],
        prepared.transform(counts, ["a", "b", "c"])[:, :2],
        rtol=1e-5,
    )


@pytest.mark.parametrize("scale", ["counts", "linear"])
def test_values_below_0_count_as_0_where_there_can_be_none(scale: str) -> None:
    x = np.array([[-5.0, 0.0, 3.0, np.nan]], np.float32)
    np.testing.assert_array_equal(to_log2(x, scale), [[0, 0, 2, np.nan]])
    assert to_log2(x, "log2") is x

"""Measures of a layout: by hand on tiny canvases, and against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.manifold import trustworthiness

from core.errors import InputError
from core.images import quality
from core.images.layout import GeneLayout
from core.images.quality import measure_layout, morans_i


def place(row: list[int], col: list[int], side: int) -> GeneLayout:
    names = np.array([f"G{number:03d}" for number in range(len(row))])
    return GeneLayout("test", names, np.array(row), np.array(col), (side, side))


def turning(genes: int) -> np.ndarray:
    """Four samples in which gene i is turned by i * 10 degrees: 1 - r grows with |i - j|."""
    angle = np.deg2rad(10 * np.arange(genes))
    return np.stack([np.cos(angle), -np.cos(angle), np.sin(angle), -np.sin(angle)])


def test_genes_in_their_order_are_a_perfect_line() -> None:
    found = measure_layout(place([0] * 9, list(range(9)), 9), turning(9))
    assert (found.genes, found.shared, found.probes, found.neighbours) == (9, 0, 9, 4)
    assert found.rank_correlation == pytest.approx(1)
    assert found.rank_error == pytest.approx(0, abs=1e-6)
    assert found.moran is None
    assert found.displacement is None


def test_a_swap_is_seen() -> None:
    swapped = measure_layout(place([0] * 5, [4, 1, 2, 3, 0], 5), turning(5))
    straight = measure_layout(place([0] * 5, [0, 1, 2, 3, 4], 5), turning(5))
    assert straight.trustworthiness > swapped.trustworthiness
    assert straight.recall > swapped.recall


def test_recall_and_trustworthiness_by_hand() -> None:
    # Genes 0 and 1 are alike, gene 2 correlates with neither. Pixels: 0 beside 2, 1 far off.
    x = np.array([[1, 0.8, 0], [-1, -1, 0], [0, 0.1, 1], [0, 0.1, -1]])
    found = measure_layout(place([0, 0, 0], [0, 9, 1], 10), x)
    # k = 1. Nearest on the canvas: 2 to 0 and to 1, though second in similarity; 0 to 2, where
    # both others are equally similar and so share rank 1. So one of three is found.
    assert found.neighbours == 1
    assert found.recall == pytest.approx(1 / 3)
    assert found.trustworthiness == pytest.approx(1 - 2 / (3 * (2 * 3 - 3 - 1)) * 2)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), genes=st.integers(20, 60))
def test_trustworthiness_is_scikit_learns(seed: int, genes: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(12, genes)).astype(np.float32)
    row, col = rng.integers(100_000, size=(2, genes))  # so far apart that no distances are equal
    found = measure_layout(place(row.tolist(), col.tolist(), 100_000), x)
    standard = (x - x.mean(axis=0)) / x.std(axis=0)
    expected = trustworthiness(standard.T, np.c_[row, col], n_neighbors=8)
    assert found.trustworthiness == pytest.approx(expected, abs=1e-3)


def test_a_subset_is_probed_above_a_number_and_blocks_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 400)) + rng.normal(size=(30, 40)).repeat(10, axis=1)
    layout = place((np.arange(400) // 20).tolist(), (np.arange(400) % 20).tolist(), 20)
    whole = measure_layout(layout, x)
    monkeypatch.setattr(quality, "CHUNK", 3000)
    assert measure_layout(layout, x) == whole
    monkeypatch.setattr(quality, "PROBES", 200)
    part = measure_layout(layout, x)
    assert part.probes == 200
    assert part == measure_layout(layout, x)
    assert part.trustworthiness == pytest.approx(whole.trustworthiness, abs=0.03)
    assert part.rank_error == pytest.approx(whole.rank_error, abs=0.05)


def test_measures_do_not_hang_on_the_order_of_columns() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(9, 40)).astype(np.float32)
    layout = place((np.arange(40) // 7).tolist(), (np.arange(40) % 7).tolist(), 7)
    order = rng.permutation(40)
    assert measure_layout(layout.reindex(layout.genes[order]), x[:, order]) == measure_layout(
        layout, x
    )


def test_morans_i_by_hand() -> None:
    halves = np.repeat([[1.0, 1.0, -1.0, -1.0]], 4, axis=0)
    assert morans_i(halves) == pytest.approx((20 - 4) / 24)  # 4 of 24 pairs cross the middle
    assert morans_i(np.indices((4, 4)).sum(axis=0) % 2) == pytest.approx(-1)
    assert morans_i(np.array([[1, np.nan], [np.nan, 2]])) == 0
    assert morans_i(np.array([[1.0, 1.0, np.nan, 3.0, 3.0]])) == 1
    assert morans_i(np.full((3, 3), 0.1)) == 0


def test_markers_that_stand_together_make_patches() -> None:
    labels = np.repeat(["A", "B"], 20)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 64))
    x[:20, :16] += 5
    rows, columns = np.divmod(np.arange(64), 8)
    together = measure_layout(place(rows.tolist(), columns.tolist(), 8), x, labels)
    order = rng.permutation(64)
    scattered = measure_layout(place(rows[order].tolist(), columns[order].tolist(), 8), x, labels)
    assert together.moran > 0.7
    assert abs(scattered.moran) < 0.2


def test_a_turned_or_mirrored_layout_has_not_moved() -> None:
    rows, columns = np.divmod(np.arange(16), 4)
    layout = place(rows.tolist(), columns.tolist(), 4)
    x = np.random.default_rng(0).normal(size=(6, 16))
    turned = place(columns.tolist(), (3 - rows).tolist(), 4)
    assert measure_layout(layout, x, refit=lambda _: turned).displacement == pytest.approx(0)
    drawn = []

    def scatter(sample: np.ndarray) -> GeneLayout:
        drawn.append(sample)
        order = np.random.default_rng(len(drawn)).permutation(16)
        return place(rows[order].tolist(), columns[order].tolist(), 4)

    assert measure_layout(layout, x, refit=scatter).displacement > 0.2
    assert all(sample.shape == x.shape for sample in drawn)
    assert not np.array_equal(drawn[0], drawn[1])


def test_constant_genes_and_shared_pixels_are_measured() -> None:
    x = turning(6)
    x[:, 2] = 0.7
    found = measure_layout(place([0] * 6, [0] * 6, 3), x)
    assert found.shared == 6
    assert np.isnan(found.rank_correlation)
    assert 0 <= found.recall <= 1


def test_shapes_that_do_not_match_are_refused() -> None:
    layout = place([0, 0, 0], [0, 1, 2], 3)
    with pytest.raises(InputError, match=r"layout's 3 genes, got a matrix of shape \(4, 5\)"):
        measure_layout(layout, np.zeros((4, 5)))
    with pytest.raises(InputError, match="a class for each of 4 samples, got 2"):
        measure_layout(layout, np.zeros((4, 3)), ["A", "B"])


def test_neighbours_of_one_group_are_counted_against_chance() -> None:
    layout = place([0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 2], 3)
    groups = np.array(["a", "a", "b", "a", "", "b"])
    # Touching pairs with groups: G0-G1 (same), G1-G2, G0-G3 (same), G2-G5 (same).
    share, chance = quality.compare_with_neighbours(layout, groups)
    assert share == pytest.approx(3 / 4)
    assert chance == pytest.approx((3 * 2 + 2 * 1) / (5 * 4))


def test_groups_that_touch_nowhere_give_nothing_to_count() -> None:
    layout = place([0, 2], [0, 2], 3)
    assert np.isnan(quality.compare_with_neighbours(layout, np.array(["a", "a"]))).all()


def test_every_measure_in_words_is_one_that_is_measured() -> None:
    found = measure_layout(place([0] * 9, list(range(9)), 9), turning(9))
    assert all(hasattr(found, measure.name) for measure in quality.MEASURES)

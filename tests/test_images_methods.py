"""The parts that layouts are made of: bisection, assignment, curves, trees, rank distances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import linkage
from sklearn.decomposition import KernelPCA
from threadpoolctl import threadpool_limits

from core.images import describe, embedding, grid
from core.images.describe import describe_genes, standardise
from core.images.embedding import embed_by_kernel_components, embed_by_tsne, embed_by_umap
from core.images.grid import (
    assign,
    bisect,
    draw_pairs,
    drop_on_pixels,
    refine,
    turn_to_rectangle,
)
from core.images.igtd import place_by_rank_distance
from core.images.layout import GeneLayout
from core.images.places import Genes, place_at_random
from core.images.quality import measure_layout
from core.images.tree import hilbert_curve, order_leaves
from tests.test_images_layouts import profiles

GRID = np.array([(row, col) for row in range(4) for col in range(4)], dtype=float)


def test_bisection_of_a_grid_is_the_grid() -> None:
    assert np.array_equal(np.c_[bisect(GRID, 4)], GRID)


def test_exact_assignment_of_a_grid_is_the_grid_however_it_is_stretched() -> None:
    assert np.array_equal(np.c_[assign(GRID * [3, 0.1] + 7, GRID, 4, 0)], GRID)


def test_many_genes_are_assigned_by_bisection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "EXACT", 10)
    vectors = describe_genes(profiles(40, 60)[0])
    expected = refine(vectors, *bisect(vectors[:, :2], 8), 8, 1)
    assert np.array_equal(assign(vectors[:, :2], vectors, 8, 1), expected)


@given(side=st.integers(2, 20), data=st.data())
def test_pairs_of_pixels_are_disjoint_near_and_on_the_canvas(
    side: int, data: st.DataObject
) -> None:
    reach = data.draw(st.integers(1, side))
    a, b = draw_pairs(side, reach, np.random.default_rng(data.draw(st.integers(0, 99))))
    assert len(np.unique([a, b])) == 2 * len(a)
    steps = np.abs(np.subtract(np.divmod(a, side), np.divmod(b, side)))
    assert (steps <= reach).all()
    assert ((a < side**2) & (b < side**2) & (a >= 0) & (b >= 0)).all()


@given(side=st.integers(1, 40))
def test_the_curve_visits_each_pixel_once(side: int) -> None:
    row, col = hilbert_curve(side)
    assert sorted(zip(row, col, strict=True)) == [(r, c) for r in range(side) for c in range(side)]


@pytest.mark.parametrize("side", [2, 4, 32])
def test_the_curve_goes_from_pixel_to_touching_pixel(side: int) -> None:
    steps = np.abs(np.diff(hilbert_curve(side)))
    assert (steps.sum(axis=0) == 1).all()


def test_leaves_on_a_line_keep_the_order_of_the_line() -> None:
    rng = np.random.default_rng(0)
    places = np.cumsum(rng.uniform(1, 2, 30))
    shuffled = rng.permutation(30)
    order = order_leaves(np.c_[places, np.zeros(30)][shuffled])
    found = shuffled[order].tolist()
    assert found in (list(range(30)), list(range(30))[::-1])


@settings(max_examples=20, deadline=None)
@given(genes=st.integers(2, 40), seed=st.integers(0, 999))
def test_branches_of_scipys_ward_tree_are_unbroken(genes: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(genes, 5))
    place = np.argsort(order_leaves(vectors))
    branches = [{gene} for gene in range(genes)]
    for one, other, *_ in linkage(vectors, "ward"):
        branches.append(branches[int(one)] | branches[int(other)])
        at = place[list(branches[-1])]
        assert at.max() - at.min() == len(at) - 1


def test_a_turned_rectangle_is_turned_back() -> None:
    angle = np.deg2rad(30)
    corners = np.array([(0, 0), (3, 0), (3, 1), (0, 1), (1, 0.5)])
    turned = corners @ [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
    assert sorted(np.ptp(turn_to_rectangle(turned), axis=0)) == pytest.approx([1, 3])
    line = np.c_[np.arange(5), np.arange(5)]
    assert np.array_equal(turn_to_rectangle(line), line)


def test_equal_genes_share_a_pixel_in_deepinsight() -> None:
    x, names = profiles(40, 30)
    genes = Genes(np.r_[names, ["A"]], np.c_[x, x[:, 3]])
    row, col, _ = drop_on_pixels(genes, genes.vectors[:, :2], 64, 0)
    assert (row[3], col[3]) == (row[30], col[30])
    assert (row.max() - row.min(), col.max() - col.min()) == (63, 63)


def test_last_bits_change_no_component_and_no_sign() -> None:
    """The strongest gene has a mirror image: their equal weights must not decide the sign anew."""
    x, _ = profiles(60, 200)
    strongest = np.abs(describe_genes(x)[:, 0]).argmax()
    x = np.c_[x, 1 - x[:, strongest]].astype(np.float64)
    steps = describe_genes(x)
    assert np.array_equal(steps, steps.round())
    assert np.abs(steps).max() == describe.STEPS
    assert np.isclose(steps[strongest, 0], -steps[-1, 0])
    for seed in range(10):
        noise = np.random.default_rng(seed).normal(scale=1e-15, size=x.shape)
        assert np.array_equal(describe_genes(x + noise), steps)


def test_components_of_many_samples_are_near_the_exact_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(150, 5)) * [5, 4, 3, 2, 1.5] @ rng.normal(size=(5, 200))
    x = (x + rng.normal(size=(150, 200))).astype(np.float32)
    exact = describe_genes(x)
    monkeypatch.setattr(describe, "EXACT_COMPONENTS", 100)
    near = describe_genes(x)
    assert near.shape == exact.shape == (200, 50)
    assert not np.array_equal(near, exact)
    assert np.allclose(near[:, :5], exact[:, :5], atol=0.01 * np.abs(exact).max())


def test_many_genes_are_embedded_with_their_module_on_one_thread_or_two(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(embedding, "MANY", 100)
    monkeypatch.setattr(embedding, "ITERATIONS", 300)
    x, names = profiles(60, 200)
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(embed_by_tsne(Genes(names, x), 0, 30))
    assert np.array_equal(*found)
    modules = found[0].reshape(20, 10, 2)
    inside = np.abs(modules - modules.mean(axis=1, keepdims=True)).mean()
    assert inside < 0.2 * np.abs(found[0] - found[0].mean(axis=0)).mean()


def test_kernel_components_are_scikit_learns_and_near_them_with_landmarks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, names = profiles(60, 200)
    kernel = KernelPCA(2, kernel="rbf", gamma=0.5)
    exact = kernel.fit_transform(standardise(x).T.astype(np.float64))
    found = embed_by_kernel_components(Genes(names, x), 0)
    assert np.allclose(np.abs(found), np.abs(exact), atol=1e-9)
    monkeypatch.setattr(embedding, "LANDMARKS", 100)
    near = embed_by_kernel_components(Genes(names, x), 0)
    for axis in range(2):
        assert abs(np.corrcoef(near[:, axis], found[:, axis])[0, 1]) > 0.9


@pytest.mark.parametrize("genes", [2, 3, 5])
def test_umap_of_few_equal_or_constant_genes_has_a_point_for_each(genes: int) -> None:
    x, names = profiles(20, genes)
    x[:, 0] = x[:, 1]
    for values in (x, np.ones_like(x)):
        points = embed_by_umap(Genes(names, values), 0, 15, 0.1)
        assert points.shape == (genes, 2)
        assert np.isfinite(points).all()


def test_rank_distances_match_better_than_where_they_started() -> None:
    x, names = profiles(40, 300)
    x[:, :150] += np.linspace(0, 1, 40, dtype=np.float32)[:, None]  # two halves, not only modules
    genes = Genes(names, x)
    points = genes.vectors[:, :2]
    row, col = bisect(points, 18)
    errors = []
    for places in (
        place_by_rank_distance(genes, points, 18, 0)[:2],
        (row, col),
        place_at_random(genes, None, 18, 0)[:2],
    ):
        errors.append(measure_layout(GeneLayout("test", names, *places, (18, 18)), x).rank_error)
    assert errors[0] < 0.95 * errors[1]
    assert errors[2] == pytest.approx(1, abs=0.03)

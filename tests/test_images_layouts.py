"""Layouts and the imager: every gene has one place, and the picture is what a slow loop paints."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from core.errors import InputError
from core.home import home
from core.images.imager import IMAGENET_MEAN, IMAGENET_SD, GeneImager
from core.images.layout import GeneLayout, canvas_side
from core.images.layouts import LAYOUTS, LayoutSpec, fit_layout
from core.images.placement import AT_RANDOM, BY_RANK_DISTANCE, KERNEL_COMPONENTS
from core.images.references import add_reference

SLOW = {"tsne", "umap", "deepinsight", "deepinsight_umap", "igtd"}
LEARNED = [method.name for method in LAYOUTS if method.learns]


def profiles(samples: int, genes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Prepared expression with modules of ten genes, and the genes' names."""
    rng = np.random.default_rng(seed)
    modules = rng.normal(size=(samples, -(-genes // 10)))
    x = modules[:, np.arange(genes) // 10] + 0.5 * rng.normal(size=(samples, genes))
    names = np.array([f"G{number:05d}" for number in rng.permutation(genes)])
    return (x / 8 + 0.5).astype(np.float32), names


def write(name: str, text: str) -> str:
    """Keep a reference file and give back its id."""
    path = home() / name
    path.write_text(text)
    return add_reference(path)


def describe(name: str) -> LayoutSpec:
    """A specification with the reference file that the layout needs."""
    needs = LAYOUTS[name].needs
    if needs == "positions":
        lines = [f"G{n:05d}\t{n % 22 + 1}\t{n * 7919 % 1000}" for n in range(0, 300, 2)]
        return LayoutSpec(
            name=name, reference=write("a.tsv", "\n".join(["gene\tchr\tstart", *lines]))
        )
    if needs == "sets":
        sets = [[f"G{n:05d}" for n in range(start, start + 40)] for start in range(0, 250, 25)]
        lines = ["\t".join([f"set {n}", "", *own]) for n, own in enumerate(sets)]
        return LayoutSpec(name=name, reference=write("a.gmt", "\n".join(lines)))
    return LayoutSpec(name=name)


def fit(
    name: str, genes: int, image_size: int = 32, seed: int = 0
) -> tuple[GeneLayout, np.ndarray]:
    x, names = profiles(40, genes)
    return fit_layout(x, names, describe(name), image_size, seed), x


@pytest.mark.parametrize("name", LAYOUTS.names)
@settings(max_examples=4, deadline=None)
@given(data=st.data(), seed=st.integers(0, 5))
def test_every_gene_has_a_place_and_by_default_of_its_own(
    name: str, data: st.DataObject, seed: int
) -> None:
    genes = data.draw(st.integers(2, 60 if name in SLOW else 300))
    layout, _ = fit(name, genes, seed=seed)
    assert sorted(layout.genes) == sorted(profiles(40, genes)[1])
    for gene in layout.genes:
        assert gene in layout.genes_at(*layout.pixel_of(gene))
    if not LAYOUTS[name].placement.one_per_pixel:
        assert layout.shape == (32, 32)
        return
    assert layout.shared_pixels() == 0
    assert layout.free_pixels().sum() == layout.shape[0] * layout.shape[1] - genes
    values = np.arange(genes, dtype=np.float32)
    image = layout.image(values)
    assert np.array_equal(image[layout.row, layout.col], values)
    assert np.array_equal(np.isnan(image), layout.free_pixels())


@pytest.mark.parametrize("name", LAYOUTS.names)
def test_a_layout_saves_and_loads_and_other_files_are_refused(name: str, tmp_path: Path) -> None:
    layout, _ = fit(name, 50)
    path = tmp_path / "layout.npz"
    layout.save(path)
    loaded = GeneLayout.load(path)
    assert (loaded.name, loaded.shape) == (layout.name, layout.shape)
    for field in ("genes", "row", "col", "group"):
        assert np.array_equal(getattr(loaded, field), getattr(layout, field))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"layout\.npz is not a gene layout"):
        GeneLayout.load(path)


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("pca_grid", "61ff80ac3c5d0e5b"),
        ("order", "2172f048163d7775"),
        ("random", "d2369fc482f6ac02"),
        ("chromosome", "0ae4cae2bc8a43b9"),
        ("treemap", "d00b85b797759bb0"),
    ],
)
def test_places_are_those_of_version_1_on_every_processor(name: str, digest: str) -> None:
    """Who places genes elsewhere raises the version of the layout, its embedding or placement."""
    layout, _ = fit(name, 150, seed=3)
    places = np.stack([layout.row, layout.col]).astype(np.int64)
    assert hashlib.sha256(places.tobytes()).hexdigest()[:16] == digest


def test_what_an_embedding_leaves_open_changes_its_layouts_and_no_other() -> None:
    x, names = profiles(40, 60)
    changes = {"perplexity": 5, "neighbours": 4, "least_distance": 0.8}
    read = {"tsne": {"perplexity"}, "umap": {"neighbours", "least_distance"}, "pca_grid": set()}
    for name, fields in read.items():
        assert set(LAYOUTS[name].fields) == fields
        usual = fit_layout(x, names, LayoutSpec(name=name), 32, 0)
        for field, value in changes.items():
            other = fit_layout(x, names, LayoutSpec(name=name, **{field: value}), 32, 0)
            assert np.array_equal(usual.row, other.row) == (field not in fields)


def test_embeddings_and_placements_are_put_together_freely(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = replace(
        LAYOUTS["pca_grid"], name="own", embedding=KERNEL_COMPONENTS, placement=BY_RANK_DISTANCE
    )
    monkeypatch.setitem(LAYOUTS._records, "own", own)
    layout, _ = fit("own", 60)
    assert layout.shared_pixels() == 0
    with pytest.raises(ValueError, match="layout own takes no embedding"):
        replace(own, placement=AT_RANDOM)
    with pytest.raises(ValueError, match="layout own takes an embedding"):
        replace(own, embedding=None)


def test_the_order_layout_is_row_major() -> None:
    layout, _ = fit("order", 5, image_size=33)
    assert layout.shape == (3, 3)
    assert layout.row.tolist() == [0, 0, 0, 1, 1]
    assert layout.col.tolist() == [0, 1, 2, 0, 1]


@pytest.mark.parametrize("name", [name for name in LAYOUTS.names if name != "order"])
def test_places_do_not_hang_on_the_order_of_columns_or_on_threads(name: str) -> None:
    x, names = profiles(60, 200)
    order = np.random.default_rng(1).permutation(200)
    spec, places = describe(name), []
    for columns, threads in ((np.arange(200), 1), (order, 1), (np.arange(200), 2)):
        with threadpool_limits(threads):
            layout = fit_layout(x[:, columns], names[columns], spec, 32, seed=3)
        places.append({gene: layout.pixel_of(gene) for gene in names})
    assert places[0] == places[1] == places[2]


@pytest.mark.parametrize("name", LEARNED)
def test_learned_layouts_bring_genes_of_a_module_together(name: str) -> None:
    distances = {}
    for each in (name, "random"):
        layout, _ = fit(each, 250)
        _, names = profiles(40, 250)
        order = [layout.genes.tolist().index(gene) for gene in names]
        places = (np.c_[layout.row, layout.col] / layout.shape[0])[order].reshape(25, 10, 2)
        distances[each] = np.abs(places - places.mean(axis=1, keepdims=True)).mean()
    assert distances[name] < (0.8 if name == "igtd" else 0.5) * distances["random"]


def test_a_damaged_layout_is_refused_and_one_from_before_groups_loads(tmp_path: Path) -> None:
    layout, _ = fit("order", 5)
    arrays, path = layout.arrays(), tmp_path / "layout.npz"
    assert set(arrays) == {"genes", "row", "col", "shape", "name", "version"}
    np.savez(path, **arrays)
    assert GeneLayout.load(path).group is None
    for change, words in (
        ({"row": arrays["row"] + 4}, "outside of the canvas of 4 x 4"),
        ({"col": arrays["col"][1:]}, "differ in number"),
        ({"version": np.array(2)}, "version 2, expected 1"),
    ):
        np.savez(path, **{**arrays, **change})
        with pytest.raises(InputError, match=words):
            GeneLayout.load(path)


@pytest.mark.parametrize(("genes", "size", "side"), [(971, 224, 32), (1000, 64, 32), (1, 32, 1)])
def test_the_canvas_is_the_smallest_that_divides_the_image(
    genes: int, size: int, side: int
) -> None:
    assert canvas_side(genes, size) == side


def test_too_many_genes_are_refused() -> None:
    with pytest.raises(InputError, match="1025 genes don't fit on an image of 32 x 32"):
        canvas_side(1025, 32)
    x, names = profiles(10, 50)
    with pytest.raises(InputError, match="Leave the side empty or take 8"):
        fit_layout(x, names, LayoutSpec(side=5), 32, 0)


def test_reindexing_keeps_places_and_names_genes_that_do_not_match() -> None:
    layout, _ = fit("random", 20)
    turned = layout.reindex(layout.genes[::-1])
    assert all(turned.pixel_of(gene) == layout.pixel_of(gene) for gene in layout.genes)
    other = [*layout.genes[1:], "TP53"]
    with pytest.raises(InputError, match=f"Not in the data: {layout.genes[0]}.*layout: TP53"):
        layout.reindex(other)


@settings(max_examples=20, deadline=None)
@given(genes=st.integers(1, 16), factor=st.integers(1, 4), shared=st.booleans(), data=st.data())
def test_the_imager_paints_what_a_slow_loop_paints(
    genes: int, factor: int, shared: bool, data: st.DataObject
) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    pixels = rng.integers(8, size=genes) if shared else rng.permutation(16)[:genes]
    layout = GeneLayout(
        "test", np.array([f"G{n}" for n in range(genes)]), pixels // 4, pixels % 4, (4, 4)
    )
    x = rng.random((3, genes)).astype(np.float32)
    expected = np.zeros((3, 3, 4 * factor, 4 * factor), dtype=np.float32)
    for sample in range(3):
        for pixel in set(pixels):
            value = np.mean([x[sample, gene] for gene in range(genes) if pixels[gene] == pixel])
            for channel in range(3):
                for down in range(factor):
                    for across in range(factor):
                        row, column = pixel // 4 * factor + down, pixel % 4 * factor + across
                        expected[sample, channel, row, column] = (
                            value - IMAGENET_MEAN[channel]
                        ) / IMAGENET_SD[channel]
    images = GeneImager(layout, 4 * factor)(torch.from_numpy(x))
    assert np.allclose(images.numpy(), expected, atol=1e-5)


def test_genes_that_share_a_pixel_are_averaged_and_counted() -> None:
    zeros = np.zeros(2, dtype=np.int64)
    layout = GeneLayout("shared", np.array(["A", "B"]), zeros, zeros, (1, 1))
    assert layout.shared_pixels() == 2
    assert layout.image(np.array([1.0, 3.0])).item() == 2
    assert GeneImager(layout, 1).pixels(torch.tensor([[1.0, 3.0]])).item() == 2


@pytest.mark.parametrize("name", ["pca_grid", "deepinsight_pca"])
def test_the_imagers_gradient_is_exact(name: str) -> None:
    layout, _ = fit(name, 12, image_size=8)
    imager = GeneImager(layout, 8).double()
    x = torch.rand(2, 12, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(imager, (x,))


def test_a_canvas_that_does_not_divide_the_image_is_refused() -> None:
    layout = GeneLayout("order", np.array(["A"]), np.array([0]), np.array([0]), (5, 5))
    with pytest.raises(InputError, match="by a whole factor"):
        GeneImager(layout, 32)


OTHER_PROCESSOR = """
import sys
import numpy as np
from core.data.prepare import PreparationSpec, Preprocessor
from core.images.layouts import LayoutSpec, fit_layout

for counts in np.load(sys.argv[1]).values():
    names = [f"G{number:04d}" for number in range(counts.shape[1])]
    prepared = Preprocessor.fit(counts, names, "counts", PreparationSpec(genes=len(names)))
    layout = fit_layout(prepared.transform(counts, names), prepared.genes, LayoutSpec(), 32, 0)
    print(*layout.row, *layout.col)
"""


def test_the_pca_grid_is_the_same_on_every_processor(tmp_path: Path) -> None:
    """The same counts, once with the instructions of this processor and once without the new ones.

    OpenBLAS and NumPy are told to do as on a processor of 2004, with SSE3 and nothing after it.
    """
    path, tables = tmp_path / "counts.npz", []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        activity = rng.normal(size=(60, 60))
        rates = 2 ** (6 + activity[:, np.arange(600) % 60] + rng.normal(size=(60, 600)))
        tables.append(rng.poisson(rates).astype(np.float32))
    np.savez(path, *tables)
    old = {"OPENBLAS_CORETYPE": "Prescott", "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL"}
    found = [
        subprocess.run(
            [sys.executable, "-c", OTHER_PROCESSOR, path],
            env={**os.environ, **instructions}, stdout=subprocess.PIPE, check=True,
        ).stdout
        for instructions in ({}, old)
    ]  # fmt: skip
    assert found[0].count(b"\n") == len(tables)
    assert found[0] == found[1]

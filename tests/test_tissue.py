"""From tiles of tissue to genes: what is planted is found, what is depth is called so."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import read_h5ad
from PIL import Image

from core.errors import DamageError, InputError
from core.jobs.here import do_here
from core.jobs.store import JobStore
from core.tissue.check import check_tissue
from core.tissue.containers import read_spatial, read_visium
from core.tissue.fitted import FoldModel, cover, effect_of_cells, predict_expression
from core.tissue.job import TissueJob
from core.tissue.learning import learn, split
from core.tissue.look import looker
from core.tissue.read import read_tissue
from core.tissue.result import TissueResult, answer_folder, load_answer, summarise
from core.tissue.ridge import Line, fit_ridge
from core.tissue.scores import GeneScores, correlate, patients_needed, sign_test
from core.tissue.sheet import arrange, make_sheet
from core.tissue.simulate import simulate_tissue
from core.tissue.spec import TissueSpec
from core.tissue.spots import Tissue
from core.tissue.stain import repaint_sections
from core.tissue.store import add_tissue, delete_tissue, get_tissue, list_tissues, load_tissue
from core.tissue.targets import TARGETS, Scaling, choose_genes, transform
from tests.tissues import paint

SPEC = TissueSpec(tissue="0" * 16, genes=40)


def ask(tissue: Tissue) -> tuple[TissueResult, pd.DataFrame]:
    genes, learned = learn(tissue, SPEC)
    result, table = summarise(SPEC, genes, learned, tissue.patients)
    return result, table.set_index("gene")


def test_genes_that_follow_the_hue_are_found_and_no_others() -> None:
    result, table = ask(simulate_tissue(12, 40, 40))
    driven = table.index.str.startswith("HUE")
    assert (table["r"][driven] >= 0.9).all()
    assert (table["r"][~driven].abs() < 0.3).all()
    assert set(table.index[table["p_beyond"] < 0.05]) == set(table.index[driven])
    assert result.verdict()[0].startswith("10 of 40 genes are predicted beyond depth in held-out")
    assert (table["shuffled"] < 0.3).all()


def test_genes_that_only_follow_the_depth_are_called_depth() -> None:
    result, table = ask(simulate_tissue(12, 40, 40, driven=0))
    assert (table["raw"] > 0.9).all(), "as in the papers: every gene of high r"
    assert (table["raw_reads"] > 0.9).all(), "without any image"
    assert (table["r"].abs() < 0.3).all()
    first, *_, last = result.verdict()
    assert first == "With 12 patients no gene is predicted beyond depth."
    assert last.endswith("That is depth: spots with more cells have more of every gene.")


def test_three_patients_are_too_few_to_show_anything() -> None:
    result, table = ask(simulate_tissue(3, 30, 20, driven=10))
    assert (table["r"][table.index.str.startswith("HUE")] > 0.9).all()
    assert result.beyond == 0
    assert result.verdict()[0] == (
        "With 3 patients no gene is predicted beyond depth. A sign test over 20 genes could find "
        "one with 9 patients or more; fewer can only be described."
    )


def test_sections_that_are_left_out_beside_others_of_their_patient_are_called_too_good() -> None:
    tissue = simulate_tissue(3, 20, 12, driven=2)
    for held_out in ("patient", "section"):
        spec = SPEC.changed(held_out=held_out)
        genes, learned = learn(tissue, spec, targets=tuple(TARGETS))
        said = summarise(spec, genes, learned, tissue.patients)[0].verdict()
        assert ("too good" in said[-1]) == (held_out == "section")


def test_genes_and_their_scaling_are_of_the_training_patients_alone() -> None:
    tissue = simulate_tissue(3, 20, 12, driven=2)
    held_out = (tissue.spots["patient"] == "P3").to_numpy()
    counts = tissue.counts.copy()
    counts[held_out] = 0
    counts[held_out, 11] = 10_000  # the highest mean of all, in the held-out patient alone
    other = Tissue(tissue.spots, tissue.genes, counts, tissue.tiles)
    spec = SPEC.changed(genes=5)
    (genes, before), (same, after) = (learn(t, spec) for t in (tissue, other))
    for name, train in (("P3", ~held_out),):
        chosen = tissue.genes[choose_genes(tissue.counts[train], 5)]
        place, place_after = (np.flatnonzero(np.isin(g, chosen)) for g in (genes, same))
        for target in TARGETS:
            rows = np.flatnonzero(tissue.spots["patient"] == name)
            told, told_after = (
                learned[target].predicted["colour"][np.ix_(rows, at)]
                for learned, at in ((before, place), (after, place_after))
            )
            np.testing.assert_array_equal(told, told_after)
    last = after["raw"].predicted["colour"][held_out]
    assert np.isnan(last[:, list(same).index(tissue.genes[11])]).all(), "it was not chosen there"


def test_only_the_genes_of_a_list_are_predicted_on_request() -> None:
    tissue = simulate_tissue(3, 20, 12, driven=2)
    spec = SPEC.changed(gene_list=("HUE2", "GENE3", "ELSEWHERE"))
    genes, _ = learn(tissue, spec)
    assert sorted(genes) == ["GENE3", "HUE2"]
    with pytest.raises(InputError, match="None of the 1 listed genes is in this tissue, whose"):
        learn(tissue, SPEC.changed(gene_list=("ELSEWHERE",)))
    assert spec.genes == TissueSpec(tissue="0" * 16).genes, "how many says nothing then"
    assert TissueSpec.model_validate(spec.model_dump(mode="json")) == spec


def test_questions_without_a_list_are_what_they_were_before_there_were_lists() -> None:
    assert "gene_list" not in SPEC.model_dump(mode="json")
    assert answer_folder(SPEC).name == answer_folder(SPEC.changed(gene_list=())).name


def test_targets_are_the_published_formulas() -> None:
    counts, reads = np.array([[3.0, 0.0]]), np.array([96.0])
    np.testing.assert_allclose(transform(counts, reads, 4, "raw"), np.log([[4, 1]]))
    np.testing.assert_allclose(transform(counts, reads, 4, "stnet"), np.log([[0.04, 0.01]]))
    np.testing.assert_allclose(transform(counts, reads, 4, "normalised"), np.log([[313.5, 1]]))
    reads = np.arange(1000.0, 9000, 500)
    share = {t: transform(reads[:, None] / 100, reads, 9627, t)[:, 0] for t in TARGETS}
    assert np.ptp(share["normalised"]) < 1e-9, "a constant share of the reads"
    for published in ("stnet", "raw"):
        assert np.corrcoef(share[published], np.log(reads))[0, 1] > 0.9, "depth is still there"
    z = Scaling.fit(np.array([[1.0, 5.0], [3.0, 5.0]])).apply(np.array([[3.0, 6.0]]))
    np.testing.assert_allclose(z, [[1, 1]])
    assert choose_genes(np.array([[9, 1, 5, 2], [9, 2, 6, 8.0]]), 2).tolist() == [2, 3]


def test_ridge_finds_a_line_and_the_mean_where_there_is_none() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(200, 3))
    y = np.column_stack([2 * x[:, 0] - x[:, 1] + 5, draw.normal(size=200)])
    groups = np.repeat(np.arange(4), 50)
    said = fit_ridge(x[:150], y[:150], groups[:150]).apply(x[150:])
    assert correlate(y[150:], said)[0] > 0.99
    assert abs(said[:, 1]).max() < 0.5
    flat = fit_ridge(np.ones((6, 1)), y[:6], groups[:6])
    assert flat.apply(np.ones((1, 1)))[0] == pytest.approx(y[:6].mean(axis=0))


def test_a_feature_that_hardly_varied_in_training_does_not_drown_the_others() -> None:
    draw = np.random.default_rng(0)
    x = np.column_stack([draw.normal(size=150), np.zeros(150)])
    x[:3, 1] = 1e-3
    y = x[:, :1] + draw.normal(0, 0.1, (150, 1))
    line = fit_ridge(x, y, np.repeat(np.arange(3), 50))
    far = np.array([[0.5, 0.0], [0.5, 100.0]])
    usual, said = line.apply(far)[:, 0]
    assert abs(said - usual) < 1


def test_correlations_and_tests_are_those_of_the_textbook() -> None:
    a = np.array([[0.0, 1, 2], [1, 1, 1], [2, 1, 0.5]])
    b = np.array([[1.0, 2, 7], [2, 3, 7], [3, 1, 7]])
    found = correlate(a, b)
    assert found[0] == pytest.approx(1)
    assert np.isnan(found[1]), "nothing varies"
    assert found[2] == 0, "a constant prediction"
    differences = np.ones((10, 2))
    differences[:5, 1] = -1
    assert sign_test(differences) == pytest.approx([2 * 0.5**10, 0.623046875])
    assert patients_needed(332) == 13
    scores = GeneScores(np.array([[0.2], [0.4], [0.9]]), np.array(["A", "A", "B"]))
    assert scores.median == pytest.approx([0.4])
    assert scores.by_patient == pytest.approx(np.array([[0.3], [0.9]]))
    assert scores.count() == {0.0: 1, 0.3: 1, 0.5: 0}
    assert scores.interval().ravel().tolist() == [-1, 1], "two patients say next to nothing"
    assert np.isnan(GeneScores(scores.r[:2], scores.patients[:2]).interval()).all()


def test_the_models_of_the_folds_are_kept_and_say_again_what_they_said(tmp_path: Path) -> None:
    tissue = simulate_tissue(3, 20, 8, driven=2)
    spec = SPEC.changed(genes=5, stain="macenko")
    genes, learned = learn(tissue, spec)
    found = learned["normalised"]
    look = looker(spec, tmp_path, 16, "cpu")
    for fold, model in enumerate(found.models):
        model.save(tmp_path / "model.npz")
        same = FoldModel.load(tmp_path / "model.npz")
        test = np.isin(tissue.spots["patient"], same.left_out)
        tiles = repaint_sections(
            tissue.tiles, tissue.spots["section"].to_numpy(), same.stains
        )[test]  # fmt: skip
        at = [list(genes).index(gene) for gene in same.genes]
        said = found.predicted["colour"][np.ix_(test, at)]
        np.testing.assert_allclose(look(fold, same, tiles), said, rtol=1e-4, atol=1e-5)
    (tmp_path / "model.npz").write_bytes(b"PK")
    with pytest.raises(DamageError, match="is damaged"):
        FoldModel.load(tmp_path / "model.npz")


def test_new_tiles_get_the_mean_of_the_folds_that_know_a_gene() -> None:
    any_ = np.full(14, -np.inf), np.full(14, np.inf)
    ones = [
        Line(np.zeros((14, 2)), np.array([1.0, 2]), *any_),
        Line(np.zeros((14, 1)), np.array([3.0]), *any_),
    ]
    models = [
        FoldModel(np.array(["P"]), np.array(names), Scaling(np.full(n, 10.0), np.ones(n)), line,
                  None)
        for names, n, line in ((["A", "B"], 2, ones[0]), (["B"], 1, ones[1]))
    ]  # fmt: skip
    tiles = np.zeros((3, 4, 4, 3), np.uint8)
    look = looker(SPEC, Path(), 4, "cpu")
    genes, said = predict_expression(models, look, tiles, np.array(["s"] * 3))
    assert genes.tolist() == ["A", "B"]
    np.testing.assert_allclose(said, [[11, 12.5]] * 3)


def test_covering_a_cell_shows_what_a_prediction_rests_on() -> None:
    tile = np.full((16, 16, 3), 200, np.uint8)
    tile[2:4, 4:6] = 0  # cell (1, 2), of two pixels
    covered = cover(tile)
    assert covered.shape == (65, 16, 16, 3)
    np.testing.assert_array_equal(covered[0], tile)
    darkness = 255 - covered.mean(axis=(1, 2, 3), keepdims=False)
    effect = effect_of_cells(darkness[:, None])
    assert effect.shape == (8, 8, 1)
    assert np.unravel_index(effect[..., 0].argmax(), (8, 8)) == (1, 2)


# --- reading ------------------------------------------------------------------------------------


def write(folder: Path, tissue: Tissue, **changes: object) -> dict[str, object]:
    """Files of spots, as `read_tissue` takes them."""
    folder.mkdir(exist_ok=True)
    table = tissue.spots.rename_axis("spot").assign(**changes)
    table.to_csv(folder / "spots.csv")
    counts = pd.DataFrame(tissue.counts.astype(int), tissue.spots.index, tissue.genes)
    counts.to_csv(folder / "counts.csv")
    np.savez(folder / "tiles.npz", tiles=tissue.tiles)
    return {"spots": [folder / "spots.csv"], "counts": folder / "counts.csv",
            "tiles": folder / "tiles.npz"}  # fmt: skip


def test_files_are_read_as_they_were_written_and_stored_once(tmp_path: Path) -> None:
    tissue = simulate_tissue(2, 20, 8, driven=2)
    files = write(tmp_path, tissue)
    read = read_tissue(**files)
    pd.testing.assert_frame_equal(read.spots, tissue.spots, check_names=False)
    np.testing.assert_array_equal(read.counts, tissue.counts)
    np.testing.assert_array_equal(read.tiles, tissue.tiles)
    record = add_tissue(read, "planted")
    assert add_tissue(read, "again").id == record.id
    assert [one.name for one in list_tissues()] == ["planted"]
    kept = load_tissue(record.id)
    pd.testing.assert_frame_equal(kept.spots, read.spots, check_names=False)
    np.testing.assert_array_equal(kept.counts, read.counts)
    assert kept.genes.tolist() == tissue.genes.tolist()
    delete_tissue(record.id)
    with pytest.raises(InputError, match="There is no tissue"):
        get_tissue(record.id)


def test_tiles_are_cut_from_whole_images_at_the_spots(tmp_path: Path) -> None:
    from PIL import Image

    tissue = simulate_tissue(2, 20, 8, driven=2)
    files = write(tmp_path, tissue)
    paint(tmp_path, tissue)
    del files["tiles"]
    read = read_tissue(**files, images=tmp_path, width=16, side=16)
    np.testing.assert_array_equal(read.tiles, tissue.tiles)
    far = tissue.spots["x"].where(tissue.spots.index != "S1_0x0", 255)
    left = read_tissue(
        **write(tmp_path, tissue, x=far) | {"tiles": None}, images=tmp_path, width=16
    )
    assert len(left.spots) == 39
    assert left.notes.found[0].code == "off_image"
    with pytest.raises(InputError, match=r"lie off its image .*, or of one of another size"):
        read_tissue(**write(tmp_path, tissue, x=9999.0) | {"tiles": None}, images=tmp_path)
    # higher than wide, so that swapped places leave the image
    swapped = {"x": tissue.spots["y"], "y": tissue.spots["x"] + 150}
    for path in tmp_path.glob("slide_*.png"):
        Image.fromarray(np.full((260, 100, 3), 200, np.uint8)).save(path)
    files = write(tmp_path, tissue, x=swapped["y"], y=swapped["x"]) | {"tiles": None}
    with pytest.raises(InputError, match="With x and y swapped they would lie on it"):
        read_tissue(**files, images=tmp_path, width=16)


def test_places_of_a_smaller_image_are_doubted(tmp_path: Path) -> None:
    from PIL import Image

    tissue = simulate_tissue(2, 20, 8, driven=2)
    paint(tmp_path, tissue)
    for path in tmp_path.glob("slide_*.png"):
        image = Image.open(path).crop((0, 0, 120, 100))  # spots reach to 98 and 78
        image.resize((360, 300) if "S2" in path.stem else image.size).save(path)
    files = write(tmp_path, tissue) | {"tiles": None}
    read = read_tissue(**files, images=tmp_path, width=16)
    [found] = [finding.message for finding in read.notes.found if finding.code == "small_scale"]
    assert "Section S2: all spots lie in the upper left of its image, within 25% of its" in found


def test_swapped_axes_are_told_by_the_darkness_of_the_tissue(tmp_path: Path) -> None:
    tissue = simulate_tissue(1, 49, 8, driven=0)
    paint(tmp_path, tissue)
    swapped = {"x": tissue.spots["y"], "y": tissue.spots["x"]}
    files = write(tmp_path, tissue, **swapped) | {"tiles": None}
    read = read_tissue(**files, images=tmp_path, width=16)
    [found] = [f.message for f in read.notes.found if f.code == "turned"]
    assert "with x and y swapped. Look at the section" in found
    files = write(tmp_path, tissue) | {"tiles": None}
    assert "turned" not in {f.code for f in read_tissue(**files, images=tmp_path).notes.found}


def test_a_table_without_sections_is_one_section_called_after_its_file(tmp_path: Path) -> None:
    tissue = simulate_tissue(1, 20, 8, driven=2)
    files = write(tmp_path, tissue)
    places = [name.partition("_")[2].split("x") for name in tissue.spots.index]
    table = pd.DataFrame(places, columns=["x", "y"])
    table["pixel_x"], table["pixel_y"] = tissue.spots["x"].to_numpy(), tissue.spots["y"].to_numpy()
    table["selected"] = [0] + [1] * 19
    path = tmp_path / "align_S1.tsv"
    table.to_csv(path, sep="\t", index=False)
    paint(tmp_path, tissue)
    read = read_tissue([path], files["counts"], images=tmp_path, width=16, side=16)
    assert read.spots.index.tolist() == tissue.spots.index[1:].tolist()
    np.testing.assert_array_equal(read.tiles, tissue.tiles[1:])
    assert "no_patients" in {finding.code for finding in read.notes.found}


def write_h5ad(path: Path, tissue: Tissue, *, scale: float = 0.5, **changes: object) -> None:
    """As squidpy keeps it: normalised X, counts in a layer, an image a library."""
    from anndata import AnnData
    from PIL import Image

    folder = path.parent
    paint(folder, tissue)
    uns = {}
    for section in tissue.sections:
        image = np.asarray(Image.open(folder / f"slide_{section}.png")).astype(np.float32) / 255
        uns[section] = {
            "images": {"hires": image}, "scalefactors": {"tissue_hires_scalef": scale},
        }  # fmt: skip
    obs = tissue.spots[["section", "patient"]].rename(
        columns={"section": "library_id", "patient": "Donor"}
    )
    places = tissue.spots[["x", "y"]].to_numpy() / scale
    data = AnnData(
        np.log1p(tissue.counts), obs, pd.DataFrame(index=tissue.genes),
        layers={"counts": tissue.counts}, obsm={"spatial": places}, uns={"spatial": uns},
    )  # fmt: skip
    for name, value in changes.items():
        setattr(data, name, value)
    data.write_h5ad(path)


def test_h5ad_files_with_places_and_images_are_read(tmp_path: Path) -> None:
    tissue = simulate_tissue(2, 20, 8, driven=2)
    path = tmp_path / "spots.h5ad"
    write_h5ad(path, tissue)
    read = read_spatial(path, width=16, side=16)
    pd.testing.assert_frame_equal(read.spots, tissue.spots, check_names=False)
    np.testing.assert_array_equal(read.tiles, tissue.tiles)
    np.testing.assert_array_equal(read.counts, tissue.counts)
    # images of full resolution beside the file, whose pixels the places are of
    write_h5ad(path, tissue, scale=1.0, uns={})
    with pytest.raises(InputError, match="holds no image of high resolution"):
        read_spatial(path)
    other = read_spatial(path, tmp_path, width=16, side=16)
    np.testing.assert_array_equal(other.tiles, tissue.tiles)
    write_h5ad(path, tissue, layers={})
    with pytest.raises(InputError, match="holds no counts"):
        read_spatial(path)
    write_h5ad(path, tissue, obs=pd.DataFrame(index=tissue.spots.index))
    with pytest.raises(InputError, match="no column says which spot is on which"):
        read_spatial(path)
    write_h5ad(path, tissue, obsm={})
    with pytest.raises(InputError, match="holds no places of spots"):
        read_spatial(path)


def test_h5ad_files_of_spatialdata_name_their_column_of_sections(tmp_path: Path) -> None:
    tissue = simulate_tissue(2, 20, 8, driven=2)
    path, said = tmp_path / "spots.h5ad", {"region_key": "region", "instance_key": "n"}
    write_h5ad(path, tissue)
    data = read_h5ad(path)
    data.obs = data.obs.rename(columns={"library_id": "region"}).assign(batch="one of both")
    data.uns["spatialdata_attrs"] = said
    data.write_h5ad(path)
    read = read_spatial(path, width=16, side=16)
    assert read.sections == ["S1", "S2"]
    np.testing.assert_array_equal(read.tiles, tissue.tiles)
    # a single section whose image is called otherwise
    alone = data[data.obs["region"] == "S1"].copy()
    alone.uns["spatial"] = {"S1_image": alone.uns["spatial"]["S1"]}
    alone.write_h5ad(path)
    np.testing.assert_array_equal(read_spatial(path, width=16, side=16).tiles, tissue.tiles[:20])


def test_zarr_folders_are_refused_with_the_way_to_h5ad(tmp_path: Path) -> None:
    (tmp_path / "spots.zarr").mkdir()
    (tmp_path / "spots.zarr/zarr.json").write_text("{}")
    with pytest.raises(InputError, match=r"Save it as h5ad with its images: .*to_legacy_anndata"):
        read_visium([tmp_path / "spots.zarr"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda f: np.savez(f / "tiles.npz", a=np.zeros((3, 4, 4, 3), np.uint8)),
            "order of the sp",
        ),
        (lambda f: np.savez(f / "tiles.npz", a=np.zeros((40, 4, 4))), "Expected square RGB tiles"),
        (lambda f: (f / "tiles.npz").write_bytes(b"PK\x03\x04 cut short"), "can't be read"),
        (lambda f: np.savez(f / "tiles.npz", a=np.array([{}], dtype=object)), "can't be read"),
        (lambda f: (f / "spots.csv").write_text("spot,section\nS1_0x0,S1\n"), "no columns x and y"),
        (
            lambda f: (f / "spots.csv").write_text("spot,section,x,y\nS1_0x0,S1,a,1\nb,S1,2,2\n"),
            "x is 'a', which is no number",
        ),
        (lambda f: (f / "counts.csv").write_text("id,A,B,C\nq,1,2,3\nr,2,3,4\n"), "Ids have to be"),
    ],
)
def test_bad_files_are_told_in_a_sentence(tmp_path: Path, change: object, words: str) -> None:
    files = write(tmp_path, simulate_tissue(2, 20, 8, driven=2))
    change(tmp_path)
    with pytest.raises(InputError, match=words):
        read_tissue(**files)


def test_traps_are_named() -> None:
    tissue = simulate_tissue(2, 20, 8, driven=2)
    assert check_tissue(tissue) == []

    def codes(**changes: object) -> set[str]:
        parts = {"spots": tissue.spots, "genes": tissue.genes, "counts": tissue.counts,
                 "tiles": tissue.tiles} | changes  # fmt: skip
        return {finding.code for finding in check_tissue(Tissue(**parts))}

    assert codes(spots=tissue.spots.assign(patient="P1")) == {"one_patient"}
    assert codes(spots=tissue.spots.assign(patient="")) == {"no_patients"}
    assert codes(counts=np.tile(tissue.counts[:20], (2, 1))) == {"copies"}
    white = tissue.tiles.copy()
    white[0] = 255
    assert codes(tiles=white) == {"blank_tiles"}
    cut = tissue.tiles.copy()
    cut[0, :, -1] = 0
    assert codes(tiles=cut) == {"black_edges"}
    assert "darkness" in codes(tiles=255 - tissue.tiles)
    with pytest.raises(InputError, match="one patient only"):
        next(split(Tissue(tissue.spots.assign(patient="P1"), tissue.genes, tissue.counts,
                          tissue.tiles), "patient"))  # fmt: skip
    with pytest.raises(InputError, match="Some spots have no patient"):
        next(split(Tissue(tissue.spots.assign(patient=""), tissue.genes, tissue.counts,
                          tissue.tiles), "patient"))  # fmt: skip


def test_spots_of_few_reads_are_left_out_and_told(tmp_path: Path) -> None:
    tissue = simulate_tissue(2, 20, 8, driven=2)
    files = write(tmp_path, tissue, reads=[499.0] + [500.0] * 39)
    read = read_tissue(**files)
    assert len(read.spots) == 39
    [found] = [finding.message for finding in read.notes.found if finding.code == "few_reads"]
    assert found == "1 of 40 spots have fewer than 500 reads and are left out."
    assert len(read_tissue(**files, fewest_reads=499).spots) == 40
    with pytest.raises(InputError, match="Only 0 spots have 5000 reads or more"):
        read_tissue(**files, fewest_reads=5000)


# --- the tile under the pointer -----------------------------------------------------------------


def grey(rows: list[list[int]]) -> np.ndarray:
    """A picture of these greys."""
    return np.repeat(np.array(rows, np.uint8)[..., None], 3, axis=-1)


def test_each_tile_stands_in_the_sheet_where_its_number_says() -> None:
    tiles = np.stack([grey([[10 * n + 1, 10 * n + 2], [10 * n + 3, 10 * n + 4]]) for n in range(5)])
    by_hand = grey([
        [1, 2, 11, 12, 21, 22],
        [3, 4, 13, 14, 23, 24],
        [31, 32, 41, 42, 255, 255],
        [33, 34, 43, 44, 255, 255],
    ])  # fmt: skip
    np.testing.assert_array_equal(arrange(tiles, 2), by_hand)
    halved = arrange(np.stack([grey([[0, 4], [8, 12]]), grey([[100, 100], [20, 20]])]), 1)
    np.testing.assert_array_equal(halved, grey([[6, 60]]))

    colours = np.array([[200, 30, 30], [30, 200, 30], [30, 30, 200], [90, 20, 90], [20, 90, 90]])
    plain = np.tile(colours[:, None, None].astype(np.uint8), (1, 16, 16, 1))
    sheet = make_sheet(plain)
    picture = np.asarray(Image.open(io.BytesIO(sheet.jpeg))).astype(int)
    for number, colour in enumerate(colours):
        row, column = (16 * place for place in divmod(number, sheet.columns))
        assert (abs(picture[row : row + 16, column : column + 16] - colour) <= 4).all()
    assert (sheet.side, sheet.columns) == (16, 3)


def test_a_sheet_of_many_tiles_has_smaller_ones_and_none_is_left_out(monkeypatch) -> None:
    assert make_sheet(np.zeros((2, 128, 128, 3), np.uint8)).side == 96
    many = make_sheet(np.zeros((4000, 48, 48, 3), np.uint8))
    assert (many.side, many.columns) == (40, 64), "blocks in the root of 8,000,000 / 4,000"
    draw = np.random.default_rng(0)
    noise = draw.integers(0, 256, (30, 64, 64, 3), dtype=np.uint8)
    whole = make_sheet(noise)
    monkeypatch.setattr("core.tissue.sheet.MOST_BYTES", len(whole.jpeg) - 1)
    assert (whole.side, make_sheet(noise).side) == (64, 56)
    monkeypatch.setattr("core.tissue.sheet.MOST_BYTES", 1)
    least = make_sheet(noise)
    assert (least.side, least.columns) == (16, 6)


# --- the job ------------------------------------------------------------------------------------


def test_an_answer_is_kept_and_told_when_it_is_damaged() -> None:
    record = add_tissue(simulate_tissue(3, 20, 8, driven=2), "planted")
    spec = TissueSpec(tissue=record.id, genes=6)
    with pytest.raises(InputError, match="hasn't been asked"):
        load_answer(spec)
    JobStore().submit(TissueJob(asked=spec))
    with pytest.raises(InputError, match="The tissue is needed by work that is not done: tissue"):
        delete_tissue(record.id)
    do_here(TissueJob(asked=spec), lambda share, text: None)
    answer = load_answer(spec)
    assert answer.result.genes == len(answer.genes) >= 6
    assert answer.values("predicted", "normalised").shape == (60, answer.result.genes)
    (answer_folder(spec) / "result.json").write_text("{")
    with pytest.raises(DamageError, match="is damaged"):
        load_answer(spec)

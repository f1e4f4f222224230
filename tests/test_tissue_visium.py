"""Visium sections: Space Ranger's folders, archives of them, and loose files."""

import shutil
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.errors import InputError
from core.tissue.containers import read_visium, unpack_visium
from core.tissue.simulate import simulate_tissue
from tests.tissues import write_visium


def test_visium_folders_are_read_as_space_ranger_writes_them(tmp_path: Path) -> None:
    from PIL import Image

    tissue = simulate_tissue(2, 20, 8, driven=2)
    write_visium(tmp_path, tissue)
    folders = [tmp_path / name for name in tissue.sections]
    read = read_visium(folders, width=16, side=16)
    kept = np.arange(40) % 20 > 0
    assert read.spots.index[0] == "S1_CAATTT-1"
    np.testing.assert_array_equal(read.tiles, tissue.tiles[kept])
    order = [list(read.genes).index(gene) for gene in tissue.genes]
    np.testing.assert_array_equal(read.counts[:, order], tissue.counts[kept])
    # images of full resolution, of whose pixels the places are
    full = tmp_path / "full"
    full.mkdir()
    for section in tissue.sections:
        small = Image.open(tmp_path / section / "spatial/tissue_hires_image.png")
        small.resize((520, 400), Image.Resampling.NEAREST).save(full / f"{section}.png")
    larger = read_visium(folders, full, width=32, side=16)
    np.testing.assert_array_equal(larger.tiles, read.tiles)
    np.testing.assert_array_equal(larger.spots[["x", "y"]], 2 * read.spots[["x", "y"]])


def test_counts_of_all_spots_do_where_those_under_tissue_are_not_there(tmp_path: Path) -> None:
    write_visium(tmp_path, simulate_tissue(1, 20, 8, driven=2))
    own = tmp_path / "S1/filtered_feature_bc_matrix.h5"
    filtered = read_visium([own.parent])
    own.rename(own.with_name("raw_feature_bc_matrix.h5"))
    pd.testing.assert_frame_equal(read_visium([own.parent]).spots, filtered.spots)


def write_places(folder: Path, content: bytes) -> None:
    """The positions of a section."""
    (folder / "spatial/tissue_positions.csv").write_bytes(content)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: shutil.rmtree(f / "spatial"), "tissue_positions.csv of section S2 is missing"),
        (lambda f: (f / "filtered_feature_bc_matrix.h5").unlink(), "matrix.h5 of section S2 is"),
        (lambda f: (f / "spatial/tissue_hires_image.png").unlink(), "image.png of section S2 is"),
        (lambda f: (f / "spatial/scalefactors_json.json").write_text("{}"), "no tissue_hires_sca"),
        (lambda f: (f / "spatial/tissue_positions.parquet").touch(), "Section S2 is Visium HD"),
        (lambda f: write_places(f, b"\xff\xfe\0"), "is no table of tissue positions"),
        (lambda f: write_places(f, b"a,b\n1,2"), "is no table of tissue positions"),
        (
            lambda f: write_places(
                f, (f / "spatial/tissue_positions.csv").read_bytes().replace(b"TTT", b"GGG")
            ),
            "No spot under tissue of section S2 has counts",
        ),
    ],
)  # fmt: skip
def test_visium_folders_that_lack_something_are_told(tmp_path, change, words) -> None:
    write_visium(tmp_path, simulate_tissue(2, 20, 8, driven=2))
    change(tmp_path / "S2")
    with pytest.raises(InputError, match=words):
        read_visium([tmp_path / "S1", tmp_path / "S2"])


def pack(path: Path, folder: Path, within: str) -> Path:
    """A zip or tar.gz file of a folder's files, below a folder within."""
    kind = "zip" if path.suffix == ".zip" else "gztar"
    place = path.parent / f"of {path.name}"
    shutil.copytree(folder, place / within)
    made = shutil.make_archive(str(place), kind, place)
    return Path(made).rename(path)


def test_visium_sections_are_told_apart_in_archives_and_loose_files(tmp_path: Path) -> None:
    write_visium(tmp_path, simulate_tissue(2, 20, 8, driven=2))
    first, second = tmp_path / "S1", tmp_path / "S2"

    def unpack(*files: Path) -> list[str]:
        place = Path(tempfile.mkdtemp(dir=tmp_path))
        folders = unpack_visium(files, place)
        found = read_visium(folders, width=16, side=16)
        assert len(found.spots) == 19 * len(folders)
        return found.sections

    both = tmp_path / "both.zip"
    with zipfile.ZipFile(both, "w") as file:
        for path in sorted(tmp_path.glob("S?/**/*")):
            file.write(path, f"run/{path.relative_to(tmp_path)}")
    assert unpack(both) == ["S1", "S2"]
    assert unpack(pack(tmp_path / "Slide 7.zip", first, "outs")) == ["Slide 7"]
    assert unpack(pack(tmp_path / "x.tar.gz", first, "A/outs")) == ["A"]
    # as 10x Genomics hands them out
    matrix = shutil.copy(first / "filtered_feature_bc_matrix.h5",
                         tmp_path / "Breast_1_filtered_feature_bc_matrix.h5")  # fmt: skip
    packed = pack(tmp_path / "Breast_1_spatial.tar.gz", first / "spatial", "spatial")
    assert unpack(Path(matrix), packed) == ["Breast_1"]
    loose = [second / "filtered_feature_bc_matrix.h5", *sorted((second / "spatial").iterdir())]
    assert unpack(*loose) == ["section"]
    lowres = second / "spatial/tissue_lowres_image.png"
    lowres.write_bytes(b"passed over")
    assert unpack(*loose, lowres) == ["section"]
    assert unpack(Path(matrix), *sorted((first / "spatial").iterdir())) == ["Breast_1"]
    (tmp_path / "of x.tar.gz/A/outs/notes.csv").write_text("a,b")
    for files, words in (
        ([both, loose[1]], "Which section is scalefactors_json.json of"),
        ([*loose, pack(tmp_path / "spatial.zip", second / "spatial", ".")], "is there twice"),
        ([*loose, tmp_path / "of x.tar.gz/A/outs/notes.csv"], "none of the files that are read"),
        ([lowres], "tissue_lowres_image.png is none of"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words):
            unpack(*map(Path, files))
    empty = tmp_path / "empty.zip"
    with zipfile.ZipFile(empty, "w") as file:
        file.writestr("notes.txt", "nothing")
    with pytest.raises(InputError, match="holds no file as Space Ranger writes it"):
        unpack(empty)


def test_names_in_archives_lead_nowhere(tmp_path: Path) -> None:
    evil = tmp_path / "evil.zip"
    with zipfile.ZipFile(evil, "w") as file:
        for name in ("scalefactors_json.json", "tissue_hires_image.png"):
            file.writestr(f"../../../../A\\..:B/spatial/{name}", "{}")
    place = tmp_path / "place"
    place.mkdir()
    [section] = unpack_visium([evil], place)
    assert section.parent == place / "sections"
    assert section.name == "A_.._B"
    assert {path.name for path in tmp_path.iterdir()} == {"evil.zip", "place"}

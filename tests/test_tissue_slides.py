"""Regions of large images, stains, and genes that vary over the tissue."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tifffile import TiffWriter, imwrite

from core.data.apart import cut_apart
from core.data.formats import slides
from core.data.formats.pictures import cut_tiles
from core.data.formats.slides import Slide, Unpacked, open_picture
from core.errors import InputError
from core.tissue.learning import choose, learn
from core.tissue.simulate import simulate_tissue
from core.tissue.spatial import moran, moran_over_sections, neighbours
from core.tissue.spec import TissueSpec
from core.tissue.spots import Tissue
from core.tissue.stain import Stains, repaint_sections

SPEC = TissueSpec(tissue="0" * 16, genes=2)


@pytest.fixture
def picture() -> np.ndarray:
    """(90, 130, 3) of slowly changing colours, so that JPEG changes them little."""
    y, x = np.mgrid[:90, :130]
    return np.stack([2 * y, x + 20, 200 - x], axis=2).astype(np.uint8)


def test_tiled_images_are_read_by_region(tmp_path, picture) -> None:
    path = tmp_path / "slide.tif"
    imwrite(path, picture, tile=(32, 48), compression="zlib", photometric="rgb")
    found = open_picture(path)
    assert isinstance(found, Slide)
    assert found.size == (130, 90)
    whole = Unpacked(Image.fromarray(picture))
    for box, side in (((25, 10, 125, 90), 80), ((2.5, 3.25, 20.5, 21.25), 18)):
        np.testing.assert_array_equal(found.take(box, side), whole.take(box, side))
    places = np.array([[20.0, 30], [129, 30]])
    tiles, dark, size = cut_tiles(path, None, places, 16, 16)
    np.testing.assert_array_equal(tiles[0], picture[22:38, 12:28])
    assert np.isnan(dark[0]).tolist() == [False, True]
    assert size == (130, 90)


def test_of_a_pyramid_the_level_is_read_that_is_fine_enough(tmp_path) -> None:
    path = tmp_path / "slide.tif"
    with TiffWriter(path) as writer:
        for level, grey in enumerate((200, 100)):
            pixels = np.full((256 >> 2 * level, 256 >> 2 * level, 3), grey, np.uint8)
            writer.write(pixels, tile=(32, 32), photometric="rgb", subfiletype=min(level, 1))
    found = open_picture(path)
    assert (found.take((0, 0, 128, 128), 64) == 200).all(), "the coarse one has 4 times fewer"
    assert (found.take((64, 64, 192, 192), 32) == 100).all()
    assert (found.take((64, 64, 192, 192), 8) == 100).all()


def test_images_that_would_have_to_be_unpacked_as_a_whole_are_refused(
    tmp_path, picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(picture).save(tmp_path / "slide.png")
    imwrite(tmp_path / "plain.tif", picture, photometric="rgb")
    assert isinstance(open_picture(tmp_path / "plain.tif"), Unpacked)
    monkeypatch.setattr(slides, "MOST_PIXELS", 1000)
    for name in ("slide.png", "plain.tif"):
        with pytest.raises(InputError, match="Save it as a tiled TIFF") as refused:
            open_picture(tmp_path / name)
        assert "vips tiffsave IMAGE" in str(refused.value), "it says how"
    for start in (b"II*\x00 something else", b"no image"):
        (tmp_path / "not.tif").write_bytes(start)
        with pytest.raises(InputError, match="no image that can be read"):
            open_picture(tmp_path / "not.tif")


def test_aperio_slides_are_read_by_region(tmp_path, picture) -> None:
    """As Aperio's scanners write them: a thumbnail in strips comes second, a pyramid of tiles."""
    path, about = tmp_path / "slide.svs", "Aperio Image Library v11.2.1\r\n130x90|AppMag = 20"
    how = {"photometric": "rgb", "description": about, "metadata": None, "compression": "zlib"}
    with TiffWriter(path) as writer:
        writer.write(picture, tile=(32, 48), **how)
        writer.write(picture[::8, ::8], rowsperstrip=4, **how)
        writer.write(picture[::2, ::2], tile=(32, 48), **how)
    found = open_picture(path)
    assert isinstance(found, Slide)
    assert found.slide.properties["openslide.vendor"] == "aperio"
    assert found.slide.level_dimensions == ((130, 90), (65, 45)), "the thumbnail is none of them"
    whole = Unpacked(Image.fromarray(picture))
    box = (25, 10, 125, 90)
    np.testing.assert_array_equal(found.take(box, 80), whole.take(box, 80))
    tiles, _, _ = cut_apart(path, np.array([[20.0, 30]]), 16, 16)
    np.testing.assert_array_equal(tiles[0], picture[22:38, 12:28])


SCN = """<scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01">
<collection name="" sizeX="2600" sizeY="900"><image name=""><creationDate/><device model=""/>
<pixels><dimension sizeX="130" sizeY="90" ifd="0"/>
<dimension sizeX="65" sizeY="45" ifd="1"/></pixels>
<view sizeX="1300" sizeY="900" offsetX="0" offsetY="0"/><scanSettings><objectiveSettings>
<objective>20</objective></objectiveSettings><illuminationSettings><illuminationSource>brightfield
</illuminationSource></illuminationSettings></scanSettings></image></collection></scn>"""


def write_scn(path: Path, levels: list[np.ndarray]) -> None:
    """As Leica's scanners write them: the first description says what lies where on the glass."""
    with TiffWriter(path, bigtiff=True) as writer:
        for level, pixels in enumerate(levels):
            how = {"description": SCN.replace("\n", "")} if not level else {}
            writer.write(
                pixels, tile=(32, 48), photometric="rgb", compression="zlib", metadata=None, **how
            )


def write_ndpi(path: Path, levels: list[np.ndarray]) -> None:
    """As Hamamatsu's scanners write them: a JPEG a level, addresses of eight bytes."""
    file, link = bytearray(b"II*\0" + bytes(8)), 4
    for level, pixels in enumerate(levels):
        packed, start = io.BytesIO(), len(file)
        Image.fromarray(pixels).save(packed, "JPEG", quality=98, subsampling=0)
        file += b"Hamamatsu\0" + packed.getvalue()
        file += bytes(-len(file) % 8)
        struct.pack_into("<Q", file, link, len(file))
        [lens] = struct.unpack("<I", struct.pack("<f", 20 / 2**level))
        rows, columns, _ = pixels.shape
        tags = [
            (256, 4, 1, columns), (257, 4, 1, rows), (259, 3, 1, 7), (271, 2, 10, start),
            (273, 4, 1, start + 10), (279, 4, 1, packed.tell()), (65420, 4, 1, 1),
            (65421, 11, 1, lens), (65424, 9, 1, 0),
        ]  # fmt: skip
        file += struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *t) for t in tags)
        link = len(file)
        file += bytes(8 + 4 * len(tags))
    path.write_bytes(file)


@pytest.mark.parametrize(("write", "vendor"), [(write_scn, "leica"), (write_ndpi, "hamamatsu")])
def test_slides_of_other_scanners_are_read_by_region(tmp_path, picture, write, vendor) -> None:
    path = tmp_path / f"slide.{write.__name__[6:]}"
    write(path, [picture, picture[::2, ::2].copy()])
    found = open_picture(path)
    assert isinstance(found, Slide)
    assert found.slide.properties["openslide.vendor"] == vendor
    assert found.slide.level_count == 2
    tiles, _, _ = cut_apart(path, np.array([[20.0, 30]]), 16, 16)
    np.testing.assert_allclose(tiles[0], picture[22:38, 12:28], atol=3)  # JPEG rounds


def test_a_damaged_slide_is_told_in_a_sentence(tmp_path) -> None:
    (tmp_path / "slide.czi").write_bytes(b"ZISRAWFILE" + bytes(600))
    with pytest.raises(InputError, match=r"slide\.czi is damaged, or of a kind"):
        open_picture(tmp_path / "slide.czi")


def test_slides_of_several_files_are_refused(tmp_path, picture) -> None:
    """Hamamatsu's VMS names other files, which could be any."""
    vms = tmp_path / "slide.vms"
    named = "ImageFile=/etc/hostname\nMapFile=/etc/hostname\nOptimisationFile=\n"
    vms.write_text(
        f"[Virtual Microscope Specimen]\nNoLayers=1\nNoJpegColumns=1\nNoJpegRows=1\n{named}"
    )
    with pytest.raises(InputError, match="a slide in one file"):
        open_picture(vms)


def test_the_process_without_rights_reads_slides(tmp_path, picture) -> None:
    path = tmp_path / "slide.svs"
    imwrite(path, picture, tile=(32, 48), compression="zlib", photometric="rgb")
    tiles, _, _ = cut_apart(path, np.array([[20.0, 30]]), 16, 16)
    np.testing.assert_array_equal(tiles[0], picture[22:38, 12:28])


# --- stains -------------------------------------------------------------------------------------


def stained(colours: list[list[float]], strength: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Tiles of two stains in all proportions, and how much of each."""
    amounts = np.random.default_rng(0).uniform(0.2, 1.2, (8, 10, 10, 2))
    light = 255 * np.exp(-strength * amounts @ np.array(colours))
    return light.round().astype(np.uint8), amounts


H, E = [0.65, 0.70, 0.29], [0.27, 0.90, 0.34]


def test_stains_of_known_colours_are_found() -> None:
    tiles, _ = stained([H, E])
    found = Stains.fit(tiles)
    for own, wanted in zip(found.colours, (H, E), strict=True):
        assert own @ wanted / np.linalg.norm(wanted) > 0.99
    assert Stains.fit(np.full((4, 8, 8, 3), 250, np.uint8)) is None, "no tissue"


def test_sections_of_other_stains_are_brought_to_that_of_the_training_ones() -> None:
    one, _ = stained([H, E])
    other, _ = stained([[0.5, 0.8, 0.33], [0.2, 0.95, 0.24]], 0.6)
    tiles, sections = np.concatenate([one, other]), np.repeat(["a", "b"], 8)
    found = repaint_sections(tiles, sections, Stains.fit(one))
    before, after = (abs(x.astype(float) - one).mean() for x in (other, found[8:]))
    assert after < before / 4
    assert abs(found[:8].astype(float) - one).mean() < 2, "the reference hardly changes"
    np.testing.assert_array_equal(repaint_sections(tiles, sections, None), tiles)


def test_the_stain_that_all_are_brought_to_is_of_the_training_patients_alone() -> None:
    tissue = simulate_tissue(3, 9, 8, driven=2)
    held_out = (tissue.spots["patient"] == "P3").to_numpy()
    tiles = tissue.tiles.copy()
    tiles[held_out] = tiles[held_out][..., ::-1] // 2
    other = Tissue(tissue.spots, tissue.genes, tissue.counts, tiles)
    for fold, same in enumerate((False, False, True)):  # P1, P2 and P3 are left out
        before, after = (
            learn(some, SPEC.changed(stain="macenko"), targets=("normalised",))[1]["normalised"]
            .models[fold].stains.colours
            for some in (tissue, other)
        )  # fmt: skip
        assert np.array_equal(before, after) == same


# --- genes that vary over the tissue ------------------------------------------------------------


def test_morans_i_is_that_of_the_formula() -> None:
    places = np.array([[n, 0.0] for n in range(6)])
    weights = neighbours(places, 1)
    assert weights.sum() == 6
    y, x = (v.ravel().astype(float) for v in np.mgrid[:8, :8])
    grid = np.column_stack([x, y])
    values = np.column_stack([x, (x + y) % 2, np.ones(64)])
    rooks = abs(x[:, None] - x) + abs(y[:, None] - y) == 1
    from scipy import sparse

    found = moran(values, sparse.csr_array(rooks.astype(float)))
    z = x - x.mean()
    by_hand = 64 / rooks.sum() * sum(
        z[i] * z[j] for i in range(64) for j in range(64) if rooks[i, j]
    ) / (z**2).sum()  # fmt: skip
    assert found == pytest.approx([by_hand, -1, 0])
    noise = np.random.default_rng(0).normal(size=(64, 50))
    assert abs(moran(noise, neighbours(grid)).mean()) < 0.05


def test_genes_that_vary_over_the_tissue_are_chosen_on_training_patients_alone() -> None:
    tissue = simulate_tissue(2, 49, 8, driven=0)
    x = tissue.spots["x"].to_numpy()
    counts = tissue.counts.copy()
    first = (tissue.spots["patient"] == "P1").to_numpy()
    counts[first, 3] *= 1 + (x[first] > x.mean())
    counts[~first, 5] *= 1 + 3 * (x[~first] > x.mean())
    planted = Tissue(tissue.spots, tissue.genes, counts, tissue.tiles)
    spec = SPEC.changed(choose="moran", genes=1)
    assert choose(planted, first, spec).tolist() == [3]
    assert choose(planted, ~first, spec).tolist() == [5]
    places, sections = (planted.spots[c].to_numpy() for c in (["x", "y"], "section"))
    few = moran_over_sections(counts[:2], places[:2], sections[:2])
    assert few.tolist() == [0] * 8, "two spots say nothing"

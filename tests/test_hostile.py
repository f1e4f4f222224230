"""Attacks by files, performed: nothing outside is read or written, and nothing stops."""

import bz2
import io
import os
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from anndata import AnnData

from core.data.apart import MEMORY
from core.data.formats.asking import list_parts
from core.data.read import read_dataset
from core.data.simulate import simulate
from core.data.store import add_dataset
from core.errors import InputError
from core.explain.methods import Recipe
from core.home import run_folder
from core.plain_yaml import parse_yaml
from core.runs.execute import Silent, execute
from core.runs.explaining import explanation_state, request_explanation
from core.runs.result import load_predictions
from core.runs.spec import RunSpec
from core.runs.study_file import read_study

SECRET = "a word that no reader may see"


# --- HDF5 that takes its values from elsewhere ------------------------------------------------


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_text(SECRET * 8)
    return path


def make_h5ad(path: Path) -> Path:
    data = AnnData(np.arange(16, dtype=np.float32).reshape(4, 4))
    data.obs_names, data.var_names = list("abcd"), ["TP63", "SOX2", "KRT5", "ESR1"]
    data.obs["label"] = [1, 2, 1, 2]
    data.write_h5ad(path)
    return path


def link_to_a_group(file: h5py.File, secret: Path) -> None:
    with h5py.File(secret.with_suffix(".h5"), "w") as other:
        other["deep/x"] = np.ones(4)
    file["uns/one/two"] = h5py.ExternalLink(str(secret.with_suffix(".h5")), "deep")


def link_behind_a_soft_link(file: h5py.File, secret: Path) -> None:
    del file["obs/label"]
    link_to_a_group(file, secret)
    file["obs/label"] = h5py.SoftLink("/uns/one/two/x")


def store_outside(file: h5py.File, secret: Path) -> None:
    del file["obs/label"]
    file["obs"].create_dataset("label", (4,), "u1", external=[(str(secret), 0, 4)])
    file["obs/label"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})


def expression_outside(file: h5py.File, secret: Path) -> None:
    del file["X"]
    file.create_dataset("X", (4, 4), "u1", external=[(str(secret), 0, 16)])


def virtual(file: h5py.File, secret: Path) -> None:
    with h5py.File(secret.with_suffix(".h5"), "w") as other:
        other["x"] = np.ones(4)
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource(str(secret.with_suffix(".h5")), "x", (4,))
    del file["obs/label"]
    file["obs"].create_virtual_dataset("label", layout)


OUTSIDE = [link_to_a_group, link_behind_a_soft_link, store_outside, expression_outside, virtual]


@pytest.mark.parametrize("attack", OUTSIDE)
def test_hdf5_that_takes_values_from_another_file_is_refused(
    attack: Callable[[h5py.File, Path], None], secret: Path, tmp_path: Path
) -> None:
    path = make_h5ad(tmp_path / "attack.h5ad")
    assert read_dataset(path).shape == (4, 4)
    with h5py.File(path, "a") as file:
        attack(file, secret)
    for look in (list_parts, read_dataset):
        with pytest.raises(InputError, match=r"takes its values from another file") as caught:
            look(path)
        assert SECRET[:8] not in str(caught.value)


def test_an_hdf5_filter_that_would_be_loaded_as_a_library_is_refused(tmp_path: Path) -> None:
    path = make_h5ad(tmp_path / "filter.h5ad")
    with h5py.File(path, "a") as file:
        del file["X"]
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((4, 4))
        properties.set_filter(32015, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple((4, 4))
        h5py.h5d.create(file.id, b"X", h5py.h5t.IEEE_F32LE, space, properties)
    with pytest.raises(InputError, match="HDF5 filter 32015"):
        read_dataset(path)


def test_a_small_h5ad_that_announces_gigabytes_is_refused(tmp_path: Path) -> None:
    path = make_h5ad(tmp_path / "announced.h5ad")
    with h5py.File(path, "a") as file:
        del file["obs/label"]
        file["obs"].create_dataset("label", (3_000_000_000,), "f8", chunks=(1_000_000,))
        file["obs/label"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    with pytest.raises(InputError, match=r"announces 24\.0 GB"):
        read_dataset(path)


# --- small files that ask for all memory, all time, or another's bytes -------------------------


def sheet_with_corners(path: Path) -> Path:
    """A workbook whose two cells span 17 thousand million cells."""
    pd.DataFrame({"a": [1]}).to_excel(path, index=False)
    with zipfile.ZipFile(path) as book:
        files = {name: book.read(name) for name in book.namelist()}
    files["xl/worksheets/sheet1.xml"] = (
        b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        b'<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>2</v></c>'
        b"</row></sheetData></worksheet>"
    )
    with zipfile.ZipFile(path, "w") as book:
        for name, content in files.items():
            book.writestr(name, content)
    return path


def packed_zeros(path: Path) -> Path:
    rows = bz2.compress((b"0" * 40 + b",0\n") * 200_000)
    path.write_bytes(bz2.compress(b"gene,s1\n") + 20 * rows)
    return path


def tar_of_zeros(path: Path) -> Path:
    """A file that its header says has 8 GB; packed it takes some kilobytes."""
    info = tarfile.TarInfo("a.csv")
    info.size = 8_000_000_000
    path.write_bytes(
        bz2.compress(info.tobuf(tarfile.USTAR_FORMAT)) + 20 * bz2.compress(bytes(10_000_000))
    )
    return path


def dictionary_of_one_word(path: Path) -> Path:
    """A column of one text of 100 kB, written once and meant 60 thousand times: 6 GB."""
    words = pa.DictionaryArray.from_arrays(pa.array([0] * 60_000, pa.int32()), ["x" * 100_000])
    table = pa.table({"sample": words, "TP63": np.zeros(60_000)})
    pyarrow.parquet.write_table(table, path)
    return path


BOMBS = {
    "corner.xlsx": sheet_with_corners,
    "zeros.csv.bz2": packed_zeros,
    "zeros.tar.bz2": tar_of_zeros,
    "words.parquet": dictionary_of_one_word,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_that_would_be_huge_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For its size: however slow the processor, its time is no reason."""
    monkeypatch.setattr("core.data.apart.SECONDS", 600)
    path = BOMBS[name](tmp_path / name)
    assert path.stat().st_size < 600_000
    with pytest.raises(InputError, match=rf"{name}.*(GB once|GB of memory)"):
        read_dataset(path)
    assert [found.name for found in tmp_path.iterdir() if found.name != "home"] == [name]


@pytest.mark.parametrize("offset", [-100_000, 3_000, 2_147_483_632])
def test_feather_offsets_beyond_their_column_are_refused(offset: int, tmp_path: Path) -> None:
    path = tmp_path / "offsets.feather"
    ends = np.array([0, 2, 4], np.int32)
    column = pa.StringArray.from_buffers(2, pa.py_buffer(ends), pa.py_buffer(b"s1s2"))
    pyarrow.feather.write_feather(
        pa.table({"sample": column, "TP63": [1.5, 2.5]}), path, compression="uncompressed"
    )
    content = path.read_bytes()
    assert content.count(ends.tobytes()) == 1
    path.write_bytes(content.replace(ends.tobytes(), np.array([0, offset, 4], np.int32).tobytes()))
    with pytest.raises(InputError, match=r"offsets\.feather is not a Feather file"):
        read_dataset(path)


def test_a_nested_column_and_one_with_a_point_in_its_name_are_told_apart(tmp_path: Path) -> None:
    """HLA and HLA.A are two genes; asked for by name, the first brought both."""
    path = tmp_path / "dots.parquet"
    frame = pd.DataFrame({"sample": ["s1", "s2"], "HLA": [1.5, 2], "HLA.A": [3, 4.5], "B": [5, 6]})
    frame.to_parquet(path)
    data = read_dataset(path)
    assert list(data.var_names) == ["HLA", "HLA.A", "B"]
    assert data.X.tolist() == [[1.5, 3, 5], [2, 4.5, 6]]
    pyarrow.parquet.write_table(pa.table({"sample": ["s1"], "HLA": [{"A": 1.5}]}), path)
    with pytest.raises(InputError, match=r"column HLA: expected one number or text"):
        read_dataset(path)


def test_names_with_nul_and_names_that_h5ad_keeps_for_itself(tmp_path: Path) -> None:
    path = tmp_path / "names.parquet"
    genes = {"TP63": [1.5, 2, 3, 4], "SOX2": [2.5, 3, 4, 6]}
    samples = ["s1", "s2", "s3", "s4"]
    frame = pd.DataFrame({"sample": samples, "_index": list("aabb"), ".": list("xyxy"), **genes})
    frame.to_parquet(path)
    data = read_dataset(path)
    assert set(data.obs.columns) == {"index", "._"}
    assert add_dataset(data, "names").samples == 4
    for column, value in (("sample", "s\0t"), ("T\0P", 1.5)):
        broken = frame.rename(columns={"TP63": "T\0P"}) if "\0" in column else frame.copy()
        broken.loc[1, column] = value
        broken.to_parquet(path)
        with pytest.raises(InputError, match="a character that can't be seen"):
            read_dataset(path)


# --- archives -------------------------------------------------------------------------------


def test_links_devices_and_pipes_in_an_archive_are_none_of_its_files(
    secret: Path, tmp_path: Path
) -> None:
    path = tmp_path / "links.tar"
    with tarfile.open(path, "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            info = tarfile.TarInfo(f"{kind.decode()}.csv")
            info.type, info.linkname = kind, str(secret)
            archive.addfile(info)
    with pytest.raises(InputError, match=r"links\.tar holds no file"):
        read_dataset(path)
    path = tmp_path / "link.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("a.csv")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, str(secret))
    with pytest.raises(InputError, match=r"link\.zip holds no file"):
        read_dataset(path)


@pytest.mark.parametrize("name", ["a" * 250 + ".csv", "a\nb.csv", "inner.zip"])
def test_files_whose_names_can_not_be_one_here_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "names.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(InputError, match=r"names\.tar holds"):
        read_dataset(path)


# --- the process that reads --------------------------------------------------------------------


def ask_confined(code: str, *arguments: object, first: str = "") -> str:
    """What a process prints that gives up its files, network and memory, and then runs `code`."""
    before = (
        f"{first}\n"
        "import sys; from pathlib import Path; from core.confine import *\n"
        "able = give_up_files(interpreter_files(), [Path(sys.argv[1])])\n"
        "alone = give_up_network()\n"
        f"limit_resources(memory={MEMORY}, written=1_000_000, seconds=20)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", before + code, *map(str, arguments)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return ended.stdout + ended.stderr


def test_a_confined_process_reads_and_writes_nothing_else(secret: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    said = ask_confined(
        "print('able' if able else 'unable')\n"
        "(Path(sys.argv[1]) / 'mine').write_text('x')\n"
        "for act in (lambda: Path(sys.argv[2]).read_text(),\n"
        "            lambda: Path(sys.argv[2] + '2').write_text('x'),\n"
        "            lambda: Path('/proc/self/environ').read_bytes(),\n"
        "            lambda: __import__('subprocess').run(['/bin/true'])):\n"
        "    try: act(); print('done')\n"
        "    except PermissionError: print('refused')\n",
        place, secret,
    )  # fmt: skip
    if said.startswith("unable"):
        pytest.skip("this system can't take files from a process")
    assert said.split() == ["able", *["refused"] * 4]
    assert (place / "mine").exists()


def test_a_package_beside_python_can_still_load_its_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where packages are given by PYTHONPATH: many import some of their parts late."""
    package = tmp_path / "packages" / "lazypackage"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "later.py").write_text("print('loaded')")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(package.parent), os.getcwd()]))
    place = tmp_path / "place"
    place.mkdir()
    said = ask_confined("import lazypackage.later", place, first="import lazypackage")
    assert said == "loaded\n"


def test_a_confined_process_has_no_network(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        said = ask_confined(
            "import socket; print('alone' if alone else 'unable')\n"
            "at = '127.0.0.1', int(sys.argv[2])\n"
            "try: socket.create_connection(at, 5); print('connected')\n"
            "except OSError: print('refused')\n",
            tmp_path, server.getsockname()[1],
        )  # fmt: skip
    if said.startswith("unable"):
        pytest.skip("this system can't take the network from a process")
    assert said.split() == ["alone", "refused"]


def test_a_confined_process_has_so_much_memory_and_disk(tmp_path: Path) -> None:
    said = ask_confined(
        "try: bytearray(8 * 2**30)\n"
        "except MemoryError: print('memory')\n"
        "try: (Path(sys.argv[1]) / 'large').write_bytes(bytes(2_000_000))\n"
        "except OSError: print('disk')\n",
        tmp_path,
    )
    assert said.split() == ["memory", "disk"]


def test_a_file_after_one_that_crashed_its_reader_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="GB of memory"):
        read_dataset(sheet_with_corners(tmp_path / "corner.xlsx"))
    assert read_dataset(make_h5ad(tmp_path / "good.h5ad")).shape == (4, 4)


# --- names that become arguments, and YAML -----------------------------------------------------


def test_sample_ids_are_never_options_of_a_process(tmp_path: Path) -> None:
    """An id `--out=FILE` had the explaining process write that file."""
    target = tmp_path / "folder" / "written"
    data, _ = simulate(60, 200, seed=1)
    ids = data.obs_names.tolist()
    ids[0] = f"--out={target}"
    data.obs_names = ids
    spec = RunSpec.parse(
        {
            "cohort": {"dataset": add_dataset(data, "attack").id, "label": "tumour_type"},
            "preparation": {"genes": 40},
            "network": {"image_size": 32, "pool": 2},
            "training": {"epochs": 1, "batch_size": 16, "precision": "float32"},
            "split": {"kind": "kfold", "folds": 2},
        }
    )
    run = spec.id
    execute(spec, run_folder(run), Silent())
    other = load_predictions(run)["sample"][1]
    recipe = Recipe("saliency", samples=(str(other), ids[0]), towards="BRCA")
    request_explanation(run, recipe)
    while (state := explanation_state(run, recipe)).state == "working":
        time.sleep(0.2)
    assert state.state == "done", state.message
    assert not target.parent.exists()


BOMB = "\n".join(
    ["name: x", 'a: &a ["lol", "lol", "lol", "lol", "lol", "lol", "lol", "lol", "lol"]']
    + [f"{b}: &{b} [*{a}" + f", *{a}" * 8 + "]" for a, b in zip("abcdefg", "bcdefgh", strict=True)]
    + ["label: *h"]
)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (BOMB, "unfolds to more than 100,000 values"),
        ("a: &a [*a]", "refers to itself"),
        ("[" * 5000, "nested more than 50 levels deep"),
        ("a: !!float x", "not valid YAML"),
        ("a: !!python/object/apply:os.getcwd []", "not valid YAML"),
        (b"a: \xff", "not a text in UTF-8"),
        ("a: 1\n" * 100_000, "more than 300,000 characters"),
    ],
)
def test_yaml_that_no_person_wrote_is_refused(text: str | bytes, why: str) -> None:
    with pytest.raises(InputError, match=rf"The study .*{why}") as caught:
        parse_yaml(text, "The study")
    assert len(str(caught.value)) < 500
    with pytest.raises(InputError):
        read_study(text)


def test_references_that_a_person_writes_are_followed() -> None:
    assert parse_yaml("a: &a [1, 2]\nb: *a\nc:\n  <<: {d: 3}", "It") == {
        "a": [1, 2], "b": [1, 2], "c": {"d": 3},
    }  # fmt: skip


def test_a_study_of_millions_of_runs_is_refused() -> None:
    lists = ", ".join(f"{name}: [1,2,3,4,5,6,7,8,9,10]" for name in ("epochs", "batch_size"))
    seeds = list(range(100))
    with pytest.raises(InputError, match="cross to 10,000 runs"):
        read_study(f"name: x\nseed: {seeds}\ntraining: {{{lists}}}")

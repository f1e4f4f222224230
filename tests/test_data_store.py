"""The store: there whole or not at all, once, under the hash of the content."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from core.data.simulate import simulate
from core.data.store import (
    add_dataset,
    check_dataset_file,
    content_hash,
    delete_dataset,
    find_dataset,
    get_record,
    list_datasets,
    load_dataset,
)
from core.errors import InputError
from core.home import dataset_folder
from core.home import home as home_folder


@pytest.fixture
def data() -> AnnData:
    return simulate(50, 200)[0]


def leftovers() -> list[Path]:
    return list(home_folder().glob("datasets/*"))


def test_what_was_added_is_loaded_equal(data: AnnData) -> None:
    data.X[0, 0] = np.nan
    record = add_dataset(data, "  my   cohort ")
    again = load_dataset(record.id)
    np.testing.assert_array_equal(again.X, data.X)
    assert again.X.dtype == np.float32
    pd.testing.assert_frame_equal(again.obs, data.obs.astype(object), check_names=False)
    assert list(again.var_names) == list(data.var_names)
    assert again.uns == {"findings": [], **data.uns}
    assert content_hash(again) == record.id
    assert (record.name, record.samples, record.genes) == ("my cohort", 50, 200)
    assert sum(record.columns["tumour_type"].values()) == 50
    assert record.bytes > 50 * 200 * 4


def test_adding_leaves_the_caller_s_data_alone(data: AnnData) -> None:
    before = data.obs.dtypes.tolist()
    add_dataset(data, "a")
    assert data.obs.dtypes.tolist() == before


def test_the_same_content_is_kept_once(data: AnnData) -> None:
    first = add_dataset(data, "a")
    assert add_dataset(data.copy(), "b") == first
    assert list_datasets() == [first]


def test_every_part_of_the_content_changes_the_id(data: AnnData) -> None:
    changed = [data.copy() for _ in range(6)]
    changed[1].X[3, 3] += 1
    changed[2].obs_names = [f"x{n}" for n in range(50)]
    changed[3].var_names = [f"x{n}" for n in range(200)]
    changed[4].obs["batch"] = "other"
    changed[5].uns["scale"] = "linear"
    assert len({content_hash(one) for one in changed}) == 6


@pytest.mark.parametrize("failing", ["anndata.AnnData.write_h5ad", "core.data.store.write_json"])
def test_a_failed_write_leaves_nothing(
    data: AnnData, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(failing, fail)
    with pytest.raises(OSError, match="no space"):
        add_dataset(data, "a")
    assert leftovers() == []
    assert list_datasets() == []


def test_a_damaged_dataset_is_said_and_mended_by_adding_it_again(data: AnnData) -> None:
    record = add_dataset(data, "a")
    (dataset_folder(record.id) / "data.h5ad").write_bytes(b"half")
    with pytest.raises(InputError, match=r"matrix of 'a' \(data\.h5ad\) can't be read: it is cut"):
        load_dataset(record.id)
    (dataset_folder(record.id) / "record.json").write_text("{")
    assert load_dataset(add_dataset(data, "a").id).n_obs == 50


def test_the_newest_comes_first_and_is_found_by_name_or_beginning(data: AnnData) -> None:
    first = add_dataset(data, "first")
    second = add_dataset(simulate(50, 200, seed=1)[0], "second")
    assert [record.name for record in list_datasets()] == ["second", "first"]
    assert find_dataset("first") == find_dataset(first.id[:8]) == find_dataset(first.id) == first
    assert get_record(second.id) == second


def test_a_name_of_two_datasets_finds_neither(data: AnnData) -> None:
    add_dataset(data, "cohort")
    add_dataset(simulate(50, 200, seed=1)[0], "cohort")
    with pytest.raises(InputError, match="found 2"):
        find_dataset("cohort")
    with pytest.raises(InputError, match=r"found 0.*cohort"):
        find_dataset("other")


def test_a_deleted_dataset_is_gone(data: AnnData) -> None:
    record = add_dataset(data, "a")
    delete_dataset(record.id)
    assert leftovers() == []
    for use in (get_record, load_dataset, delete_dataset):
        with pytest.raises(InputError, match="no dataset"):
            use(record.id)


@pytest.mark.parametrize("bad", ["", "..", "../../etc", "A" * 64, "0" * 63, "0" * 64 + "/.."])
def test_only_ids_reach_the_disk(bad: str) -> None:
    for use in (get_record, load_dataset, delete_dataset):
        with pytest.raises(InputError, match="dataset id"):
            use(bad)


def test_a_blank_name_is_refused(data: AnnData) -> None:
    with pytest.raises(InputError, match="name"):
        add_dataset(data, "  ")


def test_a_full_disk_leaves_one_sentence_and_nothing_else(home: Path) -> None:
    """Files of at most 16 kB: none for the matrix of 40 kB."""
    code = (
        "from core.data.simulate import simulate; from core.data.store import add_dataset\n"
        "from core.errors import InputError\n"
        "try: add_dataset(simulate(50, 200)[0], 'a')\n"
        "except InputError as error: print(error)"
    )
    ended = subprocess.run(
        ["bash", "-c", f'ulimit -f 16; exec {sys.executable} -c "$0"', code],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ended.stdout == (
        "The dataset 'a' could not be stored. The disk is full. Free some room, and try again.\n"
    )
    assert leftovers() == []


@pytest.mark.parametrize("part", ["obs", "var"])
def test_a_nul_in_an_id_is_refused_where_it_would_be_cut_short(data: AnnData, part: str) -> None:
    getattr(data, part).rename(index={getattr(data, part).index[0]: "S1\0x"}, inplace=True)
    with pytest.raises(InputError, match=r"name of (sample|gene) 1 holds .*'S1\\x00x'"):
        add_dataset(data, "a")
    assert leftovers() == []


def test_a_nul_in_a_value_is_refused(data: AnnData) -> None:
    data.obs["tumour_type"] = ["a\0b", *data.obs["tumour_type"][1:].astype(str)]
    with pytest.raises(InputError, match=r"'a\\x00b' of tumour_type holds a NUL character"):
        add_dataset(data, "a")
    assert leftovers() == []


def test_the_hash_does_not_depend_on_how_the_matrix_is_read(data: AnnData) -> None:
    data.X = np.where(np.arange(data.n_vars) == 7, np.nan, data.X).astype(np.float32)
    record = add_dataset(data, "with gaps")
    assert content_hash(load_dataset(record.id)) == record.id
    check_dataset_file(record.id)

"""Pages show damage at what is damaged, with the way out, and everything else as ever."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from streamlit.testing.v1.element_tree import Block, Warning

from core.data.choices import Choices, save_choices
from core.data.simulate import simulate
from core.data.store import add_dataset, list_datasets
from core.files import read_json, write_json
from core.home import dataset_folder, run_folder
from core.jobs.record import JobState
from core.runs.result import hash_kept
from core.runs.store import RunStore
from tests.earlier_homes import LATEST, unpack_home
from tests.pages import button, open_page, words


@pytest.fixture
def runs(home: Path) -> list[str]:
    unpack_home(LATEST, home)
    return [record.id for record in RunStore().list()]


def test_a_damaged_matrix_is_said_and_can_be_deleted(runs: list[str]) -> None:
    [record] = list_datasets()
    (dataset_folder(record.id) / "data.h5ad").write_bytes(b"half")
    app = open_page("data")
    assert f"The matrix of '{record.name}' (data.h5ad) can't be read: it is cut" in words(app)
    app = button(app, "Delete this dataset").click().run()
    assert all(RunStore().get(run).name in words(app) for run in runs[:1])
    button(app, "Yes, delete it").click().run()
    assert list_datasets() == []


def test_a_damaged_record_is_made_again(runs: list[str]) -> None:
    [record] = list_datasets()
    (dataset_folder(record.id) / "record.json").write_text("{")
    assert not open_page("train").exception
    app = open_page("data")
    button(app, "Make its record again").click().run()
    assert [again.id for again in list_datasets()] == [record.id]


@pytest.mark.parametrize("page", ["explain", "predict"])
def test_a_button_leads_from_a_damaged_run_to_what_can_be_done(runs: list[str], page: str) -> None:
    (run_folder(runs[0]) / "result.json").write_text("{")
    app = open_page(page, run=runs[0])
    assert not app.exception
    assert f"result.json of run {runs[0]}" in words(app)
    app = button(app, "See what can be done →").click().run()
    assert button(app, "Prepare it for being made again")


@pytest.mark.parametrize(
    ("page", "link"),
    [("data", "dataset"), ("explain", "run"), ("predict", "run"), ("predict", "samples")],
)
def test_a_link_to_what_is_gone_says_so_outside_the_drawer(
    runs: list[str], page: str, link: str
) -> None:
    app = open_page(page, **{link: "f" * 12})
    assert [text for text in seen(app.main) if "(ffffffffffff) is not among those" in text]


def seen(block: Block) -> Iterator[str]:
    """The warnings of a page but those that stand where something has to be opened."""
    for part in block.children.values():
        if isinstance(part, Warning):
            yield part.value
        elif isinstance(part, Block) and part.type != "popover":
            yield from seen(part)


def test_damaged_runs_stand_beside_the_others(runs: list[str], home: Path) -> None:
    whole, damaged = runs
    (run_folder(damaged) / "predictions.csv").write_text("sample")
    RunStore().label(damaged, name="The second")
    app = open_page("compare", runs="all")
    assert f"predictions.csv of run {damaged} (The second) is missing" in words(app)
    assert not app.exception
    app = open_page("run", id=damaged)
    button(app, "Prepare it for being made again").click().run()
    assert RunStore().get(damaged).state == JobState.FAILED
    with sqlite3.connect(home / "runs.sqlite") as db:
        db.execute("UPDATE jobs SET content = 'torn' WHERE id = ?", (damaged,))
    assert "held-out samples are right" in words(open_page("run", id=whole))
    app = open_page("run", id=damaged)
    assert not app.exception
    [error] = [error.value for error in app.error if damaged in error.value]
    assert error.endswith("is damaged, or of another version of this program.")
    button(app, "Delete it").click().run()
    assert [record.id for record in RunStore().list()] == [whole]
    assert not RunStore().damaged()


def test_where_all_runs_are_damaged_a_way_leads_on(runs: list[str]) -> None:
    for run in runs:
        (run_folder(run) / "result.json").write_text("{")
    app = open_page("compare")
    assert not app.exception
    assert "None of these runs can be read." in words(app)
    app = button(app, "Have one made again").click().run()
    assert button(app, "Prepare it for being made again")
    assert app.query_params["id"] == runs[0]


@pytest.mark.parametrize(
    ("name", "view"), [("choices.json", "Overview"), ("groups.json", "Groups")]
)
def test_what_was_decided_and_is_damaged_is_set_aside(home: Path, name: str, view: str) -> None:
    dataset = add_dataset(simulate(50, 200)[0], "cohort").id
    (dataset_folder(dataset) / name).write_text("{")
    app = open_page("data", dataset=dataset[:12], **{"data view": view})
    assert not app.exception
    [error] = app.error
    assert f" 'cohort' ({name}) " in error.value.replace("\\", "")
    assert dataset not in error.value
    app = button(app, "Set it aside").click().run()
    assert not app.error
    assert (dataset_folder(dataset) / f"{name}.damaged").exists()


def test_what_was_computed_and_is_damaged_is_removed_and_computed_again(runs: list[str]) -> None:
    [torn] = run_folder(runs[1]).glob("attributions/saliency.npz")
    torn.write_bytes(b"torn")
    app = open_page("explain", run=runs[1], method="saliency")
    assert not app.exception
    assert f"saliency.npz of run {runs[1]} is damaged. Remove it" in words(app)
    app = button(app, "Remove what is damaged").click().run()
    assert not app.error
    assert button(app, "Compute Saliency")


def test_the_list_says_which_runs_are_damaged_and_which_it_has_lost(
    runs: list[str], home: Path
) -> None:
    damaged, lost = runs
    with sqlite3.connect(home / "runs.sqlite") as db:
        db.execute("UPDATE jobs SET content = 'torn' WHERE id = ?", (damaged,))
        db.execute("DELETE FROM jobs WHERE id = ?", (lost,))
    app = open_page("train")
    assert [error.value for error in app.error if f"Run {damaged}" in error.value]
    assert [text.value for text in app.warning] == ["1 run has a folder but is not in the list."]
    app = button(app, "List again").click().run()
    assert RunStore().get(lost).state == JobState.DONE
    assert not app.warning
    assert open_page("run").query_params["id"] == lost, "the last one that isn't damaged"
    app = button(open_page("train"), "Delete it").click().run()
    assert not app.exception
    assert RunStore().ids() == {lost}


def test_a_run_whose_network_is_gone_shows_its_result_and_can_be_made_again(
    runs: list[str],
) -> None:
    folder = run_folder(runs[0])
    result = read_json(folder / "result.json")  # of a version that kept no hashes
    write_json(folder / "result.json", result | {"files": hash_kept(folder)})
    (folder / "folds/0/model.safetensors").unlink()
    app = open_page("run", id=runs[0])
    assert not app.exception
    [error] = app.error
    assert error.value.startswith(f"folds/0/model.safetensors of run {runs[0]}")
    assert "held-out samples are right" in words(app)
    button(app, "Prepare it for being made again").click().run()
    assert RunStore().get(runs[0]).state == JobState.FAILED


def test_two_genes_are_painted(home: Path) -> None:
    counts = np.add(np.arange(40).reshape(20, 2), [0, 50])
    obs = pd.DataFrame({"type": ["a", "b"] * 10}, index=[f"s{n}" for n in range(20)])
    var = pd.DataFrame(index=["TP53", "MYC"])
    add_dataset(AnnData(counts.astype(np.float32), obs, var, uns={"scale": "counts"}), "two")
    app = open_page("images")
    assert not app.exception
    assert not app.error


@pytest.mark.parametrize("name", ["fold.json", "model.safetensors"])
def test_predict_begins_with_a_run_that_is_whole(runs: list[str], name: str) -> None:
    for run in runs:  # of a version that kept no hashes
        result = read_json(run_folder(run) / "result.json")
        write_json(run_folder(run) / "result.json", result | {"files": hash_kept(run_folder(run))})
    (run_folder(runs[0]) / "folds/0" / name).unlink()
    app = open_page("predict")
    assert not app.exception
    assert not app.error
    assert app.query_params["run"] == runs[1]
    asked = open_page("predict", run=runs[0])
    assert asked.query_params["run"] == runs[0], "whoever asks for it sees what is wrong"


@pytest.mark.parametrize("page", ["data", "images", "train"])
@pytest.mark.parametrize(("name", "left"), [("data.h5ad", 5000), ("choices.json", 1)])
def test_pages_begin_with_a_dataset_that_is_whole(
    home: Path, page: str, name: str, left: int
) -> None:
    old, new = (add_dataset(simulate(50, 200, seed=seed)[0], f"cohort {seed}") for seed in (1, 2))
    save_choices(new.id, Choices())
    torn = dataset_folder(new.id) / name
    torn.write_bytes(torn.read_bytes()[:left])
    app = open_page(page)
    assert not app.exception
    assert not app.error
    assert app.query_params["dataset"] == old.id[:12]
    asked = open_page(page, dataset=new.id[:12])
    assert asked.query_params["dataset"] == new.id[:12], "whoever asks for it sees what is wrong"
    assert asked.error

"""The page Histology, without a browser."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.files import write_json
from core.jobs.here import do_here
from core.jobs.job import Lane
from core.jobs.launch import answer_state, stop
from core.jobs.record import JobState
from core.jobs.store import JobStore
from core.tissue.job import PredictTissueJob, SeeTissueJob, TissueJob, TrainTissueJob, ask, job_of
from core.tissue.result import (
    RESULT,
    answer_folder,
    find_other_auxiliary,
    load_answer,
    other_auxiliary,
    scores_table,
)
from core.tissue.simulate import simulate_tissue
from core.tissue.spec import TissueSpec
from core.tissue.store import TissueRecord, add_tissue, list_tissues
from tests.pages import button, charts, open_page, words
from tests.tissues import write_visium


@pytest.fixture
def answered() -> tuple[TissueRecord, TissueSpec]:
    """A simulated tissue with its answer."""
    record = add_tissue(simulate_tissue(3, 20, 12, driven=4), "planted")
    spec = TissueSpec(tissue=record.id)
    do_here(TissueJob(asked=spec), lambda *_: None)
    return record, spec


def test_a_tissue_is_loaded_asked_and_answered_with_the_verdict_first(monkeypatch) -> None:
    monkeypatch.setattr("core.jobs.launch.ensure_workers", lambda: None)
    app = open_page("tissue")
    assert not app.exception
    button(app, "Load a simulated tissue").click().run()
    assert not app.exception
    [record] = list_tissues()
    button(app, "Predict genes").click().run()
    spec = TissueSpec(tissue=record.id)
    assert JobStore().look_up(TissueJob(asked=spec)) is not None
    assert button(app, "Cancel").key == "cancel Predicting genes"

    JobStore().delete(TissueJob(asked=spec).key)
    do_here(TissueJob(asked=spec), lambda *_: None)
    app = open_page("tissue", tissue=record.id)
    assert not app.exception
    assert not app.error
    said, verdict = words(app), load_answer(spec).result.verdict()
    assert all(line in said for line in verdict)
    assert "With 4 patients no gene is predicted beyond depth." in said
    assert charts(app) == 5, "the bars, a section twice, a tile, and the ranks"
    assert "HUE" in said, "a gene that follows the hue is the first"


def test_visium_sections_are_brought_through_the_page(tmp_path) -> None:
    tissue, place = simulate_tissue(2, 20, 8, driven=2), tmp_path / "sections"
    place.mkdir()
    write_visium(place, tissue)
    packed = Path(shutil.make_archive(str(tmp_path / "run"), "zip", place)).read_bytes()
    app = open_page("tissue")
    assert button(app, "Read and store").disabled
    # the files of one section, as they lie in its folder, one of them missing
    files = [path for path in sorted((place / "S2").rglob("*")) if path.is_file()]
    found = [(path.name, path.read_bytes(), "application/octet-stream") for path in files]
    missing = [file for file in found if file[0] != "tissue_positions.csv"]
    app.file_uploader(key="tissue spots").set_value(missing).run()
    button(app, "Read and store").click().run()
    assert "tissue_positions.csv of section section is missing" in words(app)
    assert not list_tissues()

    app.file_uploader(key="tissue spots").set_value([("run.zip", packed, "application/zip")]).run()
    button(app, "Read and store").click().run()
    assert not app.exception
    assert not app.error
    [record] = list_tissues()
    assert (record.name, record.sections, record.genes) == ("S1, S2", {"S1": 19, "S2": 19}, 8)
    assert "No patient is named" in words(app), "the page shows what was read"
    assert button(app, "Predict genes")


def test_a_table_a_section_is_brought_through_the_page(tmp_path) -> None:
    tissue = simulate_tissue(2, 20, 8, driven=2)
    counts = pd.DataFrame(tissue.counts.astype(int), tissue.spots.index, tissue.genes).to_csv()
    np.save(tmp_path / "tiles.npy", tissue.tiles)
    tables = []
    for section in tissue.sections:
        own = tissue.spots[tissue.spots["section"] == section]
        places = [name.partition("_")[2].split("x") for name in own.index]
        table = pd.DataFrame(places, columns=["x", "y"])
        table["pixel_x"], table["pixel_y"] = own["x"].to_numpy(), own["y"].to_numpy()
        tables.append((f"{section}.csv", table.to_csv(index=False).encode(), "text/csv"))
    app = open_page("tissue")
    app.file_uploader(key="tissue spots").set_value(tables).run()
    app.file_uploader(key="tissue counts").set_value(("c.csv", counts.encode(), "text/csv")).run()
    tiles = ("tiles.npy", (tmp_path / "tiles.npy").read_bytes(), "application/octet-stream")
    app.file_uploader(key="tissue tiles").set_value([tiles]).run()
    button(app, "Read and store").click().run()
    assert not app.error
    [record] = list_tissues()
    assert record.sections == {"S1": 20, "S2": 20}


def test_a_spot_of_the_link_shows_its_tile_and_where_its_gene_is_seen(answered) -> None:
    record, spec = answered
    link = {"tissue": record.id, "gene": "HUE2", "section": "S2", "spot": "S2_1x1"}
    app = open_page("tissue", **link)
    assert not app.exception
    assert "**S2_1x1**" in words(app)
    assert button(app, "Where is it seen?")
    do_here(SeeTissueJob(asked=spec, spot="S2_1x1"), lambda *_: None)
    app = open_page("tissue", **link)
    assert not app.error
    assert "covering this place lowers the prediction" in words(app)


def test_sections_without_counts_are_predicted_and_kept_as_a_dataset(answered) -> None:
    record, spec = answered
    bare = simulate_tissue(1, 9, 12, driven=4, seed=5)
    bare = type(bare)(bare.spots.assign(reads=0.0), bare.genes[:0], bare.counts[:, :0], bare.tiles)
    other = add_tissue(bare, "unknown")
    app = open_page("tissue", tissue=other.id)
    assert "nothing can be learned from them" in words(app)
    do_here(PredictTissueJob(asked=spec, section=other.id), lambda *_: None)
    app = open_page("tissue", tissue=record.id, sections=other.id)
    app.session_state["other sections"] = True
    app.run()
    assert not app.exception
    button(app, "Keep as a dataset").click().run()
    assert not app.error
    from core.data.store import list_datasets

    [kept] = list_datasets()
    assert kept.name == "unknown (predicted from tissue, experimental, a section each)"
    assert (kept.samples, kept.genes) == (1, 12)
    assert button(app, "Ask a model →")


def test_an_answer_is_deleted_on_the_page_and_so_is_the_tissue(answered) -> None:
    record, spec = answered
    app = open_page("tissue", tissue=record.id)
    app.session_state["kept answers"] = True
    app.run()
    assert "Choose a row to delete an answer" in words(app)
    assert "patients left out; 250 genes" in str(app.dataframe[-1].value)
    (answer_folder(spec) / "result.json").write_text("{")
    app = open_page("tissue", tissue=record.id)
    app.session_state["kept answers"] = True
    app.run()
    assert "is damaged. Delete the answer (the page Histology does that, below Kept" in words(app)
    assert "not finished, or damaged" in str(app.dataframe[-1].value)
    app.session_state[f"answers {record.id[:6]} 1"] = {
        "selection": {"rows": [0], "columns": [], "cells": []}
    }
    app.run()
    button(app, "Delete this answer").click().run()
    assert not app.exception
    assert not TissueJob(asked=spec).stands()
    assert button(app, "Predict genes")
    button(app, "Yes, delete the tissue").click().run()
    assert not app.exception
    assert not list_tissues()


def test_a_trained_answer_stands_beside_the_same_without_the_auxiliary_head(
    answered, monkeypatch
) -> None:
    monkeypatch.setattr("core.jobs.launch.ensure_workers", lambda: None)
    record, plain = answered
    first = load_answer(plain)
    trained = [s.model_copy(update={"model": "trained"}) for s in first.result.scores
               if s.model == "colour"]  # fmt: skip
    spec = plain.changed(backbone="squeezenet1_1", train=True)
    alone = other_auxiliary(spec)
    assert (alone.auxiliary, other_auxiliary(alone)) == (0.0, spec)

    def keep(one: TissueSpec) -> None:
        scores = [*first.result.scores, *trained]
        result = first.result.model_copy(update={"spec": one, "main": "trained", "scores": scores})
        shutil.copytree(first.folder, answer_folder(one))
        write_json(answer_folder(one) / RESULT, result.model_dump(mode="json"))

    def show() -> AppTest:
        app = open_page("tissue", tissue=record.id)
        app.session_state["tissue network"] = "squeezenet1_1"
        app.session_state["tissue train"] = True
        return app.run()

    keep(spec)
    assert find_other_auxiliary(spec) is None
    app = show()
    button(app, "Train it without the auxiliary head too").click().run()
    assert not app.exception
    assert JobStore().look_up(job_of(alone)) is not None
    JobStore().delete(job_of(alone).key)
    keep(alone)
    table = scores_table(first.result, find_other_auxiliary(spec))
    assert (table["model"] == "Trained network, no auxiliary head").sum() == 3, "of each target"
    app = show()
    assert "The same without the auxiliary head: " in words(app)
    assert "Trained network, no auxiliary head" in set(app.dataframe[0].value["model"])


def test_what_was_cancelled_is_called_so_and_can_be_asked_again(monkeypatch) -> None:
    monkeypatch.setattr("core.jobs.launch.ensure_workers", lambda: None)
    record = add_tissue(simulate_tissue(3, 20, 12, driven=4), "planted")
    job = TissueJob(asked=TissueSpec(tissue=record.id))
    ask(job)
    app = open_page("tissue", tissue=record.id)
    assert not button(app, "Cancel").disabled
    store = JobStore()
    claimed = store.claim("cpu", Lane.INTERACTIVE)
    stop(job)
    state = answer_state(job)
    assert (state.state, state.message, state.stopped) == ("working", "stopping", True)
    app = open_page("tissue", tissue=record.id)
    assert button(app, "Cancel").disabled
    assert claimed.id == job.key
    store.finish(claimed.id, JobState.CANCELLED)
    app = open_page("tissue", tissue=record.id)
    assert "Predicting genes: cancelled." in words(app)
    button(app, "Predict genes").click().run()
    assert "cancelled" not in words(app)
    assert not button(app, "Cancel").disabled


def test_networks_are_trained_in_the_queue_and_answers_are_not() -> None:
    asked = TissueSpec(tissue="0" * 16, backbone="vit_b_32", weights="scratch")
    assert job_of(asked).lane == Lane.INTERACTIVE
    job = job_of(asked.changed(train=True))
    assert isinstance(job, TrainTissueJob)
    assert job.lane == Lane.QUEUE

"""The page Histology, without a browser."""

import shutil

import pytest

from core.files import write_json
from core.jobs.here import do_here
from core.jobs.job import Lane
from core.jobs.store import JobStore
from core.tissue.job import PredictTissueJob, SeeTissueJob, TissueJob, TrainTissueJob, job_of
from core.tissue.result import RESULT, answer_folder, load_answer
from core.tissue.simulate import simulate_tissue
from core.tissue.spec import TissueSpec
from core.tissue.store import TissueRecord, add_tissue, list_tissues
from tests.pages import button, charts, open_page, words
from ui.tissue import say_auxiliary


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


def test_a_trained_answer_stands_beside_the_same_without_the_auxiliary_head(answered) -> None:
    _, plain = answered
    first = load_answer(plain)
    trained = first.result.get("colour", "normalised").model_copy(update={"model": "trained"})
    spec = plain.changed(backbone="squeezenet1_1", train=True)
    for one in (spec, spec.changed(auxiliary=0.0)):
        result = first.result.model_copy(
            update={"spec": one, "main": "trained", "scores": [*first.result.scores, trained]}
        )
        shutil.copytree(first.folder, answer_folder(one))
        write_json(answer_folder(one) / RESULT, result.model_dump(mode="json"))
        said = say_auxiliary(load_answer(spec))
        if one == spec:
            assert "ask the same without it" in said
    assert said.startswith(f"The same without the auxiliary head: {trained.above[1]} genes above")


def test_networks_are_trained_in_the_queue_and_answers_are_not() -> None:
    asked = TissueSpec(tissue="0" * 16, backbone="vit_b_32", weights="scratch")
    assert job_of(asked).lane == Lane.INTERACTIVE
    job = job_of(asked.changed(train=True))
    assert isinstance(job, TrainTissueJob)
    assert job.lane == Lane.QUEUE

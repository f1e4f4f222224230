"""Predict without a browser: the question, the match card, calls, known classes, the link."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from anndata import AnnData
from streamlit.testing.v1 import AppTest

from core.data.cohort import Cohort
from core.data.simulate import simulate
from core.data.store import add_dataset, load_dataset
from core.jobs.here import do_here
from core.jobs.job import Lane
from core.jobs.record import JobState
from core.jobs.store import JobStore
from core.predict.earlier import delete_prediction, list_predictions
from core.predict.exporting import ExportJob, export_path
from core.predict.folder import export_model
from core.predict.model import load_model
from core.predict.predicting import MatchJob, PredictJob, WhyJob, load_match, load_prediction
from core.predict.request import PredictRequest
from core.predict.sent import import_model, list_sent
from core.runs.store import RunStore
from tests.pages import button, open_page, words
from tests.runs import make
from tests.test_pages_explain import train
from tests.test_pages_runs import busy_worker  # noqa: F401
from tests.test_pages_work import open_work
from ui.predict_map import batch_columns, batches_of

LABELS = {"label": "tumour_type", "group": "patient"}


def cohort() -> AnnData:
    """90 samples that a model may learn from."""
    data, _ = simulate(150, 200, seed=1)
    return data[np.arange(150) % 5 >= 2].copy()


def others() -> AnnData:
    """60 others of the same classes."""
    data, _ = simulate(150, 200, seed=1)
    return data[np.arange(150) % 5 < 2].copy()


@pytest.fixture(scope="module")
def trained(shared_home: Path) -> tuple[Path, str]:
    """A home with a run of two folds, and its id."""
    dataset = add_dataset(cohort(), "tiny").id
    run = train(
        make(
            dataset, **LABELS, preparation={"genes": 60}, split={"kind": "kfold", "folds": 2},
        )
    )  # fmt: skip
    return shared_home, run


@pytest.fixture
def run(trained: tuple[Path, str], home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("GENECANVAS_HOME", str(trained[0]))
    return trained[1]


def ask(run: str, dataset: str, **cohort) -> PredictRequest:
    return PredictRequest(model=run, cohort=Cohort(dataset=dataset, **cohort))


def do(job: type[MatchJob], asked: PredictRequest) -> None:
    do_here(job(about=asked.model, asked=asked), lambda *_: None)


def view(app: AppTest, name: str) -> AppTest:
    app.segmented_control(key="predict view").set_value(name).run()
    assert not app.exception
    return app


def test_from_the_question_to_the_card_to_the_calls(run: str) -> None:
    dataset = add_dataset(others(), "others").id
    app = open_page("predict", run=run, samples=dataset[:12])
    assert not app.exception
    assert button(app, "Does the model fit?")
    asked = ask(run, dataset, **LABELS)

    do(MatchJob, asked)
    app.run()
    assert not app.exception
    found = {metric.label: metric.value for metric in app.metric}
    needed = load_match(asked).needed  # of both folds
    assert found["Genes found"] == f"{needed} of {needed}"
    assert found["Of the weight"] == "100.0%"
    assert "look unlike" not in words(app)  # nothing is called before it is asked for
    assert button(app, "Predict")

    do(PredictJob, asked)
    app.run()
    assert not app.exception
    assert not app.error
    calls = load_prediction(asked).calls
    flagged = int(calls["flagged"].sum())
    assert f"{flagged} of 60 samples" in words(app)
    table = app.dataframe[-1].value
    assert table["call"].tolist() == calls["called"].tolist()
    assert {"probability", "novelty", "looks", "tuned linear model", "known"} <= set(table)
    app = view(app, "map")
    assert "Dots are samples that the model learned from" in words(app)
    app = view(app, "truth")
    assert "Accuracy of the network on 60 samples that are known" in words(app)


def test_the_link_brings_the_same_view_back(run: str) -> None:
    dataset = add_dataset(others(), "others").id
    asked = ask(run, dataset, label="tumour_type", where={"tumour_type": ["BRCA", "KIRC"]})
    do(PredictJob, asked)
    said = {"label": "tumour_type", "where": {"tumour_type": ["BRCA", "KIRC"]}}
    app = open_page("predict", run=run, samples=dataset[:12], cohort=json.dumps(said))
    assert not app.exception
    n = len(load_prediction(asked).calls)
    assert 0 < n < 60
    assert f"of {n} samples" in words(app)
    assert "samples where tumour_type is BRCA, KIRC" in words(app)
    assert json.loads(app.query_params["cohort"]) == said


def test_work_leads_to_the_view_that_a_job_is_for(run: str) -> None:
    dataset = add_dataset(others(), "others").id
    plain = ask(run, dataset, label="tumour_type", where={"tumour_type": ["BRCA", "KIRC"]})
    asked = plain.model_copy(update={"together": "quantile"})
    job = WhyJob(about=run, asked=asked, samples=("S00001",))
    store = JobStore()
    id = store.submit(job)[0].id
    while (claimed := store.claim("cpu", Lane.INTERACTIVE)).id != id:
        store.finish(claimed.id, JobState.CANCELLED)
    store.finish(id, JobState.FAILED, "The moon was full.")
    app = open_work(open_page("predict", run=run, samples=dataset[:12]))
    app.selectbox(key="together 0").set_value("gene_moments").run()
    app.button(key=f"work open {id}").click().run()
    assert not app.exception
    assert app.selectbox(key="together 1").value == "quantile"
    assert json.loads(app.query_params["cohort"]) == {
        "label": "tumour_type", "where": {"tumour_type": ["BRCA", "KIRC"]},
    }  # fmt: skip
    assert app.query_params["sample"] == "S00001"
    app = open_work(open_page("data"))
    app.button(key=f"work open {id}").click().run()
    assert app.title[0].value == "Predict"
    assert app.query_params["together"] == "quantile"
    store.delete(id)


@pytest.mark.parametrize("said", ["?", "[]", '{"label": "no such column"}', '{"dataset": "x"}'])
def test_a_link_that_does_not_fit_is_said_and_left_out(run: str, said: str) -> None:
    dataset = add_dataset(others(), "others").id
    app = open_page("predict", run=run, samples=dataset[:12], cohort=said, together="?")
    assert not app.exception
    assert any("does not fit" in box.value for box in app.warning)
    assert any("together that this link names (?) is not known" in b.value for b in app.warning)
    assert json.loads(app.query_params["cohort"]) == LABELS
    assert app.query_params["together"] == "none"


def test_a_cohort_that_does_not_fit_is_refused_and_has_no_button(run: str) -> None:
    data = others()
    data.X = np.log2(data.X + 1)
    data.uns["scale"] = "log2"
    dataset = add_dataset(data, "logs").id
    do(MatchJob, ask(run, dataset, **LABELS))
    app = open_page("predict", run=run, samples=dataset[:12])
    assert not app.exception
    assert "The model learned from counts of reads, and these are log2 values" in words(app)
    assert not [widget for widget in app.button if widget.label == "Predict"]
    assert "Nothing is called" in words(app)


def test_missing_genes_are_listed_with_what_they_cost(run: str) -> None:
    genes = load_model(run).folds[0].preprocessor.genes
    data = others()
    data = data[:, ~data.var_names.isin(genes[:20])].copy()
    dataset = add_dataset(data, "fewer genes").id
    asked = ask(run, dataset, **LABELS)
    do(MatchJob, asked)
    app = open_page("predict", run=run, samples=dataset[:12])
    assert not app.exception
    card = load_match(asked)
    assert "of its own held-out samples right, instead of" in words(app)
    [table] = [frame.value for frame in app.dataframe if "weight" in frame.value]
    assert table["gene"].tolist() == [gene for gene, _ in card.missing[:12]]


def test_known_classes_are_matched_by_name_and_by_hand(run: str) -> None:
    data = others()
    other_words = {"BRCA": "breast", "KIRC": "kirc"}
    data.obs["tumour_type"] = data.obs["tumour_type"].replace(other_words)
    dataset = add_dataset(data, "other words").id
    app = open_page("predict", run=run, samples=dataset[:12])
    assert not app.exception
    # a name in other letters is the same class; "breast" is none of the model's until it is said
    assert json.loads(app.query_params["cohort"])["merge"] == {"kirc": "KIRC"}
    assert any(box.label.endswith("1 of 5 known classes are none of the model's")
               for box in app.expander)  # fmt: skip

    said = {"label": "tumour_type", "merge": {"kirc": "KIRC", "breast": "BRCA"}}
    do(PredictJob, ask(run, dataset, **said))
    app = open_page("predict", run=run, samples=dataset[:12], cohort=json.dumps(said))
    app = view(app, "truth")
    assert "on 60 samples that are known" in words(app)
    assert app.dataframe[-1].value["score"].iloc[0] == "Accuracy"


def test_the_map_shows_batches_of_both_cohorts(run: str) -> None:
    data = others()
    data.obs["site"] = ["Lyon" if name < "S0007" else "Basel" for name in data.obs_names]
    del data.obs["batch"]
    dataset = add_dataset(data, "with sites").id
    asked = ask(run, dataset, **LABELS)
    do(PredictJob, asked)
    app = open_page("predict", run=run, samples=dataset[:12], view="map")
    app.segmented_control(key="predicted colours").set_value("batch").run()
    assert not app.exception
    assert not app.error
    assert "new samples by site and training samples by batch" in words(app)
    columns = batch_columns(asked, load_model(run))
    table = load_prediction(asked).map
    found = batches_of(table, columns).groupby(table["sample"]).first()
    own = load_dataset(load_model(run).spec.cohort.dataset).obs["batch"]
    for known in (data.obs["site"], own):
        seen = known.index.intersection(found.index)
        assert len(seen)
        assert (found[seen] == known[seen].astype(str)).all()


def test_what_was_asked_before_is_seen_again_and_deleted(run: str) -> None:
    dataset = add_dataset(others(), "others").id
    for earlier in list_predictions(run):
        delete_prediction(run, earlier.key)
    asked = ask(run, dataset, label="tumour_type", where={"tumour_type": ["BRCA", "KIRC"]})
    do(PredictJob, asked)
    app = open_page("predict", run=run, samples=dataset[:12])
    app.session_state["earlier"] = True
    app.run()
    assert not app.exception
    [table] = [frame.value for frame in app.dataframe if "when" in frame.value]
    [row] = table.to_dict("records")
    found = load_prediction(asked).summary
    assert row["samples"] == "others; tumour_type is BRCA, KIRC"
    assert (row["n"], row["unlike training"]) == (found.n, found.flagged / found.n)
    [accuracy] = [score.value for score in found.scores.scores
                  if (score.model, score.metric) == ("network", "accuracy")]  # fmt: skip
    assert row["Accuracy"] == accuracy

    def choose() -> None:
        app.session_state[f"earlier calls {run} 1"] = {
            "selection": {"rows": [0], "columns": [], "cells": []}
        }
        app.run()

    choose()
    button(app, "Show these calls").click().run()
    assert json.loads(app.query_params["cohort"])["where"] == {"tumour_type": ["BRCA", "KIRC"]}
    assert f"of {found.n} samples" in words(app)

    (asked.folder / "calls.csv").write_text("")
    app = open_page("predict", **app.query_params)
    assert "is damaged" in words(app)
    button(app, "Delete what is damaged").click().run()
    assert not app.exception
    assert not app.error
    assert not asked.folder.exists()
    assert button(app, "Does the model fit?")


def test_the_column_of_known_classes_can_be_changed_again_and_again(run: str) -> None:
    dataset = add_dataset(others(), "others").id
    app = open_page("predict", run=run, samples=dataset[:12])
    for name in ("patient", "tumour_type", "patient"):
        next(box for box in app.selectbox if box.label == "Known class").set_value(name).run()
        assert next(box for box in app.selectbox if box.label == "Known class").value == name
        assert json.loads(app.query_params["cohort"])["label"] == name


def test_what_bringing_together_did_stands_beside_none(run: str) -> None:
    dataset = add_dataset(others(), "others").id
    plain = ask(run, dataset, **LABELS)
    quantile = plain.model_copy(update={"together": "quantile"})
    shutil.rmtree(plain.folder, ignore_errors=True)
    do(PredictJob, quantile)
    app = open_page("predict", run=run, samples=dataset[:12], together="quantile")
    assert not app.exception
    assert button(app, "Compute them without")
    do(PredictJob, plain)
    app.run()
    assert not app.exception
    [effects] = [f.value for f in app.dataframe if "brought together" in f.value]
    assert effects["brought together"].tolist() == ["None", "Quantiles of each sample"]
    for found, asked in zip(effects["unlike training"], (plain, quantile), strict=True):
        assert found == load_prediction(asked).calls["flagged"].mean()
    [shown] = [f for f in app.dataframe if "brought together" in f.value]
    form = json.loads(shown.proto.columns)["unlike training"]["type_config"]
    assert (form["format"], form["step"]) == ("percent", 0.001), "one decimal"


def test_names_of_strangers_are_shown_as_they_are(run: str) -> None:
    data = others()
    data.obs["tumour_type"] = data.obs["tumour_type"].replace({"BRCA": "![x](http://h/p) **b**"})
    data.obs_names = [f"*{name}*" for name in data.obs_names]
    dataset = add_dataset(data, "[others](http://h)").id
    asked = ask(run, dataset, label="tumour_type", group="patient")
    do(PredictJob, asked)
    app = open_page(
        "predict", run=run, samples=dataset[:12],
        cohort=json.dumps({"label": "tumour_type", "group": "patient"}),
    )  # fmt: skip
    app = view(app, "truth")
    shown = "\n".join(e.value for kind in (app.markdown, app.caption, app.error) for e in kind)
    assert "![x](http" not in shown
    assert "![x](http://h/p) **b**" in words(app)


def test_a_number_is_predicted_by_a_run_of_numbers(home: Path) -> None:
    data = cohort()
    dataset = add_dataset(data, "numbers").id
    gene = str(data.var_names[0])
    run = train(
        make(dataset, label=f"gene:{gene}", group="patient", task="regression",
             preparation={"genes": 60})
    )  # fmt: skip
    other = add_dataset(others(), "others").id
    asked = ask(run, other, label=f"gene:{gene}", group="patient")
    do(PredictJob, asked)
    said = json.dumps({"label": f"gene:{gene}", "group": "patient"})
    app = open_page("predict", run=run, samples=other[:12], cohort=said)
    assert not app.exception
    assert not app.error
    table = app.dataframe[-1].value
    assert table["call"].dtype == float
    assert "probability" not in table
    app = view(app, "truth")
    assert "R² of the network on 60 samples" in words(app)
    view(app, "map")


def test_a_model_that_somebody_sent_is_brought_as_a_zip_file(
    run: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = export_model(run, tmp_path / "model", lambda *_: None)
    packed = Path(shutil.make_archive(str(tmp_path / "sent"), "zip", folder))
    monkeypatch.setenv("GENECANVAS_HOME", str(home))
    app = open_page("predict")
    app.file_uploader(key="model folder").upload("sent.zip", b"PK no", "application/zip").run()
    assert not app.exception
    assert app.error
    app.file_uploader(key="model folder").upload(
        "sent.zip", packed.read_bytes(), "application/zip"
    ).run()
    assert not app.exception
    [sent] = list_sent()
    assert app.query_params["run"] == sent.id
    assert "Bring the samples" in words(app)
    dataset = add_dataset(others(), "others").id
    asked = ask(sent.id, dataset, **LABELS)
    do(PredictJob, asked)
    app = open_page("predict", run=sent.id, samples=dataset[:12])
    assert not app.exception
    assert not app.error
    assert "of 60 samples" in words(app)
    view(app, "map")


def test_a_model_is_saved_as_one_file_that_others_can_bring(run: str) -> None:
    dataset = add_dataset(others(), "others").id
    do_here(ExportJob(about=run), lambda *_: None)
    app = open_page("predict", run=run, samples=dataset[:12])
    app.session_state["export"] = True
    app.run()
    assert not app.exception
    assert [b.label for b in app.get("download_button")][-1] == "Save the model (zip)"
    assert import_model(export_path(run)) != run


def test_a_cohort_that_lacks_genes_is_offered_a_run_on_those_that_both_have(
    run: str,
    busy_worker: None,  # noqa: F811
) -> None:
    """The child learns from these genes alone, with the parent's name for it."""
    data = others()
    data = data[:, 40:].copy()
    dataset = add_dataset(data, "some genes").id
    do(MatchJob, ask(run, dataset, **LABELS))
    app = open_page("predict", run=run, samples=dataset[:12])
    button(app, "What if each sample got training's distribution?")
    button(app, "What if it learned from the genes that both have?").click().run()
    assert not app.exception
    [child] = [record for record in RunStore().list() if record.parent == run]
    assert set(child.spec.preparation.gene_list) == set(data.var_names)
    RunStore().cancel(child.id)

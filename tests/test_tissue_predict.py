"""Genes of other sections, where on a tile they are seen, files for other programs, the report."""

import json
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import torch

from core.cli import main
from core.data.cohort import Cohort
from core.data.store import add_dataset, load_dataset
from core.errors import DamageError, InputError
from core.home import run_folder
from core.jobs.here import do_here
from core.jobs.store import JobStore
from core.predict.predicting import load_prediction as load_calls
from core.predict.predicting import match_samples, predict_samples
from core.predict.request import PredictRequest
from core.report.references import Bibliography
from core.report.tissue import write_tissue_report
from core.runs.execute import Silent, execute
from core.runs.spec import RunSpec
from core.tissue.answers import delete_answer, expected_bytes, list_answers, require_room
from core.tissue.doctor import examine_tissues
from core.tissue.frozen import frozen_features
from core.tissue.job import PredictTissueJob, SeeTissueJob, TissueJob, ask, job_of
from core.tissue.predicting import (
    add_predicted,
    load_effects,
    load_prediction,
    prediction_folder,
)
from core.tissue.result import answer_folder, load_answer
from core.tissue.simulate import simulate_tissue
from core.tissue.spec import TissueSpec
from core.tissue.spots import Tissue
from core.tissue.store import add_tissue, load_tissue, tissue_folder


@pytest.fixture
def asked() -> TissueSpec:
    """A question whose answer stands: genes HUE1 to HUE4 follow the hue."""
    record = add_tissue(simulate_tissue(3, 30, 12, driven=4), "planted")
    spec = TissueSpec(tissue=record.id)
    do_here(TissueJob(asked=spec), lambda *_: None)
    return spec


@pytest.fixture
def other() -> tuple[str, Tissue]:
    """Two sections of other patients: their id without counts, and what they are with them."""
    whole = simulate_tissue(2, 30, 12, driven=4, seed=0)
    bare = Tissue(whole.spots.assign(reads=0.0), whole.genes[:0], whole.counts[:, :0], whole.tiles)
    return add_tissue(bare, "unknown").id, whole


def test_genes_of_sections_without_counts_are_predicted(asked, other) -> None:
    section, whole = other
    job = PredictTissueJob(asked=asked, section=section)
    assert not job.stands()
    with pytest.raises(InputError, match="not been predicted yet"):
        load_prediction(asked, section)
    do_here(job, lambda *_: None)
    found = load_prediction(asked, section)
    assert found.values.shape == (60, 12)
    assert found.doubts() == []
    place = list(found.genes).index("HUE1")
    reads = whole.spots["reads"].to_numpy()
    measured = np.log1p(10_000 * whole.counts[:, 0] / reads)
    assert np.corrcoef(found.values[:, place], measured)[0, 1] > 0.9
    kept = add_predicted(asked, section, "section")
    data = load_dataset(kept.id)
    assert "experimental" in kept.name
    assert data.uns["scale"] == "log2"
    assert data.obs_names.tolist() == ["S1", "S2"]
    assert data.obs["patient"].tolist() == ["P1", "P2"]
    first = (whole.spots["section"] == "S1").to_numpy()
    wanted = 100 * np.expm1(found.values[first, place]).mean()
    assert data[0, "HUE1"].X.item() == pytest.approx(np.log2(1 + wanted), rel=1e-5)
    assert add_predicted(asked, section, "spot").samples == 60
    (prediction_folder(asked, section) / "about.json").write_text("{")
    with pytest.raises(DamageError, match=r"is damaged\. Delete the answer"):
        load_prediction(asked, section)


def test_tiles_of_other_colours_are_doubted(asked) -> None:
    tissue = simulate_tissue(1, 20, 12, driven=4, seed=1)
    green = Tissue(tissue.spots, tissue.genes, tissue.counts, tissue.tiles[..., [1, 0, 2]])
    section = add_tissue(green, "green").id
    do_here(PredictTissueJob(asked=asked, section=section), lambda *_: None)
    [line] = load_prediction(asked, section).doubts()
    assert "colours or textures that no training tile has" in line


def test_where_a_gene_is_seen_is_told_by_the_model_that_has_not_seen_the_spot(asked) -> None:
    with pytest.raises(InputError, match="no spot 'X'"):
        do_here(SeeTissueJob(asked=asked, spot="X"), lambda *_: None)
    do_here(SeeTissueJob(asked=asked, spot="S2_1x1"), lambda *_: None)
    effects = load_effects(asked, "S2_1x1")
    assert effects.covered.shape == (8, 8, len(load_answer(asked).genes))
    assert np.isfinite(effects.covered).all()
    assert abs(effects.covered).max() < 0.5, "a tile of one colour is seen everywhere alike"
    assert effects.mapped is None, "no network looks"


def test_a_frozen_network_shows_its_genes_by_grad_cam_too() -> None:
    record = add_tissue(simulate_tissue(3, 12, 12, driven=4, side=64), "planted")
    asked = TissueSpec(tissue=record.id, backbone="squeezenet1_1", weights="scratch")
    do_here(TissueJob(asked=asked), lambda *_: None)
    do_here(SeeTissueJob(asked=asked, spot="S2_1x1"), lambda *_: None)
    mapped = load_effects(asked, "S2_1x1").mapped
    answer = load_answer(asked)
    assert mapped.shape == (4, 4, len(answer.genes))
    model = answer.models[1]
    assert model.left_out.tolist() == ["P2"]
    at = answer.genes.set_index("gene")["place"].loc[model.genes].to_numpy()
    tile = load_tissue(record.id).tiles[load_tissue(record.id).spots.index == "S2_1x1"]
    features = frozen_features(tile, "squeezenet1_1", "scratch")
    expected = features @ model.line.weights
    np.testing.assert_allclose(mapped.sum(axis=(0, 1))[at], expected[0], rtol=1e-3, atol=1e-4)


def test_the_command_predicts_and_writes_what_other_programs_read(
    asked, other, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    section, _ = other
    files = [str(tmp_path / name) for name in ("a.h5ad", "a.csv", "a.html", "b.h5ad")]
    learned = ["tissue", "learn", asked.tissue[:8], "--h5ad", files[0], "--csv", files[1]]
    assert main([*learned, "--report", files[2], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["report"] == files[2]
    data = anndata.read_h5ad(files[0])
    assert data.shape == (90, 12)
    assert data.obsm["spatial"].shape == (90, 2)
    answer = load_answer(asked)
    places = answer.genes.set_index("gene")["place"]
    np.testing.assert_array_equal(
        data[:, "HUE2"].X.ravel(), answer.values("predicted", "normalised")[:, places["HUE2"]]
    )
    assert data.var.loc["HUE2", "r"] > 0.9
    said = ["tissue", "predict", asked.tissue[:8], section[:8], "--h5ad", files[3], "--json"]
    assert main([*said, "--dataset", "section"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["doubts"] == []
    assert load_dataset(document["dataset"]).shape == (2, 12)
    assert anndata.read_h5ad(files[3]).shape == (60, 12)
    assert main(["tissue", "learn", section[:8], "--json"]) == 2
    assert "have no counts" in capsys.readouterr().err


def test_predicted_spots_are_painted_and_called_by_a_model_of_their_genes(asked, other) -> None:
    """From the tile to the canvas."""
    section, whole = other
    do_here(PredictTissueJob(asked=asked, section=section), lambda *_: None)
    predicted = add_predicted(asked, section, "spot").id
    shares = whole.counts / whole.counts.sum(axis=1, keepdims=True)
    warm = np.where(shares[:, 0] > np.median(shares[:, 0]), "warm", "cold")
    obs = pd.DataFrame({"hue": warm}, whole.spots.index).astype(object)
    data = anndata.AnnData(np.log2(1 + 1e6 * shares), obs, pd.DataFrame(index=whole.genes))
    data.uns |= {"scale": "log2", "source": "measured"}
    spec = RunSpec.parse(
        {
            "cohort": {"dataset": add_dataset(data, "measured").id, "label": "hue"},
            "preparation": {"genes": 12},
            "network": {"image_size": 32, "weights": "scratch", "head": "linear",
                        "freeze": "backbone"},
        }
    )  # fmt: skip
    execute(spec, run_folder(spec.id), Silent(), torch.device("cpu"))
    question = PredictRequest(model=spec.id, cohort=Cohort(dataset=predicted, group="patient"))
    card = match_samples(question, lambda *_: None)
    assert (card.found, card.refused) == (12, False), "they are on the scale of its training"
    predict_samples(question, lambda *_: None)
    calls = load_calls(question).calls
    assert len(calls) == 60
    assert calls["flagged"].dtype == bool, "each may be none of these"


def test_answers_are_listed_with_their_size_and_deleted_with_what_they_said(
    asked, other, capsys
) -> None:
    section, _ = other
    do_here(PredictTissueJob(asked=asked, section=section), lambda *_: None)
    [kept] = list_answers(asked.tissue)
    assert kept.spec == asked
    assert kept.bytes > 1000
    assert kept.words == "patients left out; 250 genes of the highest mean; colour and texture"
    assert main(["tissue", "answers", asked.tissue[:8]]) == 0
    assert kept.key in capsys.readouterr().out
    with pytest.raises(InputError, match="There is no answer 'x'"):
        delete_answer(asked.tissue, "x")
    JobStore().submit(SeeTissueJob(asked=asked, spot="S1_0x0"))
    with pytest.raises(InputError, match="tissue_see"):
        delete_answer(asked.tissue, kept.key)
    JobStore().cancel(SeeTissueJob(asked=asked, spot="S1_0x0").key)
    assert main(["tissue", "delete", asked.tissue[:8], "--answer", kept.key]) == 0
    assert not TissueJob(asked=asked).stands()
    assert not prediction_folder(asked, section).exists()
    do_here(TissueJob(asked=asked), lambda *_: None)
    assert TissueJob(asked=asked).stands(), "it can be asked again"


def test_what_a_training_left_that_did_not_end_can_be_deleted(asked) -> None:
    spec = asked.changed(backbone="squeezenet1_1", weights="scratch", train=True)
    left = answer_folder(spec)
    left.mkdir(parents=True)
    (left / "network_0.safetensors").write_bytes(bytes(100))
    one = next(answer for answer in list_answers(asked.tissue) if answer.key == left.name)
    assert (one.spec, one.bytes) == (None, 100)
    delete_answer(asked.tissue, one.key)
    assert not left.exists()


def test_networks_that_would_not_fit_are_refused_before_they_are_trained(
    asked, monkeypatch
) -> None:
    spec = asked.changed(backbone="vgg16", weights="scratch", train=True)
    assert expected_bytes(asked) == 0
    assert expected_bytes(spec) == 3 * 4 * (14_714_688 + 2048 * 12), "of three patients"
    require_room(spec)
    monkeypatch.setattr("core.tissue.answers.MOST_BYTES", 100_000_000)
    with pytest.raises(InputError, match=r"take up to 0\.2 GB, .* at most 0 GB are kept"):
        ask(job_of(spec))
    with pytest.raises(InputError, match="Delete answers that nobody needs"):
        job_of(spec).run(Path(), None, "cpu")
    require_room(asked)


def test_the_doctor_looks_at_tissues_and_removes_damaged_answers(asked) -> None:
    assert list(examine_tissues(False)) == []
    (answer_folder(asked) / "model_001.npz").write_bytes(b"PK")
    [found] = examine_tissues(False)
    assert (found.mended, found.remedy) == (False, "--repair removes it: ask again")
    [found] = examine_tissues(True)
    assert found.mended
    assert not answer_folder(asked).exists()
    assert list(examine_tissues(False)) == []
    (tissue_folder(asked.tissue) / "tiles.npy").write_bytes(b"no array")
    [found] = examine_tissues(True)
    assert not found.mended
    assert "is damaged" in found.problem


def test_the_report_says_its_verdict_first(tmp_path: Path) -> None:
    record = add_tissue(simulate_tissue(3, 12, 8, driven=2), "planted & more")
    spec = TissueSpec(tissue=record.id, genes=6, stain="macenko")
    do_here(TissueJob(asked=spec), lambda *_: None)
    text = write_tissue_report(spec, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "With 3 patients no gene is predicted beyond depth." in text
    assert "planted &amp; more" in text
    assert "number of reads without any" in text
    books = Bibliography()
    for source in ("Macenko et al. 2009", "Rahaman et al. 2023", "Ruifrok and Johnston 2001"):
        books.cite(source)
    assert all("title" in reference.bibtex for reference in books.references)

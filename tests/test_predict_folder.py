"""Model folders: what comes back is the same model, and what a stranger sends is data."""

import hashlib
import json
import os
import shutil
import stat
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData
from safetensors.numpy import load_file, save_file

from core.bundle import export_bundle, import_bundle
from core.cli import main
from core.data.groups import keep_group, list_groups
from core.data.simulate import simulate
from core.data.store import add_dataset, load_dataset
from core.errors import DamageError, InputError
from core.escape import read_csv, write_csv
from core.explain.methods import Recipe
from core.files import read_json, write_json
from core.home import run_folder, sent_folder
from core.jobs.store import JobStore
from core.predict.folder import export_model
from core.predict.model import load_model
from core.predict.opening import open_folder
from core.predict.predicting import MatchJob
from core.predict.request import PredictRequest
from core.predict.sent import Label, delete_sent, find_model, import_model, label_sent, list_sent
from core.processes import ROOT
from core.runs.doctor import examine
from core.runs.execute import Silent, execute
from core.runs.result import load_result
from core.runs.spec import RunSpec
from core.runs.store import RunStore
from core.runs.study import Samples
from tests.interpreter import Process

CPU = torch.device("cpu")
SMALL = {
    "preparation": {"genes": 60},
    "network": {"image_size": 32, "pool": 2},
    "training": {"epochs": 1, "batch_size": 16, "precision": "float32", "augmentation": "none"},
}
LINEAR = {
    "network": {"image_size": 32, "pool": 2, "freeze": "backbone", "head": "linear"},
    "training": {"augmentation": "none"},
}
KINDS: dict[str, dict[str, Any]] = {
    "two folds": {"split": {"kind": "kfold", "folds": 2}},
    "linear head": LINEAR,
    "cut edge, ranks": {
        "preparation": {"genes": 60, "scaling": "rank", "across": "quantile"},
        "network": {"image_size": 32, "pool": 2, "edge": "cut", "channels": "value_z_rank"},
    },
    "TMM, groups": {
        "preparation": {"genes": 60, "library": "tmm"},
        "layout": {"name": "order", "side": 16},
    },
    "regression": {
        "network": {**LINEAR["network"], "products": True},
        "training": LINEAR["training"],
        "task": "regression",
    },
}


def make_data() -> AnnData:
    """Samples two of which are copies, so that a finding names them."""
    data = simulate(90, 200, seed=1)[0]
    data.X[3] = data.X[1]
    data.obs_names = [f"sample-{number:03}" for number in range(90)]
    data.obs["patient"] = [f"patient-{number // 2:03}" for number in range(90)]
    data.var_names = ["=SUM(1)", "'quoted", "a,b", *data.var_names[3:]]
    return data


@pytest.fixture(scope="module")
def trained(shared_home: Path) -> tuple[Path, dict[str, str]]:
    """A home with a tiny run of each kind, and their ids."""
    data, runs = make_data(), {}
    dataset = add_dataset(data, "tiny").id
    for kind, fields in KINDS.items():
        label = f"gene:{data.var_names[5]}" if "task" in fields else "tumour_type"
        cohort = {"dataset": dataset, "label": label, "group": "patient"}
        cohort["leave_out"] = [data.obs_names[7]]
        spec = RunSpec.parse({"cohort": cohort, **SMALL, **fields})
        execute(spec, run_folder(spec.id), Silent(), CPU)
        runs[kind] = spec.id
    return shared_home, runs


@pytest.fixture(scope="module")
def folders(
    trained: tuple[Path, dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The model folder of each run."""
    place = tmp_path_factory.mktemp("exported")
    return {
        kind: export_model(run, place / str(number), lambda *_: None)
        for number, (kind, run) in enumerate(trained[1].items())
    }


@pytest.fixture
def runs(trained: tuple[Path, dict[str, str]], home: Path) -> dict[str, str]:
    """The runs, in a home of the test's own."""
    shutil.copytree(trained[0], home)
    return trained[1]


# --- there and back ---------------------------------------------------------------------------


def answer_all(place: Path, folders: list[Path]) -> None:
    """Write down what models answer, in a home that has nothing yet."""
    os.environ["GENECANVAS_HOME"] = str(place / "home")
    torch.set_num_threads(1)
    found = {}
    for folder in folders:
        model = load_model(keep(folder, place / folder.name))
        for number, fitted in enumerate(model.folds):
            name = f"{folder.name} {number}"
            found[name] = fitted.predict(make_data(), device=CPU).to_numpy()
            rows = fitted.prepare(make_data())
            found[f"{name} linear"] = model.references[number].answer(model.task, rows)
    np.savez(place / "found.npz", **found)


@pytest.fixture(scope="module")
def elsewhere(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What the models answer in another process, whose home has no dataset and no run."""
    place = tmp_path_factory.mktemp("elsewhere")
    process = Process(target=answer_all, args=(place, list(folders.values())))
    process.start()
    process.join()
    assert process.exitcode == 0
    with np.load(place / "found.npz") as file:
        return {name: file[name] for name in file.files}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_exported_answers_elsewhere_what_it_answered_here(
    runs: dict[str, str], folders: dict[str, Path], elsewhere: dict, kind: str
) -> None:
    model, data = load_model(runs[kind]), make_data()
    for number, fitted in enumerate(model.folds):
        expected = fitted.predict(data, device=CPU).to_numpy()
        assert np.ptp(expected) > 0
        found = f"{folders[kind].name} {number}"
        np.testing.assert_array_equal(elsewhere[found], expected)
        linear = model.references[number].answer(model.task, fitted.prepare(data))
        np.testing.assert_array_equal(elsewhere[f"{found} linear"], linear)


def test_a_run_goes_along_in_a_bundle_as_a_model(
    runs: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, path = runs["linear head"], tmp_path / "a.zip"
    expected = load_model(run).folds[0].predict(make_data(), device=CPU).to_numpy()
    export_bundle(path, runs=[run])
    monkeypatch.setenv("GENECANVAS_HOME", str(tmp_path / "elsewhere"))
    found = import_bundle(path)
    answer = load_model(found.models[0]).folds[0].predict(make_data(), device=CPU).to_numpy()
    np.testing.assert_array_equal(answer, expected)
    assert list(found.missing.values()) == ["tiny"]
    assert import_bundle(path).models == found.models


def test_a_run_and_its_dataset_say_elsewhere_what_they_said_here(
    runs: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, path = runs["linear head"], tmp_path / "a.zip"
    here, data, result = load_model(run), make_data(), load_result(run)
    dataset, store = here.spec.cohort.dataset, RunStore()
    if not any(record.id == run for record in store.list()):
        store.submit(here.spec, "Ours")
    store.label(run, name="Ours", note="For the meeting", tags="first, good", starred=True)
    group = keep_group(dataset, "odd", data.obs_names[:3].tolist())
    export_bundle(path, runs=[run], datasets=[dataset])
    monkeypatch.setenv("GENECANVAS_HOME", str(tmp_path / "elsewhere"))
    found = import_bundle(path)
    assert found.missing == {}
    [sent] = list_sent()
    assert sent == (found.models[0], "Ours", "For the meeting", "first, good", True)
    there = load_model(sent.id)
    assert there.folds[0].kept.result.metrics == result.metrics
    assert there.folds[0].kept.result.baselines == result.baselines
    np.testing.assert_array_equal(
        there.folds[0].predict(load_dataset(dataset), device=CPU).to_numpy(),
        here.folds[0].predict(data, device=CPU).to_numpy(),
    )
    assert list_groups(dataset) == [group]
    label_sent(sent.id, Label(name="Theirs", note="another"))
    assert list_sent() == [sent]  # what is said here stays


def test_a_model_that_was_sent_knows_what_its_run_knows_but_no_samples(
    runs: dict[str, str], folders: dict[str, Path], tmp_path: Path
) -> None:
    ours = load_model(runs["two folds"])
    sent = load_model(keep(folders["two folds"], tmp_path / "place"))
    for field in ("classes", "held_out", "inside"):
        assert getattr(sent, field) == getattr(ours, field)
    assert sent.spec.network == ours.spec.network
    pd.testing.assert_frame_equal(sent.record, ours.record)
    assert sent.sent
    assert sent.learned is None
    for fitted, own in zip(sent.folds, ours.folds, strict=True):
        assert len(fitted.train) == len(fitted.test) == 0
        assert fitted.scale == own.scale
        for part in ("preprocessor", "layout"):
            mine, theirs = getattr(fitted, part), getattr(own, part)
            for name, value in vars(theirs).items():
                if isinstance(value, np.ndarray):
                    assert getattr(mine, name).dtype == value.dtype or value.dtype.kind == "U"
                    np.testing.assert_array_equal(getattr(mine, name), value)
    for mine, theirs in zip(sent.references, ours.references, strict=True):
        for name, value in theirs.arrays().items():
            np.testing.assert_array_equal(mine.arrays()[name], value)


def keep(folder: Path, place: Path) -> str:
    """What `import_model` does, without a process of its own."""
    place.mkdir()
    model = open_folder(folder, place)
    sent_folder(model).parent.mkdir(parents=True, exist_ok=True)
    (place / "kept").rename(sent_folder(model))
    return model


def test_other_samples_are_explained_by_a_model_that_was_sent(
    folders: dict[str, Path], home: Path, tmp_path: Path
) -> None:
    fitted = load_model(keep(folders["linear head"], tmp_path / "place")).folds[0]
    data = make_data()[:4]
    labels = np.array(fitted.classes)[[0, 1, 1, 0]]
    samples = Samples(
        data.obs_names.to_numpy(), np.asarray(data.X), data.var_names.to_numpy().astype(str),
        "counts", fitted.classes, labels, np.array([0, 1, 1, 0]), None, labels, 0,
    )  # fmt: skip
    case = fitted.case(Recipe("integrated_gradients"), samples, np.arange(4), CPU)
    scores = case.explain().scores
    assert scores.shape == (4, 60)
    assert np.abs(scores).max() > 0
    with pytest.raises(InputError, match=r"starts from training samples, and model .* without"):
        fitted.case(Recipe("gradient_shap"), samples, np.arange(4), CPU)


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_names_no_sample_and_no_patient(folders: dict[str, Path], kind: str) -> None:
    texts = [path.read_bytes() for path in folders[kind].iterdir()]
    assert {path.name.partition("-")[0] for path in folders[kind].iterdir()} == {
        "README.md", "model.json", "genes", "model", "reference",
    }  # fmt: skip
    for text in texts:
        assert b"sample-0" not in text
        assert b"patient-0" not in text


def test_what_runs_found_names_samples_and_stays_with_the_run(
    runs: dict[str, str], folders: dict[str, Path]
) -> None:
    found = load_result(runs["two folds"]).findings
    assert any("sample-0" in finding.message for finding in found)
    sent = read_json(folders["two folds"] / "model.json")["result"]["findings"]
    assert len(sent) < len(found)


def test_the_card_says_how_good_it_is_and_what_beside_it(folders: dict[str, Path]) -> None:
    card = (folders["two folds"] / "README.md").read_text()
    result = read_json(folders["two folds"] / "model.json")["result"]
    network = result["metrics"]["accuracy"]
    plain = result["baselines"]["tuned_linear"]["accuracy"]
    assert f"| Accuracy | {network:.3f} | " in card
    assert f" | {plain:.3f} |" in card
    assert "Licence: *not stated" in card
    for name, row in zip(result["classes"], result["confusion"], strict=True):
        assert f"| {name} | " in card
        assert f" | {sum(row)} | " in card
    value = (folders["regression"] / "README.md").read_text()
    assert "ridge regression" in value
    assert "R²" in value


def test_a_folder_can_be_zipped_and_its_card_edited(
    folders: dict[str, Path], home: Path, tmp_path: Path
) -> None:
    folder = copy(folders["linear head"], tmp_path)
    model = keep(folder, tmp_path / "place")
    with (folder / "README.md").open("a") as card:
        card.write("Licence: CC BY 4.0")
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, folder.name)
    shutil.rmtree(sent_folder(model))
    assert import_model(Path(packed)) == model
    assert "CC BY" in (sent_folder(model) / "README.md").read_text()


def test_nothing_is_written_over_and_nothing_half(
    runs: dict[str, str], home: Path, tmp_path: Path
) -> None:
    run, target = runs["linear head"], tmp_path / "target"
    target.mkdir()
    export_model(run, target, lambda *_: None)
    before = {path.name: path.read_bytes() for path in target.iterdir()}
    with pytest.raises(InputError, match="is not an empty folder"):
        export_model(run, target, lambda *_: None)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == before
    path = run_folder(run) / "folds/0/model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamageError, match=r"model\.safetensors of run"):
        export_model(run, tmp_path / "other", lambda *_: None)
    assert [path.name for path in tmp_path.iterdir() if path != home] == ["target"]


def test_the_command_line_exports_imports_lists_and_deletes(
    runs: dict[str, str], tmp_path: Path, capsys
) -> None:
    examine(repair=True)  # lists the runs
    run = runs["linear head"]
    assert main(["export", run[:6], str(tmp_path / "out"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"run": run, "folder": str(tmp_path / "out")}
    assert main(["models", "import", str(tmp_path / "out"), "--json"]) == 0
    model = json.loads(capsys.readouterr().out)["model"]
    assert [find_model(prefix) for prefix in (model[:8], run[:8])] == [model, run]
    assert main(["models", "list"]) == 0
    assert capsys.readouterr().out.startswith(model)
    path = sent_folder(model) / "folds/0/layout.npz"
    path.write_bytes(path.read_bytes() + b" ")
    assert [finding.thing for finding in examine(repair=False)] == [f"Model {model}"]
    assert import_model(tmp_path / "out") == model, "damaged files are taken anew"
    assert examine(repair=False) == []
    assert main(["models", "delete", model[:5]]) == 0
    assert list_sent() == []
    assert main(["models", "delete", model[:5]]) == 2


def test_a_model_that_was_sent_takes_its_jobs_along(folders: dict[str, Path], home: Path) -> None:
    model = import_model(folders["linear head"])
    asked = PredictRequest(model=model, cohort={"dataset": "0" * 64})
    store = JobStore()
    job = store.submit(MatchJob(about=model, asked=asked))[0].id
    with pytest.raises(InputError, match=f"The model is needed by .* match {job}"):
        delete_sent(model)
    store.cancel(job)
    delete_sent(model)
    assert list_sent() == []
    assert store.list() == []


# --- folders that strangers made --------------------------------------------------------------


def copy(folder: Path, place: Path) -> Path:
    return shutil.copytree(folder, place / "model")


def change(folder: Path, **fields) -> None:
    """Change fields of model.json, by dotted names with _ for the dots, and its checksums."""
    document = read_json(folder / "model.json")
    for name, value in fields.items():
        *parts, last = name.split("__")
        at = document
        for part in parts:
            at = at[int(part) if part.isdigit() else part]
        at[last] = value
    document["files"] = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name not in ("model.json", "README.md") and path.is_file()
    }
    write_json(folder / "model.json", document)


def change_genes(folder: Path, edit: Callable[[pd.DataFrame], pd.DataFrame | None]) -> None:
    path = folder / "genes-1.csv"
    table = read_csv(path, dtype=str)
    changed = edit(table)
    write_csv(table if changed is None else changed, path)
    change(folder)


def change_arrays(folder: Path, name: str, edit: Callable[[dict], None]) -> None:
    arrays = load_file(folder / name)
    edit(arrays)
    save_file(arrays, folder / name)
    change(folder)


def put(column: str, text: str, row: int | None = None) -> Callable[[Path], None]:
    """An attack: a text in a column of the table of genes, at the first gene with a place."""

    def edit(table: pd.DataFrame) -> None:
        place = int(np.flatnonzero(table["row"] != "")[0]) if row is None else row
        table.loc[place, column] = text

    return lambda folder: change_genes(folder, edit)


def set_array(name: str, array: str, values: Callable[[np.ndarray], np.ndarray]):
    def edit(arrays: dict) -> None:
        arrays[array] = values(arrays[array])

    return lambda folder: change_arrays(folder, name, edit)


def announce(folder: Path) -> None:
    """A file of weights whose header announces a petabyte."""
    header = json.dumps({"x": {"dtype": "F32", "shape": [2**48], "data_offsets": [0, 2**50]}})
    path = folder / "model-1.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode() + b"0" * 64)
    change(folder)


def announce_header(folder: Path) -> None:
    (folder / "model-1.safetensors").write_bytes(struct.pack("<Q", 2**60) + b"{}")
    change(folder)


def many_classes(folder: Path) -> None:
    """A head for many classes of a large image: gigabytes, were it made."""
    names = [f"c{number:03}" for number in range(400)]
    change(
        folder, result__classes=names, result__confusion=[[0] * 400] * 400,
        spec__network__image_size=448, spec__network__pool=28, folds__0__learned_from={},
    )  # fmt: skip


def link(folder: Path) -> None:
    (folder / "genes-1.csv").rename(folder.parent / "outside.csv")
    (folder / "genes-1.csv").symlink_to(folder.parent / "outside.csv")


def drop(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def write(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content)


def set_field(**fields) -> Callable[[Path], None]:
    return lambda folder: change(folder, **fields)


REFERENCE, WEIGHTS = "reference-1.safetensors", "model-1.safetensors"
ATTACKS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "another byte": (write(WEIGHTS, b"other"), r"model-1.safetensors is not the file .* SHA-256"),
    "no table": (drop("genes-1.csv"), "genes-1.csv is missing"),
    "no document": (drop("model.json"), "model.json is missing"),
    "a program": (write("setup.py", b"print(1)"), r"'setup.py' is no file of a model folder"),
    "another fold": (write("genes-2.csv", b""), "genes-2.csv belongs to no fold"),
    "a link": (link, r"'genes-1.csv' is a link or a folder"),
    "a folder": (lambda folder: (folder / "sub").mkdir(), "'sub' is a link or a folder"),
    "a pipe": (lambda folder: os.mkfifo(folder / "README.md.x"), "is a link or a folder"),
    "no JSON": (write("model.json", b"{"), "model.json is not valid JSON"),
    "NaN": (write("model.json", b'{"version": NaN}'), "NaN is no number"),
    "deep": (write("model.json", b"[" * 10**6), "model.json is not valid JSON"),
    "huge": (write("model.json", b"[" + b"1," * 2_500_000 + b"1]"), "more than the 4,000,000"),
    "many": (write("model.json", b"[" + b"1," * 300_000 + b"1]"), "more than 200,000 values"),
    "format": (set_field(format="other"), "doesn't say that its format"),
    "version": (set_field(version=2), "model.json is of version 2, and only 1 is known"),
    "field": (set_field(run="import os"), "model.json is wrong at run"),
    "dataset": (set_field(spec__cohort__dataset="0" * 64), "wrong at spec.cohort"),
    "network": (set_field(spec__network__backbone="evil"), "Unknown backbone 'evil'"),
    "layout": (set_field(spec__layout__name="evil"), "Unknown layout 'evil'"),
    "image": (set_field(spec__network__image_size=10**6), "spec: network.image_size"),
    "preparation": (set_field(preparation_version=99), "another version of the preparation"),
    "scale": (set_field(scale="counts", spec__preparation__scale="log2"), "another scale"),
    "classes": (set_field(result__classes=["b", "a", "c", "d", "e"]), "different classes, sorted"),
    "a long class": (set_field(result__classes=["a", "b" * 999]), "more than 300"),
    "confusion": (set_field(result__confusion=[[1]]), "each pair of classes"),
    "baselines": (set_field(result__baselines={}), "lacks the baseline model majority"),
    "temperature": (set_field(folds__0__scale={"temperature": 0.0}), "that isn't above 0"),
    "shares": (set_field(folds__0__shares=None), "must have shares"),
    "canvas": (set_field(folds__0__canvas=7), "a canvas of 7 pixels"),
    "no folds": (set_field(folds=[]), "wrong at folds"),
    "many classes": (many_classes, r"model-1.safetensors has head.* in shape"),
    "a text": (put("low", "many"), "genes-1.csv has texts among the numbers of low"),
    "no end": (put("fill", "inf"), "genes-1.csv lacks numbers in fill"),
    "too large": (put("high", "1e39"), "genes-1.csv has infinite numbers in high"),
    "no number": (put("mean", ""), "genes-1.csv lacks numbers in mean"),
    "upside down": (put("high", "-100"), "low isn't below their high"),
    "outside": (put("row", "99"), "places that aren't on the canvas"),
    "half a pixel": (put("column", "1.5"), "places that aren't on the canvas"),
    "twice": (put("gene", "a,b", 5), "genes-1.csv has a gene twice"),
    "no name": (put("gene", "", 5), "ids that are empty"),
    "columns": (lambda f: change_genes(f, lambda t: t.drop(columns="sd", errors="ignore").assign(
        extra="1")), "genes-1.csv has the columns"),
    "a wide row": (lambda f: (write("genes-1.csv", (f / "genes-1.csv").read_bytes()
        + b"x,1,2,3,4,5,6,7,8,9\n")(f), change(f)), "genes-1.csv is no table"),
    "header": (announce_header, "model-1.safetensors is no safetensors file"),
    "a petabyte": (announce, "model-1.safetensors is no safetensors file"),
    "shape": (set_array(WEIGHTS, "head.offset", lambda v: v[:-1]), "head.offset in shape"),
    "type": (set_array(WEIGHTS, "head.offset", lambda v: v.astype(np.float16)), "as torch.float16"),
    "infinite": (set_array(WEIGHTS, "head.offset", lambda v: v + np.inf), "infinite numbers in"),
    "no tensor": (lambda f: change_arrays(f, WEIGHTS, lambda a: a.pop("head.offset")),
        "lacks the tensor head.offset"),
    "more tensors": (lambda f: change_arrays(f, WEIGHTS, lambda a: a.update(x=np.ones(2))),
        "holds 'x', which isn't the network's"),
    "no array": (lambda f: change_arrays(f, REFERENCE, lambda a: a.pop("importance")),
        "lacks the array importance"),
    "array shape": (set_array(REFERENCE, "linear_weights", lambda v: v[1:]), "linear_weights in"),
    "array type": (set_array(REFERENCE, "importance", lambda v: v.astype(np.int64)), "as int64"),
    "array values": (set_array(REFERENCE, "log_sd", lambda v: v * np.nan), "infinite numbers in"),
    "array order": (set_array(REFERENCE, "unlike", lambda v: v[::-1].copy()), "aren't sorted"),
    "features": (set_array(REFERENCE, "novelty_axes", lambda v: v[:-1].copy()), "the network has"),
    "card": (write("README.md", b"\xff\xfe\xff"), "README.md is no text in UTF-8"),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_folder_that_is_not_as_it_must_be_is_refused_in_one_sentence(
    folders: dict[str, Path], tmp_path: Path, attack: str
) -> None:
    change_it, said = ATTACKS[attack]
    folder = copy(folders["linear head"], tmp_path)
    change_it(folder)
    (tmp_path / "place").mkdir()
    with pytest.raises(InputError, match=said) as caught:
        open_folder(folder, tmp_path / "place")
    assert str(caught.value).startswith("The model folder can't be used: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def zip_of(folder: Path, edit: Callable[[zipfile.ZipFile], None], *, whole: bool = True) -> Path:
    path = folder.parent / "sent.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted(folder.iterdir()) if whole else ():
            packed.write(file, file.name)
        edit(packed)
    return path


def put_link(packed: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("genes-2.csv")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    packed.writestr(info, "/etc/passwd")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda packed: packed.writestr("../evil.csv", ""), "leads out of the folder"),
        (lambda packed: packed.writestr("/genes-1.csv", ""), "leads out of the folder"),
        (lambda packed: packed.writestr("a\\genes-1.csv", ""), "leads out of the folder"),
        (put_link, "is a link, not a file"),
        (lambda packed: packed.writestr("genes-1.csv", ""), "stands there twice"),
        (lambda packed: packed.writestr("sub/genes-1.csv", ""), "is in another folder"),
        (lambda packed: packed.writestr("evil.so", ""), "'evil.so' is no file of a model folder"),
    ],
)
def test_a_zip_file_can_neither_leave_its_folder_nor_bring_more(
    folders: dict[str, Path], tmp_path: Path, edit: Callable, said: str
) -> None:
    path = zip_of(copy(folders["linear head"], tmp_path), edit)
    (tmp_path / "place").mkdir()
    with pytest.raises(InputError, match=said):
        open_folder(path, tmp_path / "place")
    assert {entry.name for entry in tmp_path.iterdir()} == {"model", "sent.zip", "place"}


def test_what_unpacks_to_far_more_than_its_size_is_refused_before_it_does(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    def bomb(packed: zipfile.ZipFile) -> None:
        with packed.open("model-1.safetensors", "w") as stream:
            for _ in range(200):
                stream.write(bytes(1_000_000))

    path = zip_of(copy(folders["linear head"], tmp_path), bomb, whole=False)
    assert path.stat().st_size < 250_000
    (tmp_path / "place").mkdir()
    with pytest.raises(InputError, match="unpacks to more than"):
        open_folder(path, tmp_path / "place")
    assert not any((tmp_path / "place/sent").iterdir())


def test_what_is_refused_leaves_nothing_behind(
    folders: dict[str, Path], home: Path, tmp_path: Path
) -> None:
    folder = copy(folders["linear head"], tmp_path)
    put("low", "many")(folder)
    with pytest.raises(InputError, match=r"^The model folder can't be used: genes-1.csv has"):
        import_model(folder)
    with pytest.raises(InputError, match="is neither a folder nor a zip file"):
        import_model(folder / "README.md")
    with pytest.raises(InputError, match="There is no file or folder"):
        import_model(tmp_path / "nothing")
    assert not any(home.glob("models/*"))
    assert list_sent() == []


def test_the_process_that_reads_has_no_rights_to_other_files(
    folders: dict[str, Path], home: Path, tmp_path: Path
) -> None:
    """Were a link followed or a library tricked, nothing but the folder could be read."""
    able = "from core.confine import *; print(give_up_files([], []))"
    if "True" not in subprocess.check_output([sys.executable, "-c", able], cwd=ROOT, text=True):
        pytest.skip("this system has no Landlock")
    code = (
        "import sys\nfrom core.predict import opening\nfrom pathlib import Path\n"
        f"secret = Path({str(tmp_path / 'secret')!r})\n"
        "opening.open_folder = lambda path, place: secret.read_text()\n"
        "opening.main()"
    )
    (tmp_path / "secret").write_text("a word")
    (tmp_path / "place").mkdir()
    asked = {"path": str(folders["linear head"]), "place": str(tmp_path / "place")}
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, input=json.dumps(asked), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert "a word" not in answer.stdout
    assert answer.returncode == 2

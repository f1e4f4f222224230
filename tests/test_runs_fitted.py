"""What a finished fold leaves: it predicts as it did, on any samples that have its genes."""

import itertools
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.simulate import simulate
from core.data.store import add_dataset, load_dataset
from core.errors import Cancelled, DamageError, InputError
from core.explain.methods import Recipe
from core.files import read_json, write_array
from core.home import run_folder
from core.models.baselines import BASELINES, fit_predict_proba
from core.runs.execute import Silent, execute
from core.runs.explain import load_attribution
from core.runs.explaining import explain_run
from core.runs.fitted import FittedModel, load_fitted, read_fitted
from core.runs.outcome import compute_baselines, load_outcome
from core.runs.result import Kept, load_predictions, load_result
from core.runs.spec import RunSpec
from core.runs.study import open_samples, open_study
from tests.runs import rewrite

CPU = torch.device("cpu")


def spec_of(dataset: str, **fields) -> RunSpec:
    return RunSpec.parse(
        {
            "cohort": {"dataset": dataset, "label": "tumour_type", "group": "patient"},
            "preparation": {"genes": 60},
            "network": {"image_size": 32, "pool": 2},
            "training": {"epochs": 1, "batch_size": 16, "precision": "float32"},
            "split": {"kind": "kfold", "folds": 2},
        }
        | fields
    )


@pytest.fixture(scope="module")
def trained(shared_home: Path) -> tuple[Path, str]:
    """A home with a tiny run of two folds, and the run's id."""
    spec = spec_of(add_dataset(simulate(90, 200, seed=1)[0], "tiny").id)
    execute(spec, run_folder(spec.id), Silent(), CPU)
    return shared_home, spec.id


@pytest.fixture
def run(trained: tuple[Path, str], home: Path) -> str:
    """The run, in a home of the test's own."""
    shutil.copytree(trained[0], home)
    return trained[1]


@pytest.fixture
def data(run: str) -> AnnData:
    return load_dataset(load_fitted(run, 0).spec.cohort.dataset)


def test_a_fold_answers_what_it_answered_when_it_was_tested(run: str, data: AnnData) -> None:
    for number in (0, 1):
        fitted = load_fitted(run, number)
        table = load_predictions(run).set_index("sample").query("fold == @number")
        proba = fitted.predict(data[fitted.test], device=CPU)
        assert proba.index.tolist() == table.index.tolist()
        assert proba.columns.tolist() == fitted.classes == load_result(run).classes
        np.testing.assert_allclose(proba, table[[f"p_{name}" for name in proba]], atol=1e-6)
        np.testing.assert_allclose(proba.sum(axis=1), 1)
        plain = np.array(fitted.classes)[fitted.baselines["logistic_regression"].argmax(axis=1)]
        assert plain.tolist() == table["logistic_regression"].tolist()


def test_the_parts_of_a_fold_are_apart_and_together_all_samples(run: str, data: AnnData) -> None:
    fitted = load_fitted(run, 0)
    parts = [*fitted.train, *fitted.validation, *fitted.test]
    assert len(set(parts)) == len(parts) == data.n_obs
    fold, samples = fitted.locate(open_samples(fitted.spec)), data.obs_names.to_numpy()
    for part in ("train", "validation", "test"):
        assert samples[getattr(fold, part)].tolist() == getattr(fitted, part).tolist()


def test_features_are_the_maps_of_all_stages(run: str, data: AnnData) -> None:
    fitted = load_fitted(run, 0)
    maps = fitted.features(data[:3], device=CPU)
    sides = fitted.spec.network.map_sides
    assert list(maps) == list(sides)
    assert [values.shape[0] for values in maps.values()] == [3] * len(sides)
    assert [values.shape[2:] for values in maps.values()] == [(n, n) for n in sides.values()]
    with torch.no_grad():
        images = fitted.imager(torch.as_tensor(fitted.prepare(data[:3])))
        first = next(iter(sides))
        np.testing.assert_array_equal(maps[first], fitted.network.stage_module(first)(images))


@pytest.fixture(scope="module")
def fitted(trained: tuple[Path, str]) -> Iterator[FittedModel]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENECANVAS_HOME", str(trained[0]))
        found = load_fitted(trained[1], 0)
        assert found.network is not None
        assert found.imager is not None
        yield found


@settings(max_examples=15, deadline=None)
@given(drawn=st.data())
def test_predictions_hang_on_the_names_of_genes_and_not_on_their_places(
    fitted: FittedModel, drawn: st.DataObject
) -> None:
    data = simulate(90, 200, seed=1)[0][:4]
    expected = fitted.predict(data, device=CPU)
    more = drawn.draw(st.integers(0, 3))
    order = drawn.draw(st.permutations(range(data.n_vars + more)))
    new = pd.DataFrame(7.0, data.obs_names, [f"NEW{n}" for n in range(more)])
    frame = data.to_df().join(new).astype(np.float32).iloc[:, order]
    other = AnnData(frame, uns={"scale": "counts"})
    pd.testing.assert_frame_equal(fitted.predict(other, device=CPU), expected, check_exact=True)
    gone = drawn.draw(st.sets(st.sampled_from(data.var_names.tolist()), min_size=1, max_size=9))
    less = other[:, ~other.var_names.isin(gone)]
    with pytest.raises(InputError, match=rf"^{len(gone)} genes .* are missing of the 200 genes"):
        fitted.predict(less, device=CPU)
    filled = fitted.prepare(less, absent="mean")
    at = np.isin(fitted.preprocessor.genes, list(gone))
    assert (filled[:, at] == fitted.preprocessor.mean[at]).all()
    assert fitted.predict(less, absent="mean", device=CPU).shape == expected.shape


def test_another_scale_is_refused(run: str, data: AnnData) -> None:
    other = data[:2].copy()
    for scale in ("log2", None):
        other.uns["scale"] = scale
        with pytest.raises(InputError, match=r'on the scale of run .*= "counts", got'):
            load_fitted(run, 0).predict(other, device=CPU)


def test_samples_that_were_learned_from_are_not_explained(run: str) -> None:
    for number in (0, 1):
        fitted = load_fitted(run, number)
        samples = open_samples(fitted.spec)
        fold = fitted.locate(samples)
        for part in (fold.train, fold.validation):
            asked = np.concatenate([fold.test[:3], part[:2]])
            with pytest.raises(InputError, match=r"2 of the 5 samples are among those .*fitted on"):
                fitted.case(Recipe("saliency"), samples, asked, CPU)


def test_a_splitter_that_changed_since_changes_nothing_of_what_is_asked(run: str) -> None:
    """The specification would be divided in another way today; the stored folds stand."""
    before = load_predictions(run).set_index("sample")["fold"]
    rewrite(run, "spec.json", seed=7)
    drawn = open_study(load_fitted(run, 0).spec)
    asked = set(drawn.samples[drawn.folds[0].test])
    assert asked & set(load_fitted(run, 0).train), "drawn anew it would ask training samples"
    explain_run(run, Recipe("saliency"), lambda *_: None)
    found = load_attribution(run, Recipe("saliency"))
    assert set(found.samples) == set(before.index)
    assert (before[found.samples].to_numpy() == found.folds).all()


def test_baselines_are_fitted_and_tested_on_the_stored_folds(
    run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs of one specification whose folds are not the same, as two versions drew them."""
    other = "0123456789abcdef"
    shutil.copytree(run_folder(run), run_folder(other))
    fold = read_json(run_folder(other) / "folds/0/fold.json")
    parts = fold["parts"]
    parts["train"], left_out = parts["train"][:30], parts["train"][30:]
    rewrite(other, "folds/0/fold.json", parts=parts)
    assert left_out
    monkeypatch.setattr("core.runs.outcome.genes_path", lambda run, name: run_folder(run))
    for name, folder in itertools.product(BASELINES.names, map(run_folder, (run, other))):
        if name != "nearest_neighbours":  # one is enough, and the quickest
            write_array(folder / f"baselines/{name}.npy", np.full((90, 5), 0.2))
    compute_baselines([run, other], lambda *_: None)
    for name in (run, other):
        fitted = load_fitted(name, 0)
        samples = open_samples(fitted.spec)
        at, x = fitted.locate(samples), fitted.preprocessor.transform(samples.x, samples.genes)
        proba = fit_predict_proba(
            "nearest_neighbours", x[at.fitting], samples.y[at.fitting], x[at.test],
            len(fitted.classes), fitted.spec.seed,
        )  # fmt: skip
        outcome = load_outcome(name)
        kept = outcome.proba["nearest_neighbours"][outcome.folds == 0]
        np.testing.assert_allclose(kept, proba[np.argsort(fitted.test)])


class Interrupted(Silent):
    """Ends the run when its second fold begins."""

    def progress(self, done: int, total: int, text: str) -> None:
        if "Fold 2" in text:
            raise Cancelled("Now.")


def test_a_run_that_goes_on_has_the_folds_that_it_began_with(home: Path) -> None:
    spec = spec_of(add_dataset(simulate(90, 200, seed=1)[0], "tiny").id)
    folder = run_folder(spec.id)
    with pytest.raises(Cancelled):
        execute(spec, folder, Interrupted(), CPU)
    kept = read_json(folder / "folds.json")
    changed = spec.model_copy(update={"seed": 7})  # would be divided in another way
    execute(changed, folder, Silent(), CPU)
    assert [read_json(folder / f"folds/{n}/fold.json")["parts"] for n in (0, 1)] == kept


def test_where_the_folds_are_forgotten_none_of_others_is_kept(home: Path) -> None:
    spec = spec_of(add_dataset(simulate(90, 200, seed=1)[0], "tiny").id)
    folder = run_folder(spec.id)
    with pytest.raises(Cancelled):
        execute(spec, folder, Interrupted(), CPU)
    (folder / "folds.json").write_text("[{")
    checkpoint = folder / "folds/1/checkpoint.pt"
    checkpoint.parent.mkdir(exist_ok=True)
    checkpoint.write_bytes(b"learned from other samples")
    changed = spec.model_copy(update={"seed": 7})
    result = execute(changed, folder, Silent(), CPU)
    study = open_study(changed)
    for number, fold in enumerate(study.folds):
        assert load_fitted(spec.id, number).test.tolist() == study.samples[fold.test].tolist()
    assert result.n_test == 90


def test_a_fold_answers_wherever_its_folder_stands(run: str, data: AnnData, tmp_path: Path) -> None:
    expected = load_fitted(run, 1).predict(data[:5], device=CPU)
    folder = tmp_path / "elsewhere"
    shutil.move(run_folder(run), folder)
    fitted = read_fitted(Kept("the model elsewhere", folder, "Ask for it again."), 1)
    assert fitted.spec.id == run
    pd.testing.assert_frame_equal(fitted.predict(data[:5], device=CPU), expected, check_exact=True)
    path = folder / "folds/1/layout.npz"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(DamageError, match=r"layout.npz of the model elsewhere is .* Ask for it"):
        _ = fitted.layout


def test_without_training_samples_nothing_is_explained_that_starts_from_them(run: str) -> None:
    rewrite(run, "folds/0/fold.json", parts={"train": [], "validation": [], "test": []})
    fitted = load_fitted(run, 0)
    samples = open_samples(fitted.spec)
    for recipe in (Recipe("gradient_shap"), Recipe("integrated_gradients", baseline="others")):
        with pytest.raises(InputError, match=r"starts from training samples, and run .* without"):
            fitted.case(recipe, samples, np.arange(3), CPU)
    case = fitted.case(Recipe("integrated_gradients"), samples, np.arange(3), CPU)
    assert np.isfinite(case.explain().scores).all()


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("fold.json", lambda fitted: fitted),
        ("preprocessor.npz", lambda fitted: fitted.preprocessor),
        ("layout.npz", lambda fitted: fitted.layout),
        ("model.safetensors", lambda fitted: fitted.network),
        ("model.safetensors", lambda fitted: fitted.weights),
        ("../../spec.json", lambda fitted: fitted.spec),
    ],
)
def test_files_that_are_not_what_the_run_wrote_are_refused(run: str, name: str, ask) -> None:
    path = run_folder(run) / "folds/0" / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(DamageError, match=rf"{path.name} of run {run} is missing, damaged or not"):
        ask(load_fitted(run, 0))


def test_a_fold_that_a_run_does_not_have_is_refused(run: str) -> None:
    with pytest.raises(InputError, match=r"folds/2/fold\.json of run"):
        load_fitted(run, 2)


def test_what_needs_no_network_needs_no_torch(run: str) -> None:
    code = (
        "import sys\nfrom core.runs.fitted import load_fitted\n"
        f"fitted = load_fitted({run!r}, 0)\n"
        "fitted.layout, fitted.preprocessor, fitted.test, fitted.classes, fitted.validation_loss\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_run_is_named_by_its_folder(home: Path) -> None:
    """An earlier version may have given the same question another id."""
    spec = spec_of(add_dataset(simulate(90, 200, seed=1)[0], "tiny").id, split={})
    run = "0123456789abcdef"
    result = execute(spec, run_folder(run), Silent(), CPU)
    assert result.run == run
    assert load_fitted(run, 0).learned_from[0]["run"] == run

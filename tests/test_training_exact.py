"""Runs whose head is solved: what they store and say, and what they refuse."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData

from core.data.simulate import simulate
from core.data.store import add_dataset, load_dataset
from core.errors import InputError
from core.explain.methods import THROUGH, Recipe
from core.files import read_json
from core.home import run_folder
from core.images.imager import GeneImager
from core.images.layouts import LayoutSpec, fit_layout
from core.models.baselines import fit_predict_proba
from core.models.heads import LinearHead, Products
from core.models.network import build_network
from core.models.spec import IMAGE, PRODUCTS, NetworkSpec
from core.models.tuned import CLASSES, RIDGE, Candidate, Choice, Sources
from core.runs.execute import Silent, execute, fold_folder
from core.runs.explain import load_attribution
from core.runs.explaining import explain_run
from core.runs.fitted import load_fitted
from core.runs.result import load_predictions, load_result
from core.runs.solved import say_solved
from core.runs.source import Expression
from core.runs.spec import PRESETS, RunSpec
from core.runs.study import open_study
from core.training.exact import _leave_out, _put, solve_head
from core.training.features import FrozenPart
from core.training.objectives import Classes
from core.training.tasks import TASKS
from tests.runs import rewrite

CPU = torch.device("cpu")


def spec_of(dataset: str, **fields) -> RunSpec:
    return RunSpec.parse(
        {
            "cohort": {"dataset": dataset, "label": "tumour_type", "group": "patient"},
            "preparation": {"genes": 60},
            "network": {"image_size": 32, "pool": 2, "freeze": "backbone", "head": "linear"},
            "training": {"augmentation": "none"},
        }
        | fields
    )


@pytest.fixture(scope="module")
def trained(shared_home: Path) -> tuple[Path, str, str]:
    """A home with a run of classes and one of a gene's expression, and their ids."""
    dataset = add_dataset(simulate(120, 200, seed=1)[0], "tiny").id
    gene = load_dataset(dataset).var_names[0]
    value = {"cohort": {"dataset": dataset, "label": f"gene:{gene}", "group": "patient"}}
    specs = [spec_of(dataset), spec_of(dataset, task="regression", **value)]
    for spec in specs:
        execute(spec, run_folder(spec.id), Silent(), CPU)
    return shared_home, specs[0].id, specs[1].id


@pytest.fixture
def runs(trained: tuple[Path, str, str], home: Path) -> tuple[str, str]:
    """The runs, in a home of the test's own."""
    shutil.copytree(trained[0], home)
    return trained[1:]


def test_a_run_says_how_much_the_picture_adds(runs: tuple[str, str]) -> None:
    for run in runs:
        fold = read_json(fold_folder(run_folder(run), 0) / "fold.json")
        assert sum(fold["shares"].values()) == pytest.approx(1)
        assert list(fold["shares"]) == [IMAGE, "stem", "fire2_3", "fire4_5", "fire6_9"]
        assert set(fold["without"]) == {"maps", IMAGE}
        assert (fold["kept_epoch"], fold["epochs"]) == (1, 1)
        [said] = [note for note in load_result(run).notes if note.startswith("The head is")]
        assert "With the maps alone" in said
        assert "95 % interval" in said
    [chosen] = [note for note in load_result(runs[0]).notes if "chose" in note]
    kept = read_json(fold_folder(run_folder(runs[0]), 0) / "fold.json")["chosen"]["tuned_linear"]
    assert chosen == f"On its inner folds the tuned linear model chose {kept}."
    assert "inverse penalty" in kept


def test_the_stored_network_gives_the_stored_predictions(runs: tuple[str, str]) -> None:
    for run in runs:
        fitted, table = load_fitted(run, 0), load_predictions(run).set_index("sample")
        data = load_dataset(fitted.spec.cohort.dataset)[fitted.test]
        answers = fitted.predict(data, device=CPU)
        columns = [f"p_{name}" for name in fitted.classes] if run == runs[0] else ["predicted"]
        expected = table.loc[answers.index, columns].to_numpy()
        np.testing.assert_allclose(answers.to_numpy(), expected, rtol=1e-3, atol=1e-5)


def test_integrated_gradients_add_up(runs: tuple[str, str]) -> None:
    for run in runs:
        explain_run(run, Recipe("integrated_gradients"), lambda done, total: None)
        attribution = load_attribution(run, Recipe("integrated_gradients"))
        assert np.nanmedian(attribution.completeness) < 0.05


def test_the_parts_of_genes_and_maps_add_up(runs: tuple[str, str]) -> None:
    """Integrated gradients are linear: those of the two parts are those of the whole."""
    run, stages = runs[0], load_fitted(runs[0], 0).spec.network.record.stages
    rewrite(run, "folds/0/fold.json", shares={IMAGE: 0.6, **dict.fromkeys(stages, 0.1)})
    scores = {}
    for through in THROUGH:
        recipe = Recipe("integrated_gradients", through=through)
        explain_run(run, recipe, lambda done, total: None)
        scores[through] = load_attribution(run, recipe).scores
    np.testing.assert_allclose(scores["genes"] + scores["maps"], scores["all"], atol=1e-4)
    assert np.abs(scores["genes"]).max() > 0
    with pytest.raises(InputError, match="Known: all, genes, maps"):
        Recipe("integrated_gradients", through="pixels")


def test_an_empty_map_is_told_instead_of_drawn(runs: tuple[str, str], home: Path) -> None:
    fold, none = "folds/0/fold.json", {"stem": 0, "fire2_3": 0, "fire4_5": 0, "fire6_9": 0}
    rewrite(runs[0], fold, shares={IMAGE: 0.7, **none, "stem": 0.3})
    explain_run(runs[0], Recipe("gradcam", stage="stem"), lambda done, total: None)
    with pytest.raises(InputError, match="the genes' alone"):
        explain_run(runs[0], Recipe("gradcam", stage="fire2_3"), lambda done, total: None)


class Listening(Silent):
    """Keeps what a run says."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def progress(self, done: int, total: int, text: str) -> None:
        self.said.append(text)


def test_the_same_samples_give_the_same_numbers_again(runs: tuple[str, str]) -> None:
    """And it says what it is doing, which begins with the shares: of the genes alone the baseline
    has chosen the penalty.
    """
    folder, spec, reporter = run_folder(runs[0]), load_fitted(runs[0], 0).spec, Listening()
    before = (folder / "predictions.csv").read_bytes()
    shutil.rmtree(folder)
    execute(spec, folder, reporter, CPU)
    assert (folder / "predictions.csv").read_bytes() == before
    solving = [text for text in reporter.said if text.startswith("solving the head: ")]
    assert solving[0] == "solving the head: choosing shares, 1 of at most 6"
    assert "solving the head: fitting to all samples" in solving


def test_what_the_baseline_chose_is_taken_over_without_patients_too(home: Path) -> None:
    """Whatever the order of the samples' ids."""
    data = simulate(120, 200, seed=1)[0]
    data.obs_names = [*data.obs_names[::-1]]
    cohort = {"dataset": add_dataset(data, "no patients").id, "label": "tumour_type"}
    spec, reporter = spec_of(cohort["dataset"], cohort=cohort), Listening()
    execute(spec, run_folder(spec.id), reporter, CPU)
    solving = [text for text in reporter.said if text.startswith("solving the head: ")]
    assert solving[0] == "solving the head: choosing shares, 1 of at most 6"


def test_without_the_maps_it_is_the_baseline(runs: tuple[str, str]) -> None:
    """The genes on the image and the genes themselves are the same to a linear model."""
    fitted = load_fitted(runs[0], 0)
    data = load_dataset(fitted.spec.cohort.dataset)
    positions = data.obs_names.get_indexer(np.sort(np.append(fitted.train, fitted.validation)))
    x, network = fitted.prepare(data), fitted.network
    names, y = np.unique(data.obs["tumour_type"].astype(str), return_inverse=True)
    frozen = FrozenPart(network, fitted.imager, "float32")
    features = frozen.features(torch.as_tensor(x)).numpy()
    image = features[:, : network.head[IMAGE].linear.in_features]
    patients = data.obs["patient"].to_numpy()[positions]
    choice = Choice(Sources([image[positions]], [True]), np.eye(len(names))[y[positions]],
                    y[positions], patients, CLASSES, 0)  # fmt: skip
    scores = choice.fit(choice.choose()).score(choice.sources, [image])
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    baseline = fit_predict_proba(
        "tuned_linear", x[positions], y[positions], x, len(names), 0, patients
    )
    np.testing.assert_allclose(odds / odds.sum(axis=1, keepdims=True), baseline, atol=1e-5)


def test_the_network_computes_what_was_solved() -> None:
    rng, head = np.random.default_rng(0), LinearHead({IMAGE: (1, 4), "stem": (3, 2)}, 3)
    blocks = [rng.normal(size=(30, size)).astype(np.float32) + 7 for size in (16, 12)]
    sources = Sources(blocks, [True, False])
    choice = Choice(sources, np.eye(3)[np.arange(30) % 3], np.arange(30) % 3, np.arange(30),
                    CLASSES, 0)  # fmt: skip
    nobody = np.array([])
    fixed = Candidate((0.6, 0.4), RIDGE, 100.0, 0.3, nobody, nobody, lambda: nobody)
    solution = choice.fit(fixed)
    _put(head, sources, solution)
    maps = [
        torch.as_tensor(block.reshape(30, side, side, -1)).permute(0, 3, 1, 2)
        for block, side in zip(blocks, (4, 2), strict=True)
    ]
    with torch.no_grad():
        scores = head(maps).numpy()
        parts = []
        for name in (IMAGE, "stem"):
            head.counted = [name]
            parts.append(head(maps).numpy() - head.offset.numpy())
    np.testing.assert_allclose(scores, solution.score(sources, blocks), atol=1e-4)
    np.testing.assert_allclose(sum(parts) + head.offset.detach().numpy(), scores, atol=1e-5)


def test_leaving_out_spreads_the_shares_over_what_is_left() -> None:
    names = [IMAGE, "stem", "layer1"]
    assert _leave_out(names, (0.7, 0.3, 0.0)) == {"maps": (1, 0, 0), IMAGE: (0, 1, 0)}
    assert _leave_out(names, (1.0, 0.0, 0.0)) == {"maps": (1, 0, 0), IMAGE: (0, 0.5, 0.5)}
    names = [IMAGE, PRODUCTS, "stem"]
    assert _leave_out(names, (0.5, 0.25, 0.25)) == {
        "maps": pytest.approx((2 / 3, 1 / 3, 0)), IMAGE: (0, 0, 1)
    }  # fmt: skip


def test_products_are_of_each_two_genes() -> None:
    """An image of 16 pixels a side with four genes, each on a quarter of it."""
    image = torch.tensor([[2.0, 3.0], [5.0, 7.0]]).repeat_interleave(8, 0).repeat_interleave(8, 1)
    found = Products(16, 2)(image[None, None])
    assert found.flatten().tolist() == [4, 6, 10, 14, 9, 15, 21, 25, 35, 49]


def test_two_genes_that_speak_together_only_are_found(home: Path) -> None:
    """Classes are whether two genes are on the same side of their means: no line parts them."""
    x = np.random.default_rng(0).random((300, 8), dtype=np.float32)
    y = ((x[:, 3] > 0.5) == (x[:, 6] > 0.5)).astype(int)
    genes, right = [f"g{number}" for number in range(8)], {}
    layout = fit_layout(x[:200], genes, LayoutSpec(name="order"), 32, 0)
    for products in (False, True):
        spec = NetworkSpec(image_size=32, head="linear", freeze="backbone", products=products)
        network = build_network(spec, 2, seed=0)[0].eval()
        frozen = FrozenPart(network, GeneImager(layout, 32), "float32")
        solved = solve_head(
            network.head, frozen, x[:200], y[:200], x[200:], y[:200], np.arange(200), CLASSES,
            Classes(), seed=0,
        )  # fmt: skip
        right[products] = (solved.tested.argmax(axis=1) == y[200:]).mean()
    assert list(solved.shares)[:2] == [IMAGE, PRODUCTS]
    assert solved.shares[PRODUCTS] > 0
    assert right[False] < 0.75 < 0.85 < right[True]


def test_a_run_of_few_genes_explains_products_as_genes(home: Path) -> None:
    x = np.random.default_rng(0).random((300, 8), dtype=np.float32)
    together = np.where((x[:, 3] > 0.5) == (x[:, 6] > 0.5), "same", "apart")
    data = AnnData(8 * x, obs=pd.DataFrame({"side": together}, index=[f"s{n}" for n in range(300)]))
    data.var_names = [f"g{number}" for number in range(8)]
    data.uns["scale"] = "log2"
    cohort = {"dataset": add_dataset(data, "panel").id, "label": "side"}
    few = PRESETS["few_genes"].fill({"cohort": cohort})
    spec = RunSpec.parse({**few, "network": {**few["network"], "pool": 2}})
    execute(spec, run_folder(spec.id), Silent(), CPU)
    shares = read_json(fold_folder(run_folder(spec.id), 0) / "fold.json")["shares"]
    assert tuple(shares) == spec.network.sources
    assert shares[PRODUCTS] > 0
    scores = {}
    for through in THROUGH:
        recipe = Recipe("input_x_gradient", through=through)
        if through != "maps" or sum(shares[name] for name in spec.network.record.stages):
            explain_run(spec.id, recipe, lambda done, total: None)
            scores[through] = load_attribution(spec.id, recipe).scores
    parts = scores["genes"] + scores.get("maps", 0)
    np.testing.assert_allclose(parts, scores["all"], atol=1e-4)
    assert np.abs(scores["genes"]).max() > 0


def test_products_are_told_apart_from_the_picture() -> None:
    answers, y = np.eye(2)[[0, 1] * 10], np.array([0, 1] * 10)
    fold = {
        "shares": {IMAGE: 0.7, PRODUCTS: 0.3, "stem": 0.0}, "model": "ridge regression",
        "without": {"maps": answers.tolist(), IMAGE: answers[::-1].tolist()},
    }  # fmt: skip
    [said] = say_solved(TASKS["classification"], [fold], y, answers, np.arange(20))
    assert said.startswith(
        "The head is ridge regression; of its inner products 70% are the genes', 30% those of each "
        "two genes multiplied. With the maps alone "
    )


def test_products_of_many_genes_are_refused() -> None:
    network = {"head": "linear", "freeze": "backbone", "products": True}
    asked = {"cohort": {"label": "tumour_type"}, "network": network}
    with pytest.raises(InputError, match="64 genes at most"):
        RunSpec.parse({**asked, "preparation": {"genes": 65}})
    assert RunSpec.parse({**asked, "preparation": {"genes": 64}}).network.products
    with pytest.raises(InputError, match="for the linear head"):
        RunSpec.parse({**asked, "network": {"products": True}})


def test_products_are_refused_where_a_place_would_mix_genes() -> None:
    x = np.random.default_rng(0).random((40, 9), dtype=np.float32)
    data = AnnData(8 * x, obs=pd.DataFrame({"side": ["left", "right"] * 20}))
    data.var_names = [f"g{number}" for number in range(9)]
    data.uns["scale"] = "log2"
    few = PRESETS["few_genes"].fill({"cohort": {"label": "side"}})
    study = open_study(RunSpec.parse(few), data)
    [fold] = study.folds
    assert Expression.fit(RunSpec.parse(few), study, fold).layout.shape == (4, 4)
    for change in ({"layout": {"side": 16}}, {"network": {**few["network"], "image_size": 48}}):
        with pytest.raises(InputError, match="would mix genes"):
            Expression.fit(RunSpec.parse({**few, **change}), study, fold)


def test_what_a_solved_head_has_no_use_for_is_refused() -> None:
    cohort = {"label": "tumour_type"}
    with pytest.raises(InputError, match="freeze the backbone"):
        RunSpec.parse({"cohort": cohort, "network": {"head": "linear"}})
    solved = {"head": "linear", "freeze": "backbone"}
    for part, field in (
        ("training", {"augmentation": "expression"}), ("training", {"epochs": 3}),
        ("network", {"dropout": 0.5}),
    ):  # fmt: skip
        document = {"cohort": cohort, "network": solved}
        document[part] = {**document.get(part, {}), **field}
        with pytest.raises(InputError, match=f"{part}.{next(iter(field))} .* is solved"):
            RunSpec.parse(document)


def test_a_solved_run_is_the_same_question_however_it_is_asked() -> None:
    cohort, solved = {"label": "tumour_type"}, {"head": "linear", "freeze": "backbone"}
    short = RunSpec.parse({"cohort": cohort, "network": {**solved, "image_size": 32}})
    preset = RunSpec.parse(PRESETS["recommended"].fill({"cohort": cohort}))
    again = RunSpec.from_yaml(short.to_yaml())
    assert short.id == preset.id == again.id
    assert short.training.augmentation == "none"
    assert not any(name.startswith("training.") for name in short.settings)
    assert NetworkSpec(**solved).is_solved
    assert not NetworkSpec().is_solved


def test_too_few_patients_to_choose_on_are_told(runs: tuple[str, str]) -> None:
    fitted = load_fitted(runs[0], 0)
    rows, y = np.random.default_rng(0).random((8, 60), dtype=np.float32), np.arange(8) % 2
    frozen = FrozenPart(fitted.network, fitted.imager, "float32")
    with pytest.raises(InputError, match="Add patients"):
        solve_head(fitted.network.head, frozen, rows, y, rows, y, y, CLASSES, Classes(), seed=0)

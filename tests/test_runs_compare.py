"""Comparing finished runs: known predictions in, sentences, intervals and tests out."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix

from core.cli import main
from core.compare.comparison import compare, compare_runs
from core.compare.effects import cross_settings, grid_of, measure_effects
from core.compare.latex import latex_table
from core.compare.learning_curve import measure_curves
from core.compare.settings import name_levels, without_controls
from core.compare.wrong import find_wrong_samples
from core.data.cohort import Cohort
from core.data.simulate import simulate
from core.data.store import add_dataset, delete_dataset, load_dataset
from core.errors import InputError
from core.evaluation.differences import corrected_t, mcnemar, paired_interval
from core.evaluation.metrics import CLASS_METRICS
from core.files import write_array, write_json
from core.home import run_folder
from core.images.layouts import LAYOUTS
from core.jobs.launch import answer_state
from core.jobs.record import JobState
from core.models import gene_models
from core.models.baselines import BASELINES
from core.runs.fitting import baselines_job
from core.runs.network_genes import genes_path, network_genes, write_genes
from core.runs.outcome import (
    Outcome,
    compute_baselines,
    keep_measures,
    load_outcome,
    missing_baselines,
)
from core.runs.result import RunResult
from core.runs.source import source_of
from core.runs.spec import RunSpec
from core.runs.store import RunStore
from core.runs.study import open_study
from core.training.spec import TrainingSpec
from genecanvas import Run
from tests.runs import take_cohort


@pytest.fixture
def dataset(home: Path) -> str:
    return add_dataset(simulate(90, 200, seed=1)[0], "tiny").id


@pytest.fixture(autouse=True)
def few_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks on genes hardly learn: what holds here needs no more."""
    monkeypatch.setattr(gene_models, "EPOCHS", 1)
    monkeypatch.setattr(gene_models, "STEPS", 1)


def finish_run(
    dataset: str,
    wrong: float,
    plain_wrong: float = 0.1,
    seed: int = 0,
    loss: float | None = None,
    tuned_wrong: float | None = None,
    **parts: dict,
) -> str:
    """A finished run as a worker leaves it, whose network is wrong in a share of the samples.

    The validation loss is that share as well, unless it is given. Without `tuned_wrong` it is a run
    of an earlier version, which has no tuned linear model.

    Which samples are wrong depends on their place in the test set only, so that of two runs on the
    same samples the better one is right wherever the worse one is.
    """
    cohort = take_cohort(parts, dataset=dataset, label="tumour_type", group="patient")
    spec = RunSpec.parse(
        {"cohort": cohort, "seed": seed,
         "preparation": {"genes": 60}, "network": {"backbone": "vgg16"}, **parts}
    )  # fmt: skip
    study, tables = open_study(spec), []
    folder = run_folder(spec.id)
    for number, fold in enumerate(study.folds):
        y = study.y[fold.test]
        names, networks = np.array(study.classes), answer(y, len(study.classes), wrong)
        plain = {"logistic_regression": answer(y, len(names), plain_wrong)}
        if tuned_wrong is not None:
            plain["tuned_linear"] = answer(y, len(names), tuned_wrong)
        table = pd.DataFrame(
            {"sample": study.samples[fold.test], "fold": number, "true": names[y],
             "predicted": names[networks.argmax(axis=1)],
             **{name: names[answers.argmax(axis=1)] for name, answers in plain.items()}}
        )  # fmt: skip
        tables.append(table.join(pd.DataFrame(networks, columns=[f"p_{n}" for n in names])))
        majority = np.tile(np.bincount(study.y) / len(study.y), (len(y), 1))
        parts_of = {part: study.samples[at].tolist() for part, at in vars(fold).items()}
        write_json(
            folder / f"folds/{number}/fold.json",
            {"plain": {name: answers.tolist()
                       for name, answers in {"majority": majority, **plain}.items()},
             "parts": parts_of, "kept_epoch": 1,
             "history": [{"validation_loss": wrong if loss is None else loss}]},
        )  # fmt: skip
    predictions = pd.concat(tables)
    predictions.to_csv(folder / "predictions.csv", index=False)
    scored = list(range(len(study.folds)))[-1 if spec.split.kind == "learning_curve" else 0 :]
    tested = predictions[predictions["fold"].isin(scored)]
    result = RunResult(
        run=spec.id, classes=study.classes, metrics={}, folds=[{}] * len(study.folds),
        scored=scored, baselines={name: {} for name in ("majority", *plain)},
        n_train=len(study.folds[-1].train),
        n_validation=len(study.folds[-1].validation), n_test=predictions["sample"].nunique(),
        confusion=confusion_matrix(tested["true"], tested["predicted"]).tolist(), seconds=1.0,
        weights="", parameters=10, device="cpu", precision="float32",
        versions={}, notes=[],
    )  # fmt: skip
    write_json(folder / "spec.json", spec.model_dump(mode="json"))
    write_json(folder / "result.json", result.model_dump(mode="json"))
    RunStore().submit(spec)
    RunStore().claim("cpu")
    RunStore().finish(spec.id, JobState.DONE)
    return spec.id


def answer(y: np.ndarray, classes: int, wrong: float) -> np.ndarray:
    """Probabilities .8 for one class, wrong for the first share of the samples."""
    named = np.where(np.arange(len(y)) < round(wrong * len(y)), (y + 1) % classes, y)
    return np.eye(classes)[named] * (0.8 - 0.2 / (classes - 1)) + 0.2 / (classes - 1)


def keep_images(run: str) -> None:
    """Write each fold's preprocessor and layout, as a worker does."""
    spec = load_outcome(run).spec
    study = open_study(spec)
    for number, fold in enumerate(study.folds):
        source_of(spec).fit(spec, study, fold).save(run_folder(run) / f"folds/{number}")


def test_two_runs_on_the_same_samples(dataset: str) -> None:
    good = finish_run(dataset, 0.2)
    bad = finish_run(dataset, 0.6, network={"backbone": "resnet50"})
    found = compare_runs([good, bad])
    assert [run.settings for run in found.runs] == [
        {"network.backbone": "vgg16"}, {"network.backbone": "resnet50"}
    ]  # fmt: skip
    assert found.equal["seed"] == 0
    one, two = load_outcome(good), load_outcome(bad)
    assert len(found.differences) == 1
    pair = found.differences[0]
    assert (pair.a, pair.b) == (good, bad)
    assert pair.points == pytest.approx(100 * (one.right().mean() - two.right().mean()))
    assert pair.p == mcnemar(one.right(), two.right(), one.patients)
    low, high = paired_interval(one.right(), two.right(), one.patients)
    assert (pair.low, pair.high) == pytest.approx((100 * low, 100 * high))
    assert pair.note == f"This is more than luck (significant at 5 %; p = {pair.p:.2g})."
    assert found.headline.startswith("Best of 2: VGG16 is ")
    assert "points below logistic regression" in found.headline
    low, high = found.runs[0].interval
    assert low < found.runs[0].metrics["accuracy"] < high


def test_what_choosing_by_validation_is_worth(dataset: str) -> None:
    """Of two networks the better one looks worse on the validation samples of one split."""
    runs = []
    for seed, losses in enumerate([(0.2, 0.5), (0.2, 0.5), (0.6, 0.5)]):
        for wrong, loss, backbone in zip((0.0, 0.4), losses, ("vgg16", "resnet50"), strict=True):
            runs.append(
                finish_run(dataset, wrong, seed=seed, loss=loss, network={"backbone": backbone})
            )
    found = compare_runs(runs)
    scores = [load_outcome(run).scores()["accuracy"] for run in (runs[0], runs[2], runs[5])]
    assert scores[2] == pytest.approx(0.6, abs=0.02)
    assert found.tuned.mean == pytest.approx(np.mean(scores))
    assert found.tuned.mean < max(setup.mean for setup in found.setups)
    assert found.tuned.chosen == {"VGG16": 2, "ResNet50": 1}
    [note] = [note for note in found.notes if note.startswith("Chosen anew on each of 3 splits")]
    assert f"networks reach {100 * np.mean(scores):.1f} %" in note
    assert note.endswith("Chosen: VGG16 on 2, ResNet50 on 1.")
    assert compare_runs(runs[:4]).tuned is None


def test_the_headline_says_what_can_be_luck(dataset: str) -> None:
    assert (
        "VGG16 is as good as logistic regression (95 % CI 10.3 below to 10.3 above, n = 27)"
        in compare_runs([finish_run(dataset, 0.1)]).headline
    )
    clear = compare_runs([finish_run(dataset, 0.9, seed=1)]).headline
    assert "points below logistic regression (95 % CI " in clear
    assert "n = 27" in clear


@pytest.mark.parametrize("metric", [m.name for m in CLASS_METRICS if m.has_interval])
def test_any_score_can_be_compared(metric: str, dataset: str) -> None:
    runs = [finish_run(dataset, 0.2), finish_run(dataset, 0.4, training={"epochs": 3})]
    found = compare_runs(runs, metric)
    low, high = found.runs[0].interval
    assert low <= found.runs[0].metrics[metric] <= high
    pair = found.differences[0]
    assert pair.a == runs[0]
    assert pair.low < pair.points < pair.high
    assert (pair.p is not None) == (metric == "accuracy")


def test_repeats_are_compared_over_their_splits(dataset: str) -> None:
    shares = (0.1, 0.2, 0.15, 0.2)
    good = [finish_run(dataset, wrong, seed=s) for s, wrong in enumerate(shares)]
    bad = [
        finish_run(dataset, wrong + 0.3, seed=s, training={"epochs": 3})
        for s, wrong in enumerate(shares)
    ]
    found = compare_runs([*good, *bad])
    first, second = found.setups[:2]
    assert (first.name, second.name) == (
        f"VGG16 · {TrainingSpec().epochs} epochs",
        "VGG16 · 3 epochs",
    )
    assert first.runs == good
    assert first.splits == 4
    pair = next(p for p in found.setup_differences if (p.a, p.b) == (first.name, second.name))
    one, two = [[load_outcome(run) for run in runs] for runs in (good, bad)]
    gaps = [a.right().mean() - b.right().mean() for a, b in zip(one, two, strict=True)]
    expected = corrected_t(np.array(gaps), one[0].test_to_train)
    assert one[0].test_to_train == pytest.approx(len(one[0].y) / (90 - len(one[0].y)))
    assert pair.points == pytest.approx(100 * expected.mean)
    assert pair.p == pytest.approx(expected.p)
    assert pair.worse + pair.same + pair.better == pytest.approx(1)
    assert [setup.kind for setup in found.setups] == ["network", "network", "baseline"]
    assert found.setups[1].rank == 3
    assert found.setups[1].best == 0
    assert "4 splits" in found.headline


def test_the_folds_of_one_run_are_splits(dataset: str) -> None:
    run = finish_run(dataset, 0.3, split={"kind": "kfold", "folds": 3})
    found = compare_runs([run])
    assert found.setups[0].splits == 3
    assert found.setups[0].n_test == 90
    assert load_outcome(run).test_to_train == pytest.approx(0.5, abs=0.05)
    assert "3 splits, n = 90" in found.headline


def test_a_sample_that_several_splits_tested_counts_once(dataset: str) -> None:
    run = finish_run(dataset, 0.3, split={"kind": "repeated_holdout", "repeats": 4})
    outcome, found = load_outcome(run), compare_runs([run])
    different = len(np.unique(outcome.samples))
    assert len(outcome.y) > different
    assert found.runs[0].n_test == found.setups[0].n_test == different
    assert found.setups[0].splits == 4
    assert f"4 splits, n = {different}" in found.headline


def test_of_a_learning_curve_the_largest_training_part_counts(dataset: str) -> None:
    run = finish_run(dataset, 0.3, split={"kind": "learning_curve", "sizes": 2})
    outcome = load_outcome(run)
    assert set(outcome.folds) == {1}
    assert compare_runs([run]).setups[0].splits == 1
    keep_images(run)
    compute_baselines([run], lambda *_: None)
    assert load_outcome(run).proba["linear_svm"].shape == outcome.proba["network"].shape


def test_many_runs_are_compared_with_the_best_on_their_samples(dataset: str) -> None:
    runs = [finish_run(dataset, 0.05 * k, training={"epochs": k + 1}) for k in range(9)]
    other = finish_run(dataset, 0.3, seed=5)
    found = compare_runs([*runs, other])
    assert {pair.a for pair in found.differences} == {runs[0]}
    assert {pair.b for pair in found.differences} == set(runs[1:])


def test_weights_files_of_two_names_are_two_setups(dataset: str) -> None:
    files = [{"backbone": "vgg16", "weights": f"file:/nets/{name}.pth"} for name in "ab"]
    runs = [finish_run(dataset, 0.2, network=network) for network in files]
    assert [setup.name for setup in compare_runs(runs).setups[:2]] == [
        "VGG16 · initial weights: file a.pth", "VGG16 · initial weights: file b.pth"
    ]  # fmt: skip


def test_runs_on_other_classes_or_samples_are_told_apart(dataset: str) -> None:
    study = open_study(
        RunSpec(cohort=Cohort(dataset=dataset, label="tumour_type", group="patient"))
    )
    first, second = study.classes[:2]
    merged = finish_run(dataset, 0.2, merge={first: second})
    chosen = finish_run(dataset, 0.2, where={"tumour_type": [first, second]})
    without = [finish_run(dataset, 0.2, leave_out=[name]) for name in study.samples[:2].tolist()]
    found = compare_runs([finish_run(dataset, 0.2), merged, chosen])
    assert [run.settings["cohort.merge"] for run in found.runs] == [{}, {first: second}, {}]
    names = [setup.name for setup in found.setups if setup.kind == "network"]
    assert names == [
        "VGG16 · all samples · classes as given",
        f"VGG16 · all samples · {first} as {second}",
        f"VGG16 · tumour_type is {first} or {second} · classes as given",
    ]
    left_out = {setup.name for setup in compare_runs(without).setups[:2]}
    assert left_out == {f"VGG16 · samples left out: {name}" for name in study.samples[:2]}


def test_long_lists_are_said_by_some_names_and_never_taken_for_each_other(dataset: str) -> None:
    genes = load_dataset(dataset).var_names[:6].tolist()
    lists = [[*genes[:2], gene, genes[5]] for gene in genes[2:4]]
    runs = [finish_run(dataset, 0.2, preparation={"without": names}) for names in lists]
    levels = name_levels([load_outcome(run) for run in runs], "preparation.without")
    said = f"4 ({genes[0]}, {genes[1]} … {genes[5]})"
    assert list(levels.values()) == [f"{said}, list 1", f"{said}, list 2"]


def test_a_run_given_twice_and_none_are_refused(dataset: str) -> None:
    run = finish_run(dataset, 0.2)
    with pytest.raises(InputError, match="only once"):
        compare_runs([run, run])
    with pytest.raises(InputError, match="at least one run"):
        compare([])


def test_a_deleted_dataset_leaves_the_comparison(dataset: str) -> None:
    runs = [finish_run(dataset, 0.2)]
    delete_dataset(dataset)
    assert any("dataset was deleted" in note for note in compare_runs(runs).notes)
    with pytest.raises(InputError, match="no dataset"):
        compute_baselines(runs, lambda *_: None)


def test_samples_that_are_always_wrong_come_first(dataset: str) -> None:
    runs = [finish_run(dataset, 0.1), finish_run(dataset, 0.4, training={"epochs": 3})]
    outcomes = [load_outcome(run) for run in runs]
    table = find_wrong_samples(outcomes)
    always = ~outcomes[0].right() & ~outcomes[1].right()
    assert set(table["sample"][: always.sum()]) == set(outcomes[0].samples[always])
    assert table["wrong"].tolist() == sorted(table["wrong"], reverse=True)
    assert (table["tested"] == 2).all()
    assert table["p_true"][0] == pytest.approx(0.05)


def test_effects_of_a_grid(dataset: str) -> None:
    """Errors .1 and .3 without and with the other layout, .2 more for the other network."""
    outcomes = [
        load_outcome(
            finish_run(
                dataset, 0.1 + 0.2 * ((layout == "order") + (backbone == "resnet50")), seed=seed,
                layout={"name": layout}, network={"backbone": backbone},
            )
        )
        for seed in range(3) for layout in ("random", "order") for backbone in ("vgg16", "resnet50")
    ]  # fmt: skip
    table = measure_effects(outcomes, "accuracy").set_index("level")
    assert table.loc["VGG16", "effect"] == pytest.approx(10, abs=2)
    assert table.loc[LAYOUTS["order"].title, "effect"] == pytest.approx(-10, abs=2)
    assert (table["low"] <= table["effect"]).all()
    assert (table["runs"] == 6).all()
    assert table.loc["VGG16", "p_holm"] == table.loc["ResNet50", "p_holm"] < 0.05
    layout, network = compare(outcomes).effects
    assert re.match(
        r"Layout: -20\.\d points with Order.+ against Random.+, over 3 splits, Holm", layout
    )
    assert re.match(r"Network: -20\.\d points with ResNet50 against VGG16", network)
    assert network.endswith("more than luck.")


def test_runs_that_differ_in_more_than_a_setting_say_nothing_about_it(dataset: str) -> None:
    """Of six runs four are two pairs; the other two have other epochs and another network."""
    pairs = [
        finish_run(dataset, 0.2 + 0.2 * (backbone == "resnet50") + 0.1 * seed, seed=seed,
                   network={"backbone": backbone})
        for seed in (0, 1) for backbone in ("vgg16", "resnet50")
    ]  # fmt: skip
    odd = [
        finish_run(dataset, 0.9, seed=2),
        finish_run(dataset, 0.0, seed=3, network={"backbone": "resnet50"}, training={"epochs": 3}),
    ]
    outcomes = [load_outcome(run) for run in (*pairs, *odd)]
    table = measure_effects(outcomes, "accuracy").set_index("level")
    assert set(table["setting"]) == {"network.backbone"}
    assert table.loc["VGG16", "effect"] == pytest.approx(10, abs=2)
    assert table["runs"].tolist() == [2, 2]
    assert np.isnan(table["p_holm"]).all()
    assert compare(outcomes).effects[0].endswith("over 2 splits, which takes 3 to tell from luck.")
    assert measure_effects([*outcomes[::3], *outcomes[4:]], "accuracy").empty


def test_cells_are_means_over_the_same_rest(dataset: str) -> None:
    """With three seeds of one cell and one seed of the others only that one seed counts."""
    wrong = {("vgg16", 3): 0.1, ("vgg16", 4): 0.2, ("resnet50", 3): 0.3}
    runs = [
        finish_run(dataset, share, network={"backbone": name}, training={"epochs": epochs})
        for (name, epochs), share in wrong.items()
    ]
    more = [
        finish_run(dataset, 0.9, seed=s, network={"backbone": "vgg16"}, training={"epochs": 3})
        for s in (1, 2)
    ]
    outcomes = [load_outcome(run) for run in (*runs, *more)]
    table, each = cross_settings(outcomes, "network.backbone", "training.epochs", "accuracy")
    assert each == 1
    assert table.loc["VGG16", "3"] == outcomes[0].scores()["accuracy"] > 0.8
    assert np.isnan(table.loc["ResNet50", "4"])


def test_a_solved_head_stands_beside_a_trained_one(dataset: str) -> None:
    """Settings of steps say nothing for the one, and are no reason not to compare."""
    solved = finish_run(dataset, 0.2, network={"head": "linear", "freeze": "backbone"},
                        training={"augmentation": "none"})  # fmt: skip
    trained = finish_run(dataset, 0.4)
    found = compare_runs([trained, solved])
    assert [run.settings["training.epochs"] for run in found.runs] == [TrainingSpec().epochs, "–"]
    assert "epochs" not in found.setups[1].name


def test_verdicts_follow_the_corrected_p(dataset: str) -> None:
    """Seven wrong in 27 samples: alone significant, beside 27 other pairs it can be luck."""
    shares = [0.0, *(7 / 27 for _ in range(7))]
    runs = [
        finish_run(dataset, share, group=None, training={"epochs": k + 1})
        for k, share in enumerate(shares)
    ]
    alone = compare_runs(runs[:2]).differences[0]
    assert alone.p == alone.p_holm == 2 * 0.5**7
    assert alone.significant
    assert "is more than luck (significant at 5 %; p = 0.016)" in alone.note
    many = compare_runs(runs).differences
    assert len(many) == 28
    again = next(d for d in many if (d.a, d.b) == (alone.a, alone.b))
    assert again.p == alone.p
    assert again.p_holm == 28 * again.p
    assert not again.significant
    assert "can be luck (not significant at 5 %; Holm p = 0.44 for 28 comparisons)" in again.note
    auroc = [compare_runs(some, "macro_f1").differences for some in (runs[:2], runs)]
    assert auroc[0][0].significant
    assert "corrected for 28 comparisons" in auroc[1][0].note


def test_the_headline_follows_the_corrected_p(dataset: str) -> None:
    """Six wrong more than logistic regression: alone significant, as the best of eight not."""
    runs = [
        finish_run(dataset, 6 / 27, 0.0, group=None, training={"epochs": k + 1}) for k in range(8)
    ]
    alone = compare_runs(runs[:1]).headline
    assert alone.endswith("which is more than luck (significant at 5 %; p = 0.031).")
    assert compare_runs(runs).headline.endswith(
        "which can be luck (not significant at 5 %; Holm p = 0.25 for 8 comparisons)."
    )


def test_controls_are_never_the_best_network(dataset: str) -> None:
    real = finish_run(dataset, 0.4)
    random = finish_run(dataset, 0.0, layout={"name": "random"})
    permuted = finish_run(dataset, 0.1, permute_labels=True)
    found = compare_runs([random, permuted, real])
    assert [run.control for run in found.runs] == ["random layout", "permuted labels", None]
    assert found.headline.startswith("VGG16 is ")
    kinds = {setup.name: setup.kind for setup in found.setups}
    assert kinds["VGG16 · random layout"] == "control"
    assert kinds["VGG16 · permuted labels"] == "control"
    assert kinds["Logistic regression · permuted labels"] == "control"
    assert kinds["Logistic regression"] == "baseline"
    assert any(note.startswith("Controls, never the best") for note in found.notes)
    assert [(pair.a, pair.b) for pair in found.differences if pair.a == real] == [
        (real, random), (real, permuted)
    ]  # fmt: skip
    assert compare_runs([random]).headline.startswith("A control only: VGG16 · random layout is ")


def test_controls_have_no_rank_and_do_not_win(dataset: str) -> None:
    runs = [
        finish_run(dataset, wrong, seed=seed, layout={"name": layout})
        for seed in range(3)
        for layout, wrong in (("random", 0.0), ("order", 0.2), ("pca_grid", 0.4))
    ]
    found = compare_runs(runs)
    setups = {setup.name: setup for setup in found.setups}
    control = setups["VGG16 · random layout"]
    assert (control.rank, control.best, control.first) == (None, None, None)
    order, grid = (f"VGG16 · layout: {LAYOUTS[name].title}" for name in ("order", "pca_grid"))
    assert setups[order].rank < setups[grid].rank
    assert setups[order].first == 1
    assert setups[grid].first == 0
    outcomes = [load_outcome(run) for run in runs]
    assert len(without_controls(outcomes)) == 6
    assert grid_of(outcomes) == outcomes
    assert grid_of(outcomes[:-1]) == outcomes[:-1]
    odd = load_outcome(finish_run(dataset, 0.3, layout={"name": "random"}, training={"epochs": 2}))
    assert odd not in grid_of([*outcomes, odd])


def test_a_learning_curve_is_no_candidate_beside_other_splits(dataset: str) -> None:
    runs = [
        finish_run(dataset, 0.4),
        finish_run(dataset, 0.0, split={"kind": "learning_curve", "sizes": 2}),
    ]
    assert compare_runs(runs).headline.startswith("VGG16 · 70/30 is ")
    assert compare_runs(runs[1:]).headline.startswith("VGG16 is ")


def test_equally_good_networks_share_the_wins(dataset: str) -> None:
    runs = [finish_run(dataset, 0.2, training={"epochs": k + 1}) for k in range(2)]
    setups = compare_runs(runs).setups
    assert [setup.first for setup in setups[:2]] == [0.5, 0.5]
    assert [setup.seconds for setup in setups[:2]] == [1.0, 1.0]
    assert setups[0].parameters == 10
    assert setups[-1].first is None


def test_plain_models_are_fitted_once_for_runs_that_share_them(dataset: str) -> None:
    runs = [finish_run(dataset, 0.2), finish_run(dataset, 0.3, training={"epochs": 3})]
    others = [name for name in BASELINES.names
              if name not in ("majority", "logistic_regression", "two_heads")]  # fmt: skip
    assert missing_baselines(runs) == [(run, name) for run in runs for name in others]
    assert answer_state(baselines_job(runs)).state == "missing"
    keep_images(runs[0])
    steps = []
    compute_baselines(runs, lambda *step: steps.append(step))
    assert steps[0] == (0, 2 * len(others))
    assert steps[-1] == (2 * len(others), 2 * len(others))
    assert not missing_baselines(runs)
    one, two = map(load_outcome, runs)
    assert list(one.proba)[-len(others) :] == others
    for name in others:
        np.testing.assert_array_equal(one.proba[name], two.proba[name])
        if not BASELINES[name].is_network:
            assert one.scores(name)["accuracy"] > 0.5
    compute_baselines(runs, lambda done, total: steps.append((done, total)))
    assert steps[-1] == (0, 0)


def leave_the_rest(run: str, *, but: tuple[str, ...]) -> None:
    """Say that the baseline models stand, and networks' genes, but for these."""
    table = pd.DataFrame({"gene": ["A", "B"], "class": "1", "samples": 4,
                          "integrated_gradients": [-1.0, 2.0], "saliency": [3.0, 1.0]})  # fmt: skip
    outcome = load_outcome(run)
    for name in set(BASELINES.names) - set(but) - set(outcome.result.baselines):
        write_array(run_folder(run) / f"baselines/{name}.npy", outcome.proba["majority"])
        if BASELINES[name].is_network:
            write_genes(run, name, [table])


def test_two_heads_learn_the_column_that_is_named(dataset: str) -> None:
    run = finish_run(dataset, 0.2)
    batch = finish_run(dataset, 0.3, batch="batch", training={"epochs": 3})
    for each in (run, batch):
        keep_images(each)
        leave_the_rest(each, but=("two_heads",))
    assert missing_baselines([run, batch]) == [(batch, "two_heads")]  # nothing is named for the run
    assert missing_baselines([run], "batch") == [(run, "two_heads")]
    for column, words in (("site", "no column 'site'"), ("tumour_type", "first head learns")):
        with pytest.raises(InputError, match=words):
            compute_baselines([run], lambda *_: None, column)
    assert load_outcome(run).second is None
    compute_baselines([run, batch], lambda *_: None, "batch")
    assert not missing_baselines([run, batch], "batch")
    assert not missing_baselines([run, batch])
    assert missing_baselines([run], "patient") == [(run, "two_heads")]
    by_batch = load_outcome(run).proba["two_heads"]
    compute_baselines([run], lambda *_: None, "patient")
    assert (load_outcome(run).second, load_outcome(batch).second) == ("patient", "batch")
    assert not np.array_equal(load_outcome(run).proba["two_heads"], by_batch)
    notes = compare_runs([run, batch]).notes
    assert "The second head of the network with two heads learned patient." in notes
    assert compare_runs([run, batch]).runs[0].baselines["two_heads"]


def test_networks_on_genes_are_explained_as_they_are_fitted(dataset: str) -> None:
    run = finish_run(dataset, 0.2)
    with pytest.raises(InputError, match="hasn't been fitted"):
        network_genes(run, "convolution")
    keep_images(run)
    leave_the_rest(run, but=("perceptron",))
    compute_baselines([run], lambda *_: None)
    outcome = load_outcome(run)
    found = network_genes(run, "perceptron", "saliency")
    assert set(found["class"]) == set(outcome.result.classes)
    assert len(found) == 60 * len(outcome.result.classes)
    assert (found.groupby("class")["samples"].first().sum()) == len(outcome.samples)
    assert (found.groupby("class")["score"].is_monotonic_decreasing).all()
    assert Run(run).explain_baseline("perceptron", "saliency").equals(found)
    kept = network_genes(run, "convolution")
    assert kept["gene"].tolist() == ["B", "A"]
    assert kept["class"].tolist() == ["1", "1"]  # a class may be called by a number
    with pytest.raises(InputError, match="perceptron, convolution"):
        network_genes(run, "linear_svm")
    with pytest.raises(InputError, match="integrated_gradients, saliency"):
        network_genes(run, "convolution", "occlusion")
    genes_path(run, "convolution").unlink()  # what an earlier version left lacks it too
    assert missing_baselines([run]) == [(run, "convolution")]


def test_genes_are_means_over_the_samples_of_all_folds(dataset: str) -> None:
    run = finish_run(dataset, 0.2)
    both = {"class": ["a", "a"], "saliency": [1.0, 0.0]}
    tables = [
        pd.DataFrame({"gene": genes, "samples": n, "integrated_gradients": scores, **both})
        for genes, n, scores in ((["A", "B"], 3, [4.0, 1.0]), (["A", "C"], 1, [0.0, 2.0]))
    ]
    write_genes(run, "perceptron", tables)
    found = network_genes(run, "perceptron").set_index("gene")["score"]
    assert found.to_dict() == {"A": 3.0, "C": 2.0, "B": 1.0}


def test_runs_are_set_against_the_strongest_plain_model_that_all_of_them_have(
    dataset: str,
) -> None:
    old = finish_run(dataset, 0.3, plain_wrong=0.2)
    new = finish_run(dataset, 0.4, plain_wrong=0.2, tuned_wrong=0.1, training={"epochs": 3})
    for runs, reference, phrase in (
        ([old], "logistic_regression", "below logistic regression"),
        ([new], "tuned_linear", "below the tuned linear model"),
        ([old, new], "logistic_regression", "below logistic regression"),
    ):
        found = compare_runs(runs)
        outcomes = [load_outcome(run) for run in runs]
        wrong = {name: [1 - o.scores(name)["accuracy"] for o in outcomes] for name in
                 ("network", reference)}  # fmt: skip
        assert found.reference == reference
        assert phrase in found.headline
        assert [pair.b for pair in found.against_baseline] == [reference] * len(runs)
        assert [pair.points for pair in found.against_baseline] == pytest.approx(
            [100 * (plain - own) for own, plain in zip(*wrong.values(), strict=True)]
        )
        table = find_wrong_samples(outcomes)
        assert table[f"{reference}_wrong"].sum() == sum(
            (~o.right(reference) & ~o.right()).sum() for o in outcomes
        )
    keep_images(old)
    compute_baselines([old, new], lambda *_: None)
    found = compare_runs([old, new])
    assert found.reference == "tuned_linear"  # of the old run it was asked for


def test_a_learning_curve_stands_beside_the_plain_model_that_every_size_has(dataset: str) -> None:
    split = {"kind": "learning_curve", "sizes": 2}
    old = finish_run(dataset, 0.3, split=split)
    new = finish_run(dataset, 0.3, tuned_wrong=0.2, split=split, training={"epochs": 3})
    keep_images(old)
    compute_baselines([old], lambda *_: None)  # of the largest part alone
    for runs, reference in (([new], "tuned_linear"), ([old, new], "logistic_regression")):
        curves = measure_curves([load_outcome(run) for run in runs], "accuracy")
        assert [curve.model for curve in curves] == ["network", reference] * len(runs)


def test_kept_measures_are_those_that_would_be_computed(dataset: str) -> None:
    split = {"kind": "kfold", "folds": 3}
    runs = [finish_run(dataset, 0.1 * k, split=split, training={"epochs": k}) for k in (1, 2)]
    computed = compare_by_each_metric(runs)
    for run in runs:
        keep_measures(run)
    assert {path.name.split("-")[0] for path in (run_folder(run) / "measures").iterdir()} == {
        "network", "majority", "logistic_regression"
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Outcome, "measure", None)
        kept = compare_by_each_metric(runs)
    assert kept == computed


def compare_by_each_metric(runs: list[str]) -> list[dict]:
    """All comparisons, without the last digits, in which sums of another order differ."""
    texts = [compare_runs(runs, metric).model_dump_json() for metric in CLASS_METRICS.names]
    return [json.loads(text, parse_float=lambda number: round(float(number), 9)) for text in texts]


def test_kept_measures_of_other_predictions_are_not_taken(dataset: str) -> None:
    run = finish_run(dataset, 0.2)
    keep_measures(run)
    before = load_outcome(run).by_fold("accuracy")
    path = run_folder(run) / "predictions.csv"
    table = pd.read_csv(path)
    columns = [name for name in table if name.startswith("p_")]
    table[columns] = table[columns].to_numpy()[:, ::-1]
    table.to_csv(path, index=False)
    after = load_outcome(run)
    assert after.by_fold("accuracy") == pytest.approx([after.right().mean()])
    assert after.by_fold("accuracy") < before


def test_a_table_in_latex() -> None:
    table = pd.DataFrame({"a_b": ["50 %", "x"], "score": [0.12345, np.nan]})
    assert latex_table(table).splitlines() == [
        r"\begin{tabular}{ll}", r"\toprule", r"a\_b & score \\", r"\midrule", r"50 \% & 0.123 \\",
        r"x &  \\", r"\bottomrule", r"\end{tabular}",
    ]  # fmt: skip


def test_the_command_gives_the_same_numbers(
    dataset: str, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [finish_run(dataset, 0.2), finish_run(dataset, 0.4, training={"epochs": 3})]
    assert main(["compare", *runs, "--metric", "mcc", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == json.loads(compare_runs(runs, "mcc").model_dump_json())
    assert main(["compare", runs[0][:10]]) == 0
    assert compare_runs(runs[:1]).headline in capsys.readouterr().out
    assert main(["compare", *runs, "--metric", "magic"]) == 2
    assert "Known: accuracy" in capsys.readouterr().err

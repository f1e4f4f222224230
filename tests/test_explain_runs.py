"""Recipes, trust cards and consensus of whole runs: computed once, cached, resumed."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.cli import main
from core.data.simulate import simulate
from core.data.store import add_dataset, load_dataset
from core.errors import Cancelled, DamageError, InputError
from core.explain.consensus import aggregate
from core.explain.gene_sets import REST
from core.explain.methods import Recipe
from core.explain.rankings import rank_correlation, top_count, top_shares
from core.files import write_json
from core.home import run_folder
from core.images.references import add_reference
from core.jobs.job import Lane
from core.jobs.record import JobState
from core.jobs.store import MOST_DEATHS, JobStore
from core.runs.attribute import PARTS
from core.runs.execute import Silent, execute
from core.runs.explain import (
    class_genes,
    class_regions,
    class_sets,
    describe_unseen,
    load_attribution,
    measure_run_skill,
    unseen_genes,
)
from core.runs.explaining import (
    ExplainJob,
    collect_evidence,
    explain_run,
    explanation_state,
)
from core.runs.fitted import load_fitted
from core.runs.result import load_result
from core.runs.spec import RunSpec
from core.runs.store import RunStore
from core.runs.trust import load_evidence, planted_recipe, planted_run, request_planted
from tests.runs import guess


@pytest.fixture(scope="module")
def trained(shared_home: Path) -> tuple[Path, str]:
    """A home with a tiny run of two folds that knows nothing, and the run's id."""
    dataset = add_dataset(simulate(90, 200, seed=1)[0], "tiny").id
    spec = RunSpec.parse(
        {
            "cohort": {"dataset": dataset, "label": "tumour_type", "group": "patient"},
            "preparation": {"genes": 60},
            "network": {"image_size": 32, "pool": 2, "edge": "cut"},
            "training": {"epochs": 2, "batch_size": 16, "precision": "float32"},
            "split": {"kind": "kfold", "folds": 2},
        }
    )
    store = RunStore()
    run = store.submit(spec)[0].id
    store.claim("cpu", Lane.QUEUE)
    execute(spec, run_folder(run), Silent())
    store.finish(run, JobState.DONE)
    guess(run)
    return shared_home, run


@pytest.fixture
def run(trained: tuple[Path, str], home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("GENECANVAS_HOME", str(trained[0]))
    return trained[1]


def explain(run: str, recipe: Recipe) -> None:
    explain_run(run, recipe, lambda *_: None)


def test_with_several_folds_genes_are_ranked_by_what_these_agree_on(run: str) -> None:
    recipe = Recipe("saliency")
    explain(run, recipe)
    table = class_genes(run, recipe, "KIRC")
    found = load_attribution(run, recipe)
    own = found.labels == "KIRC"
    lists = np.stack([found.scores[own & (found.folds == n)].mean(axis=0) for n in (0, 1)])
    consensus = dict(zip(found.genes, aggregate(lists), strict=True))
    shares = [top_shares(ranking, top_count(len(found.genes))) for ranking in lists]
    selected = dict(zip(found.genes, np.mean(shares, axis=0), strict=True))
    assert table["consensus"].tolist() == pytest.approx([consensus[g] for g in table["gene"]])
    assert table["consensus"].is_monotonic_increasing
    order = list(zip(table["consensus"], -table["score"], strict=True))
    assert table["rank"].tolist() == [1 + sum(other < own for other in order) for own in order]
    assert table["selected"].tolist() == pytest.approx([selected[g] for g in table["gene"]])


def test_why_this_class_and_not_that(run: str) -> None:
    recipe = Recipe("input_x_gradient", "others", against="LUSC")
    explain(run, recipe)
    found = load_attribution(run, recipe)
    assert set(found.labels) == {"BRCA", "KIRC", "LUAD", "UCEC"}
    assert set(class_genes(run, recipe)["class"]) == set(found.labels)
    with pytest.raises(InputError, match=r"no class 'LUSC' explained"):
        class_genes(run, recipe, "LUSC")
    with pytest.raises(InputError, match=r"no class 'PRAD'. Known: BRCA"):
        explain(run, Recipe(against="PRAD"))


def test_a_stage_is_chosen_and_kept_apart(run: str) -> None:
    sides = []
    for stage in (None, "fire4_5"):
        explain(run, Recipe("hirescam", stage=stage))
        sides.append(load_attribution(run, Recipe("hirescam", stage=stage)).maps.shape[1])
    assert sides == [7, 3]
    with pytest.raises(InputError, match=r"no stage 'layer4'. Known: stem, fire2_3"):
        explain(run, Recipe("hirescam", stage="layer4"))
    with pytest.raises(InputError, match=r"fire6_9 leaves a map of one cell.*fire4_5 \(3 x 3\)"):
        explain(run, Recipe("hirescam", stage="fire6_9"))


@pytest.mark.parametrize("split", [{}, {"kind": "kfold", "folds": 2}], ids=["holdout", "kfold"])
def test_genes_that_the_network_could_not_see_are_named_and_not_ranked(
    split: dict, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """1 024 genes on 32 x 32 pixels, of which such a run left out the last row and column."""
    dataset = add_dataset(simulate(90, 1100, seed=1)[0], "tiny").id
    spec = RunSpec.parse(
        {
            "cohort": {"dataset": dataset, "label": "tumour_type"},
            "preparation": {"genes": 1024},
            "layout": {"name": "random"},
            "network": {"image_size": 32, "pool": 2, "freeze": "backbone", "edge": "cut"},
            "training": {"epochs": 1, "precision": "float32"},
            "split": split,
        }
    )
    run = RunStore().submit(spec)[0].id
    execute(spec, run_folder(run), Silent())
    RunStore().finish(run, JobState.DONE)
    folds = [load_fitted(run, number) for number in load_result(run).scored]
    seen_by = dict.fromkeys(np.concatenate([fold.layout.genes for fold in folds]).tolist(), 0)
    recipe = Recipe("saliency")
    explain(run, recipe)
    found = load_attribution(run, recipe)
    for fold in folds:
        layout = fold.layout
        last = {
            gene for at in range(32) for gene in layout.genes_at(31, at) + layout.genes_at(at, 31)
        }
        assert len(last) == 63
        assert set(fold.unseen) == last
        of_fold = found.scores[found.folds == fold.fold]
        assert not of_fold[:, np.isin(found.genes, fold.unseen)].any()
        for gene in set(layout.genes) - last:
            seen_by[gene] += 1
    never = sorted(gene for gene, count in seen_by.items() if count == 0)
    assert unseen_genes(run) == never
    table = class_genes(run, recipe, "KIRC")
    assert set(table["gene"]) == set(seen_by) - set(never)
    assert table["rank"].max() <= len(table)
    assert main(["explain", run, "--method", "saliency", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unseen"] == never
    assert main(["explain", run, "--method", "saliency"]) == 0
    said = capsys.readouterr().out
    if split:
        assert "Each fold's network could not see some genes (at most 63 of 1,024)" in said
    else:
        assert len(never) == 63
        assert "This run's network could not see 63 of 1,024 genes" in said
        assert f"{never[4]} and 58 more." in said


def test_a_gene_of_several_pixels_is_seen_in_part_and_so_it_is_seen(run: str) -> None:
    assert load_fitted(run, 0).spec.network.unseen == 1
    assert (unseen_genes(run), describe_unseen(run)) == ([], "")


def test_the_command_line_says_what_a_cell_covers(
    run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", run, "--method", "hirescam", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["regions"]
    assert said.startswith(
        "Region view at fire2_3, the last stage with at least 7 x 7 cells: the map has 7 x 7 cells"
    )
    assert "a cell is no larger than a gene" in said


def test_a_recipe_takes_only_what_its_method_has() -> None:
    assert Recipe().stem == "integrated_gradients"
    stems = {Recipe("gradcam", stage="stem").stem, Recipe("occlusion", "zero").stem,
             Recipe(against="../x").stem, Recipe(against="LUSC").stem,
             Recipe(samples=("../x", "y"), towards="LUSC").stem,
             Recipe(samples=("y",), towards="LUSC").stem, Recipe("gradcam").stem,
             Recipe("set_shapley", sets="a" * 64).stem}  # fmt: skip
    assert len(stems) == 8
    assert Recipe(samples=("x", "y"), towards="A").stem == (
        Recipe(samples=("y", "x"), towards="A").stem
    )
    assert not any("/" in stem or "." in stem for stem in stems)
    for wrong in (
        lambda: Recipe("lime"),
        lambda: Recipe(baseline="noise"),
        lambda: Recipe("saliency", "zero"),
        lambda: Recipe("saliency", stage="stem"),
        lambda: Recipe("saliency", sets="a" * 64),
        lambda: Recipe("set_shapley"),
        lambda: Recipe(samples=("TCGA-01",)),
        lambda: Recipe(towards="BRCA"),
        lambda: Recipe(samples=("TCGA-01",), towards="BRCA", against="BRCA"),
        lambda: Recipe(samples=tuple(str(n) for n in range(501)), towards="BRCA"),
    ):
        with pytest.raises(InputError):
            wrong()


@pytest.fixture(scope="module")
def sets_file(trained: tuple[Path, str]) -> Path:
    """Five overlapping sets of genes of the tiny run, each 15 of its dataset's."""
    genes = simulate(90, 200, seed=1)[0].var_names
    path = trained[0] / "sets.gmt"
    lines = [f"set {n}\t\t" + "\t".join(genes[30 * n : 30 * n + 40]) + "\n" for n in range(5)]
    path.write_text("".join(lines))
    return path


def test_what_gene_sets_add_to_a_class(run: str, sets_file: Path) -> None:
    """Shapley values divide the score among disjoint sets; occlusion takes them as they are."""
    explain(run, Recipe("saliency"))
    chosen = load_attribution(run, Recipe("saliency"))
    samples = [*chosen.samples[chosen.folds == 0][:3], *chosen.samples[chosen.folds == 1][:3]]
    recipe = Recipe(
        "set_shapley", sets=add_reference(sets_file), samples=tuple(samples), towards="KIRC"
    )
    with pytest.raises(InputError, match="has not been computed"):
        class_sets(run, recipe)
    explain(run, recipe)
    found = load_attribution(run, recipe)
    assert np.nanmedian(found.completeness) < 1e-3  # of a score that hardly changed it is large
    np.testing.assert_allclose(
        np.nansum(found.sets, axis=1), np.nansum(found.scores, axis=1), atol=1e-4
    )
    table = class_sets(run, recipe, "KIRC")
    assert set(table["set"]) <= {*(f"set {n}" for n in range(5)), REST}
    assert table["rank"].tolist() == list(range(1, len(table) + 1))
    assert table["score"].is_monotonic_decreasing
    by_name = dict(zip(found.set_names, np.nanmean(found.sets, axis=0), strict=True))
    for row in table.itertuples():
        assert row.score == pytest.approx(by_name[row.set], rel=1e-3, abs=1e-6)
        assert row.size == len(row.genes)
        assert 0 <= row.positive <= 1
    genes = [gene for members in table[table["folds"] == 2]["genes"] for gene in members]
    assert len(genes) == len(set(genes))  # disjoint
    occluded = replace(recipe, method="set_occlusion")
    explain(run, occluded)
    assert class_sets(run, occluded)["size"].sum() > class_sets(run, recipe)["size"].sum()
    with pytest.raises(InputError, match="Saliency scores no gene sets"):
        class_sets(run, Recipe("saliency"))


def test_the_command_line_explains_gene_sets(
    run: str, sets_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sets.csv"
    arguments = ["--method", "set_occlusion", "--sets", str(sets_file), "--out", str(out)]
    assert main(["explain", run, *arguments, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    table = pd.read_csv(out)
    first = table[(table["class"] == "BRCA") & (table["rank"] == 1)]["set"].item()
    assert document["top_sets"]["BRCA"][0] == first
    assert main(["explain", run, "--method", "set_shapley"]) == 2
    assert "needs gene sets" in capsys.readouterr().err


def test_region_methods_rank_regions_and_no_gene(
    run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, out = Recipe("hirescam", stage="stem"), tmp_path / "regions.csv"
    command = ["explain", run, "--method", "hirescam", "--stage", "stem", "--out", str(out)]
    assert main([*command, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert "top_genes" not in document
    assert document["untrained_overlap"] is None
    table = class_regions(run, recipe, "KIRC")
    assert set(table["fold"]) == {1, 2}
    for fold, own in table.groupby("fold"):
        genes = [gene for names in own["genes"] for gene in names]
        assert sorted(genes) == sorted(
            load_fitted(run, fold - 1).layout.genes
        )  # each stands in one
        assert own["size"].tolist() == own["genes"].str.len().tolist()
        assert own["score"].is_monotonic_decreasing
        assert own["rank"].tolist() == own["score"].rank(ascending=False, method="min").tolist()
    written = pd.read_csv(out)
    assert {"region", "genes", "rank", "tied"} < set(written)
    assert "gene" not in written
    genes = class_genes(run, recipe, "KIRC")
    assert not {"rank", "tied", "consensus", "selected"} & set(genes)
    assert genes["gene"].is_monotonic_increasing
    explain(run, Recipe("saliency"))
    with pytest.raises(InputError, match="scores no regions"):
        class_regions(run, Recipe("saliency"))


def test_regions_hold_the_genes_that_are_painted_on_them(run: str) -> None:
    """The region of the highest mean of the maps, and its genes by the layout."""
    recipe = Recipe("hirescam", stage="stem")
    explain(run, recipe)
    found, first = load_attribution(run, recipe), class_regions(run, recipe, "KIRC").iloc[0]
    own = found.maps[(found.labels == "KIRC") & (found.folds == 0)].mean(axis=0)
    rows, columns = own.shape
    layout = load_fitted(run, 0).layout
    row, column = (int(n) - 1 for n in re.findall(r"\d+", first["region"]))
    assert first["score"] == pytest.approx(own[row, column])
    down, across = (layout.row + 0.5) / layout.shape[0], (layout.col + 0.5) / layout.shape[1]
    inside = (np.floor(down * rows) == row) & (np.floor(across * columns) == column)
    assert first["genes"] == sorted(layout.genes[inside])


def test_the_card_of_a_region_method_judges_no_list_of_genes(run: str) -> None:
    recipe = Recipe("gradcam")
    collect_evidence(run, recipe, lambda *_: None)
    card = {row.name: row for row in load_evidence(run, recipe).evidence}
    for name in ("untrained", "class_mean", "agreement", "resampling", "stability", "planted"):
        assert (card[name].value, card[name].light) == (None, "none")
        assert "scores regions, whose genes are tied" in card[name].sentence
    assert card["deletion"].value is not None


def test_chosen_samples_are_explained_towards_one_class(run: str) -> None:
    """Whatever class they are of, by the network that had not seen them."""
    explain(run, Recipe("input_x_gradient"))
    before = load_attribution(run, Recipe("input_x_gradient"))
    own = np.flatnonzero(before.labels == "LUSC")[:3]
    others = np.flatnonzero(before.labels == "KIRC")[:2]
    names = tuple(before.samples[[*own, *others]])
    recipe = Recipe("input_x_gradient", samples=names, towards="LUSC")
    explain(run, recipe)
    found = load_attribution(run, recipe)
    assert sorted(found.samples) == sorted(names)
    assert set(found.labels) == {"LUSC"}
    place = {sample: row for row, sample in enumerate(found.samples)}
    columns = np.searchsorted(before.genes, found.genes)
    for row in (*own, *others):
        now = place[before.samples[row]]
        assert found.folds[now] == before.folds[row]
        same = np.allclose(
            found.scores[now], before.scores[row, columns], rtol=1e-3, atol=1e-5, equal_nan=True
        )
        assert same == (row in own)  # of a sample of LUSC the same was asked before
    table = class_genes(run, recipe, "LUSC")
    assert table["score"].abs().sum() > 0
    with pytest.raises(InputError, match="no class 'KIRC' explained"):
        class_genes(run, recipe, "KIRC")


def test_samples_that_were_not_held_out_are_said(run: str) -> None:
    with pytest.raises(InputError, match=r"1 of the 1 samples were not held out.*nobody"):
        explain(run, Recipe(samples=("nobody",), towards="LUSC"))
    with pytest.raises(InputError, match=r"no class 'PRAD'"):
        explain(run, Recipe(samples=("nobody",), towards="PRAD"))


def test_a_computation_is_cancelled(run: str) -> None:
    recipe = Recipe("saliency", against="UCEC")

    def cancel(done: int, total: int) -> None:
        assert explanation_state(run, recipe).state != "done"
        raise Cancelled("Cancelled by the user.")

    with pytest.raises(Cancelled):
        explain_run(run, recipe, cancel)
    assert explanation_state(run, recipe).state == "missing"
    explain(run, recipe)
    assert explanation_state(run, recipe).state == "done"


def test_a_computation_whose_worker_dies_is_shown_as_failed(run: str) -> None:
    recipe, store = Recipe("gradcam", against="UCEC"), JobStore()
    store.submit(ExplainJob(about=run, recipe=recipe))
    assert explanation_state(run, recipe).state == "working"
    for _ in range(MOST_DEATHS):
        store.claim("cpu", Lane.INTERACTIVE)
        assert explanation_state(run, recipe).state == "working"
        store.reconcile()
    state = explanation_state(run, recipe)
    assert state.state == "failed"
    assert "The worker process died" in state.message


def test_a_trust_card_that_was_interrupted_goes_on(run: str) -> None:
    recipe = Recipe("input_x_gradient")
    with pytest.raises(InputError, match=r"trust card of Input x gradient.*not been computed"):
        load_evidence(run, recipe)

    def stop(done: int, total: int) -> None:
        if done > 50:
            raise Cancelled("Cancelled by the user.")

    with pytest.raises(Cancelled):
        collect_evidence(run, recipe, stop)
    assert explanation_state(run, recipe, evidence=True).state == "missing"
    assert explanation_state(run, recipe).state == "done"
    seen: list[tuple[int, int]] = []
    collect_evidence(run, recipe, lambda *row: seen.append(row))
    assert seen[0][0] > 10, "it goes on from where it was"
    assert seen[-1] == (100, 100)
    assert seen == sorted(seen)
    assert explanation_state(run, recipe, evidence=True).state == "done"
    card = load_evidence(run, recipe)
    names = {evidence.name: evidence for evidence in card.evidence}
    assert len(names) == len(card.evidence) == len(PARTS) + 5
    assert names["stability"].value is not None
    assert np.isfinite(names["deletion"].value)
    assert card.light == names["skill"].light == "red"
    before = [path.stat().st_mtime_ns for path in run_folder(run).rglob("*evidence.json")]
    collect_evidence(run, recipe, lambda *_: None)
    assert before == [path.stat().st_mtime_ns for path in run_folder(run).rglob("*evidence.json")]


def test_the_command_line_shows_the_card(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["explain", run, "--method", "guided_backprop", "--evidence", "--json"]
    assert main(command) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["light"] == "red"
    assert "Adebayo" in document["warning"]
    assert {"name", "title", "value", "light", "green", "red", "sentence"} <= set(
        document["evidence"][0]
    )
    assert main(["explain", run, "--method", "saliency", "--baseline", "zero"]) == 2


def test_the_planted_self_test_judges_the_recipe(run: str) -> None:
    data = load_dataset(RunStore().get(run).spec.cohort.dataset)
    recipe = Recipe("input_x_gradient", against="LUSC")
    assert planted_run(run) is None
    control = request_planted(run, data)
    assert control.id != run
    assert request_planted(run, data).id == planted_run(run) == control.id
    assert (control.spec.network, control.spec.preparation.genes) == (
        RunStore().get(run).spec.network, 60,
    )  # fmt: skip
    execute(control.spec, run_folder(control.id), Silent())
    explain(control.id, planted_recipe(recipe))
    collect_evidence(run, recipe, lambda *_: None)
    light = {row.name: row for row in load_evidence(run, recipe).evidence}["planted"]
    assert 0 < light.value < 1
    assert "planted" in light.sentence


def test_damage_to_what_is_known_of_a_planted_self_test_is_said(home: Path) -> None:
    run = "0123456789abcdef"
    folder = run_folder(run)
    write_json(folder / "planted.json", {"run": "fedcba9876543210"})
    for name, content in (("planted.csv", ""), ("planted.json", "[{")):
        (folder / name).write_text(content)
        with pytest.raises(DamageError, match=f"planted self-test of run {run} is damaged"):
            planted_run(run)


def test_a_sample_that_is_tested_again_counts_once(run: str) -> None:
    """A run's predictions, and the same ones thrice, as repeated splits have them."""
    before = measure_run_skill(run)
    path = run_folder(run) / "predictions.csv"
    table, result = pd.read_csv(path, dtype={"sample": str}), load_result(run)
    thrice = {"confusion": (3 * np.array(result.confusion)).tolist(), "files": {}}
    try:
        pd.concat([table] * 3).to_csv(path, index=False)
        write_json(path.with_name("result.json"), result.model_copy(update=thrice).model_dump())
        assert measure_run_skill(run).value == before.value
    finally:
        table.to_csv(path, index=False)
        write_json(path.with_name("result.json"), result.model_dump())


def test_logistic_regression_stands_beside_the_network(run: str) -> None:
    recipe = Recipe("saliency")
    explain(run, recipe)
    table = class_genes(run, recipe, "KIRC")
    assert sorted(table["logistic"].rank(method="first")) == list(range(1, len(table) + 1))
    assert table["logistic"].between(1, len(table)).all()
    assert rank_correlation(-table[["logistic"]].T.to_numpy(), -table[["p"]].T.to_numpy())[0] > 0.2

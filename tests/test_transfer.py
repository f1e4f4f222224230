"""The frame of a transfer: who is held out, what may be looked at, and when a source helps."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.cli import main
from core.data.cohort import Cohort
from core.errors import Cancelled, InputError
from core.home import home as open_home
from core.transfer.cohorts import Material, Side, open_material
from core.transfer.doctor import examine_transfers
from core.transfer.draws import UNKNOWN, choose_budgets, draw
from core.transfer.experiment import Plan, Row, make_problem, permute, run_rows
from core.transfer.fits import measure_fits
from core.transfer.orthologs import keep_orthologs, map_genes
from core.transfer.preparing import PREPARATIONS
from core.transfer.spec import ALL, TransferSpec
from core.transfer.transferring import TransferJob, check_transfer, list_transfers, transfer_here
from core.transfer.verdict import Gain, judge, say_gains
from tests.transfers import GENES, add_cohort, add_pair, make_side, program


def make_plan(source: Side, target: Side, **fields: object) -> Plan:
    spec = TransferSpec.parse(
        {
            "sources": [{"dataset": "0" * 64, "label": "y"}],
            "target": {"dataset": "1" * 64, "label": "y"},
            "preparations": ["raw"],
            "draws": 12,
            **fields,
        }
    )
    names = tuple(f"g{number}" for number in range(GENES))
    material = Material(source, target, None, ("a", "b"), names, ("S",), "T", ())
    return Plan.of(spec, material)


def gains_of(plan: Plan, tmp_path: Path, method: str, variant: str = "own") -> list[Gain]:
    rows = run_rows(plan, tmp_path / "rows.jsonl", lambda done, total: None)
    gains = judge(rows, plan.test_to_pool)
    return [gain for gain in gains if (gain.method, gain.variant) == (method, variant)]


# --- Who is held out --------------------------------------------------------------------------


def test_held_out_patients_are_never_learned_from() -> None:
    labels = np.repeat([0, 1, UNKNOWN], [12, 20, 8])
    labels[:32:2] = UNKNOWN  # each patient has a second sample, of which nothing is known
    groups = np.array([f"p{number // 2}" for number in range(40)])
    for number in range(5):
        one = draw(labels, groups, 0.25, 3, number)
        tested = set(groups[one.test])
        assert len(tested) == 4, "a quarter of 6 and of 10"
        assert set(labels[one.test]) == {0, 1}
        for n in (0, 3, len(one.patients)):
            learned = np.concatenate([one.labelled(n), one.unlabelled(n)])
            assert not tested & set(groups[learned])
            assert len(learned) == len(set(learned)) == (~np.isin(groups, list(tested))).sum() == 32
            assert len(set(groups[one.labelled(n)])) == n
    assert len({tuple(draw(labels, groups, 0.25, 3, n).test) for n in range(5)}) > 1


def test_small_budgets_hold_every_class_and_are_part_of_larger_ones() -> None:
    labels = np.repeat([0, 1, 2], [4, 8, 40])
    groups = np.array([f"p{number}" for number in range(52)])
    one = draw(labels, groups, 0.2, 0, 0)
    assert sorted(labels[one.labelled(3)]) == [0, 1, 2]
    assert set(one.labelled(5)) < set(one.labelled(20))
    counts = np.bincount(labels[one.labelled(20)])
    assert counts[2] >= 13
    assert counts.min() >= 1


def test_a_budget_that_cant_be_had_is_refused() -> None:
    assert choose_budgets(None, 30, 2) == {0: 0, 5: 5, 10: 10, 25: 25, ALL: 30}
    with pytest.raises(InputError, match="50 target patients is above the 30"):
        choose_budgets((50,), 30, 2)
    with pytest.raises(InputError, match="can't hold all 3 classes"):
        choose_budgets((2,), 30, 3)


# --- What may be looked at --------------------------------------------------------------------


def test_preparations_by_hand() -> None:
    source = np.array([[1, 2, 3], [3, 4, 8]], np.float32)
    target = np.array([[30, 10, 20]], np.float32)
    cohorts = np.zeros(2, int)
    ranked = PREPARATIONS["rank"].fit(source, cohorts, target)
    assert ranked.target(target)[0] == pytest.approx([5 / 6, 1 / 6, 3 / 6])
    like = PREPARATIONS["quantile"].fit(source, cohorts, target)
    assert like.target(target)[0] == pytest.approx([5.5, 2, 3])
    both = np.array([[0, 5], [2, 5]], np.float32)
    scored = PREPARATIONS["zscore"].fit(source[:, :2], cohorts, both)
    assert scored.target(both) == pytest.approx(np.array([[-1, 0], [1, 0]]))
    assert scored.source(source[:, :2], cohorts) == pytest.approx(np.array([[-1, -1], [1, 1]]))
    rng = np.random.default_rng(0)
    first, other = rng.normal(size=(200, 40)), rng.normal(size=(200, 40)) * 3 + 2
    brought = (
        PREPARATIONS["combat"]
        .fit(first.astype(np.float32), np.zeros(200, int), other.astype(np.float32))
        .target(other.astype(np.float32))
    )
    assert brought.mean() == pytest.approx(first.mean(), abs=0.02)
    assert brought.std() == pytest.approx(first.std(), abs=0.02)


@pytest.mark.parametrize("name", PREPARATIONS.names)
def test_a_tested_sample_changes_nothing_but_itself(name: str) -> None:
    source, target = make_side(20, 1, program(0)), make_side(30, 2, program(0))
    source.x[3, 4] = target.x[5, 6] = np.nan
    before = make_plan(source, target, preparations=[name], draws=3)
    tested = before.draws[0].test[0]
    changed = Side(target.x.copy(), target.labels, target.groups, target.cohorts)
    changed.x[tested] = 1000 * np.random.default_rng(3).normal(size=GENES)
    after = make_plan(source, changed, preparations=[name], draws=3)
    one, other = (make_problem(plan, 0, name, 10) for plan in (before, after))
    same = all(
        np.array_equal(getattr(one, part), getattr(other, part))
        for part in ("source", "target", "unlabelled")
    ) and np.array_equal(one.test[1:], other.test[1:])
    assert same is not PREPARATIONS[name].transductive
    assert np.isfinite(one.source).all()
    assert np.isfinite(one.test).all()


def test_domain_auroc_is_of_samples_that_were_not_looked_at() -> None:
    plan = make_plan(make_side(60, 1, program(0)), make_side(60, 2, program(0)))
    [alike] = measure_fits(plan.material, ("zscore",))
    assert alike.domain_auroc > 0.3, "z-scores of tested samples too would push it below chance"
    plan = make_plan(make_side(60, 1, program(0)), make_side(60, 2, program(0), shift=2.0))
    raw, scored = measure_fits(plan.material, ("raw", "zscore"))
    assert raw.domain_auroc > 0.99 > 0.75 > scored.domain_auroc
    assert raw.distance > 1 > scored.distance


# --- Verdicts ---------------------------------------------------------------------------------


def make_rows(gains: dict[int, float], spread: float, draws: int = 20) -> list[Row]:
    """Rows of the target alone at .7, and of pooled samples that much above."""
    noise = np.random.default_rng(0).normal(size=draws)
    noise = spread * (noise - noise.mean()) / noise.std(ddof=1)
    return [
        Row(
            method=method, variant="own", preparation="raw", budget=n, n=n, draw=number,
            macro_auroc=0.7 + (method == "pooled") * (gain + noise[number]),
            balanced_accuracy=0.5, brier=0.5,
        )
        for n, gain in gains.items() for number in range(draws)
        for method in ("target_only", "pooled")
    ]  # fmt: skip


def test_verdicts_on_differences_of_known_size() -> None:
    found = judge(make_rows({5: 0.12, 10: 0.01, 25: -0.1}, spread=0.05), test_to_pool=0.25)
    assert [gain.answer for gain in found] == ["helps", "no difference", "harms"]
    assert [gain.gain for gain in found] == pytest.approx([0.12, 0.01, -0.1])
    # t(19) = 2.093; sqrt(1 / 20 + 0.25) = 0.5477
    assert found[0].high - found[0].low == pytest.approx(2 * 2.093 * 0.5477 * 0.05, rel=1e-3)
    assert judge(make_rows({0: 0.3}, 0.01), 0.25) == [], "without patients nothing is gained over"


def test_as_many_budgets_are_looked_at_so_strict_is_the_verdict() -> None:
    alone = judge(make_rows({5: 0.065}, 0.05), 0.25)
    among = judge(make_rows({5: 0.065, 10: 0, 25: 0, 50: 0}, 0.05), 0.25)
    assert alone[0].answer == "helps"
    assert among[0].answer == "no difference"
    assert among[0].p == pytest.approx(4 * alone[0].p)


def test_the_sentence() -> None:
    found = judge(make_rows({12: 0.11, 25: 0.01, 50: 0.0}, 0.04), 0.25)
    assert say_gains(found, "GSE6822") == (
        "With 12 target patients, learning from GSE6822 as well (as measured) raises AUROC from "
        ".70 to .81 (+.11, 95 % CI +.06 to +.16): helps. From 25 on: no difference."
    )


def test_a_source_with_the_same_program_helps_few_patients(tmp_path: Path) -> None:
    source, target = make_side(40, 1, program(0)), make_side(100, 2, program(0))
    plan = make_plan(source, target, budgets=(4, 60), draws=8, controls=False)
    few, many = gains_of(plan, tmp_path, "pooled")
    assert few.answer == "helps"
    assert few.gain > 0.1
    assert many.gain < few.gain / 2


def test_a_source_with_the_opposite_program_harms(tmp_path: Path) -> None:
    source, target = make_side(60, 1, -program(0)), make_side(100, 2, program(0))
    plan = make_plan(source, target, budgets=(30,), draws=8)
    [gain] = gains_of(plan, tmp_path, "pooled")
    assert gain.answer == "harms"
    [permuted] = gains_of(plan, tmp_path, "pooled", "source permuted")
    assert permuted.gain > gain.gain


def test_controls_permute_one_sides_labels() -> None:
    plan = make_plan(make_side(20, 1, program(0)), make_side(30, 2, program(0)))
    problem = make_problem(plan, 0, "raw", 10)
    source, target = (permute(problem, f"{side} permuted") for side in ("source", "target"))
    assert (source.source_labels != problem.source_labels).any()
    assert np.array_equal(np.sort(source.source_labels), np.sort(problem.source_labels))
    assert source.target_labels is problem.target_labels
    assert target.source_labels is problem.source_labels


def test_an_interrupted_experiment_goes_on_from_its_rows(tmp_path: Path) -> None:
    plan = make_plan(make_side(20, 1, program(0)), make_side(30, 2, program(0)), draws=3)
    whole = run_rows(plan, tmp_path / "whole.jsonl", lambda done, total: None)
    path, asked = tmp_path / "parts.jsonl", []

    def stop(done: int, total: int) -> None:
        if done == 20:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        run_rows(plan, path, stop)
    half = path.read_text()
    path.write_text(half[:-9])  # a process was killed as it wrote
    assert run_rows(plan, path, lambda done, total: asked.append(done)) == whole
    assert asked == list(range(19, len(whole) + 1)), "rows that stand are not computed again"


# --- Cohorts of files -------------------------------------------------------------------------


@pytest.fixture
def cohorts(home: Path) -> dict[str, dict]:
    return add_pair()


def test_a_transfer_from_cohorts_to_a_verdict(cohorts: dict) -> None:
    spec = TransferSpec.parse({**cohorts, "budgets": [10, "all"], "draws": 5})
    assert TransferSpec.from_yaml(spec.to_yaml()) == spec
    said = []
    found = transfer_here(spec, lambda share, text: said.append(share))
    assert (found.sources, found.target, found.classes) == (("S",), "T", ("a", "b"))
    assert (found.target_patients, found.held_out, found.genes) == (40, 8, GENES)
    assert found.headline.startswith("With 10")
    assert {gain.n for gain in found.gains} == {10, 32}
    assert [one.key for one in list_transfers()] == [TransferJob(spec=spec).key]
    assert transfer_here(spec, lambda share, text: pytest.fail("it stands")) == found


def refuse(spec: dict, words: str) -> None:
    """One sentence, and nothing is stored."""
    with pytest.raises(InputError, match=words) as raised:
        transfer_here(TransferSpec.parse(spec), lambda share, text: None)
    assert "\n" not in str(raised.value)
    assert not (open_home() / "transfers").exists()


def test_what_cant_be_done_is_one_sentence(cohorts: dict) -> None:
    other = add_cohort("O", make_side(20, 3, program(0)), [f"OTHER{n}" for n in range(GENES)])
    source, target = cohorts["sources"][0], cohorts["target"]
    refuse({**cohorts, "sources": [{**source, "dataset": other}]}, "share 0 genes")
    refuse({**cohorts, "target": {**target, "where": {"y": ["a"]}}}, "has 1 class .*: a")
    refuse({**cohorts, "budgets": [33]}, "33 target patients is above the 32")
    refuse({**cohorts, "source_labels": "numbers"}, "Expected numbers in column 'y'")
    refuse({**cohorts, "sources": [target]}, "All patients of T are in the target too")
    refuse(
        {**cohorts, "sources": [{**source, "merge": {"a": "x", "b": "z"}}]}, "use|Say with `merge`"
    )
    with pytest.raises(InputError, match="Unknown transfer method 'magic'"):
        TransferSpec.parse({**cohorts, "methods": ["magic"]})


def test_numbers_and_nothing_as_labels_of_the_source(cohorts: dict) -> None:
    [source] = cohorts["sources"]
    spec = TransferSpec.parse(
        {**cohorts, "sources": [{**source, "label": "ic50"}], "source_labels": "numbers"}
    )
    assert open_material(spec).source.labels[:2] == pytest.approx([0.5, 1.5])
    asked = {arm.method.name for arm in check_transfer(spec).arms("raw")}
    assert asked == {"target_only"}, "pooling needs classes"
    spec = TransferSpec.parse(
        {**cohorts, "sources": [{**source, "label": None}], "source_labels": "none"}
    )
    assert set(open_material(spec).source.labels) == {UNKNOWN}


def test_genes_of_another_species_by_orthologs(cohorts: dict) -> None:
    mouse = add_cohort("M", make_side(20, 3, program(0)), [f"Gene{n}" for n in range(GENES)])
    pairs = [(f"Gene{n}", f"GENE{n}") for n in range(GENES)] + [("Gene0", "GENE1")]
    lines = ["mouse,human", *(",".join(pair) for pair in pairs)]
    spec = {**cohorts, "sources": [{"dataset": mouse, "label": "y"}]}
    table = keep_orthologs("\n".join(lines).encode())
    material = open_material(TransferSpec.parse({**spec, "orthologs": table}))
    assert len(material.genes) == GENES - 2, "pairs that aren't one to one are left out"
    turned = ["human,mouse", *(",".join(pair[::-1]) for pair in pairs)]
    table = keep_orthologs("\n".join(turned).encode())
    refuse({**spec, "orthologs": table}, "wrong way round")
    assert map_genes([("a", "B"), ("c", "D")], ["a", "c"], ["B"]) == {"a": "B"}


def test_a_patient_of_the_target_is_left_out_of_the_source(cohorts: dict) -> None:
    side = make_side(20, 3, program(0))
    side.groups[:2] = ["2-0", "2-1"]  # of the target
    both = add_cohort("B", side)
    spec = TransferSpec.parse(
        {**cohorts, "sources": [{"dataset": both, "label": "y", "group": "who"}]}
    )
    material = open_material(spec)
    assert len(material.source.x) == 18
    assert "2 patients are in the target too" in " ".join(material.notes)


def test_the_same_question_is_the_same_job(cohorts: dict) -> None:
    spec = TransferSpec.parse(cohorts)
    again = TransferSpec.parse({**cohorts, "sources": [dict(cohorts["sources"][0])]})
    assert TransferJob(spec=spec).key == TransferJob(spec=again).key
    other = TransferSpec.parse({**cohorts, "seed": 1})
    assert TransferJob(spec=other).key != TransferJob(spec=spec).key
    assert Cohort(**cohorts["target"]) == spec.target


def test_the_command_names_datasets_and_gives_the_verdict(
    cohorts: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(
        "sources: [{dataset: S, label: y, group: who}]\n"
        "target: {dataset: T, label: y, group: who}\n"
        "budgets: [10]\ndraws: 3\npreparations: [rank]\ncontrols: false\n"
    )
    rows = tmp_path / "rows.csv"
    files = ["--csv", str(rows), "--report", str(tmp_path / "report.html")]
    assert main(["transfer", str(path), *files, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["headline"].startswith("With 10 target patients, learning from S as well (ranks)")
    assert len(pd.read_csv(rows)) == 3 * 4, "three draws of four references"
    assert said["headline"] in (tmp_path / "report.html").read_text()
    path.write_text("sources: [{dataset: S, label: y}]\ntarget: {dataset: T, label: who}\n")
    assert main(["transfer", str(path)]) == 2
    assert "at least 4 are needed" in capsys.readouterr().err


def test_the_doctor_looks_at_transfers(cohorts: dict, capsys: pytest.CaptureFixture[str]) -> None:
    spec = TransferSpec.parse({**cohorts, "budgets": [10], "draws": 3, "preparations": ["raw"]})
    found = transfer_here(spec, lambda share, text: None)
    assert list(examine_transfers(repair=False)) == []
    job = TransferJob(spec=spec)
    (job.place / "result.json").write_bytes(b"{not what was here")
    with (job.place / "rows.jsonl").open("ab") as file:
        file.write(b"\xff\xfe no row\n")
    assert main(["doctor"]) == 1
    assert "result.json is damaged -> --repair removes it" in capsys.readouterr().out
    assert main(["doctor", "--repair"]) == 0
    assert transfer_here(spec, lambda share, text: None) == found, "of the rows that stood"
    (job.place / "spec.json").unlink()
    (problem,) = examine_transfers(repair=True)
    assert not problem.mended
    assert "nothing says what was asked" in problem.problem
    table = keep_orthologs(b"a,b\nA,B\n")
    (open_home() / "orthologs" / f"{table}.csv").write_text("a,b\nA,C\n")
    assert [f.thing for f in examine_transfers(repair=True)][1:] == [
        f"Ortholog table {table[:12]}…"
    ]

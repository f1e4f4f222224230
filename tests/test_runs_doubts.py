"""What Data found about the samples travels with a result, to the trust card and the headline."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from core.cli import main
from core.compare.comparison import compare_runs
from core.data.choices import Choices, save_choices
from core.data.cohort import Cohort
from core.data.store import add_dataset, load_dataset
from core.explain.evidence import judge_data
from core.home import run_folder
from core.jobs.record import JobState
from core.runs.doubts import find_doubts
from core.runs.execute import Silent, execute
from core.runs.result import load_result
from core.runs.spec import RunSpec
from core.runs.store import RunStore
from tests.runs import make


def add(**columns: list[str]) -> str:
    """40 samples of noise, every second of them odd, each of a patient of its own."""
    data = AnnData(
        np.random.default_rng(0).normal(8, 1, (40, 30)).astype(np.float32),
        obs=pd.DataFrame(
            {"type": ["even", "odd"] * 20, "patient": [f"P{n}" for n in range(40)], **columns},
            index=[f"S{n}" for n in range(40)],
        ),
        var=pd.DataFrame(index=[f"G{n}" for n in range(30)]),
    )
    data.uns = {"scale": "log2", "source": "noise", "notes": []}
    return add_dataset(data, "noise").id


def doubts(spec: RunSpec) -> dict[str, bool]:
    """Code of each finding -> whether it is decisive."""
    return {f.code: f.decisive for f in find_doubts(spec, load_dataset(spec.cohort.dataset))}


def train(spec: RunSpec) -> str:
    store = RunStore()
    spec = store.submit(spec)[0].spec
    store.claim("cpu")
    execute(spec, run_folder(spec.id), Silent())
    store.finish(spec.id, JobState.DONE)
    return spec.id


def test_a_class_in_a_batch_of_its_own_is_decisive() -> None:
    assert doubts(make(add(site=["A", "B"] * 20))) == {"batch": True}
    assert doubts(make(add(site=["A", "A", "B", "B"] * 10))) == {}


def test_the_batch_that_was_chosen_counts_before_one_that_looks_like_it() -> None:
    dataset = add(site=["A", "A", "B", "B"] * 10, day=["Mon", "Tue"] * 20)
    assert doubts(make(dataset)) == {}
    save_choices(dataset, Choices(cohort=Cohort(label="type", batch="day")))
    assert doubts(make(dataset)) == {"batch": True}
    split = {"kind": "leave_one_batch_out", "batch": "site"}
    assert doubts(make(dataset, split=split)) == {}


def test_classes_count_as_the_run_sees_them() -> None:
    """Two thirds of the samples are of classes that the run takes for one."""
    kinds = [["one", "two", "three"][n % 3] for n in range(40)]
    dataset = add(kind=kinds, site=["A" if kind == "one" else "B" for kind in kinds])
    merge = {"two": "rest", "three": "rest"}
    assert doubts(make(dataset, label="kind", merge=merge)) == {"batch": True}
    assert doubts(make(dataset, label="kind", where={"kind": ["two", "three"]})) == {}
    small = make(dataset, label="kind", leave_out=[f"S{n}" for n in range(0, 30, 3)])
    assert doubts(small)["small_class"] is False
    assert "no_patients" in doubts(make(dataset, label="kind", group=None, merge=merge))


def test_a_result_repeats_what_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    spec = make(add(site=["A", "B"] * 20))
    run = train(spec)
    [finding] = load_result(run).findings
    assert (finding.code, finding.severity, finding.decisive) == ("batch", "warning", True)
    assert main(["runs", "show", run]) == 0
    assert f"warning: {finding.message}" in capsys.readouterr().out
    assert main(["runs", "show", run, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["findings"][0]["message"] == finding.message
    assert finding.message in compare_runs([run]).notes


def test_the_trust_card_has_a_light_for_the_data() -> None:
    nested = find_doubts(spec := make(add(site=["A", "B"] * 20)), load_dataset(spec.cohort.dataset))
    assert judge_data(nested).light == "red"
    assert nested[0].message in judge_data(nested).sentence
    assert judge_data([nested[0].model_copy(update={"decisive": False})]).light == "amber"
    assert judge_data([]).light == "green"
    assert judge_data(None).light == "none"


def test_results_from_before_have_no_findings() -> None:
    run = train(make(add()))
    path: Path = run_folder(run) / "result.json"
    document = json.loads(path.read_text())
    del document["findings"]
    path.write_text(json.dumps(document))
    assert load_result(run).findings is None

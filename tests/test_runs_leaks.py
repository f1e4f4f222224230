"""A run that starts from another's weights tests nothing that these have learned from."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from core.cli import main
from core.compare.comparison import compare_runs
from core.data.read import read_dataset
from core.data.simulate import simulate, write_simulated
from core.data.store import add_dataset, delete_dataset, list_datasets
from core.errors import DamageError, InputError
from core.explain.evidence import judge_data
from core.home import run_folder
from core.runs.execute import Silent, execute
from core.runs.fitted import load_fitted
from core.runs.leaks import find_starts
from core.runs.preflight import preflight, say_consequences
from core.runs.result import load_result
from core.runs.spec import RunSpec
from core.runs.study import open_study
from core.runs.trust import request_permuted
from core.runs.whatif import from_weights, other_seed, without_value
from tests.runs import make, rewrite


def add(name: str, patients: str = "P", samples: str = "S", extra: str = "") -> str:
    """30 patients with two samples each of noise, half of them odd; returns the dataset's id."""
    number = np.arange(60)
    data = AnnData(
        np.random.default_rng(0).normal(8, 1, (60, 40)).astype(np.float32),
        obs=pd.DataFrame(
            {
                "type": np.where(number // 2 % 2, "odd", "even"),
                "patient": [f"{patients}{n // 2}" for n in number],
                "site": [f"site {n // 2 % 3}" for n in number],
                "extra": extra,
            },
            index=[f"{samples}{n}" for n in number],
        ),
        var=pd.DataFrame(index=[f"G{n}" for n in range(40)]),
    )
    data.uns = {"scale": "log2", "source": name, "notes": []}
    return add_dataset(data, name).id


def train(spec: RunSpec) -> RunSpec:
    execute(spec, run_folder(spec.id), Silent())
    return spec


@pytest.fixture(scope="module")
def trained(shared_home: Path) -> tuple[Path, RunSpec]:
    """A home with a run on noise."""
    return shared_home, train(make(add("noise")))


@pytest.fixture
def source(trained: tuple[Path, RunSpec], home: Path) -> RunSpec:
    """A finished run to start from, in a home of the test's own."""
    shutil.copytree(trained[0], home)
    return trained[1]


def start_from(
    source: RunSpec, dataset: str | None = None, *, allow_leak: bool = False, **fields
) -> RunSpec:
    network = {
        "image_size": 32, "pool": 2, "weights": f"run:{source.id}", "allow_leak": allow_leak,
    }  # fmt: skip
    return make(dataset or source.cohort.dataset, network=network, **fields)


def test_another_seed_is_refused_with_the_numbers(source: RunSpec) -> None:
    child = start_from(source, seed=1)
    learned = open_study(source).folds[0].fitting
    tested = open_study(child).folds[0].test
    both = len(np.intersect1d(learned, tested))
    assert 0 < both < len(tested)
    says = f"Run {source.id} learned from {both} of the {len(tested)} samples that this run would"
    for door in (preflight, say_consequences, train):
        with pytest.raises(InputError, match=says):
            door(child)


def test_two_what_ifs_in_a_chain_are_refused(source: RunSpec) -> None:
    second = train(from_weights(source, source.id))
    everyone = ["site 0", "site 1", "site 2"]
    for third in (other_seed(second, 3), without_value(second, "site", "site 0", everyone)):
        with pytest.raises(InputError, match=f"{source.id}.* learned from"):
            train(third)


def test_weights_carry_on_what_their_own_source_learned() -> None:
    """Each of two disjoint halves is new to the run before it, not to the one before that."""
    dataset = add("noise")
    halves = [[f"S{n}" for n in range(60) if n // 2 % 4 // 2 == half] for half in (0, 1)]
    first = train(make(dataset, leave_out=halves[0]))
    second = train(start_from(first, leave_out=halves[1]))
    third = start_from(second, leave_out=halves[0], seed=1)
    with pytest.raises(
        InputError, match=rf"Run {second.id}, which went on from .*{first.id}.*learned"
    ):
        train(third)
    train(start_from(second, leave_out=halves[0]))  # tests what the first one held out


def test_the_same_samples_split_and_seed_pass(source: RunSpec) -> None:
    child = train(from_weights(source, source.id))
    grandchild = train(from_weights(child, child.id))
    record = json.loads((run_folder(grandchild.id) / "folds/0/fold.json").read_text())
    assert [one["run"] for one in record["learned_from"]] == [grandchild.id, child.id, source.id]
    assert any(f"weights of run {child.id}" in note for note in load_result(grandchild.id).notes)


def test_patients_count_across_datasets(source: RunSpec) -> None:
    train(start_from(source, add("others", patients="Q"), seed=1))
    again = start_from(source, add("measured again", samples="T"), seed=1)
    learned = set(open_study(source).patients[open_study(source).folds[0].fitting])
    study = open_study(again)
    known = sum(patient in learned for patient in study.patients[study.folds[0].test])
    tested = len(study.folds[0].test)
    with pytest.raises(InputError, match=f"from the patients of {known} of the {tested} samples"):
        train(again)


def test_without_patients_equal_sample_ids_are_the_same_samples() -> None:
    """One label more makes another dataset out of the same file."""
    source = train(make(add("noise"), group=None))
    with pytest.raises(InputError, match="learned from"):
        train(start_from(source, add("noise", extra="new"), group=None, seed=1))
    train(start_from(source, add("others", samples="T"), group=None, seed=1))


def test_another_sample_of_a_patient_counts() -> None:
    """Of each patient one sample was learned from; its other one is tested."""
    dataset = add("noise")
    source = train(make(dataset, leave_out=[f"S{n}" for n in range(0, 60, 2)]))
    child = start_from(source, leave_out=[f"S{n}" for n in range(1, 60, 2)], seed=1)
    with pytest.raises(InputError, match="learned from the patients of"):
        train(child)


def test_each_fold_starts_from_the_one_that_has_not_seen_its_samples() -> None:
    split = {"kind": "kfold", "folds": 3}
    source = train(make(add("noise"), split=split))
    child = start_from(source, split=split)
    assert [fold.fold for fold in find_starts(child, open_study(child))] == [0, 1, 2]
    train(child)
    assert any("folds 1, 2, 3" in note for note in load_result(child.id).notes)
    with pytest.raises(InputError, match=r"of the 60 samples"):
        train(start_from(source, split=split, seed=1))


def test_a_hold_out_run_takes_the_fold_that_held_its_samples_out() -> None:
    """The one fold of three whose test samples are all that this run is left to test."""
    source = train(make(add("noise"), split={"kind": "leave_one_batch_out", "batch": "site"}))
    for number, site in enumerate(["site 0", "site 1", "site 2"]):
        child = start_from(source, where={"site": [site]})
        [found] = find_starts(child, open_study(child))
        assert found.fold == number
    train(child)
    assert "fold 3" in load_result(child.id).weights


def test_runs_from_before_are_read_by_what_they_left(source: RunSpec) -> None:
    second = train(from_weights(source, source.id))
    for spec in (source, second):
        rewrite(spec.id, "folds/0/fold.json", learned_from=None)
    with pytest.raises(InputError, match=f"Run {second.id}, which went on .*{source.id}"):
        train(start_from(second, seed=3))
    (run_folder(source.id) / "folds/0/fold.json").unlink()
    with pytest.raises(InputError, match=rf"folds/0/fold\.json of run {source.id} is missing"):
        train(start_from(second, seed=3))


def test_an_interrupted_run_goes_on_without_the_run_it_started_from(source: RunSpec) -> None:
    child = train(from_weights(source, source.id))
    (run_folder(source.id) / "folds/0/fold.json").unlink()
    (run_folder(child.id) / "result.json").unlink()
    train(child)


def test_a_file_of_weights_is_said_to_be_unknown() -> None:
    spec = make(add("noise"))
    spec = spec.model_copy(
        update={"network": spec.network.model_copy(update={"weights": "file:/a/net.pth"})}
    )
    assert any("in net.pth learned from" in said for said in say_consequences(spec))


def test_the_command_line_says_it_before_anything_is_stored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "samples.csv"
    write_simulated(simulate(60, 200, seed=1)[0], file)
    dataset = add_dataset(read_dataset(file), "samples").id
    source = train(make(dataset, label="tumour_type"))
    delete_dataset(dataset)
    told = ["--image-size", "32", "--pool", "2", "--label", "tumour_type", "--group", "patient"]
    asked = ["run", "--data", str(file), *told, "--weights", f"run:{source.id}", "--seed", "1"]
    assert main(asked) == 2
    assert f"Run {source.id} learned from" in capsys.readouterr().err
    assert not list_datasets()


def test_a_leak_that_is_allowed_by_name_is_said_on_every_result(source: RunSpec) -> None:
    refused = start_from(source, seed=1)
    with pytest.raises(InputError, match=r"learned from (\d+) of the .*allow_leak") as error:
        train(refused)
    count = error.value.args[0].split(" of the ")[0]
    allowed = start_from(source, seed=1, allow_leak=True)
    assert allowed.id != refused.id
    assert any(count in said for said in say_consequences(allowed))
    train(allowed)
    result = load_result(allowed.id)
    [finding] = [finding for finding in result.findings if finding.code == "leak"]
    assert finding.decisive
    assert finding.message.startswith(f"{count} of the ")
    assert finding.message in result.notes
    assert finding.message in compare_runs([allowed.id]).notes
    assert judge_data(result.findings).light == "red"
    child = train(start_from(allowed, seed=1, allow_leak=True))  # and so do those that go on
    assert any(finding.code == "leak" for finding in load_result(child.id).findings)
    with pytest.raises(InputError, match=f"{source.id}.* learned from"):
        train(from_weights(allowed, allowed.id))  # it has to be allowed anew


def test_allowing_a_leak_is_part_of_a_run_only_where_it_is_allowed() -> None:
    spec = start_from(train(make(add("noise"))), seed=1)
    document = spec.model_dump(mode="json")
    del document["network"]["allow_leak"]
    assert RunSpec.parse(document).id == spec.id
    with pytest.raises(InputError, match="allow_leak is for weights of a run"):
        make(spec.cohort.dataset, network={"allow_leak": True})


def test_an_allowed_leak_takes_the_network_that_has_seen_least() -> None:
    """Of three folds, each tested on one site, the one that had not seen most of what is tested."""
    source = train(make(add("noise"), split={"kind": "leave_one_batch_out", "batch": "site"}))
    few = [f"S{n}" for n in range(12, 60) if n // 2 % 3 == 0]
    child = start_from(source, leave_out=few, seed=3, allow_leak=True)
    study = open_study(child)
    [found] = find_starts(child, study)
    tested = set(study.samples[study.folds[0].test])
    seen = [len(tested - set(load_fitted(source.id, fold).test)) for fold in range(3)]
    assert seen[found.fold] == min(seen) > 0
    assert max(seen) > min(seen)


def test_permuted_labels_are_no_leak_of_weights_that_learned_the_true_ones(source: RunSpec) -> None:
    """The control is divided in another way, yet nothing that was learned tells its labels."""
    child = train(from_weights(source, source.id))
    control = request_permuted(child.id).spec
    assert control.permute_labels
    train(control)
    [note] = [note for note in load_result(control.id).notes if "Started from" in note]
    assert "none of the labels" in note
    again = other_seed(from_weights(control, control.id), 1)
    for child in (again, again.model_copy(update={"permute_labels": False})):
        with pytest.raises(InputError, match=f"Run {control.id}.* learned from"):
            train(child)


def test_damage_to_what_a_run_starts_from_is_said(source: RunSpec) -> None:
    child = train(from_weights(source, source.id))
    (run_folder(child.id) / "result.json").unlink()
    (run_folder(child.id) / "sources.json").write_text("[{")
    with pytest.raises(DamageError, match=r"sources\.json, which says what .*Delete the file"):
        train(child)
    (run_folder(child.id) / "sources.json").unlink()
    train(child)

"""A study file: what is crossed, what is refused, and one command for all its results."""

import json
from pathlib import Path

import pytest

from core.cli import main
from core.compare.comparison import compare_runs
from core.data.simulate import simulate
from core.data.store import add_dataset
from core.errors import InputError
from core.jobs.which import Which
from core.runs.spec import RunSpec
from core.runs.store import RunStore
from core.runs.study_file import read_study
from tests.test_runs_compare import finish_run


def test_lists_are_crossed_and_runs_take_the_place_of_what_all_share() -> None:
    study = read_study(
        """
        name: Two networks
        label: tumour_type
        where: {type: [a, b]}
        network: {backbone: [vgg16, resnet50], image_size: 64}
        seed: [0, 1]
        runs:
          - {}
          - network: {backbone: vgg19}
            seed: 7
        """
    )
    assert study.name == "Two networks"
    assert [(run["network"]["backbone"], run["seed"]) for run in study.runs] == [
        ("vgg16", 0), ("vgg16", 1), ("resnet50", 0), ("resnet50", 1), ("vgg19", 7)
    ]  # fmt: skip
    assert all(run["network"]["image_size"] == 64 for run in study.runs)
    assert all(run["cohort"]["where"] == {"type": ["a", "b"]} for run in study.runs)


def test_fields_that_are_lists_are_varied_by_a_list_of_lists() -> None:
    study = read_study("{name: x, label: y, leave_out: [a, b], preparation: {without: [[g], [h]]}}")
    assert [run["cohort"]["leave_out"] for run in study.runs] == [["a", "b"]] * 2
    assert [run["preparation"]["without"] for run in study.runs] == [["g"], ["h"]]
    assert RunSpec.parse(study.runs[0]).cohort.leave_out == ("a", "b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "name: My study"),
        ("label: a", "name: My study"),
        ("{", "not valid YAML"),
        ("{name: x, seed: []}", "'seed' of the study is an empty list"),
        ("{name: x, runs: vgg16}", "list of mappings"),
    ],
)
def test_what_is_not_a_study_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_study(text)


def test_one_command_gives_the_numbers_of_compare(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Runs that are there already are not trained again."""
    dataset = add_dataset(simulate(90, 200, seed=1)[0], "tiny").id
    runs = [
        finish_run(dataset, wrong, network={"backbone": backbone})
        for backbone, wrong in (("vgg16", 0.2), ("resnet50", 0.4))
    ]
    file = tmp_path / "study.yaml"
    file.write_text(
        "name: Two networks\nlabel: tumour_type\ngroup: patient\npreparation: {genes: 60}\n"
        "network: {backbone: [vgg16, resnet50]}\n"
    )
    assert main(["study", str(file), "--data", "tiny", "--metric", "mcc", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document.pop("study"), document.pop("failed")) == ("Two networks", [])
    assert document == json.loads(compare_runs(runs, "mcc").model_dump_json())
    [study] = {record.study for record in RunStore().list(Which(ids=runs))}
    assert study == "Two networks"


def test_nothing_is_queued_when_one_run_can_not_work(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_dataset(simulate(90, 200, seed=1)[0], "tiny")
    file = tmp_path / "study.yaml"
    file.write_text("name: x\nlabel: tumour_type\nnetwork: {backbone: [vgg16, magic]}\n")
    assert main(["study", str(file), "--data", "tiny"]) == 2
    assert "Known: vgg16" in capsys.readouterr().err
    file.write_text("name: x\nlabel: tumour_type\nsplit: {kind: kfold, folds: [2, 20]}\n")
    assert main(["study", str(file), "--data", "tiny"]) == 2
    assert main(["study", str(file)]) == 2
    assert "--data FILE, or a dataset in the study" in capsys.readouterr().err
    assert main(["study", str(tmp_path / "none.yaml")]) == 2
    assert RunStore().list() == []

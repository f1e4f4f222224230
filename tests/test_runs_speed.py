"""What this computer can do: measured once, and used by the estimates."""

from datetime import UTC, datetime

import pytest

from core.data.simulate import simulate
from core.data.store import add_dataset
from core.files import write_json
from core.runs.estimate import ask_estimate, estimate_job
from core.runs.spec import RunSpec
from core.runs.speed import Speed, Speeds, load_speeds, speeds_path

SPEED = Speed(
    backbone="squeezenet1_1", image_size=64, trained=2.0, tested=0.5, batch=32, peak_bytes=7,
    free_bytes=8, parameters=9,
)  # fmt: skip


def keep(*speeds: Speed) -> Speeds:
    found = Speeds(device="CPU, 1 thread", measured=datetime.now(UTC), speeds=speeds)
    write_json(speeds_path(), found.model_dump(mode="json"))
    return found


def run_of(dataset: str, **parts: dict) -> RunSpec:
    return RunSpec.parse(
        {
            "cohort": {"dataset": dataset, "label": "tumour_type"},
            "preparation": {"genes": 60},
            "training": {"epochs": 3},
            **parts,
        }
    )


def test_an_estimate_adds_up_what_was_measured() -> None:
    """A second of training is 16 samples; the network and the samples are never looked at."""
    data = simulate(100, 200)[0]
    dataset = add_dataset(data, "tiny").id
    spec = run_of(dataset)
    keep(SPEED)
    found = ask_estimate(estimate_job(spec, data))
    assert (found.peak_bytes, found.parameters, found.device) == (7, 9, "CPU, 1 thread")
    batches = 2  # of 32, out of 64 training samples
    assert found.seconds == pytest.approx(batches * 3 * 2.0 + 4 * 36 / 32 * 0.5, rel=0.1)


@pytest.mark.parametrize(
    "parts",
    [
        {"network": {"image_size": 32}},
        {"network": {"backbone": "vgg16"}},
        {"network": {"freeze": "backbone"}},
        {"network": {"head": "position"}},
        {"training": {"batch_size": 16}},
        {"training": {"precision": "float32"}},
    ],
    ids=str,
)
def test_only_what_costs_the_same_is_found(parts: dict) -> None:
    found = keep(SPEED, SPEED.model_copy(update={"backbone": "resnet50"}))
    assert found.find(run_of("0" * 64), 64) == SPEED
    assert found.find(run_of("0" * 64, network={"dropout": 0.5}), 64) == SPEED
    assert found.find(run_of("0" * 64), 31) is None
    assert found.find(run_of("0" * 64, **parts), 64) is None


def test_a_damaged_file_counts_as_not_measured() -> None:
    assert load_speeds() is None
    keep(SPEED)
    assert load_speeds().table()["samples_per_second"].tolist() == [16.0]
    speeds_path().write_text("{")
    assert load_speeds() is None

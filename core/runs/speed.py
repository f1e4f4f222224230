"""What this computer can do: how quickly it trains which network, measured once and kept.

Readable without torch, which is imported where it is used.
"""

# ruff: noqa: D102 -- `Job` says what its methods are for

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from core.files import write_json
from core.home import home
from core.jobs.job import Job, Lane, Pace, Reporter, stop_if_told
from core.jobs.launch import AnswerState, answer_state, request, stop
from core.models.backbones import BACKBONES
from core.models.spec import NetworkSpec
from core.runs.spec import RunSpec
from core.training.spec import TrainingSpec

if TYPE_CHECKING:
    import torch

NETWORKS = tuple(record.name for record in BACKBONES)
SIZES = (32, 64, 128, 224)
CLASSES, GENES = 10, 1024
LONGEST = 5.0
"""Seconds of a batch: beyond that a network isn't tried at larger images."""


class Speed(BaseModel):
    """What one network takes at one image size, nothing of it frozen, in batches of 32."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backbone: str
    image_size: int
    trained: float
    """Seconds of training on a batch."""
    tested: float
    """Seconds of predicting a batch."""
    batch: int
    peak_bytes: int
    """Most memory of the process, or of the GPU where there is one."""
    free_bytes: int
    """Memory that was free for it."""
    parameters: int

    @property
    def samples_per_second(self) -> float:
        """How many samples are trained on in a second."""
        return self.batch / self.trained


class Speeds(BaseModel):
    """All that was measured on a computer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: str
    measured: datetime
    speeds: tuple[Speed, ...]

    def table(self) -> pd.DataFrame:
        """One row a network and image size: network, pixels, samples a second."""
        return pd.DataFrame(
            {
                "network": [BACKBONES[speed.backbone].title for speed in self.speeds],
                "pixels": [speed.image_size for speed in self.speeds],
                "samples_per_second": [speed.samples_per_second for speed in self.speeds],
            }
        )

    def find(self, spec: RunSpec, samples: int) -> Speed | None:
        """What was measured of just such a network; None where nothing was.

        Args:
            spec: the run.
            samples: how many it trains on at least.
        """
        costs_nothing = {"weights", "allow_leak", "dropout"}
        asked = spec.network.model_dump(exclude=costs_nothing)
        for speed in self.speeds:
            network = NetworkSpec(backbone=speed.backbone, image_size=speed.image_size)
            batches = spec.training.batch_size == speed.batch <= samples
            alike = network.model_dump(exclude=costs_nothing) == asked
            if alike and batches and spec.training.precision == "auto":
                return speed
        return None


def speeds_path() -> Path:
    """Where it is kept."""
    return home() / "speed.json"


def load_speeds() -> Speeds | None:
    """What was measured; None where nothing was, or where it can't be read."""
    try:
        return Speeds.model_validate_json(speeds_path().read_bytes())
    except (OSError, ValidationError):
        return None


class SpeedJob(Job):
    """The measurement; it waits for trainings, and they for it, so that neither disturbs."""

    kind: ClassVar[str] = "speed"
    lane: ClassVar[Lane] = Lane.QUEUE

    networks: tuple[str, ...] = NETWORKS
    sizes: tuple[int, ...] = SIZES

    def title(self) -> str:
        return "What this computer can do"

    def stands(self) -> bool:
        return load_speeds() is not None

    def run(self, folder: Path, reporter: Reporter, device: str) -> None:
        if self.stands():
            return
        import torch

        from core.training.device import describe_device

        found: list[Speed] = []
        total, pace = len(self.networks) * len(self.sizes), Pace()
        for number, backbone in enumerate(self.networks):
            for place, size in enumerate(self.sizes):
                stop_if_told(reporter)
                done = number * len(self.sizes) + place
                words = f"{BACKBONES[backbone].title}, {size} pixels{pace.say_left(done, total)}"
                reporter.progress(done, total, words)
                found.append(measure_speed(backbone, size, torch.device(device)))
                if found[-1].trained > LONGEST:
                    break
        speeds = Speeds(
            device=describe_device(torch.device(device)),
            measured=datetime.now(UTC),
            speeds=tuple(found),
        )
        write_json(speeds_path(), speeds.model_dump(mode="json"))


def request_speeds() -> None:
    """Have it measured in the background, anew where it stands."""
    speeds_path().unlink(missing_ok=True)
    request(SpeedJob())


def speeds_state() -> AnswerState:
    """Whether it was measured, and how far that is."""
    return answer_state(SpeedJob())


def cancel_speeds() -> None:
    """Have the measurement stop after the network at hand, unless it has ended."""
    stop(SpeedJob())


def measure_speed(backbone: str, size: int, device: torch.device) -> Speed:
    """Time a few batches of a network."""
    from core.runs.estimate import free_bytes
    from core.training.device import peak_memory, reset_peak_memory
    from core.training.timing import TrialBatch

    free = free_bytes(device)
    reset_peak_memory(device)
    training = TrainingSpec()
    trial = TrialBatch(
        NetworkSpec(backbone=backbone, image_size=size), training, samples=training.batch_size,
        classes=CLASSES, genes=GENES, side=None, device=device,
    )  # fmt: skip
    return Speed(
        backbone=backbone,
        image_size=size,
        trained=trial.time_training(),
        tested=trial.time_testing(),
        batch=trial.size,
        peak_bytes=peak_memory(device),
        free_bytes=free,
        parameters=trial.parameters,
    )

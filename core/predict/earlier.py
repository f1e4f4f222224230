"""What a model was asked before: listed, and deleted."""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from core.errors import InputError
from core.files import UNREADABLE, read_json
from core.home import RUN_ID, need_right_to_change
from core.jobs.record import UNFINISHED, JobRecord
from core.jobs.store import JobStore
from core.jobs.which import Which
from core.predict.labelled import Summary
from core.predict.predicting import ASKED, SUMMARY
from core.predict.request import PredictRequest, model_folder
from core.scratch import scratch


class Earlier(NamedTuple):
    """Calls that stand."""

    key: str
    when: datetime
    asked: PredictRequest | None
    """None where it is damaged."""
    summary: Summary | None
    """None where it is damaged."""


def list_predictions(model: str) -> list[Earlier]:
    """What a model was asked and has answered, the latest first."""
    found = []
    for path in model_folder(model).glob(f"predictions/*/{SUMMARY}"):
        key, when = path.parent.name, datetime.fromtimestamp(path.stat().st_mtime, UTC)
        asked = summary = None
        with suppress(*UNREADABLE, ValidationError):
            asked = PredictRequest.model_validate(read_json(path.with_name(ASKED)))
            summary = Summary.model_validate(read_json(path))
        if asked is not None and asked.key != key:
            asked = None  # it isn't the question whose answer stands here
        if RUN_ID.fullmatch(key):
            found.append(Earlier(key, when, asked, summary))
    return sorted(found, key=lambda one: one.when, reverse=True)


def delete_prediction(model: str, key: str) -> None:
    """Delete what a model said to one question, be it damaged: calls, match card, explanations.

    Raises InputError where there is none of that key, and while work on it waits or runs.
    """
    need_right_to_change()
    folder = model_folder(model) / "predictions" / key
    if not RUN_ID.fullmatch(key) or not folder.is_dir():
        raise InputError(f"Model {model[:6]} has no calls {key[:16]!r} any more.")
    if any(_works_on(folder, record.job) for record in _unfinished()):
        raise InputError("These calls are being worked on. Cancel that under Work, then delete.")
    with scratch() as doomed:
        folder.rename(doomed / key)


def _unfinished() -> list[JobRecord]:
    return JobStore().list(Which(states=UNFINISHED)) if JobStore.exists() else []


def _works_on(folder: Path, job: object) -> bool:
    asked = getattr(job, "asked", None)
    return isinstance(asked, PredictRequest) and asked.folder == folder

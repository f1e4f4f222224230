"""Answers about tissue as they lie on the disk: how large they are, their limit, deleting them."""

import shutil
from datetime import UTC, datetime
from typing import NamedTuple

from pydantic import ValidationError

from core.errors import InputError
from core.files import UNREADABLE
from core.home import home, need_right_to_change
from core.jobs.store import JobStore
from core.sizes import tree_size
from core.tissue.networks import NETWORKS, kept_parameters
from core.tissue.predicting import prediction_folder
from core.tissue.result import RESULT, TissueResult
from core.tissue.spec import TissueSpec
from core.tissue.store import get_tissue, tissue_folder, tissues_folder

MOST_BYTES = 20_000_000_000
"""That the answers of a home may take together before no more networks are trained."""
WIDEST = 2048
"""Features that a network gives its heads, at most."""


class KeptAnswer(NamedTuple):
    """One of a tissue's answers."""

    key: str
    """The name of its folder."""
    spec: TissueSpec | None
    """The question; None of what a training left that didn't end, or of what is damaged."""
    when: datetime
    bytes: int

    @property
    def words(self) -> str:
        """The question in a line."""
        return say_question(self.spec) if self.spec else "not finished, or damaged"


def say_question(spec: TissueSpec) -> str:
    """What was asked, in words, without which tissue."""
    by = "mean" if spec.choose == "mean" else "Moran's I"
    which = f"{spec.genes} genes of the highest {by}"
    if spec.gene_list:
        which = f"a list of {len(spec.gene_list):,} genes"
    words = [f"{spec.held_out}s left out", which]
    if spec.has_network:
        how = f"trained for {spec.epochs} epochs" if spec.train else "frozen"
        words.append(f"{NETWORKS[spec.backbone].title}, {spec.weights}, {how}")
        if spec.train and not spec.auxiliary:
            words.append("no auxiliary head")
    else:
        words.append("colour and texture")
    if spec.stain != "as_read":
        words.append("stain brought together")
    return "; ".join(words)


def list_answers(tissue: str) -> list[KeptAnswer]:
    """All of a tissue, the newest first."""
    found = []
    for folder in (tissue_folder(tissue) / "answers").glob("*"):
        path = folder / RESULT
        try:
            spec = TissueResult.model_validate_json(path.read_bytes()).spec
        except (*UNREADABLE, ValidationError):
            spec = None
        last = (path if path.exists() else folder).stat().st_mtime
        when = datetime.fromtimestamp(last, UTC)
        found.append(KeptAnswer(folder.name, spec, when, tree_size(folder)))
    return sorted(found, key=lambda answer: answer.when, reverse=True)


def delete_answer(tissue: str, key: str) -> None:
    """Delete an answer, its networks, and what these said of other sections.

    Raises InputError where there is none, and while jobs about this tissue wait or run.
    """
    need_right_to_change()
    answer = next((one for one in list_answers(tissue) if one.key == key), None)
    if answer is None:
        raise InputError(f"There is no answer {key!r} about this tissue.")
    JobStore().check_unused(tissue, "The answer")
    shutil.rmtree(tissue_folder(tissue) / "answers" / key)
    if answer.spec:
        said = prediction_folder(answer.spec, tissue).name
        for folder in tissues_folder().glob(f"*/predictions/{said}"):
            shutil.rmtree(folder)


def expected_bytes(spec: TissueSpec) -> int:
    """What the networks of a question will take on the disk, at most; 0 where none is kept."""
    if not spec.train:
        return 0
    record = get_tissue(spec.tissue)
    folds = len(record.patients if spec.held_out == "patient" else record.sections)
    outputs = record.genes if spec.auxiliary else min(spec.genes, record.genes)
    return 4 * folds * (kept_parameters(spec.backbone) + WIDEST * outputs)


def require_room(spec: TissueSpec) -> None:
    """Raise InputError where a question's networks would exceed MOST_BYTES, or the disk."""
    wanted = expected_bytes(spec)
    if not wanted:
        return
    here = sum(tree_size(folder) for folder in tissues_folder().glob("*/answers/*"))
    said = f"The networks of this question take up to {wanted / 1e9:.1f} GB"
    way = "Delete answers that nobody needs (`tissue answers` lists them), or take a smaller one."
    if here + wanted > MOST_BYTES:
        raise InputError(
            f"{said}, and answers about tissue take {here / 1e9:.1f} GB already; at most "
            f"{MOST_BYTES / 1e9:.0f} GB are kept. {way}"
        )
    if (free := shutil.disk_usage(home()).free) < wanted:
        raise InputError(f"{said}, and the disk has {free / 1e9:.1f} GB left. {way}")

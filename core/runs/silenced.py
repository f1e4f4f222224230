"""A trained network with some genes set to their mean: a first answer to "what if without them"."""

# ruff: noqa: D102 -- `Job` says what its methods are for

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from core.errors import InputError
from core.escape import read_csv, write_csv
from core.files import write_atomic
from core.home import run_folder
from core.jobs.job import Inputs, Job, Reporter, stoppable
from core.jobs.launch import AnswerState, answer_state, request
from core.runs.result import load_predictions, load_result, load_spec
from core.runs.study import open_samples
from core.runs.whatif import Effect, compare_answers


class SilenceJob(Job):
    """The answers of a run's networks to its held-out samples, some genes at their training mean.

    Nothing is trained: the network goes on expecting these genes, so this is another question than
    the run without them. It stands in the run's folder.
    """

    kind: ClassVar[str] = "silence"

    about: str
    """The run, on classes."""
    genes: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Where the answers stand: columns sample, fold, true, predicted."""
        return run_folder(self.about) / "silenced" / f"{self.key}.csv"

    def title(self) -> str:
        return f"Run {self.about[:6]} with {len(self.genes):,} genes at their mean"

    def inputs(self) -> Inputs:
        return Inputs((load_spec(self.about).cohort.dataset,), (self.about,))

    def stands(self) -> bool:
        return self.path.exists()

    def run(self, folder: Path, reporter: Reporter, device: str) -> None:
        import torch

        from core.runs.fitted import load_fitted

        scored, parts = load_result(self.about).scored, []
        reporter.progress(0, len(scored), "opening the run")
        samples, tell = open_samples(load_spec(self.about)), stoppable(reporter, "folds asked")
        for number in scored:
            tell(len(parts), len(scored))
            fitted = load_fitted(self.about, number)
            fold, x = fitted.locate(samples), fitted.source.transform(samples)
            at, rows = np.isin(fitted.preprocessor.genes, self.genes), x[fold.test]
            rows[:, at] = x[fold.train][:, at].mean(axis=0)
            answers = fitted.answer(rows, torch.device(device))
            table = {
                "sample": samples.samples[fold.test], "fold": number,
                "true": samples.labels[fold.test],
                "predicted": np.array(fitted.classes)[answers.argmax(axis=1)],
            }  # fmt: skip
            parts.append(pd.DataFrame(table))
        self.path.parent.mkdir(exist_ok=True)
        write_atomic(self.path, lambda file: write_csv(pd.concat(parts), file))


def request_silence(run: str, genes: Sequence[str]) -> None:
    """Have a run's networks asked with these genes at their mean, in the background."""
    request(SilenceJob(about=run, genes=tuple(genes)))


def silence_state(run: str, genes: Sequence[str]) -> AnswerState:
    """Look whether such answers stand."""
    return answer_state(SilenceJob(about=run, genes=tuple(genes)))


def load_silenced(run: str, genes: Sequence[str]) -> Effect:
    """What setting the genes to their mean changes on the held-out samples.

    Raises InputError where that was not computed.
    """
    path = SilenceJob(about=run, genes=tuple(genes)).path
    if not path.exists():
        raise InputError(f"Run {run[:6]} was not asked with these genes at their mean.")
    answers = read_csv(path, dtype={"sample": str, "true": str, "predicted": str})
    own = load_predictions(run)
    return compare_answers(own[own["fold"].isin(answers["fold"])], answers)

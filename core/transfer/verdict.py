"""Helps, no difference, harms: what a source brings to a target, with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from core.evaluation.differences import LEVEL, corrected_t, holm
from core.transfer.experiment import SCORES, Row, Variant, row_table
from core.transfer.methods import TRANSFER_METHODS
from core.transfer.preparing import PREPARATIONS
from core.transfer.problem import TransferMethod
from core.transfer.references import REFERENCES, TARGET_ONLY
from core.transfer.spec import Budget

Answer = Literal["helps", "no difference", "harms"]
METRIC = SCORES[0]
"""The score that verdicts are about."""
FEWEST_DRAWS = 3
SAY_VARIANT = {
    "own": "", "source permuted": ", source labels permuted",
    "target permuted": ", target labels permuted", "unrelated source": ", unrelated source",
}  # fmt: skip
CONTROLS = [variant for variant in SAY_VARIANT if variant != "own"]


class Gain(BaseModel):
    """What a method gains over learning from the target alone, with so many labelled patients."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    variant: Variant
    preparation: str
    budget: Budget
    n: int
    draws: int
    score: float
    """Mean over draws."""
    alone: float
    """Of the target alone, under the same preparation and the same draws."""
    gain: float
    low: float
    """95 % interval of the gain."""
    high: float
    p: float
    """Corrected for the number of budgets by Holm's method."""

    @property
    def answer(self) -> Answer:
        """The verdict."""
        if self.p >= LEVEL:
            return "no difference"
        return "helps" if self.gain > 0 else "harms"


class Scored(BaseModel):
    """Mean scores of a line of the table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    variant: Variant
    preparation: str
    budget: Budget
    n: int
    draws: int
    macro_auroc: float
    balanced_accuracy: float
    brier: float


def find_method(name: str) -> TransferMethod:
    """A reference or a method of transfer."""
    return REFERENCES[name] if name in REFERENCES else TRANSFER_METHODS[name]


def judge(rows: Sequence[Row], test_to_pool: float) -> list[Gain]:
    """The gain of every method, control and preparation at every budget above 0.

    The gain of a draw is the difference of the AUROC on the same held-out patients. Its mean over
    draws is tested by the corrected t test (Nadeau and Bengio 2003), in which draws of the same
    cohort are not independent: their variance is multiplied by (1 / draws + held-out patients /
    others). The others are all that are not held out, of which a draw labels some: two draws share
    as many patients however few are labelled. p values are corrected for the budgets at which a
    method is looked at (Holm 1979). Without labelled patients there is nothing to gain over, so
    that no verdict is given there.

    Args:
        rows: of an experiment.
        test_to_pool: held-out patients divided by the others.
    """
    table = row_table(list(rows))
    table = table[table[METRIC].notna() & (table["n"] > 0)]
    if table.empty:
        return []
    alone = table[(table["method"] == TARGET_ONLY) & (table["variant"] == "own")]
    alone = alone.set_index(["preparation", "budget", "draw"])[METRIC]
    found: list[Gain] = []
    others = table[(table["method"] != TARGET_ONLY)]
    for (method, variant, preparation), own in others.groupby(
        ["method", "variant", "preparation"], sort=False
    ):
        gains: list[Gain] = []
        for budget, part in own.groupby("budget", sort=False):
            keys = pd.MultiIndex.from_arrays([part["preparation"], part["budget"], part["draw"]])
            base = alone.reindex(keys).to_numpy()
            values = part[METRIC].to_numpy(float)
            if len(values) < FEWEST_DRAWS:
                continue
            mean = corrected_t(values - base, test_to_pool)
            low, high = mean.interval()
            gains.append(
                Gain(
                    method=method, variant=variant, preparation=preparation, budget=budget,
                    n=int(part["n"].iloc[0]), draws=len(values), score=float(values.mean()),
                    alone=float(base.mean()), gain=mean.mean, low=low, high=high, p=mean.p,
                )
            )  # fmt: skip
        if gains:
            corrected = holm(np.array([gain.p for gain in gains]))
            found += [
                gain.model_copy(update={"p": float(p)})
                for gain, p in zip(gains, corrected, strict=True)
            ]
    return found


def summarise(rows: Sequence[Row]) -> list[Scored]:
    """Mean scores of every method, control, preparation and budget."""
    table = row_table(list(rows))
    table = table[table[METRIC].notna()]
    keys = ["method", "variant", "preparation", "budget"]
    return [
        Scored(
            **dict(zip(keys, key, strict=True)), n=int(part["n"].iloc[0]), draws=len(part),
            **{name: float(part[name].mean()) for name in SCORES},
        )
        for key, part in table.groupby(keys, sort=False)
    ]  # fmt: skip


def say_line(method: str, variant: Variant) -> str:
    """A method, or a control, in words."""
    return find_method(method).title + SAY_VARIANT[variant]


def say_gains(gains: Sequence[Gain], source: str) -> str:
    """The verdict on a method under one preparation, in a sentence or two.

    Args:
        gains: of a method, at each budget.
        source: the sources' names.
    """
    gains = sorted(gains, key=lambda gain: gain.n)
    first = next((gain for gain in gains if gain.answer != "no difference"), None)
    how = _say_how(gains[0], source)
    if first is None:
        most = max(gains, key=lambda gain: abs(gain.gain))
        span = str(gains[0].n) if len(gains) == 1 else f"{gains[0].n} to {gains[-1].n}"
        return (
            f"With {span} target patients, {how} makes no difference that {most.draws} draws can "
            f"show (most at {most.n}: AUROC {_short(most.alone)} to {_short(most.score)}, "
            f"{_say_gain(most)}): no difference."
        )
    raised = "raises" if first.gain > 0 else "lowers"
    said = (
        f"With {first.n} target patients, {how} {raised} AUROC from {_short(first.alone)} to "
        f"{_short(first.score)} ({_say_gain(first)}): {first.answer}."
    )
    return said + _say_later([gain for gain in gains if gain.n > first.n], first)


def _say_later(later: Sequence[Gain], first: Gain) -> str:
    """From which number of patients on the verdict is another one, and stays so."""
    if not later:
        return ""
    last = later[-1].answer
    since = later[-1].n
    for gain in reversed(later):
        if gain.answer != last:
            break
        since = gain.n
    if last == first.answer:
        return f" So it does with {later[-1].n}."
    return f" From {since} on: {last}."


def _say_how(gain: Gain, source: str) -> str:
    titles = {
        "pooled": f"learning from {source} as well",
        "source_only": f"learning from {source} alone",
        "pooled_weighted": f"learning from {source} as well with each target sample counted more",
    }
    method = find_method(gain.method)
    alone = method.learns_from == "target"  # the source has no part in it
    plain = f"{method.title} without {source}" if alone else f"{method.title} from {source}"
    said = titles.get(gain.method, plain)
    controls = {
        "source permuted": " with its labels permuted",
        "target permuted": " with the target's labels permuted",
        "unrelated source": " replaced by an unrelated cohort",
    }
    prepared = f" ({PREPARATIONS[gain.preparation].title.lower()})"
    return said + controls.get(gain.variant, "") + prepared


def _say_gain(gain: Gain) -> str:
    return f"{gain.gain:+.2f}, 95 % CI {gain.low:+.2f} to {gain.high:+.2f}".replace("0.", ".")


def _short(value: float) -> str:
    return f"{value:.2f}".replace("0.", ".") if value < 1 else f"{value:.2f}"

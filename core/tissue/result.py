"""What came of a question about tissue: scores of all models, genes, and the verdict in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import DamageError, InputError
from core.escape import read_csv, write_csv
from core.evaluation.differences import LEVEL
from core.files import UNREADABLE, write_array, write_atomic, write_json
from core.identity import identify
from core.tissue.fitted import FoldModel
from core.tissue.learning import MODELS, Learned
from core.tissue.networks import NETWORKS
from core.tissue.scores import LIMITS, patients_needed
from core.tissue.spec import TissueSpec
from core.tissue.store import say_broken, tissue_folder
from core.tissue.targets import TARGETS, Target

RESULT, TABLE = "result.json", "genes.csv"

VERSION = 3
"""Raised when the same question gets other numbers."""
VERSIONS = {"efficientnet_b5": 4}
"""Of networks that are trained, where only theirs were raised."""

Limits = tuple[float, float]


class ModelScores(BaseModel):
    """How one model predicts all genes, under one target."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    """A name in MODELS."""
    target: Target
    above: list[int]
    """Genes whose median r over sections is above each of LIMITS."""
    mean: float
    """r, over genes and patients."""
    interval: Limits | None
    """95 %, over patients; None of one patient."""
    error: float
    """Median squared error of a gene, as a share of the training mean's."""


class TissueResult(BaseModel):
    """What came of a question."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    spec: TissueSpec
    spots: int
    sections: int
    patients: int
    """Or sections, where patients aren't known."""
    knows_patients: bool
    genes: int
    """That any fold chose."""
    main: str
    """The model that looks closest at the tiles: a name in MODELS."""
    scores: list[ModelScores]
    """The target to believe first."""
    predicted: int
    """Normalised genes whose r is above 0 in more patients than chance (sign test, Holm)."""
    beyond: int
    """The same, above the best of the models that look less closely."""

    def get(self, model: str, target: Target) -> ModelScores:
        """The scores of a model under a target."""
        return next(s for s in self.scores if (s.model, s.target) == (model, target))

    @property
    def plainer(self) -> list[str]:
        """Models that `beyond` compares with: reads, and colour where a network looks."""
        return ["reads"] + (["colour"] if self.main != "colour" else [])

    def verdict(self) -> list[str]:
        """The answer in three or four sentences, the one to believe first."""
        main, depth, luck = (
            self.get(name, "normalised") for name in (self.main, "reads", "shuffled")
        )
        who = "patient" if self.knows_patients else "section"
        many = f"{self.patients} {who}{'s' if self.patients != 1 else ''}"
        beyond = "colour and depth" if self.main != "colour" else "depth"
        lines = []
        if self.beyond:
            lines.append(
                f"{self.beyond} of {self.genes} genes {_are(self.beyond)} predicted beyond "
                f"{beyond} in held-out {who}s (sign test over {many}, Holm, 5 %)."
            )
        else:
            line = f"With {many} no gene is predicted beyond {beyond}."
            needed = patients_needed(self.genes)
            if self.patients < needed:
                line += (
                    f" A sign test over {self.genes} genes could find one with {needed} {who}s or "
                    "more; fewer can only be described."
                )
            lines.append(line)
        lines.append(
            f"Each spot divided by its reads, the median r of {main.above[1]} genes is above 0.3 "
            f"and of {main.above[2]} above 0.5, by {self.title(self.main)}; {depth.above[1]} and "
            f"{depth.above[2]} by the number of reads without an image, {luck.above[1]} and "
            f"{luck.above[2]} with shuffled tiles."
        )
        (main, depth), (main_raw, depth_raw) = (
            [self.get(name, target).above[2] for name in (self.main, "reads")]
            for target in ("stnet", "raw")
        )
        line = (
            f"As published it is above 0.5 for {main} genes on ST-Net's log((1 + count) / (genes + "
            f"reads)), for {depth} by the number of reads alone; on BrST-Net's log(1 + count) for "
            f"{main_raw}, and {depth_raw} by reads alone."
        )
        if depth_raw >= main_raw > 0:
            line += " That is depth: spots with more cells have more of every gene."
        lines.append(line)
        if self.spec.held_out == "section" and self.knows_patients:
            lines.append(
                "Sections were left out, and the same patients have others in training: these "
                "figures are too good. Leave patients out."
            )
        return lines

    def title(self, model: str) -> str:
        """A model in words, within a sentence."""
        if model in ("frozen", "trained"):
            return f"the {model} {NETWORKS[self.spec.backbone].title}"
        return MODELS[model].lower()


@dataclass(frozen=True, eq=False)
class TissueAnswer:
    """A result with what it rests on."""

    result: TissueResult
    genes: pd.DataFrame
    """A row a gene, the best predicted first; see `tabulate`."""
    folder: Path

    @property
    def models(self) -> list[FoldModel]:
        """Of each fold the model that looks closest; raises DamageError where one broke."""
        return [FoldModel.load(path) for path in sorted(self.folder.glob("model_*.npz"))]

    def values(self, what: str, target: Target) -> np.ndarray:
        """(spots, genes in the table's `place`) `measured` or `predicted` z scores."""
        try:
            return np.load(self.folder / f"{what}_{target}.npy", allow_pickle=False)
        except UNREADABLE:
            raise _say_damaged(self.folder) from None


def summarise(
    spec: TissueSpec, genes: np.ndarray, learned: Mapping[Target, Learned], patients: list[str]
) -> tuple[TissueResult, pd.DataFrame]:
    """Scores of all models, and the table of genes.

    Args:
        spec: the question.
        genes: names of the genes that any fold chose.
        learned: what `core.tissue.learning.learn` gave.
        patients: names, none where they aren't known.
    """
    first = learned["normalised"]
    main = list(first.scores)[-1]
    scores = []
    for target, found in learned.items():
        for name, score in found.scores.items():
            mean, limits = score.overall()
            scores.append(
                ModelScores(
                    model=name, target=target, above=list(score.count().values()), mean=mean,
                    interval=limits, error=found.error(name),
                )
            )  # fmt: skip
    table = tabulate(genes, learned, main)
    result = TissueResult(
        spec=spec, spots=len(first.measured), sections=len(first.scores[main].patients),
        patients=len(np.unique(first.scores[main].patients)), knows_patients=bool(patients),
        genes=len(genes), main=main, scores=scores,
        predicted=int((table["p"] < LEVEL).sum()), beyond=int((table["p_beyond"] < LEVEL).sum()),
    )  # fmt: skip
    return result, table


def tabulate(genes: np.ndarray, learned: Mapping[Target, Learned], main: str) -> pd.DataFrame:
    """A row a gene, the highest normalised r first.

    Columns: gene; place (its column in the arrays of z scores); r, low, high (median over sections;
    95 % interval of the mean over patients), p and p_beyond (sign tests over patients, by Holm);
    then the median r of the other models; then that of the model and of reads under the targets
    as published: stnet, stnet_reads, raw, raw_reads.
    """
    found = learned["normalised"].scores
    low, high = found[main].interval()
    plainer = [found[name] for name in ("reads", "colour") if name != main]
    columns = {
        "gene": genes, "place": np.arange(len(genes)), "r": found[main].median, "low": low,
        "high": high, "p": found[main].above([]), "p_beyond": found[main].above(plainer),
    }  # fmt: skip
    others = [name for name in found if name not in (main, "mean")]
    columns |= {name: found[name].median for name in others}
    for target in list(TARGETS)[1:]:
        other = learned[target].scores
        columns |= {target: other[main].median, f"{target}_reads": other["reads"].median}
    return pd.DataFrame(columns).sort_values("r", ascending=False, ignore_index=True)


def answer_folder(spec: TissueSpec) -> Path:
    """Where the answer to a question stands."""
    return tissue_folder(spec.tissue) / "answers" / identify("tissue", with_version(spec))


def with_version(spec: TissueSpec) -> dict[str, Any]:
    """What a question's answers are found by: the question, and the version of its numbers."""
    version = VERSIONS.get(spec.backbone, VERSION) if spec.train else VERSION
    return {"version": version, **spec.model_dump(mode="json")}


def save_answer(
    folder: Path, result: TissueResult, table: pd.DataFrame, learned: Mapping[Target, Learned]
) -> None:
    """Write an answer; its result comes last, and says that all of it is there."""
    for target, found in learned.items():
        write_array(folder / f"measured_{target}.npy", found.measured)
        write_array(folder / f"predicted_{target}.npy", found.predicted[result.main])
        for fold, model in enumerate(found.models):
            model.save(folder / f"model_{fold:03}.npz")
    write_atomic(folder / TABLE, lambda path: write_csv(table, path))
    write_json(folder / RESULT, result.model_dump(mode="json"))


def load_answer(spec: TissueSpec) -> TissueAnswer:
    """The answer to a question; raises InputError until it stands, DamageError where it broke."""
    folder = answer_folder(spec)
    try:
        result = TissueResult.model_validate_json((folder / RESULT).read_bytes())
        table = read_csv(folder / TABLE, dtype={"gene": str}, na_values={"low": "", "high": ""})
    except FileNotFoundError:
        raise InputError("This hasn't been asked of the tissue yet.") from None
    except (*UNREADABLE, ValidationError):
        raise _say_damaged(folder) from None
    return TissueAnswer(result, table, folder)


def other_auxiliary(spec: TissueSpec) -> TissueSpec:
    """The same training without the auxiliary head; or with it, where it has none."""
    return spec.changed(auxiliary=0.0 if spec.auxiliary else 1.0)


def find_other_auxiliary(spec: TissueSpec) -> TissueResult | None:
    """What came of `other_auxiliary`; None where nothing is trained, or it wasn't asked."""
    other = other_auxiliary(spec)
    if not spec.train or not (answer_folder(other) / RESULT).exists():
        return None
    return load_answer(other).result


def scores_table(result: TissueResult, other: TissueResult | None = None) -> pd.DataFrame:
    """A row a model and target, in the order in which they are to be believed.

    Args:
        result: of a question.
        other: of `other_auxiliary`, whose trained network stands beside.
    """
    scores = [(score, MODELS[score.model]) for score in result.scores]
    if other is not None:
        head = "no auxiliary head" if result.spec.auxiliary else "with the auxiliary head"
        title = f"{MODELS['trained']}, {head}"
        scores += [(score, title) for score in other.scores if score.model == "trained"]
    return pd.DataFrame(
        {
            "target": score.target,
            "model": title,
            **{f"r > {limit:g}": n for limit, n in zip(LIMITS, score.above, strict=True)},
            "mean r": score.mean,
            "from": None if score.interval is None else score.interval[0],
            "to": None if score.interval is None else score.interval[1],
            "error": score.error,
        }
        for target in TARGETS
        for score, title in scores
        if score.target == target
    )


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _say_damaged(folder: Path) -> DamageError:
    return say_broken(f"The answer {folder.name}")

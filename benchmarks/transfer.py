"""Transfer: does the frame say what is planted, and what do real sources bring?

    python -m benchmarks.transfer planted
    python -m benchmarks.transfer coverage
    python -m benchmarks.transfer models FOLDER
    python -m benchmarks.transfer pairs FOLDER [NAME]

FOLDER holds breast, crc and bladder, in which NAME.parquet (samples x genes) and
NAME_labels.csv (first column: sample) belong together. NAME is the
beginning of a pair's name. Prints the tables of benchmarks/results/transfer.md.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from core.data.read import read_dataset
from core.data.store import add_dataset
from core.models.baselines import fit_predict_proba
from core.transfer.cohorts import Material, Side, open_material
from core.transfer.experiment import Arm, Plan, make_problem, run_rows
from core.transfer.fits import measure_fits
from core.transfer.spec import TransferSpec
from core.transfer.verdict import Gain, judge

GENES, PROGRAM, EFFECT = 300, 30, 0.45
"""Genes of a planted cohort, those of a program, and half the distance of the classes in each."""


def main() -> None:
    """Print one part."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("part", choices=["planted", "coverage", "models", "pairs"])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("name", nargs="?", default="")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        os.environ["GENECANVAS_HOME"] = place
        if given.part == "planted":
            print_planted()
        elif given.part == "coverage":
            print_coverage()
        elif given.part == "models":
            print_models(given.folder)
        else:
            print_pairs(given.folder, given.name)


class Shorter(Plan):
    """An experiment without the reference that takes longest: each target sample counted more."""

    def arms(self, preparation: str) -> Iterator[Arm]:
        """The others."""
        return (arm for arm in super().arms(preparation) if arm.method.name != "pooled_weighted")


# --- Planted ----------------------------------------------------------------------------------


def make_side(samples: int, seed: int, direction: np.ndarray, shift: float) -> Side:
    """Two classes, apart along a direction; genes are moved as another laboratory would."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(samples) % 2)
    x = 8 + rng.normal(size=(samples, GENES)) + np.outer(2 * y - 1, direction)
    x += shift * rng.normal(size=GENES)
    groups = np.array([f"{seed}-{number}" for number in range(samples)])
    return Side(x.astype(np.float32), y, groups, np.zeros(samples, int))


def program(first: int) -> np.ndarray:
    """A class difference in the genes of a program."""
    direction = np.zeros(GENES)
    direction[first : first + PROGRAM] = EFFECT
    return direction


def plan_planted(kind: str, seed: int, shift: float, **fields: object) -> Plan:
    """A source of 100 and a target of 100 patients."""
    directions = {"shared": program(0), "disjoint": program(PROGRAM), "opposite": -program(0)}
    source = make_side(100, 1000 + seed, directions[kind], shift)
    target = make_side(100, 2000 + seed, program(0), 0.0)
    spec = TransferSpec.parse(
        {
            "sources": [{"dataset": "0" * 64, "label": "y"}],
            "target": {"dataset": "1" * 64, "label": "y"},
            "budgets": [6, 25, "all"],
            "seed": seed,
            **fields,
        }
    )
    names = tuple(f"g{number}" for number in range(GENES))
    return Shorter.of(spec, Material(source, target, None, ("a", "b"), names, ("S",), "T", ()))


def gains_of(plan: Plan) -> list[Gain]:
    """Everything that is judged."""
    with tempfile.TemporaryDirectory() as place:
        rows = run_rows(plan, Path(place) / "rows.jsonl", lambda done, total: None)
    return judge(rows, plan.test_to_pool)


def print_planted() -> None:
    """What is said of pooled samples where the truth is known, three cohorts of each kind."""
    print("| planted | line | n | alone | with source | gain | helps | no difference | harms |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for kind in ("shared", "disjoint", "opposite"):
        found: list[Gain] = []
        for seed in range(3):
            found += gains_of(plan_planted(kind, seed, 0.0, preparations=["raw"]))
        for line in (("pooled", "own"), ("source_only", "own"), ("pooled", "source permuted")):
            own = [gain for gain in found if (gain.method, gain.variant) == line]
            for n in sorted({gain.n for gain in own}):
                print_gains(f"{kind} | {', '.join(line)}", [gain for gain in own if gain.n == n])


def print_gains(name: str, gains: list[Gain]) -> None:
    """Means and verdicts of some gains at one number of patients, a row of a table."""
    counts = [
        sum(gain.answer == word for gain in gains) for word in ("helps", "no difference", "harms")
    ]
    means = [np.mean([getattr(gain, part) for gain in gains]) for part in ("alone", "score")]
    print(f"| {name} | {gains[0].n} | {means[0]:.3f} | {means[1]:.3f} | {means[1] - means[0]:+.3f} "
          f"| {' | '.join(map(str, counts))} |", flush=True)  # fmt: skip


def print_coverage(cohorts: int = 40) -> None:
    """How often the 95 % interval holds the gain of the population, and how wide it is.

    The population's gain is the mean over cohorts, each drawn anew; the source stays.
    """
    print("| n | gain of the population | held by | mean half width | SD over cohorts | times |")
    print("| --- | --- | --- | --- | --- | --- |")
    found: dict[int, list[Gain]] = {}
    source = make_side(100, 1, program(PROGRAM // 2), 0.0)
    for seed in range(cohorts):
        plan = plan_planted(
            "shared", seed, 0.0, preparations=["raw"], controls=False, budgets=[6, 25, "all"]
        )
        target = make_side(100, 5000 + seed, program(0), 0.0)
        names = tuple(f"g{number}" for number in range(GENES))
        material = Material(source, target, None, ("a", "b"), names, ("S",), "T", ())
        for gain in gains_of(Shorter.of(plan.spec, material)):
            if gain.method == "pooled":
                found.setdefault(gain.n, []).append(gain)
    for n, gains in found.items():
        truth = np.mean([gain.gain for gain in gains])
        held = np.mean([gain.low <= truth <= gain.high for gain in gains])
        half = np.mean([(gain.high - gain.low) / 2 for gain in gains])
        spread = np.std([gain.gain for gain in gains], ddof=1)
        print(f"| {n} | {truth:+.3f} | {held:.0%} | {half:.3f} | {spread:.3f} | "
              f"{half / (2 * spread):.1f} |", flush=True)  # fmt: skip


# --- Real cohorts -----------------------------------------------------------------------------


def keep(folder: Path, place: str, name: str) -> str:
    """Keep a cohort; gives its id."""
    path = folder / place
    return add_dataset(
        read_dataset(path / f"{name}.parquet", [path / f"{name}_labels.csv"]), name
    ).id


def pairs(folder: Path) -> Iterator[tuple[str, TransferSpec]]:
    """Name and specification of each transfer."""
    names = ("GSE1827", "GSE89", "PMID17099711.GPL8300", "PMID17099711.GPL91")
    ids = {name: keep(folder, "bladder", name) for name in names}
    stage = {"label": "summarystage", "where": {"summarystage": ["superficial", "invasive"]}}
    sides = {name: {"dataset": dataset, **stage} for name, dataset in ids.items()}
    others = [sides[name] for name in names[1:]]
    budgets = [6, 12, 24]
    ways = ["zscore_all", "raw"]
    common = {"budgets": budgets, "preparations": ways}
    yield "bladder, all three -> GSE1827", make(others, sides["GSE1827"], **common)
    yield "bladder, GSE89 -> GSE1827", make([sides["GSE89"]], sides["GSE1827"], **common)
    msi = {}
    for name in ("GSE24549.GPL5175", "GSE24550.GPL5175"):
        msi[name] = {"dataset": keep(folder, "crc", name), "label": "msi"}
    yield (
        "colon MSI, GSE24549 -> GSE24550",
        make([msi["GSE24549.GPL5175"]], msi["GSE24550.GPL5175"], **common),
    )
    er = {
        name: {"dataset": keep(folder, "breast", name), "label": "er"} for name in ("expo", "nki")
    }
    yield "breast ER, expo -> nki", make([er["expo"]], er["nki"], **common)


def make(sources: list[dict], target: dict, **fields: object) -> TransferSpec:
    """A specification."""
    return TransferSpec.parse({"sources": sources, "target": target, **fields})


def print_pairs(folder: Path, beginning: str) -> None:
    """Gains of pooled and source-only learning, and of the controls."""
    for name, spec in pairs(folder):
        if not name.startswith(beginning):
            continue
        plan = Shorter.of(spec, open_material(spec))
        material = plan.material
        print(f"\n{name}: {len(material.genes):,} genes, {len(material.source.x)} + "
              f"{len(material.target.x)} samples\n")  # fmt: skip
        for fit in measure_fits(material, ("raw", "quantile", "zscore")):
            print(f"{fit.source}, {fit.preparation}: distance {fit.distance:.2f}, domain AUROC "
                  f"{fit.domain_auroc:.2f}")  # fmt: skip
        print("\n| preparation | line | n | alone | score | gain, 95 % CI | p (Holm) | verdict |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        for gain in gains_of(plan):
            print(
                f"| {gain.preparation} | {gain.method}, {gain.variant} | {gain.n} | "
                f"{gain.alone:.3f} | {gain.score:.3f} | {gain.gain:+.3f} ({gain.low:+.3f} to "
                f"{gain.high:+.3f}) | {gain.p:.3f} | {gain.answer} |",
                flush=True,
            )


def print_models(folder: Path) -> None:
    """The target alone by ridge regression and by the tuned linear model, on the same draws."""
    _, spec = next(pairs(folder))
    plan = Shorter.of(spec, open_material(spec))
    y = plan.material.target.labels
    print("| n | ridge regression | tuned linear model |")
    print("| --- | --- | --- |")
    for n in (6, 12, 24, 48):
        scores: dict[str, list[float]] = {"ridge_regression": [], "tuned_linear": []}
        for number, drawn in enumerate(plan.draws):
            problem = make_problem(plan, number, "raw", n)
            for name, own in scores.items():
                answers = fit_predict_proba(
                    name, problem.target, problem.target_labels, problem.test, 2, number,
                    problem.target_groups,
                )  # fmt: skip
                own.append(roc_auc_score(y[drawn.test], answers[:, 1]))
        print(f"| {n} | {' | '.join(f'{np.mean(own):.3f}' for own in scores.values())} |")


if __name__ == "__main__":
    main()

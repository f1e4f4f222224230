"""Outside, beside the tuned linear model: networks, weights, augmentation, genes and freezing.

    python -m benchmarks.outside_models FOLDER ROWS.csv --squeezenet \
        file:squeezenet1_1_imagenet.pth --vgg16 file:vgg16_features_imagenet.safetensors

The pairs of benchmarks.outside under its normalisation `quantile`. Each answer is a row of ROWS.csv
as soon as it is there; rows that are there aren't computed again, so that the script can be ended
and go on. Prints the tables of benchmarks/results/outside_models.md.

The rule, written down before the figures: a variant takes the place of the tuned linear model, or
becomes a preset, if on the pairs `decide` it gains a point of balanced accuracy and wins more pairs
than it loses, and on the other pairs its mean gain is positive and it wins more pairs than it
loses. What fails on `decide` need not be asked on the others (`--decide`). Heads that are trained
by steps have one seed.
"""

import argparse
import math
import os
import tempfile
import time
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import ttest_1samp

from benchmarks.fitting import solve, train_by_steps
from benchmarks.outside import (  # fmt: skip
    CONTROLLED,
    FEWEST,
    GENES,
    TASKS,
    Pair,
    count,
    leave_known_out,
    normalise,
    print_head,
    print_row,
    read,
)
from core.evaluation.metrics import METRICS, score
from core.evaluation.prior import move_to_two_groups
from core.models.baselines import fit_predict_proba
from core.models.spec import NetworkSpec

PLAIN = f"tuned linear model, {GENES} genes"
"""What all others are set against."""
DECIDE = "decide er"
ALL = 100_000
"""More genes than any cohort has."""
METRIC = METRICS["balanced_accuracy"], METRICS["macro_auroc"]
COLUMNS = ["part", "train", "test", "variant", "balanced", "auroc", "two_groups", "seconds"]
Answers = dict[str, np.ndarray]
"""Variant -> (test samples, 2) probabilities."""


def main() -> None:
    """Ask what isn't there yet, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--squeezenet", required=True, help="file:PATH of SqueezeNet 1.1")
    parser.add_argument("--vgg16", required=True, help="file:PATH of VGG16's convolutions")
    parser.add_argument("--only", nargs="*", help="groups of variants, such as genes")
    parser.add_argument("--decide", action="store_true", help="only the pairs that decide first")
    parser.add_argument("--largest", type=int, default=200,
                        help="training samples up to which a whole network is trained")  # fmt: skip
    given = parser.parse_args()
    torch.set_num_threads(1)
    groups = list_groups(given.squeezenet, given.vgg16, given.largest)
    pairs = [
        pair for pair in list_pairs(given.folder) if not given.decide or pair.part == DECIDE
    ]  # fmt: skip
    for name in given.only or groups:
        for pair in pairs:
            with tempfile.TemporaryDirectory() as home:
                os.environ["GENECANVAS_HOME"] = home  # where maps are kept
                ask(pair, groups[name], given.rows)
    report(pd.read_csv(given.rows))


def list_pairs(folder: Path) -> list[Pair]:
    """All ordered pairs of benchmarks.outside."""
    pairs = []
    for part, place, columns in TASKS:
        tables = [read(folder / place, name, column) for name, column in columns.items()]
        pairs += [
            leave_known_out(Pair(f"{part} {next(iter(columns.values())).lower()}", train, test))
            for train, test in permutations(tables, 2)
            if min(np.bincount(train.y)) >= FEWEST
        ]
    return pairs


def list_groups(squeezenet: str, vgg16: str, largest: int) -> dict[str, list]:
    """Name -> variants, each a name and what answers a pair; in the order of their interest."""
    return {
        "plain": [
            (PLAIN, linear("tuned_linear", GENES)),
            ("logistic regression", linear("logistic_regression", GENES)),
        ],
        "squeezenet": [("SqueezeNet, ImageNet", head("squeezenet1_1", squeezenet, GENES))],
        "vgg16": [("VGG16, ImageNet", head("vgg16", vgg16, GENES))],
        "genes": [
            (f"tuned linear model, {say(most)} genes", linear("tuned_linear", most))
            for most in (512, 2048, 4096, ALL)
        ],
        "steps": [
            (f"trained head, augmentation {name}", by_steps(squeezenet, "backbone", name))
            for name in ("expression", "none")
        ],
        "random": [
            ("SqueezeNet, random", head("squeezenet1_1", "scratch", GENES)),
            ("VGG16, random", head("vgg16", "scratch", GENES)),
            ("ResNet50, random", head("resnet50", "scratch", GENES)),
        ],
        "genes_head": [
            (f"SqueezeNet, {say(most)} genes", head("squeezenet1_1", squeezenet, most))
            for most in (512, 4096, ALL)
        ],
        "throughout": [
            ("trained throughout", by_steps(squeezenet, "nothing", "expression", largest))
        ],
    }


def say(most: int) -> str:
    """A number of genes in words."""
    return "all" if most == ALL else str(most)


def ask(pair: Pair, variants: list, path: Path) -> None:
    """Add the rows of a pair that aren't there yet."""
    names = {"part": pair.part, "train": pair.train.name, "test": pair.test.name}
    done = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=COLUMNS)
    done = done[(done[list(names)] == list(names.values())).all(axis=1)]
    for variant, answer in variants:
        if done["variant"].str.startswith(variant).any():
            continue
        started = time.perf_counter()
        rows = []
        for ending, proba in answer(pair).items():
            own = score(pair.test.y, proba, METRIC)
            grouped = score(pair.test.y, move_to_two_groups(np.clip(proba, 1e-9, 1)), METRIC)
            scores = [own[METRIC[0].name], own[METRIC[1].name], grouped[METRIC[0].name]]
            seconds = round(time.perf_counter() - started, 1)
            rows.append([*names.values(), variant + ending, *scores, seconds])
        frame = pd.DataFrame(rows, columns=COLUMNS)
        frame.to_csv(path, mode="a", header=not path.exists(), index=False)


def linear(name: str, most: int) -> Callable[[Pair], Answers]:
    """A baseline model of so many genes, asked once where a pair shares fewer."""

    def answer(pair: Pair) -> Answers:
        key = f"{name} {min(most, pair.test.x.shape[1])}", ""
        if key not in pair.answers:
            x, new_x, _ = normalise(CONTROLLED, pair.train, pair.test, most)
            y, who = pair.train.y, pair.train.who
            pair.answers[key] = fit_predict_proba(name, x, y, new_x, 2, 0, who)
        return {"": pair.answers[key]}

    return answer


def head(backbone: str, weights: str, most: int) -> Callable[[Pair], Answers]:
    """The linear head on frozen maps, and the maps alone; the image grows with the genes."""

    def answer(pair: Pair) -> Answers:
        x, new_x, genes = normalise(CONTROLLED, pair.train, pair.test, most)
        size = max(32, 32 * math.ceil(math.sqrt(len(genes)) / 32))
        spec = NetworkSpec(backbone=backbone, head="linear", freeze="backbone", image_size=size,
                           weights=weights)  # fmt: skip
        solved = solve(spec, x, pair.train.y, pair.train.who, new_x, genes)
        return {": linear head": solved.tested, ": maps alone": solved.without["image"]}

    return answer


def by_steps(
    weights: str, freeze: str, augmentation: str, largest: int = ALL
) -> Callable[[Pair], Answers]:
    """As `train_by_steps`; training cohorts of more than `largest` samples are left out."""

    def answer(pair: Pair) -> Answers:
        if len(pair.train.y) > largest:
            return {}
        x, new_x, genes = normalise(CONTROLLED, pair.train, pair.test)
        return {"": train_by_steps(weights, freeze, augmentation, x, pair.train.y, new_x, genes)}

    return answer


def report(rows: pd.DataFrame) -> None:
    """A row a variant: beside the tuned linear model on the same pairs."""
    for column, title in (
        ("balanced", "balanced accuracy"),
        ("auroc", "AUROC"),
        ("two_groups", "balanced accuracy with two groups"),
    ):
        wide = rows.pivot_table(column, ["part", "train", "test"], "variant", sort=False)
        print(f"\n{title}\n")
        print_head("variant", "pairs", "mean", "beside the tuned linear model, points, won : lost",
                   "95 % interval", "p over tested cohorts", "decide", "others")  # fmt: skip
        decide = wide.index.get_level_values("part") == DECIDE
        for name in wide:
            asked = wide[name].notna()
            gains = (wide[name] - wide[PLAIN])[asked]
            of_tested = gains.groupby(["part", "test"]).mean()
            tested = ttest_1samp(of_tested, 0) if of_tested.any() else None
            print_row(
                name, asked.sum(), f"{wide[name].mean():.3f}", count(gains.to_numpy()),
                "" if tested is None else " to ".join(
                    f"{100 * end:+.1f}" for end in tested.confidence_interval()),
                "" if tested is None else f"{tested.pvalue:.2f}",
                *(count(gains[part[asked]].to_numpy()) for part in (decide, ~decide)),
            )  # fmt: skip


if __name__ == "__main__":
    main()

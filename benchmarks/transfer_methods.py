"""Do the methods of transfer say what was planted, and what do they do on real cohorts?

    python -m benchmarks.transfer_methods planted [METHOD ... or claims]
    python -m benchmarks.transfer_methods real COHORTS [SECTION ...]
    python -m benchmarks.transfer_methods seconds

The first plants problems whose answer is known and prints, a row a case, the verdict that is right
and the one that was found. The second prints the figures of real cohorts in a folder of tables
(`bladder/GSE1827.parquet`, its labels in `bladder/GSE1827_labels.csv`); sections are bladder,
self_training, plasma, agdex, sorafenib, drugs, several_sources, imbalance, every_method. The third
says what a fit takes. benchmarks/results/transfer_methods.md has both.
"""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import rankdata, spearmanr
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import brier_score_loss, roc_auc_score

from core.errors import InputError
from core.evaluation.differences import LEVEL, MeanDifference, corrected_t
from core.models.gene_models import order_genes
from core.transfer.methods import TRANSFER_METHODS
from core.transfer.methods.adversarial import measure_domains
from core.transfer.methods.components import (
    find_own_axes,
    find_random_axes,
    find_source_axes,
    principal_axes,
    restrict,
)
from core.transfer.methods.deep_profile import learn_features
from core.transfer.methods.light_ensemble import compare_under_imbalance
from core.transfer.methods.masked_genes import learn_to_fill_in
from core.transfer.methods.matching import match_cohorts
from core.transfer.methods.pathways import learn_programs
from core.transfer.methods.rank_value import rank_values, usual_values
from core.transfer.methods.self_training import SURE, self_train
from core.transfer.methods.set_regression import predict_sets
from core.transfer.methods.species import compare_species
from core.transfer.planted import plant
from core.transfer.problem import Problem
from core.transfer.references import REFERENCES

DRAWS = 6
HELPS, HARMS, NOT = ("helps",), ("harms",), ("no difference", "harms")
NO_HARM = ("helps", "no difference")
SHIFTED = {"kind": "shared", "effect": 2.0, "shift": 1.0}
OTHER_GENES = {"kind": "unrelated", "unlabelled": 200}


@dataclass(frozen=True)
class Case:
    """A method beside a rival on planted problems."""

    method: str
    rival: str
    expected: tuple[str, ...]
    """Verdicts that are right."""
    n: int
    plant: dict
    """What `plant` is given."""


CASES = [
    # the plainest transfer
    *(Case("pooled", "target_only", HELPS, n, {"kind": "shared"}) for n in (4, 10)),
    Case("pooled_weighted", "target_only", HELPS, 10, {"kind": "shared"}),
    Case("source_only", "target_only", HELPS, 10, {"kind": "shared"}),
    Case("pooled", "target_only", NOT, 20, {"kind": "disjoint"}),
    Case("source_only", "target_only", HARMS, 20, {"kind": "disjoint"}),
    Case("source_only", "target_only", HARMS, 20, {"kind": "permuted"}),
    Case("pooled", "target_only", HARMS, 20, {"kind": "opposite"}),
    Case("pooled", "target_only", NOT, 20, {"kind": "permuted"}),
    # frozen layers
    *(
        Case(f"frozen_{frozen}", "scratch", HELPS, 10, {"kind": "shared"})
        for frozen in (0, 1, 2, 3, 4)
    ),
    Case("frozen_0", "target_only", HELPS, 10, {"kind": "shared"}),
    Case("frozen_4", "scratch", HARMS, 40, {"kind": "opposite"}),
    Case("frozen_0", "target_only", NOT, 20, {"kind": "permuted"}),
    Case("frozen_4", "target_only", NOT, 20, {"kind": "disjoint"}),
    # frozen stages of gene-image networks
    Case("images_0", "images_scratch", HELPS, 10, {"kind": "shared"}),
    Case("images_4", "images_scratch", HARMS, 40, {"kind": "opposite"}),
    # the adversary
    Case("adversarial", "target_only", HELPS, 10, SHIFTED),
    Case("adversarial_strong", "target_only", HELPS, 10, SHIFTED),
    Case(
        "adversarial_strong", "adversarial_off", HARMS, 0,
        {"kind": "shared", "source_share": 0.15, "target_share": 0.85, "noise": 0.5,
         "unlabelled": 200},
    ),
    Case("adversarial", "target_only", NOT, 20, {"kind": "permuted"}),
    # self-training
    Case("self_training_to_the_end", "target_only", NO_HARM, 20, {"effect": 4.0}),
    Case("self_training", "target_only", NO_HARM, 20, {"effect": 4.0}),
    Case("self_training_to_the_end", "target_only", NOT, 10, {"effect": 0.5}),
    # components
    Case("source_components", "random_directions", HELPS, 20, {"kind": "shared"}),
    Case("source_components", "random_directions", HELPS, 20, {"kind": "disjoint"}),
    Case("source_components", "random_directions", NOT, 20, {"kind": "unrelated"}),
    Case("source_components", "own_components", NOT, 20, OTHER_GENES),
    Case("own_components", "random_directions", HELPS, 20, OTHER_GENES),
    Case("random_directions", "target_only", NOT, 20, {"kind": "shared"}),
    # features of the source without its labels
    Case("deep_profile", "random_directions", HELPS, 20, {"kind": "shared"}),
    Case("components_beside", "random_directions", HELPS, 20, {"kind": "shared"}),
    Case("deep_profile", "components_beside", NOT, 20, {"kind": "unrelated"}),
    Case("autoencoder", "random_directions", HELPS, 20, {"kind": "shared"}),
    Case("pathway_programs", "random_directions", HELPS, 20, {"kind": "shared"}),
    Case("pathway_programs", "set_means", NOT, 20, {"kind": "unrelated"}),
    Case("masked_genes", "target_only", NOT, 20, {"kind": "unrelated"}),
    # two encoders
    Case("matched_encoders", "target_only", HELPS, 10, SHIFTED),
    Case("matched_encoders", "target_only", NOT, 20, {"kind": "permuted"}),
    # numbers to classes
    Case(
        "numbers_to_classes", "target_only", HELPS, 6,
        {"kind": "shared", "effect": 2.0, "numbers": True},
    ),
    Case("numbers_to_classes", "target_only", NOT, 20, {"kind": "permuted", "numbers": True}),
    # networks on genes
    *(
        Case(name, "scratch", HELPS, 10, {"kind": "shared"})
        for name in ("convolution", "transformer", "two_heads", "light_ensemble")
    ),
    *(
        Case(name, "target_only", NOT, 20, {"kind": "permuted"})
        for name in ("convolution", "transformer", "two_heads", "light_ensemble")
    ),
]  # fmt: skip


def judge(case: Case, draws: int = DRAWS) -> tuple[str, float, float]:
    """The verdict over draws, each a world of its own, and the mean AUROC of method and rival."""
    scores = np.array([_score(case, seed) for seed in range(draws)])
    difference = corrected_t(scores[:, 0] - scores[:, 1], 0)
    answer = "no difference"
    if difference.p < LEVEL:
        answer = "helps" if difference.mean > 0 else "harms"
    return answer, *scores.mean(axis=0)


def _score(case: Case, seed: int) -> list[float]:
    problem, y, _ = plant(1000 + seed, case.n, **case.plant)
    problem = replace(problem, sets={f"program {n}": problem.genes[n::12] for n in range(12)})
    return [_auroc(y, _find(name)(problem)) for name in (case.method, case.rival)]


def _find(name: str) -> Callable[[Problem], np.ndarray]:
    return (REFERENCES if name in REFERENCES else TRANSFER_METHODS)[name].fit


def _auroc(y: np.ndarray, proba: np.ndarray) -> float:
    return roc_auc_score(y, proba[:, 1])


def check_planted() -> Iterator[tuple[str, str, bool]]:
    """Claims about planted data that are no comparison of scores: claim, what was found, right."""
    problem, _, hidden = plant(0, 20, effect=4.0)
    right = self_train(problem, hidden, judged=False).rounds[-1].right
    yield "pseudo-labels of clear classes are right (95 %)", f"{right:.2f}", right >= 0.95
    wrong = replace(problem, target_labels=np.where(np.arange(20) < 6, 1 - problem.target_labels,
                                                    problem.target_labels))  # fmt: skip
    rounds = [self_train(one, hidden, judged=False).rounds[-1] for one in (problem, wrong)]
    given = [round(one.labelled * np.nan_to_num(one.right)) for one in rounds]
    yield (
        "with wrong labels among the true ones fewer right labels are given",
        ", ".join(map(str, given)), given[1] < given[0],
    )  # fmt: skip
    yield _check_noise()
    yield _check_domains()
    problem, *_ = plant(0, 10, shift=1.0)
    matched = match_cohorts(problem)
    yield (
        "encoders are made alike (discrepancy before, after)",
        f"{matched.before:.3f}, {matched.after:.3f}", matched.after < matched.before,
    )  # fmt: skip
    problem, *_ = plant(0, 20, unlabelled=100)
    shares = [
        restrict(problem, find).variance
        for find in (find_source_axes, find_own_axes, find_random_axes)
    ]
    yield (
        "variance along components: own > source > random",
        ", ".join(f"{share:.2f}" for share in (shares[1], shares[0], shares[2])),
        shares[1] > shares[0] > shares[2],
    )  # fmt: skip
    yield from _check_programs()
    yield _check_deep_profile()
    yield _check_hidden()
    yield _check_ranks()
    yield _check_species()
    yield _check_regression()
    x = plant(0, 0)[0].source
    order = order_genes(x) % 12
    beside = (np.diff(order) == 0).mean()
    yield "neighbours in the gene order are of one program", f"{beside:.2f}", beside > 0.6


def _check_noise() -> tuple[str, str, bool]:
    means = []
    for seed in range(6):
        problem, y, _ = plant(seed, 10, effect=0.5)
        end = self_train(problem, judged=False)
        answers = (
            end.rounds[0].probabilities,
            end.probabilities,
            self_train(problem).probabilities,
        )
        means.append([_auroc(y, said) for said in answers])
    alone, end, judged = np.mean(means, axis=0)
    return (
        "on noise judged self-training does no worse than the one to the end (labels alone, end, "
        "judged)", f"{alone:.3f}, {end:.3f}, {judged:.3f}", judged >= min(end, alone - 0.005),
    )  # fmt: skip


def _check_domains() -> tuple[str, str, bool]:
    found = []
    for seed in range(3):
        problem, *_ = plant(seed, 10, shift=1.0, unlabelled=100)
        both = [measure_domains(problem, strength) for strength in (0.0, 0.178, 1.0)]
        found.append([both[0].before, *(one.after for one in both)])
    genes, without, light, strong = np.mean(found, axis=0)
    return (
        "a planted shift is seen in genes; the adversary hides it in samples that nothing was "
        "fitted on (genes, without, weight .178, weight 1)",
        f"{genes:.2f}, {without:.2f}, {light:.2f}, {strong:.2f}",
        min(genes, without) > 0.9 and max(light, strong) < 0.65,
    )  # fmt: skip


def _check_hidden() -> tuple[str, str, bool]:
    x = plant(0, 0, source=300)[0].source
    rng = np.random.default_rng(0)
    shuffled = np.stack([rng.permutation(column) for column in x.T], axis=1)
    found = [learn_to_fill_in(own, 0).explained for own in (x, shuffled)]
    return (
        "hidden genes are filled in from their program, and not without one (share of variance; "
        "genes shuffled)", f"{found[0]:.2f}, {found[1]:.2f}", found[0] > 0.3 and found[1] < 0.02,
    )  # fmt: skip


def _check_programs() -> Iterator[tuple[str, str, bool]]:
    rng = np.random.default_rng(0)
    activity = rng.gamma(2, 1, (60, 5))
    loadings = np.zeros((5, 300))
    for number in range(5):
        loadings[number, number * 20 : number * 20 + 20] = rng.uniform(0.5, 1.5, 20)
    genes = [f"g{number}" for number in range(300)]
    sets = {f"planted {n}": genes[n * 20 : n * 20 + 20] for n in range(5)}
    sets |= {f"other {n}": list(rng.choice(genes, 20, replace=False)) for n in range(20)}
    values = activity @ loadings + 0.5 * rng.normal(size=(60, 300))
    programs = learn_programs(values[:40], genes, sets)
    projected = programs.project(values[40:], genes)
    for title, found, truth in (
        (
            "planted sets are found by the variable of their name",
            programs.activities,
            activity[:40],
        ),
        ("and in samples that it didn't learn from", projected, activity[40:]),
    ):
        least = min(
            np.corrcoef(found[:, programs.named(f"planted {n}")], truth[:, n])[0, 1]
            for n in range(5)
        )
        yield f"{title} (least r)", f"{least:.2f}", least > 0.8


def _check_deep_profile() -> tuple[str, str, bool]:
    problem, *_ = plant(0, 0, source=300)
    x = problem.source
    means = np.stack([x[:, n::12].mean(axis=1) for n in range(12)], axis=1)
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    found = []
    for features in (learn_features(x, [], 0)[0], scaled @ principal_axes(x, 25)):
        every = np.abs(np.corrcoef(means.T, features.T)[:12, 12:]).max(axis=1)
        found.append(np.median(every))
    return (
        "planted programs have a feature of DeepProfile as near as a principal component is "
        "(median |r|)", f"{found[0]:.2f}, {found[1]:.2f}", found[0] > found[1] - 0.1,
    )  # fmt: skip


def _check_ranks() -> tuple[str, str, bool]:
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(2, 20, 50), (20, 50)).astype(float)
    deeper = 4.0 * counts
    left, right = (
        rank_values(x, usual_values(x, logged=False), logged=False) for x in (counts, deeper)
    )
    apart = float(np.abs(left - right).max())
    return "rank values don't see the depth (most difference)", f"{apart:.2f}", apart < 1e-6


def _check_species() -> tuple[str, str, bool]:
    rng = np.random.default_rng(0)
    human, mouse = [f"H{n}" for n in range(400)], [f"m{n}" for n in range(400)]
    sets = {f"set {n}": human[n * 20 : n * 20 + 20] for n in range(20)}
    effect = np.repeat(np.where(np.arange(20) < 4, 1.5, 0.0), 20)
    scores = [effect + 0.7 * rng.normal(size=400) for _ in range(2)]
    found = compare_species(
        (human, scores[0]), (mouse, scores[1]), sets, list(zip(human, mouse, strict=True))
    )
    first = set(found.table["set"][:4])
    right = first == {f"set {n}" for n in range(4)} and found.agree >= 4
    return "sets planted in both species come first in both (of 4)", f"{found.agree}", right


def _check_regression() -> tuple[str, str, bool]:
    """Sets of 20 modules, of which four go up; two fifths of the genes have no ortholog."""
    found = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        module = np.arange(600) // 30
        scores = np.where(module < 4, 0.5, 0) + rng.normal(size=600)
        sets = {}
        for number in range(60):
            own = np.flatnonzero(module == number % 20)
            drawn = {*rng.choice(own, 12, replace=False), *rng.choice(600, 4, replace=False)}
            sets[f"{number % 20 < 4} {number}"] = [f"H{gene}" for gene in drawn]
        pairs = [(f"H{n}", f"m{n}") for n in range(600) if rng.random() > 0.4]
        table = predict_sets(([f"H{n}" for n in range(600)], scores), sets, pairs).table
        truth = table["set"].str.startswith("True")
        found.append([roc_auc_score(truth, table[name]) for name in ("copied", "predicted")])
    copied, predicted = np.mean(found, axis=0)
    return (
        "planted sets of a species without data: plain mapping and the regression both find them "
        "(AUROC)", f"{copied:.2f}, {predicted:.2f}", min(copied, predicted) > 0.6,
    )  # fmt: skip


def run_planted(names: list[str]) -> None:
    """A row a case, then a row a claim; of the methods with these names, if any."""
    right = 0
    cases = [case for case in CASES if not names or case.method in names]
    print("| method | beside | planted | n | right is | AUROC | beside | verdict | right |")
    print("|" + " --- |" * 9)
    for case in cases:
        answer, score, rival = judge(case)
        ok = answer in case.expected
        right += ok
        what = ", ".join(f"{key} {value}" for key, value in case.plant.items())
        print(
            f"| {case.method} | {case.rival} | {what} | {case.n} | {' or '.join(case.expected)} | "
            f"{score:.2f} | {rival:.2f} | {answer} | {'yes' if ok else '**no**'} |", flush=True,
        )  # fmt: skip
    print("\n| claim | found | right |\n| --- | --- | --- |")
    claims = 0
    for claim, found, ok in check_planted() if not names or "claims" in names else ():
        claims += 1
        right += ok
        print(f"| {claim} | {found} | {'yes' if ok else '**no**'} |", flush=True)
    print(f"\n{right} of {len(cases) + claims} right.")


@dataclass(frozen=True)
class Table:
    """A cohort of two classes."""

    x: pd.DataFrame
    y: np.ndarray


def read(path: Path, label: str, positive: str) -> Table:
    """A cohort with the samples whose label is known; missing values are gene means."""
    x = pd.read_parquet(path).astype(np.float32)
    labels = pd.read_csv(path.with_name(f"{path.stem}_labels.csv"), index_col=0)[label]
    known = labels.notna().to_numpy()
    return Table(x.fillna(x.mean())[known], (labels[known].astype(str) == positive).to_numpy(int))


def rank_rows(x: np.ndarray) -> np.ndarray:
    """Each sample's genes by their rank, from 0 to 1: nothing is fitted."""
    return (rankdata(x, axis=1) / x.shape[1]).astype(np.float32)


def draw(sources: list[Table], target: Table, genes: list[str], n: int, test: int, seed: int) -> (
    tuple[Problem, np.ndarray, np.ndarray]
):  # fmt: skip
    """A problem of real cohorts: classes keep their shares among the n labelled samples."""
    rng = np.random.default_rng(seed)
    queue = []
    for number in (0, 1):
        own = rng.permutation(np.flatnonzero(target.y == number))
        queue += [((place + 0.5) / len(own), who) for place, who in enumerate(own)]
    order = np.array([who for _, who in sorted(queue)])
    tested, rest = order[:: len(order) // test][:test], None
    rest = np.array([who for who in order if who not in set(tested)])
    few = rest[np.linspace(0, len(rest) - 1, n).round().astype(int)] if n else rest[:0]
    if n and len(set(target.y[few])) < 2:
        few[-1] = next(who for who in rest if target.y[who] != target.y[few[0]])
    others = np.setdiff1d(rest, few)
    ours = rank_rows(target.x[genes].to_numpy())
    problem = Problem(
        source=np.concatenate([rank_rows(own.x[genes].to_numpy()) for own in sources]),
        source_labels=np.concatenate([own.y for own in sources]),
        source_cohorts=np.repeat(np.arange(len(sources)), [len(own.y) for own in sources]),
        target=ours[few], target_labels=target.y[few], target_groups=few.astype(str),
        source_groups=np.arange(sum(len(own.y) for own in sources)).astype(str),
        unlabelled=ours[others], test=ours[tested], n_classes=2, genes=tuple(genes), seed=seed,
    )  # fmt: skip
    return problem, target.y[tested], target.y[others]


def run_real(folder: Path, names: list[str]) -> None:
    """Print the figures of real cohorts, a section a question; those with these names, if any."""
    sections = (
        _bladder, _self_training, _plasma, _agdex, _sorafenib, _drugs, _several_sources, _imbalance,
        _every_method,
    )  # fmt: skip
    for section in sections:
        if names and section.__name__[1:] not in names:
            continue
        start = time.perf_counter()
        section(folder)
        print(f"\n({time.perf_counter() - start:.0f} s)\n", flush=True)


def print_seconds() -> None:
    """What a fit of each method takes: 200 source samples, 25 labelled ones, 1,000 genes."""
    print("| method | seconds |\n| --- | --- |")
    for record in TRANSFER_METHODS:
        numbers = record.learns_from == "numbers"
        problem, *_ = plant(0, 25, genes=1000, numbers=numbers, test=50)
        start = time.process_time()
        record.fit(problem)
        print(f"| {record.name} | {time.process_time() - start:.1f} |", flush=True)


def _read_bladder(folder: Path) -> tuple[list[Table], Table, list[str]]:
    names = ("GSE89", "PMID17099711.GPL8300", "PMID17099711.GPL91")
    sources = [
        read(folder / f"bladder/{name}.parquet", "summarystage", "invasive") for name in names
    ]
    target = read(folder / "bladder/GSE1827.parquet", "summarystage", "invasive")
    genes = sorted(set(target.x).intersection(*(own.x.columns for own in sources)))
    return sources, target, genes


def _bladder(folder: Path) -> None:
    """Pooled and permuted sources, and the target alone."""
    sources, target, genes = _read_bladder(folder)
    print(f"Bladder: three cohorts to GSE1827, {len(genes):,} genes, AUROC, 20 draws\n")
    print("| n | target only | pooled | source only | pooled, source permuted |")
    print("| --- | --- | --- | --- | --- |")
    for n in (6, 12, 24):
        rows = []
        for seed in range(20):
            problem, y, _ = draw(sources, target, genes, n, 30, seed)
            shuffled = np.random.default_rng(seed).permutation(problem.source_labels)
            rows.append(
                [
                    _auroc(y, _find(name)(problem))
                    for name in ("target_only", "pooled", "source_only")
                ]
                + [_auroc(y, _find("pooled")(replace(problem, source_labels=shuffled)))]
            )
        print(f"| {n} | " + " | ".join(f"{value:.2f}" for value in np.mean(rows, axis=0)) + " |")


def _self_training(folder: Path) -> None:
    """A fifth of the training samples labelled."""
    sources, target, genes = _read_bladder(folder)
    print("Self-training on GSE1827, 10 of 50 training samples labelled, 20 draws\n")
    print(
        "| model | AUROC | Brier | pseudo-labels right | rounds |\n| --- | --- | --- | --- | --- |"
    )
    found: dict[str, list] = {}
    for seed in range(20):
        problem, y, hidden = draw(sources, target, genes, 10, 30, seed)
        end = self_train(problem, hidden, judged=False)
        judged = self_train(problem, hidden)
        everything = replace(
            problem, target=np.concatenate([problem.target, problem.unlabelled]),
            target_labels=np.concatenate([problem.target_labels, hidden]),
            target_groups=np.arange(len(problem.target) + len(hidden)).astype(str),
        )  # fmt: skip
        plain = list(_train_plainly(problem, hidden))
        for name, proba, right, rounds in (
            ("plain logistic regression, labels alone", plain[0][0], np.nan, 0),
            ("plain logistic regression, to the end", *plain[-1], len(plain) - 1),
            ("labels alone", end.rounds[0].probabilities, np.nan, 0),
            ("to the end", end.probabilities, end.rounds[-1].right, end.chosen),
            ("judged", judged.probabilities, judged.rounds[judged.chosen].right, judged.chosen),
            ("all labels", _find("target_only")(everything), np.nan, 0),
        ):
            brier = brier_score_loss(y, proba[:, 1])
            found.setdefault(name, []).append((_auroc(y, proba), brier, right, rounds))
    for name, rows in found.items():
        auroc, brier, _, rounds = np.mean(rows, axis=0)
        right = np.array(rows)[:, 2]
        said = f"{np.nanmean(right):.2f}" if np.isfinite(right).any() else ""
        print(f"| {name} | {auroc:.3f} | {brier:.3f} | {said} | {rounds:.1f} |")
    for how in ("", "plain logistic regression, "):
        end, alone = (np.array(found[f"{how}{name}"])[:, 0]
                      for name in ("to the end", "labels alone"))  # fmt: skip
        difference = corrected_t(end - alone, 30 / 50)
        low, high = difference.interval()
        print(f"\n{how}to the end less labels alone: {difference.mean:+.3f} ({low:+.3f} to "
              f"{high:+.3f}), p = {difference.p:.2g}")  # fmt: skip


def _train_plainly(problem: Problem, hidden: np.ndarray) -> Iterator[tuple[np.ndarray, float]]:
    """Self-training by a logistic regression (C = .01) whose probabilities aren't calibrated.

    Genes are standardised by all samples that are learned from. A round's probabilities of the
    tested samples, and which share of the labels given so far is right.
    """
    everyone = np.concatenate([problem.target, problem.unlabelled])
    mean, spread = everyone.mean(axis=0), everyone.std(axis=0) + 1e-6
    ours, theirs, asked = (
        (x - mean) / spread for x in (problem.target, problem.unlabelled, problem.test)
    )
    given = np.full(len(theirs), -1)
    for _ in range(11):
        known = given >= 0
        model = LogisticRegression(C=0.01, max_iter=300).fit(
            np.concatenate([ours, theirs[known]]),
            np.concatenate([problem.target_labels, given[known]]),
        )
        yield (
            model.predict_proba(asked),
            float((given == hidden)[known].mean()) if known.any() else 0,
        )
        said = model.predict_proba(theirs)
        new = ~known & (said.max(axis=1) >= SURE)
        if not new.any():
            return
        given[new] = said[new].argmax(axis=1)


def _plasma(folder: Path) -> None:
    """Measured cells of whole blood by the variable that a cell type names."""
    path = folder / "blood/plier_wholeblood.parquet"
    x = pd.read_parquet(path)
    cells = pd.read_csv(path.with_name("plier_wholeblood_labels.csv"), index_col=0)
    prior = [pd.read_parquet(folder / f"blood/prior_{name}.parquet")
             for name in ("bloodCellMarkersIRISDMAP", "canonicalPathways")]  # fmt: skip
    sets = {name: list(table.index[table[name] > 0]) for table in prior for name in table.columns}
    inside = sorted(set(x.columns) & set().union(*sets.values()))
    programs = learn_programs(x[inside].to_numpy(float), inside, sets)
    scaled = (x[inside] - x[inside].mean()) / x[inside].std()
    components = np.linalg.svd(scaled, full_matrices=False)[0][:, : programs.activities.shape[1]]
    print(
        f"Whole blood, {len(x)} x {len(inside):,} genes, {len(programs.sets)} sets, "
        f"{programs.activities.shape[1]} variables, {programs.rounds} rounds\n"
    )
    print("| cells | variable named | Spearman | best variable | best component |")
    print("| --- | --- | --- | --- | --- |")
    known = cells.notna().all(axis=1).to_numpy()
    for cell, word in (("Plasma cell", "PlasmaCell"), ("Monocyte", "Monocyte"),
                       ("Neutrophil", "Neutrophil"), ("NK cell", "NKA")):  # fmt: skip
        truth = cells.loc[known, cell]
        every, beside = (
            [abs(spearmanr(own[known][:, k], truth)[0]) for k in range(own.shape[1])]
            for own in (programs.activities, components)
        )
        try:
            variable = programs.named(word)
            rho = f"{spearmanr(programs.activities[known][:, variable], truth)[0]:.2f}"
        except InputError:
            rho = "none has the name"
        print(f"| {cell} | {word} | {rho} | {max(every):.2f} | {max(beside):.2f} |")


def _agdex(folder: Path) -> None:
    """Mouse components for human ependymoma, leave a fifth out."""
    human = read(folder / "species/agdex_human.parquet", "grp", "human.tumor.typeD")
    mouse = read(folder / "species/agdex_mouse.parquet", "grp", "mouse.tumor")
    pairs = pd.read_csv(folder / "species/agdex_probe_map.csv")
    pairs = pairs[pairs["human_probe"].isin(human.x) & pairs["mouse_probe"].isin(mouse.x)]
    there = mouse.x[pairs["mouse_probe"]].to_numpy()
    here = human.x[pairs["human_probe"]].to_numpy()
    names = ("source_components", "own_components", "random_directions", "target_only")
    found: dict[str, list] = {name: [] for name in names}
    variance = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        said = {name: np.zeros(len(here)) for name in names}
        fold = np.zeros(len(here), int)
        for number in (0, 1):
            own = rng.permutation(np.flatnonzero(human.y == number))
            fold[own] = np.arange(len(own)) % 5
        for out in range(5):
            tested = fold == out
            problem = Problem(
                there, mouse.y, np.zeros(len(there), int), here[~tested], human.y[~tested],
                np.flatnonzero(~tested).astype(str), np.arange(len(there)).astype(str),
                here[:0], here[tested], 2, tuple(pairs["human_probe"]), seed * 5 + out,
            )  # fmt: skip
            for name in names:
                said[name][tested] = _find(name)(problem)[:, 1]
            finds = (find_source_axes, find_own_axes, find_random_axes)
            variance.append([restrict(problem, find).variance for find in finds])
        for name in names:
            found[name].append(roc_auc_score(human.y, said[name]))
    print(f"AGDEX, {len(pairs)} pairs of probes, 9 of 83 positive, ten times five folds\n")
    print("| | AUROC | share of human variance |\n| --- | --- | --- |")
    for name, share in zip(names, [*np.mean(variance, axis=0), 1.0], strict=True):
        print(f"| {name} | {np.mean(found[name]):.2f} | {share:.2f} |")


def _sorafenib(folder: Path) -> None:
    """Cell lines' response to sorafenib, a number, for the tumour cells of patients."""
    path = folder / "celllines/tcrp_sorafenib.parquet"
    x = pd.read_parquet(path).filter(like="_expression").astype(np.float32)
    labels = pd.read_csv(path.with_name("tcrp_sorafenib_labels.csv"), index_col=0)
    ours = labels["tissue"].eq("PDTC").to_numpy()
    response = labels["sorafenib_response"].to_numpy()
    y = (response[ours] > np.median(response[ours])).astype(int)
    there, here = x[~ours].to_numpy(), x[ours].to_numpy()
    scores = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        tested = np.concatenate([rng.permutation(np.flatnonzero(y == k))[:3] for k in (0, 1)])
        rest = np.setdiff1d(np.arange(len(y)), tested)
        problem = Problem(
            there, response[~ours].astype(float), np.zeros(len(there), int), here[rest], y[rest],
            rest.astype(str), np.arange(len(there)).astype(str), here[:0], here[tested], 2,
            tuple(x.columns), seed,
        )  # fmt: skip
        scores.append([_auroc(y[tested], _find(name)(problem))
                       for name in ("numbers_to_classes", "target_only")])  # fmt: skip
    mean = np.mean(scores, axis=0)
    difference = corrected_t(np.diff(scores)[:, 0] * -1, 6 / 8)
    low, high = difference.interval()
    print(
        f"Sorafenib, {len(there)} cell lines to {len(y)} patients' tumour cells, 8 labelled, 10 "
        f"draws: from numbers to classes {mean[0]:.2f}, target only {mean[1]:.2f}, difference "
        f"{difference.mean:+.2f} ({low:+.2f} to {high:+.2f})."
    )


def _drugs(folder: Path) -> None:
    """Cell lines' response to a drug, a number, for classes of the lines of one tissue."""
    path = folder / "celllines/gdsc_7drugs.parquet"
    x, labels = pd.read_parquet(path), pd.read_csv(
        path.with_name("gdsc_7drugs_labels.csv"), index_col=0
    )  # fmt: skip
    x = x.loc[:, x.nunique() > 10].astype(np.float32)  # mutations are 0 or 1
    print(f"GDSC, {len(x)} lines, {x.shape[1]} genes: IC50 of the lines of other tissues, and a")
    print("tissue's lines above or below their median; 12 labelled, 10 draws\n")
    print("| drug | tissue | other lines | numbers to classes | target only | ridge of the numbers "
          "| from numbers less target only | verdict |\n|" + " --- |" * 8)  # fmt: skip
    for drug in ("PD-0325901", "RDEA119", "Nilotinib"):
        for tissue in ("blood", "digestive_system", "nervous_system"):
            _ask_drug(x, labels, drug, tissue)


def _ask_drug(x: pd.DataFrame, labels: pd.DataFrame, drug: str, tissue: str) -> None:
    known, ours = labels[drug].notna().to_numpy(), labels[tissue].eq(1).to_numpy()
    there, here = x[known & ~ours].to_numpy(), x[known & ours].to_numpy()
    amounts, own = labels.loc[known & ~ours, drug], labels.loc[known & ours, drug].to_numpy()
    y = (own > np.median(own)).astype(int)
    scores = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        queue = [rng.permutation(np.flatnonzero(y == k)) for k in (0, 1)]
        few = np.concatenate([part[:6] for part in queue])
        tested = np.concatenate([part[6:] for part in queue])
        problem = Problem(
            there, amounts.to_numpy(float), np.zeros(len(there), int), here[few], y[few],
            few.astype(str), np.arange(len(there)).astype(str), here[:0], here[tested], 2,
            tuple(x.columns), seed,
        )  # fmt: skip
        mean, spread = there.mean(axis=0), there.std(axis=0) + 1e-6
        ridge = RidgeCV(alphas=np.logspace(0, 4, 9)).fit((there - mean) / spread, amounts)
        scores.append(
            [_auroc(y[tested], _find(name)(problem))
             for name in ("numbers_to_classes", "target_only")]
            + [roc_auc_score(y[tested], ridge.predict((here[tested] - mean) / spread))]
        )  # fmt: skip
    mean = np.mean(scores, axis=0)
    found = corrected_t(np.array(scores)[:, 0] - np.array(scores)[:, 1], len(tested) / 12)
    low, high = found.interval()
    print(
        f"| {drug} | {tissue}, {len(y)} | {len(there)} | {mean[0]:.2f} | {mean[1]:.2f} | "
        f"{mean[2]:.2f} | {found.mean:+.2f} ({low:+.2f} to {high:+.2f}) | {_answer(found)} |",
        flush=True,
    )


def _answer(found: MeanDifference) -> str:
    if found.p >= LEVEL:
        return "no difference"
    return "helps" if found.mean > 0 else "harms"


def _several_sources(folder: Path) -> None:
    """The adversary over several sources: AUROC, and whether the cohort is hidden."""
    names = ("target_only", "pooled", "adversarial_off", "adversarial", "adversarial_strong")
    bladder = _read_bladder(folder)
    er = [read(folder / f"breast/{name}.parquet", "er", positive)
          for name, positive in (("expo", "0.0"), ("nki", "0"), ("vdx", "0"))]  # fmt: skip
    oslo = read(folder / "breast/oslo2emit0.parquet", "ER", "ER-")
    genes = sorted(set(oslo.x).intersection(*(own.x.columns for own in er)))
    array = sorted(set(er[0].x).intersection(*(own.x.columns for own in er)))
    questions = (
        ("bladder stage, three cohorts to GSE1827", *bladder, 30),
        ("ER, EXPO + NKI + VDX to OSLO2-EMIT0", er, oslo, genes, 40),
        ("ER, EXPO + NKI to VDX", er[:2], er[2], array, 60),
    )
    print("Several sources, 12 labelled, ten draws, ranks\n")
    print("| question | genes | positive in sources, target | " + " | ".join(names)
          + " | adversary less none | domain AUROC: genes, none, .178, 1 |\n|"
          + " --- |" * 10)  # fmt: skip
    for title, sources, target, shared, test in questions:
        spread = np.concatenate([rank_rows(own.x[shared].to_numpy()) for own in sources])
        kept = [shared[place] for place in np.argsort(-spread.std(axis=0))[:500]]
        scores, domains = [], []
        for seed in range(10):
            problem, y, _ = draw(sources, target, kept, 12, test, seed)
            scores.append([_auroc(y, _find(name)(problem)) for name in names])
            if seed < 3:
                seen = [measure_domains(problem, strength) for strength in (0.0, 0.178, 1.0)]
                domains.append([seen[0].before, *(one.after for one in seen)])
        mean = np.mean(scores, axis=0)
        found = corrected_t(np.array(scores)[:, 3] - np.array(scores)[:, 2],
                            test / (len(target.y) - test))  # fmt: skip
        low, high = found.interval()
        shares = ", ".join(f"{own.y.mean():.2f}" for own in sources)
        print(
            f"| {title} | {len(kept)} | {shares}; {target.y.mean():.2f} | "
            + " | ".join(f"{value:.3f}" for value in mean)
            + f" | {found.mean:+.3f} ({low:+.3f} to {high:+.3f}), {_answer(found)} | "
            + ", ".join(f"{value:.2f}" for value in np.mean(domains, axis=0)) + " |",
            flush=True,
        )  # fmt: skip


def _imbalance(folder: Path) -> None:
    """Two light networks joined, as oestrogen receptor negative tumours get rare."""
    table = read(folder / "breast/expo.parquet", "er", "0.0")
    genes = np.argsort(-table.x.to_numpy().std(axis=0), kind="stable")[:500]
    x = table.x.to_numpy()[:, genes]
    print("Breast, oestrogen receptor negative as the rare class, 500 genes, six draws\n")
    print("| ratio | line | rare | macro F1 | balanced accuracy | parameters | seconds |")
    print("|" + " --- |" * 7)
    tables = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        asked = np.concatenate([rng.permutation(np.flatnonzero(table.y == k))[:30] for k in (0, 1)])
        rest = np.setdiff1d(np.arange(len(x)), asked)
        tables.append(
            compare_under_imbalance(x[rest], table.y[rest], x[asked], table.y[asked],
                                    table.x.columns[genes], seed=seed)
        )  # fmt: skip
    mean = pd.concat(tables).groupby(["ratio", "line"], sort=False).mean().reset_index()
    for row in mean.itertuples():
        scores = f"{row.macro_f1:.3f} | {row.balanced_accuracy:.3f}"
        print(f"| 1:{row.ratio} | {row.line} | {row.rare:.0f} | {scores} | "
              f"{row.parameters:,.0f} | {row.seconds:.1f} |")  # fmt: skip


def _every_method(folder: Path) -> None:
    """All methods that learn from classes or samples, on bladder with 12 labelled samples."""
    sources, target, genes = _read_bladder(folder)
    spread = np.concatenate([rank_rows(own.x[genes].to_numpy()) for own in sources]).std(axis=0)
    genes = [genes[number] for number in np.argsort(-spread)[:500]]
    print("Every method on bladder, 12 labelled samples, 500 genes, six draws\n")
    print("| method | AUROC | less target only | seconds |\n| --- | --- | --- | --- |")
    drawn = [draw(sources, target, genes, 12, 30, seed) for seed in range(6)]
    alone = np.array([_auroc(y, _find("target_only")(problem)) for problem, y, _ in drawn])
    print(f"| target_only | {alone.mean():.3f} | | |")
    for record in [*REFERENCES, *TRANSFER_METHODS]:
        if record.learns_from == "numbers" or record.needs_sets or record.name == "target_only":
            continue
        start = time.perf_counter()
        scores = np.array([_auroc(y, record.fit(problem)) for problem, y, _ in drawn])
        seconds = (time.perf_counter() - start) / len(drawn)
        difference = corrected_t(scores - alone, 30 / 50)
        low, high = difference.interval()
        print(
            f"| {record.name} | {scores.mean():.3f} | {difference.mean:+.3f} ({low:+.3f} to "
            f"{high:+.3f}) | {seconds:.1f} |", flush=True,
        )  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["planted"]:
        run_planted(sys.argv[2:])
    elif len(sys.argv) > 2 and sys.argv[1] == "real":
        run_real(Path(sys.argv[2]), sys.argv[3:])
    elif sys.argv[1:] == ["seconds"]:
        print_seconds()
    else:
        sys.exit(__doc__)

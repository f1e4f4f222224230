"""The trust card: measurements that say how far a method's gene scores can be believed.

Readable without torch and captum, which are imported where they are used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from core.data.notes import Finding
from core.explain.case import Case
from core.explain.genes import recovery
from core.explain.measures import (
    MEASURES,
    RANDOM_ORDERS,
    SENSITIVITY_RADIUS,
    Evidence,
    Light,
    judge_value,
    without_control,
)
from core.explain.methods import METHODS
from core.explain.rankings import (
    class_means,
    jaccard,
    kuncheva,
    mean_over_pairs,
    rank_correlation,
    top_count,
)

if TYPE_CHECKING:
    from torch import Tensor

REMOVED = (0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1)
"""Shares of the genes at which deletion and insertion are looked at."""
BOOTSTRAPS = 200
INFIDELITY_DRAWS = 50
"""Random sets of genes a sample."""
INFIDELITY_GENES = 0.05
"""Share of the genes in such a set."""
SENSITIVITY_DRAWS = 3
COMPARED = ("integrated_gradients", "gradient_shap", "input_x_gradient")
"""Methods that score genes one by one and agree on a network that has learned something."""
SEED = 0


def judge_data(findings: Sequence[Finding] | None) -> Evidence:
    """What was found about the run's data, None where nobody has looked."""
    measure = MEASURES["data"]
    light: Light = "none" if findings is None else "green"
    sentence = "Nothing in the samples of this run was found to speak against it."
    if findings is None:
        sentence = "This run is from before its data were looked at: see the page Data."
    elif findings:
        light = "red" if any(finding.decisive for finding in findings) else "amber"
        sentence = " ".join(finding.message for finding in findings)
    return Evidence(
        name="data", title=measure.title, value=None, light=light, green=None, red=None,
        sentence=sentence,
    )  # fmt: skip


def measure_skill(value: float, words: str) -> Evidence:
    """How far held-out predictions are, at least, on the way from chance (0) to perfect (1)."""
    return judge_value("skill", value, f"On held-out samples {words}.")


def measure_permuted(value: float, words: str) -> Evidence:
    """The same of the run with permuted labels."""
    return judge_value("permuted", value, f"With permuted labels {words}.")


def measure_planted(table: pd.DataFrame, truth: pd.DataFrame) -> Evidence:
    """How well the recipe's ranking finds planted genes.

    Args:
        table: gene tables of all classes: gene, class, rank.
        truth: the planted genes: gene, class.
    """
    found, sizes = [], []
    for name, own in table.groupby("class"):
        known = set(truth.loc[truth["class"] == name, "gene"]) & set(own["gene"])
        if known:
            found.append(recovery(own.assign(score=-own["rank"]), known))
            sizes.append(len(known))
    if not found:
        return without_control("planted", "No planted gene was on the images.")
    auroc, precision = (
        float(np.mean([row[key] for row in found])) for key in ("auroc", "precision_at_k")
    )
    return judge_value(
        "planted",
        auroc,
        f"On simulated data the recipe ranks a planted gene above another one in {auroc:.0%} of "
        f"all pairs; of as many top genes as were planted (on average {np.mean(sizes):.0f} a "
        f"class), {precision:.0%} are planted ones.",
        {"auroc": auroc, "precision_at_k": precision},
    )


def measure_signal(scores: np.ndarray) -> Evidence:
    """Share of rows of (samples, genes) scores that are constant."""
    empty = float((np.ptp(scores, axis=1) == 0).mean())
    return judge_value("signal", empty, f"For {empty:.0%} of the samples the map is empty.")


def measure_completeness(errors: np.ndarray | None) -> Evidence:
    """Median of the (samples,) relative completeness errors; None for methods without any."""
    if errors is None:
        return judge_value("completeness", None, "The scores of this method need not add up.")
    middle = float(np.median(errors))
    if not np.isfinite(middle):
        return judge_value(
            "completeness", None, "The class score does not change from the baseline."
        )
    return judge_value(
        "completeness",
        middle,
        f"The genes' scores miss the change of the class score by {middle:.1%} (median of "
        f"{len(errors)} samples).",
        {"errors": _plain(errors)},
    )


Tell = Callable[[float], None]
"""Told the share of a measurement that is done, 0 to 1; may raise Cancelled."""


def silent(share: float) -> None:
    """Tell nobody."""


def measure_randomisation(case: Case, scores: np.ndarray, tell: Tell = silent) -> list[Evidence]:
    """Randomise the network from the head to the image; then ask the wholly random one."""
    network = deepcopy(case.network)
    parts = {"head": "head"}
    parts |= {name: f"stages.{name}" for name, _ in reversed(list(network.stages.named_children()))}
    similarity, other = {}, scores
    for number, (name, part) in enumerate(parts.items()):
        network.set_submodule(part, deepcopy(case.untrained.get_submodule(part)))
        asked = replace(case, network=network)
        other = asked.explain(
            lambda done, of, number=number: tell((number + done / of) / len(parts))
        ).scores
        similarity[name] = float(np.abs(rank_correlation(scores, other)).mean())
    names = list(similarity)
    end = similarity[names[-1]]
    k = top_count(scores.shape[1])
    pairs = zip(class_means(scores, case.targets), class_means(other, case.targets), strict=True)
    overlap = float(np.mean([kuncheva(ours, theirs, k) for ours, theirs in pairs]))
    return [
        judge_value(
            "randomisation",
            end,
            f"With a random {names[0]} the map's rank correlation with the true one is "
            f"{similarity[names[0]]:.2f}, with all layers random {end:.2f}.",
            {"layers": names, "similarity": list(similarity.values())},
        ),
        judge_value(
            "untrained",
            overlap,
            f"The same network with random weights names {_beyond(overlap)} of the same {k} top "
            "genes of a class.",
        ),
    ]


def measure_class_mean(case: Case, scores: np.ndarray) -> Evidence:
    """Compare the top genes with those whose class mean is farthest from the baseline."""
    k = top_count(scores.shape[1])
    distance = np.abs(class_means(case.x - case.baseline, case.targets))
    overlap = float(
        np.mean([kuncheva(*p, k) for p in zip(class_means(scores, case.targets), distance,
                                              strict=True)])
    )  # fmt: skip
    return judge_value(
        "class_mean",
        overlap,
        f"{_beyond(overlap).capitalize()} of the {k} top genes of a class are those whose mean "
        "differs most from the baseline.",
    )


def measure_removal(case: Case, scores: np.ndarray, tell: Tell = silent) -> list[Evidence]:
    """Deletion and insertion curves beside those of random orders."""
    n, genes = scores.shape
    rng = np.random.default_rng(SEED)
    orders = np.concatenate(
        [
            _order(scores, rng.permutation(genes))[None],
            np.stack([np.tile(rng.permutation(genes), (n, 1)) for _ in range(RANDOM_ORDERS)]),
        ]
    )
    counts = np.round(np.array(REMOVED) * genes).astype(int)
    found = []
    for name, start, end in (
        ("deletion", case.x, case.baseline),
        ("insertion", case.baseline, case.x),
    ):
        walks = []
        for order in orders:
            walks.append(_walk(case, order, start, end, counts))
            tell((len(found) + len(walks) / len(orders)) / 2)
        curves = np.stack(walks)
        change = np.abs(curves[0, :, 0] - curves[0, :, -1]).mean()
        direction = -1 if name == "deletion" else 1
        areas = np.trapezoid(curves, counts / genes, axis=2)
        gains = direction * (areas[0] - areas[1:].mean(axis=0)) / max(change, 1e-9)
        low, high = _interval(gains, rng)
        middle = curves.mean(axis=1)
        found.append(
            judge_value(
                name,
                low,
                f"Taken in the order of their scores, genes {'lower' if direction < 0 else 'raise'}"
                f" the class score {'faster' if gains.mean() > 0 else 'slower'} than in random "
                f"order, by {abs(gains.mean()):.2f} of its change (95 % interval {low:.2f} to "
                f"{high:.2f}).",
                {
                    "share": _plain(counts / genes),
                    "curve": _plain(middle[0]),
                    "random": _plain(middle[1:].mean(axis=0)),
                    "random_low": _plain(middle[1:].min(axis=0)),
                    "random_high": _plain(middle[1:].max(axis=0)),
                },
            )
        )
    return found


def _order(scores: np.ndarray, among_equals: np.ndarray) -> np.ndarray:
    """(samples, genes) positions from the highest score to the lowest; equals in a random order."""
    return among_equals[np.argsort(-scores[:, among_equals], axis=1, kind="stable")]


def _walk(
    case: Case, order: np.ndarray, start: np.ndarray, end: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """(samples, counts) class scores when the first genes of `order` go from start to end."""
    rank = np.argsort(order, axis=1)
    steps = [np.where(rank < count, end, start) for count in counts]
    rows = np.tile(np.arange(len(order)), len(counts))
    return case.class_scores(rows, np.concatenate(steps)).reshape(len(counts), -1).T


def measure_infidelity(case: Case, scores: np.ndarray) -> Evidence:
    """captum's infidelity, scaled best, for random sets of genes that go to the baseline."""
    if not METHODS[case.method].signed:
        return judge_value("infidelity", None, "Scores without a sign can't be summed.")
    rng = np.random.default_rng(SEED)
    shuffled = rng.permuted(scores, axis=1)
    own, other = (_infidelity(case, values) for values in (scores, shuffled))
    usable = other > 0
    if not usable.any():
        return judge_value(
            "infidelity", None, "The class score doesn't change without these genes."
        )
    value = float(np.median(own[usable] / other[usable]))
    return judge_value(
        "infidelity",
        value,
        f"The sum of the scores of random genes misses {value:.0%} of what scores shuffled among "
        "the genes miss.",
    )


def _infidelity(case: Case, scores: np.ndarray) -> np.ndarray:
    """(samples,) infidelity, from the same random sets of genes for any scores."""
    import torch
    from captum.metrics import infidelity

    from core.explain.forward import ClassScores, evaluating

    draw = torch.Generator().manual_seed(SEED)

    def remove(x: Tensor, baseline: Tensor) -> tuple[Tensor, Tensor]:
        chosen = (torch.rand(x.shape, generator=draw) < INFIDELITY_GENES).to(x)
        return chosen, x - chosen * (x - baseline)

    forward = ClassScores(case.imager, case.network, pairs=case.against is not None)
    tensors = [torch.tensor(a, dtype=torch.float32, device=case.device)
               for a in (case.x, scores, case.baseline)]  # fmt: skip
    targets = torch.as_tensor(case.targets, device=case.device)
    others = None if case.against is None else torch.as_tensor(case.against, device=case.device)
    found = []
    with evaluating(case.network), torch.no_grad():
        targets = forward.find_targets(tensors[0], targets, others)
        for row in range(len(scores)):  # captum repeats a batch of one baseline only if it is one
            x, values, baseline = (tensor[row : row + 1] for tensor in tensors)
            found.append(
                infidelity(
                    forward,
                    lambda x, base=baseline: remove(x, base),
                    x,
                    values,
                    target=int(targets[row]),
                    n_perturb_samples=INFIDELITY_DRAWS,
                    normalize=True,
                )
            )
    return torch.cat(found).double().cpu().numpy()


def measure_sensitivity(case: Case, tell: Tell = silent) -> Evidence:
    """captum's largest relative change of the scores under small changes of the samples."""
    import torch
    from captum.metrics import sensitivity_max

    draw = torch.Generator().manual_seed(SEED)
    before, rows = 0, (1 + SENSITIVITY_DRAWS) * len(case.x)

    def move(x: Tensor) -> Tensor:
        step = SENSITIVITY_RADIUS * (2 * torch.rand(x.shape, generator=draw) - 1)
        return (x + step).clamp(0, 1)

    def explain(x: Tensor | tuple[Tensor], target: Tensor) -> tuple[Tensor]:
        """captum gives a tuple for the samples as they are, and repeats targets with the samples:
        these targets are the samples' row numbers.
        """
        nonlocal before
        moved = x[0] if isinstance(x, tuple) else x
        asked = case.rows(target.numpy(), moved.numpy())
        found = asked.explain(lambda done, _: tell(min((before + done) / rows, 1)))
        before += len(moved)
        return (torch.as_tensor(found.scores),)

    change = sensitivity_max(
        explain,
        torch.as_tensor(case.x),
        move,
        perturb_radius=SENSITIVITY_RADIUS,
        n_perturb_samples=SENSITIVITY_DRAWS,
        target=torch.arange(len(case.x)),
    ).numpy()
    usable = change[np.isfinite(change)]
    if not len(usable):
        return judge_value("sensitivity", None, "All maps are empty.")
    value = float(np.median(usable))
    return judge_value(
        "sensitivity",
        value,
        f"When every gene moves by up to {SENSITIVITY_RADIUS:g} of its scale, the scores change by "
        f"{value:.0%} of their size (median, largest of {SENSITIVITY_DRAWS} draws).",
    )


def measure_agreement(case: Case, scores: np.ndarray) -> Evidence:
    """Compare the classes' top genes with those of other methods that score genes one by one."""
    k, ours = top_count(scores.shape[1]), class_means(scores, case.targets)
    shared = {}
    for method in COMPARED:
        if method == case.method:
            continue
        theirs = class_means(replace(case, method=method).explain().scores, case.targets)
        shared[method] = float(np.mean([kuncheva(*p, k) for p in zip(ours, theirs, strict=True)]))
    value = float(np.mean(list(shared.values())))
    words = ", ".join(
        f"{METHODS[name].title} {max(share, 0):.2f}" for name, share in shared.items()
    )
    return judge_value(
        "agreement",
        value,
        f"Overlap of the {k} top genes of a class, beyond chance: {words}.",
        {"methods": shared},
    )


def measure_resampling(scores: np.ndarray, labels: np.ndarray) -> Evidence:
    """Compare the classes' top genes between random halves of (samples, genes) scores.

    Genes without a score for some sample are left out.
    """
    scores = scores[:, np.isfinite(scores).all(axis=0)]
    k, rng = top_count(scores.shape[1]), np.random.default_rng(SEED)
    shared = []
    for name in np.unique(labels):
        own = scores[labels == name]
        if len(own) < 4:
            continue
        for _ in range(RANDOM_ORDERS):
            order = rng.permutation(len(own))
            halves = [own[half].mean(axis=0) for half in np.array_split(order, 2)]
            shared.append(kuncheva(*halves, k))
    if not shared:
        return judge_value("resampling", None, "Fewer than 4 samples of each class were explained.")
    value = float(np.mean(shared))
    return judge_value(
        "resampling",
        value,
        f"Two random halves of a class's explained samples share {_beyond(value)} of their {k} top "
        "genes.",
    )


def measure_stability(scores: np.ndarray, labels: np.ndarray, folds: np.ndarray) -> Evidence:
    """Compare the classes' top genes between the networks of the folds.

    Args:
        scores: (samples, genes); NaN where a gene was not on the fold's image.
        labels: (samples,) classes.
        folds: (samples,) by which fold's network each sample was explained.
    """
    numbers = np.unique(folds)
    if len(numbers) < 2:
        return judge_value(
            "stability", None, "One training only: ask again with a run of several folds."
        )
    scores = scores[:, np.isfinite(scores).all(axis=0)]
    k = top_count(scores.shape[1])
    measured = []
    for name in np.unique(labels):
        own = [(labels == name) & (folds == number) for number in numbers]
        means = np.stack([scores[rows].mean(axis=0) for rows in own if rows.any()])
        if len(means) > 1:
            first, second = np.triu_indices(len(means), 1)
            measured.append(
                (
                    mean_over_pairs(kuncheva, means, k),
                    mean_over_pairs(jaccard, means, k),
                    rank_correlation(means[first], means[second]).mean(),
                )
            )
    index, common, correlation = map(float, np.mean(measured, axis=0))
    return judge_value(
        "stability",
        index,
        f"The networks of {len(numbers)} folds share {_beyond(index)} of their {k} top genes of a "
        f"class (Jaccard {common:.2f}); the rank correlation of all {scores.shape[1]} genes is "
        f"{correlation:.2f}.",
        {"jaccard": common, "rank_correlation": correlation, "k": k},
    )


def _beyond(overlap: float) -> str:
    """An overlap beyond chance in words."""
    return "no more than chance" if overlap <= 0 else f"{overlap:.0%} (beyond chance)"


def _interval(values: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """95 % bootstrap interval of the mean of (samples,) values."""
    drawn = rng.integers(len(values), size=(BOOTSTRAPS, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _plain(values: np.ndarray) -> list[float]:
    return [float(f"{value:.6g}") for value in values]

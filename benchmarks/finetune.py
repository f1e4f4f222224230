"""Does a network gain when it goes on learning from the solved linear head?

    python -m benchmarks.finetune EXPRESSION SAMPLES --label tumour_type --group patient \
        --where sample_type=tumour --backbone squeezenet1_1 --weights file:PATH \
        --splits 3 --epochs 8 --rates 0.001 0.003

The linear head is solved with given shares of genes and maps, since maps without a share would
never be changed. Then head and last stage learn on by Adam: a step changes a tensor by RATE of its
own size at most, in the stage half as much, and is drawn back to the start (L2-SP: Li, Grandvalet
and Davoine 2018). The solved head already knows each training sample for certain, so it goes on
with augmented versions of them. A fifth of the training samples, by patient, is kept from both
solving and learning; the epoch of least log loss on it is taken, be it the start. So the frozen
network and the one that went on have learned from the same samples and differ in the steps alone.
Patients are on one side of a split.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from scipy.special import softmax
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold
from threadpoolctl import threadpool_limits
from torch.nn.functional import cross_entropy

from core.data.cohort import Cohort
from core.data.prepare import PreparationSpec, Preprocessor
from core.data.read import read_dataset
from core.evaluation.differences import corrected_t
from core.images.imager import GeneImager
from core.images.layouts import LayoutSpec, fit_layout
from core.models.network import GeneImageNetwork, build_network
from core.models.spec import IMAGE, NetworkSpec
from core.models.tuned import CLASSES, Choice, Sources
from core.training.augmentations import Known, vary_expression
from core.training.exact import _put
from core.training.features import FrozenPart

PULL = 0.01
"""Share of the way back to the start that is added to each step."""
BATCH = 32
VERSIONS = 4
"""Augmented versions of the training samples, taken in turn."""


def main() -> None:
    """Print a row for each share of the maps and rate."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("expression", type=Path)
    parser.add_argument("samples", type=Path)
    parser.add_argument("--label", default="tumour_type")
    parser.add_argument("--group", default="patient")
    parser.add_argument("--where", default="")
    parser.add_argument("--backbone", default="squeezenet1_1")
    parser.add_argument("--weights", default="scratch")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.001, 0.003])
    parser.add_argument("--maps", type=float, nargs="+", default=[0.5])
    options = parser.parse_args()

    torch.set_num_threads(1)
    data = read_dataset(options.expression, options.samples)
    column, _, value = options.where.partition("=")
    where = {column: [value]} if column else {}
    data = Cohort(label=options.label, group=options.group, where=where).select(data)
    y = np.unique(data.obs[options.label].astype(str), return_inverse=True)[1]
    patients = data.obs[options.group].to_numpy()
    found: dict[tuple[float, float], list[list[float]]] = {}
    ratios = []
    for seed in range(options.splits):
        folds = StratifiedGroupKFold(4, shuffle=True, random_state=seed)
        train, test = next(folds.split(y, y, patients))
        inner = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
        learning, kept = (
            train[part] for part in next(inner.split(y[train], y[train], patients[train]))
        )
        ratios.append(len(test) / len(learning))
        genes = data.var_names.to_numpy()
        preparation = PreparationSpec(genes=min(1024, len(genes)))
        prepared = Preprocessor.fit(data.X[learning], genes, data.uns["scale"], preparation)
        x = prepared.transform(data.X, genes)
        spec = NetworkSpec(backbone=options.backbone, weights=options.weights, image_size=32,
                           freeze="backbone", head="linear")  # fmt: skip
        placed = fit_layout(x[learning], prepared.genes, LayoutSpec(name="pca_grid"), 32, seed)
        imager = GeneImager(placed, 32)
        for share in options.maps:
            network = build_network(spec, y.max() + 1, seed=seed)[0].eval()
            solve(network, imager, x, y, patients, learning, share, seed)
            start = {name: value.clone() for name, value in network.state_dict().items()}
            for rate in options.rates:
                network.load_state_dict(start)
                row = go_on(network, imager, x, y, learning, kept, test, rate, options.epochs, seed)
                found.setdefault((share, rate), []).append(row)
                print(f"split {seed}, maps {share:g}, rate {rate:g}: "
                      + " ".join(f"{value:.4f}" for value in row), flush=True)  # fmt: skip
    print("\n| share of the maps | rate | frozen | log loss | fine-tuned | log loss | points | "
          "log loss, difference | epochs taken |\n| " + "--- | " * 9)  # fmt: skip
    ratio = float(np.mean(ratios))
    for (share, rate), rows in found.items():
        table = np.array(rows)
        mean = table.mean(axis=0)
        print(f"| {share:g} | {rate:g} | {mean[0]:.4f} | {mean[1]:.3f} | {mean[2]:.4f} | "
              f"{mean[3]:.3f} | {say(100 * (table[:, 2] - table[:, 0]), ratio, 1)} | "
              f"{say(table[:, 3] - table[:, 1], ratio, 3)} | {mean[4]:.1f} |")  # fmt: skip


def say(differences: np.ndarray, ratio: float, digits: int) -> str:
    """The mean difference and its p value."""
    if not differences.any():
        return "0"
    tested = corrected_t(differences, ratio)
    return f"{tested.mean:+.{digits}f} (p = {tested.p:.2g})"


def solve(
    network: GeneImageNetwork, imager: GeneImager, x: np.ndarray, y: np.ndarray,
    patients: np.ndarray, learning: np.ndarray, share: float, seed: int,
) -> None:  # fmt: skip
    """Give the head its exact weights, with that share for the maps, each alike."""
    values = FrozenPart(network, imager, "float32").features(torch.as_tensor(x[learning])).numpy()
    sizes = [branch.linear.in_features for branch in network.head.values()]
    blocks = np.split(values, np.cumsum(sizes)[:-1], axis=1)
    with threadpool_limits(1):
        sources = Sources(blocks, [name == IMAGE for name in network.head])
        targets, rest = np.eye(y.max() + 1)[y[learning]], len(blocks) - 1
        choice = Choice(sources, targets, y[learning], patients[learning], CLASSES, seed)
        shares = (1 - share,) + (share / rest,) * rest
        each = [choice.judge(shares, family) for family in CLASSES.families]
        _put(network.head, sources, choice.fit(min(each, key=lambda candidate: candidate.loss)))


def go_on(
    network: GeneImageNetwork, imager: GeneImager, x: np.ndarray, y: np.ndarray,
    learning: np.ndarray, kept: np.ndarray, test: np.ndarray, rate: float, epochs: int, seed: int,
) -> list[float]:  # fmt: skip
    """Accuracy and log loss on the test samples before and after, and the epoch that was taken."""
    last = network.stages[-1].requires_grad_(True)
    groups = []
    for tensor in [*network.head.parameters(), *last.parameters()]:
        size = float(tensor.detach().square().mean().sqrt())
        groups.append({"params": [tensor], "lr": rate * size})
    for group in groups[-len(list(last.parameters())) :]:
        group["lr"] /= 2
    optimiser = torch.optim.Adam(groups)
    start = [group["params"][0].detach().clone() for group in groups]
    torch.manual_seed(seed)
    draw = np.random.default_rng(seed)
    known = Known(*(torch.as_tensor(of(x[learning], axis=0)) for of in (np.std, np.mean)))
    rows, targets = torch.as_tensor(x[learning]), torch.eye(int(y.max()) + 1)[y[learning]]
    versions = []
    for _ in range(VERSIONS):
        varied, wanted = vary_expression(rows, targets, known)
        versions.append((run_frozen(network, imager, varied), wanted))
    asked = {part: run_frozen(network, imager, torch.as_tensor(x[samples]))
             for part, samples in (("kept", kept), ("test", test))}  # fmt: skip
    classes = range(y.max() + 1)

    def look(part: str, samples: np.ndarray) -> tuple[float, float]:
        with torch.no_grad():
            proba = softmax(run_rest(network, asked[part]).numpy(), axis=1)
        right = (proba.argmax(axis=1) == y[samples]).mean()
        return float(right), log_loss(y[samples], proba, labels=classes)

    before = after = look("test", test)
    least, taken = look("kept", kept)[1], 0
    for epoch in range(1, epochs + 1):
        maps, wanted = versions[epoch % VERSIONS]
        order = draw.permutation(len(learning))
        for part in np.array_split(order, -(-len(learning) // BATCH)):
            optimiser.zero_grad()
            scores = run_rest(network, [each[part] for each in maps])
            cross_entropy(scores, wanted[part]).backward()
            optimiser.step()
            with torch.no_grad():
                for group, home in zip(groups, start, strict=True):
                    group["params"][0].lerp_(home, PULL)
        if (loss := look("kept", kept)[1]) < least:
            least, taken, after = loss, epoch, look("test", test)
    return [*before, *after, taken]


@torch.no_grad()
def run_frozen(network: GeneImageNetwork, imager: GeneImager, x: torch.Tensor) -> list:
    """What the last stage and the head need: the maps that the head sees, and the last one."""
    parts = []
    for rows in x.split(64):
        maps = imager(rows)
        taken = [maps[:, :1]]
        for name, stage in list(network.stages.named_children())[:-1]:
            maps = stage(maps)
            taken.append(network.pools[name](maps))
        parts.append([*taken, maps])
    return [torch.cat(each) for each in zip(*parts, strict=True)]


def run_rest(network: GeneImageNetwork, maps: list) -> torch.Tensor:
    """Scores of what `run_frozen` gives."""
    *taken, last = maps
    name, stage = list(network.stages.named_children())[-1]
    return network.head([*taken, network.pools[name](stage(last))])


if __name__ == "__main__":
    main()

"""Does a network gain when it goes on learning from the solved linear head?

    python -m benchmarks.finetune [EXPRESSION SAMPLES --label tumour_type --group patient \
        --where sample_type=tumour --weights PATH] --splits 3 --epochs 8 --rates 0.001 0.003

Without files: the simulated example, random weights. The linear head is solved with given shares of
genes and maps, since maps without a share would never be changed. Then head and network learn on by
Adam: a step changes a tensor by RATE of its own size at most, half as much in each stage further
down, and is drawn back to the start (L2-SP: Li, Grandvalet and Davoine 2018). A fifth of the
training samples, by patient, is kept from both solving and learning; the epoch of least log loss on
it is taken, be it the start. So the frozen network and the one that went on have learned from the
same samples and differ in the steps alone. Patients are on one side of a split.
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
from core.data.simulate import simulate
from core.evaluation.differences import corrected_t
from core.images.imager import GeneImager
from core.images.layouts import LayoutSpec, fit_layout
from core.models.network import GeneImageNetwork, build_network
from core.models.spec import IMAGE, NetworkSpec
from core.models.tuned import CLASSES, Choice, Sources
from core.training.exact import _put
from core.training.features import FrozenPart

PULL = 0.01
"""Share of the way back to the start that is added to each step."""
BATCH = 32


def main() -> None:
    """Print a row for each share of the maps and rate."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("expression", type=Path, nargs="?")
    parser.add_argument("samples", type=Path, nargs="?")
    parser.add_argument("--label", default="tumour_type")
    parser.add_argument("--group", default="patient")
    parser.add_argument("--where", default="")
    parser.add_argument("--weights", default="scratch")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.001, 0.003])
    parser.add_argument("--maps", type=float, nargs="+", default=[0.5, 1.0])
    options = parser.parse_args()

    torch.set_num_threads(1)
    if options.expression is None:
        data = simulate()[0]
    else:
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
        spec = NetworkSpec(weights=options.weights, image_size=32, freeze="backbone", head="linear")
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
    network.requires_grad_(True)
    groups = []
    for depth, part in enumerate([network.head, *reversed(network.stages)]):
        for tensor in part.parameters():
            size = float(tensor.detach().square().mean().sqrt())
            groups.append({"params": [tensor], "lr": rate * size / 2**depth})
    optimiser = torch.optim.Adam(groups)
    start = [group["params"][0].detach().clone() for group in groups]
    draw = np.random.default_rng(seed)
    classes = range(y.max() + 1)

    def look(samples: np.ndarray) -> tuple[float, float]:
        with torch.no_grad():
            parts = torch.as_tensor(x[samples]).split(64)
            proba = softmax(torch.cat([network(imager(part)) for part in parts]).numpy(), axis=1)
        right = (proba.argmax(axis=1) == y[samples]).mean()
        return float(right), log_loss(y[samples], proba, labels=classes)

    before = after = look(test)
    least, taken = look(kept)[1], 0
    for epoch in range(1, epochs + 1):
        for rows in np.array_split(draw.permutation(learning), -(-len(learning) // BATCH)):
            optimiser.zero_grad()
            scores = network(imager(torch.as_tensor(x[rows])))
            cross_entropy(scores, torch.as_tensor(y[rows])).backward()
            optimiser.step()
            with torch.no_grad():
                for group, home in zip(groups, start, strict=True):
                    group["params"][0].lerp_(home, PULL)
        if (loss := look(kept)[1]) < least:
            least, taken, after = loss, epoch, look(test)
    return [*before, *after, taken]


if __name__ == "__main__":
    main()

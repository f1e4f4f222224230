"""Does it help gene-image networks on few patients to start from many tumours, or from ImageNet?

    python -m benchmarks.transfer_images DATA ROWS.csv --squeezenet file:PATH [--draws 6] \
        [--only TASK ...]

Each draw's rows are added to ROWS.csv; draws that are there aren't computed again. DATA holds
tcga11_expression.parquet, tcga11_samples.csv, gene_positions_grch37.tsv.gz and the folder cohorts.
SqueezeNet 1.1 sees 32 pixels. For each task a network learns the eleven types of 602 tumours from
the genes that tumours and task share, each gene at the same place as later. Then 10, 25 and 50
labelled patients of the task are given to

- the tuned linear model of the genes, without any picture,
- the recommended recipe, whose linear head sees genes and maps, and to its maps alone,
- the whole network, learning on by steps,

each from random weights, from ImageNet and from the tumours. Who is asked is the same for all, and
has no part in anything; where the task has several studies, the asked ones are of another study.
Prints the table of benchmarks/results/transfer_images.md.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file
from scipy.stats import rankdata

from benchmarks.fitting import _Quiet
from core.data.prepare import PreparationSpec, Preprocessor
from core.evaluation.differences import corrected_t
from core.evaluation.metrics import METRICS
from core.images.imager import GeneImager
from core.images.layouts import LayoutSpec, fit_layout
from core.models.baselines import fit_predict_proba
from core.models.network import GeneImageNetwork, build_network
from core.models.spec import IMAGE, NetworkSpec
from core.models.tuned import CLASSES
from core.training.augmentations import Known
from core.training.exact import solve_head
from core.training.features import FrozenPart
from core.training.loop import FoldData, predict, train
from core.training.objectives import Classes
from core.training.spec import TrainingSpec

GENES, PIXELS = 1024, 32
BUDGETS = (10, 25, 50)
SOURCE_EPOCHS, TARGET_EPOCHS = 10, 10
STARTS = ("random", "ImageNet", "tumours")
PLAIN = "tuned linear model"
AUROC = METRICS["macro_auroc"]


@dataclass(frozen=True)
class Task:
    """Samples of several studies, and what is asked of them."""

    name: str
    x: pd.DataFrame
    y: np.ndarray
    """(samples,) class numbers"""
    study: np.ndarray
    """(samples,) study; one study is divided at random"""


def main() -> None:
    """Print the table, a task after the other."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--squeezenet", required=True, help="file:PATH of SqueezeNet 1.1")
    parser.add_argument("--draws", type=int, default=6)
    parser.add_argument("--only", nargs="*")
    given = parser.parse_args()
    torch.set_num_threads(1)
    tumours, types = read_tumours(given.data)
    for task in read_tasks(given.data):
        if given.only and task.name not in given.only:
            continue
        with tempfile.TemporaryDirectory() as home:
            os.environ["GENECANVAS_HOME"] = home
            ask_task(task, tumours, types, given.squeezenet, Path(home), given.rows, given.draws)
    print_rows(pd.read_csv(given.rows))


# --- What is read -----------------------------------------------------------------------------


def read_tumours(data: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """Tumours by genes, and the number of each one's type."""
    x = pd.read_parquet(data / "tcga11_expression.parquet")
    samples = pd.read_csv(data / "tcga11_samples.csv", index_col=0).loc[x.index]
    of = samples["sample_type"].eq("tumour").to_numpy()
    return x[of], np.unique(samples["tumour_type"][of], return_inverse=True)[1]


def read_tasks(data: Path) -> Iterator[Task]:
    """Oestrogen receptor, microsatellites, stage of the bladder, kind of stem cell."""
    yield _read(data, "ER", ["breast/vdx"], "er")
    yield _read(data, "MSI", ["crc/GSE24549.GPL5175", "crc/GSE24550.GPL5175"], "msi")
    yield _read(data, "bladder stage", ["bladder/GSE1827"], "summarystage")
    names = pd.read_csv(data / "gene_positions_grch37.tsv.gz", sep="\t").drop_duplicates("ensgene")
    yield _read(data, "stem cells", ["stemcells/stemcells"], "celltype", "study",
                names.set_index("ensgene")["symbol"].to_dict())  # fmt: skip


def _read(
    data: Path, name: str, places: list[str], label: str, study: str | None = None,
    symbols: dict[str, str] | None = None,
) -> Task:  # fmt: skip
    tables, labels, studies = [], [], []
    for place in places:
        x = pd.read_parquet(data / f"cohorts/{place}.parquet").astype(np.float32)
        said = pd.read_csv(data / f"cohorts/{place}_labels.csv", index_col=0)
        known = said[label].notna().to_numpy()
        x = x.rename(columns=symbols or {})
        tables.append(x.fillna(x.mean()).loc[known, ~x.columns.duplicated()])
        labels.append(said[label][known].astype(str))
        studies.append(said[study][known] if study else np.full(known.sum(), place))
    shared = sorted(set.intersection(*(set(x.columns) for x in tables)))
    y = np.unique(np.concatenate(labels), return_inverse=True)[1]
    x = pd.concat([table[shared] for table in tables])
    return Task(name, x, y, np.concatenate(studies).astype(str))


# --- Draws ------------------------------------------------------------------------------------


def draw(task: Task, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Asked samples, and the others in the order in which they are labelled, classes in turn.

    Where there are several studies one is asked about: the first that holds every class, in turn.
    """
    rng = np.random.default_rng(seed)
    classes = np.unique(task.y)
    studies = []
    for study in np.unique(task.study):
        left = np.bincount(task.y[task.study != study], minlength=len(classes))
        if left.min() > 1 and len(np.unique(task.y[task.study == study])) > 1:
            studies.append(study)
    if studies:
        asked = np.flatnonzero(task.study == studies[seed % len(studies)])
    else:
        asked = np.concatenate([
            rng.permutation(np.flatnonzero(task.y == k))[: round(0.4 * (task.y == k).sum())]
            for k in classes
        ])  # fmt: skip
    rest = np.setdiff1d(np.arange(len(task.y)), asked)
    queue = []
    for k in classes:
        own = rng.permutation(rest[task.y[rest] == k])
        queue += [(place > 1, (place + 0.5) / len(own), who) for place, who in enumerate(own)]
    return asked, np.array([who for *_, who in sorted(queue)])


def rank_rows(x: pd.DataFrame) -> np.ndarray:
    """Each sample's genes by their rank, as if log2 values between 0 and 10: nothing is fitted."""
    return (10 * rankdata(x, axis=1) / x.shape[1]).astype(np.float32)


# --- Fits -------------------------------------------------------------------------------------


def spec_of(weights: str, freeze: str) -> NetworkSpec:
    """SqueezeNet, its stages as they are under a linear head, or all of it learning."""
    return NetworkSpec(weights=weights, image_size=PIXELS, freeze=freeze,
                       head="linear" if freeze == "backbone" else "scales")  # fmt: skip


def by_steps(
    network: GeneImageNetwork, imager: GeneImager, x: np.ndarray, y: np.ndarray, epochs: int,
    rate: float, seed: int,
) -> None:  # fmt: skip
    """Train all of a network on all samples."""
    training = TrainingSpec(epochs=epochs, batch_size=32, augmentation="expression")
    data = FoldData(x, y, x[:2], y[:2], y.max() + 1, Known(x.std(axis=0), x.mean(axis=0)))
    with tempfile.TemporaryDirectory() as folder:
        train(
            network, imager, data, training, _Quiet(), learning_rate=rate, seed=seed,
            device=torch.device("cpu"), checkpoint=Path(folder) / "checkpoint.pt", variants=0,
            frozen=None,
        )  # fmt: skip


def ask_task(
    task: Task, tumours: pd.DataFrame, types: np.ndarray, imagenet: str, home: Path, path: Path,
    draws: int,
) -> None:  # fmt: skip
    """Pretrain on the tumours, and add the rows of draws that aren't there."""
    done = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["task", "draw"])
    left = sorted(set(range(draws)) - set(done["draw"][done["task"] == task.name]))
    if not left:
        return
    shared = np.array(sorted(set(task.x.columns) & set(tumours.columns)))
    there = rank_rows(tumours[shared])
    genes = np.sort(shared[np.argsort(-there.std(axis=0), kind="stable")[:GENES]])
    there = there[:, np.searchsorted(shared, genes)]
    here = rank_rows(task.x[shared])[:, np.searchsorted(shared, genes)]
    how = PreparationSpec(genes=len(genes))
    prepared = Preprocessor.fit(there, genes, "log2", how)
    rows = prepared.transform(there, genes).astype(np.float32)
    imager = GeneImager(
        fit_layout(rows, prepared.genes, LayoutSpec(name="pca_grid"), PIXELS, 0), PIXELS
    )
    rate = spec_of("scratch", "nothing").record.learning_rate
    network = build_network(spec_of("scratch", "nothing"), types.max() + 1, seed=0)[0]
    by_steps(network, imager, rows, types, SOURCE_EPOCHS, rate, 0)
    kept = home / "tumours.safetensors"
    save_file(
        {name: v.contiguous() for name, v in network.state_dict().items() if name[:5] != "head."},
        kept,
    )
    right = predict(network, imager, rows, torch.device("cpu"), Classes()).argmax(axis=1) == types
    starts = dict(zip(STARTS, ("scratch", imagenet, f"file:{kept}"), strict=True))
    print(f"{task.name}: {len(task.y)} samples, {len(genes):,} shared genes; tumours known again "
          f"{right.mean():.2f}", flush=True)  # fmt: skip
    for seed in left:
        asked, queue = draw(task, seed)
        found = []
        for n in BUDGETS:
            own = queue[:n]
            fitted = Preprocessor.fit(here[own], genes, "log2", how)
            if len(fitted.genes) < len(genes):  # what is constant in few samples has its place too
                fitted = prepared
            x, new = (
                fitted.transform(here[part], genes).astype(np.float32) for part in (own, asked)
            )
            once = np.ones((1, len(asked)))
            for line, said in ask(x, task.y[own], new, task.y.max() + 1, starts, imager, seed):
                score = float(AUROC.compute(task.y[asked], said, once)[0])
                found.append({"task": task.name, "draw": seed, "n": n, "line": line,
                              "ratio": len(asked) / len(queue), "auroc": score})  # fmt: skip
        pd.DataFrame(found).to_csv(path, mode="a", header=not path.exists(), index=False)


def print_rows(rows: pd.DataFrame) -> None:
    """A table a task: mean AUROC; less that from random weights, with its 95 % interval."""
    for name, of_task in rows.groupby("task", sort=False):
        print(f"\n{name}, {of_task['draw'].nunique()} draws\n\n| | "
              + " | ".join(f"n = {n}" for n in BUDGETS) + " |\n" + "| --- " * 4 + "|")  # fmt: skip
        for line in of_task["line"].unique():
            cells = [say(of_task[of_task["n"] == n], line) for n in BUDGETS]
            print(f"| {line} | {' | '.join(cells)} |")


def say(rows: pd.DataFrame, line: str) -> str:
    """The cell of a line."""
    table = rows.pivot(index="draw", columns="line", values="auroc")
    how, _, start = line.partition(", ")
    mean = table[line].mean()
    if start in ("", "random"):
        return f"{mean:.3f}"
    gained = (table[line] - table[f"{how}, random"]).to_numpy()
    if not gained.any() or len(gained) < 2:
        return f"{mean:.3f} ({gained.mean():+.3f})"
    found = corrected_t(gained, rows["ratio"].mean())
    low, high = found.interval()
    return f"{mean:.3f} ({found.mean:+.3f}, {low:+.3f} to {high:+.3f})"


def ask(
    x: np.ndarray, y: np.ndarray, new: np.ndarray, classes: int, starts: dict[str, str],
    imager: GeneImager, seed: int,
) -> Iterator[tuple[str, np.ndarray]]:  # fmt: skip
    """Each line's name and probabilities of `new`."""
    groups = np.arange(len(y)).astype(str)
    yield PLAIN, fit_predict_proba("tuned_linear", x, y, new, classes, seed, groups)
    for start, weights in starts.items():
        spec = spec_of(weights, "backbone")
        network = build_network(spec, classes, seed=seed)[0].eval()
        frozen = FrozenPart(network, imager, "float32")
        solved = solve_head(
            network.head, frozen, x, y, new, y, groups, CLASSES, Classes(), seed=seed
        )
        yield f"recommended, {start}", solved.tested
        yield f"maps alone, {start}", solved.without[IMAGE]
        spec = spec_of(weights, "nothing")
        network = build_network(spec, classes, seed=seed)[0]
        rate = spec.record.learning_rate / (1 if start == "random" else 4)
        by_steps(network, imager, x, y, TARGET_EPOCHS, rate, seed)
        yield (
            f"whole network, {start}",
            predict(network, imager, new, torch.device("cpu"), Classes()),
        )


if __name__ == "__main__":
    main()

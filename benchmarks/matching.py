"""The match card on real pairs of cohorts and on planted faults: what it says, and what that means.

    python -m benchmarks.matching DATA

DATA holds cohorts/ (as benchmarks.outside reads them) and tcga11_expression.parquet with
tcga11_samples.csv. Prints the tables of benchmarks/results/matching.md. Accuracies are those of the
tuned linear model, on values that were not brought together: what a warning speaks about.
"""

import argparse
import os
import tempfile
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from anndata import AnnData

from benchmarks.outside import FEWEST, TASKS, Pair, Table, leave_known_out, print_head, print_row
from benchmarks.outside import read as read_table
from core.data.read import read_dataset
from core.data.store import add_dataset
from core.errors import InputError
from core.evaluation.metrics import METRICS, score
from core.home import run_folder
from core.predict.checks import compare_levels
from core.predict.genes import match_genes
from core.predict.matching import MatchCard, match, measure_values
from core.predict.model import Model, ensure_references, load_model
from core.predict.request import PredictRequest
from core.predict.together import prepare_rows
from core.runs.execute import Silent, execute
from core.runs.spec import RunSpec

METRIC = "balanced_accuracy"
DRAWS = 5


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as home:
        os.environ["GENECANVAS_HOME"] = home
        print_faults(folder)
        print_pairs(folder / "cohorts")


def learn(data: AnnData, label: str, group: str) -> Model:
    """A finished run of the recommended recipe, its network with random weights."""
    spec = RunSpec.parse(
        {
            "preset": "recommended",
            "cohort": {"dataset": add_dataset(data, "own").id, "label": label, "group": group},
            "network": {"weights": "scratch"},
        }
    )
    execute(spec, run_folder(spec.id), Silent(), torch.device("cpu"))
    ensure_references(spec.id, lambda *_: None)
    return load_model(spec.id)


def ask(model: Model, data: AnnData) -> MatchCard:
    """The card of a cohort whose classes aren't known."""
    asked = PredictRequest(model=model.id, cohort={"dataset": "0" * 64})
    return match(model, data, asked, lambda *_: None)


def say(card: MatchCard) -> str:
    """Its errors and warnings in short."""
    found = [f"**{f.code}**" for f in card.findings if f.severity == "error"]
    return ", ".join([*found, *(f.code for f in card.findings if f.severity == "warning")]) or "-"


def reach(model: Model, data: AnnData, classes: np.ndarray) -> float:
    """The linear model's balanced accuracy on these values as they are; NaN where it has none."""
    [fold], [reference] = model.folds, model.references
    try:
        rows = prepare_rows(fold, reference, match_genes(model, data).data, "none")
    except InputError:
        return np.nan
    y = pd.Index(model.classes).get_indexer(classes)
    return score(y, reference.answer(model.task, rows), [METRICS[METRIC]])[METRIC]


def show(model: Model, data: AnnData, card: MatchCard) -> list[str]:
    """Share and weight of the genes, share below the floor, shift, stretch, correlation."""
    cells = [f"{card.share_found:.2f}", f"{card.weight_found:.2f}"]
    if not card.found:
        return [*cells, "", "", "", ""]
    values = measure_values(model.folds[0].preprocessor, match_genes(model, data).data)
    levels = compare_levels(values, model.references[0])
    numbers = (values.below, levels.shift, levels.stretch, levels.correlation)
    return [*cells, *(f"{number:.2f}" for number in numbers)]


COLUMNS = ("genes", "weight", "below floor", "shift", "stretch", "correlation", "card")


def print_faults(folder: Path) -> None:
    """Held-out tumours as they are, in small draws, and with faults planted."""
    data = read_dataset(folder / "tcga11_expression.parquet", [folder / "tcga11_samples.csv"])
    data = data[data.obs["sample_type"] == "tumour"].copy()
    model = learn(data, "tumour_type", "patient")
    held_out = data[model.folds[0].test].copy()
    rng = np.random.default_rng(0)
    print(f"\ntcga11, {held_out.n_obs} held-out tumours\n")
    print_head("what", *COLUMNS, METRIC)
    cases: dict[str, AnnData] = {"as they are": held_out}
    for n in (1, 5, 20):
        for draw in range(DRAWS):
            some = rng.choice(held_out.n_obs, n, replace=False)
            cases[f"{n} at random, draw {draw + 1}"] = held_out[np.sort(some)].copy()
    for name in model.classes:
        cases[f"only {name}"] = held_out[(held_out.obs["tumour_type"] == name).to_numpy()].copy()
    for name, change in FAULTS.items():
        cases[name] = change(held_out)
    weights = pd.Series(model.references[0].importance, model.references[0].genes)
    for share in (0.1, 0.3, 0.5, 0.7):
        gone = rng.choice(weights.index, round(share * len(weights)), replace=False)
        cases[f"{share:.0%} of the genes missing"] = without(held_out, gone)
        gone = weights.sort_values(ascending=False).index[: round(share * len(weights))]
        cases[f"most important {share:.0%} missing"] = without(held_out, gone)
    for name, case in cases.items():
        card = ask(model, case)
        classes = case.obs["tumour_type"].to_numpy() if "tumour_type" in case.obs else np.empty(0)
        found = reach(model, case, classes) if len(classes) else np.nan
        print_row(name, *show(model, case, card), say(card), f"{found:.3f}")


def change_values(change: Callable[[np.ndarray], np.ndarray], scale: str = "log2") -> Callable:
    """Plants a fault in all values."""

    def plant(data: AnnData) -> AnnData:
        new = data.copy()
        new.X, new.uns["scale"] = change(np.asarray(data.X)).astype(np.float32), scale
        return new

    return plant


def transpose(data: AnnData) -> AnnData:
    """Genes where samples should be."""
    return AnnData(
        np.asarray(data.X).T.copy(), obs=pd.DataFrame(index=data.var_names),
        var=pd.DataFrame(index=data.obs_names), uns=dict(data.uns),
    )  # fmt: skip


def rename(data: AnnData) -> AnnData:
    """Genes written as those of mouse."""
    new = data.copy()
    new.var_names = [name.capitalize() for name in data.var_names]
    return new


def without(data: AnnData, genes: np.ndarray) -> AnnData:
    """The same without some genes."""
    return data[:, ~data.var_names.isin(genes)].copy()


FAULTS: dict[str, Callable[[AnnData], AnnData]] = {
    "counts": change_values(lambda x: np.round(2**x - 1), "counts"),
    "linear": change_values(lambda x: 2**x - 1, "linear"),
    "linear, read as log2": change_values(lambda x: 2**x - 1),
    "natural logarithms": change_values(lambda x: x * np.log(2)),
    "logarithms to 10": change_values(lambda x: x * np.log10(2)),
    "logarithms twice": change_values(lambda x: np.log2(np.maximum(x, 0) + 1)),
    "z scores": change_values(lambda x: (x - x.mean(axis=0)) / x.std(axis=0).clip(1e-6)),
    "centred genes": change_values(lambda x: x - x.mean(axis=0)),
    "half the depth": change_values(lambda x: x - 1),
    "a fourth of the depth": change_values(lambda x: x - 2),
    "an eighth of the depth": change_values(lambda x: x - 3),
    "genes shuffled": change_values(lambda x: np.random.default_rng(0).permutation(x, axis=1)),
    "transposed": transpose,
    "written as mouse": rename,
}  # fmt: skip


def print_pairs(folder: Path) -> None:
    """Every ordered pair that shares a label; then the mean loss with each warning and without."""
    print("\nOrdered pairs\n")
    print_head("label", "train → test", *COLUMNS, "inside", "outside")
    rows = []
    for _, place, columns in TASKS:
        tables = [read_table(folder / place, name, column) for name, column in columns.items()]
        models = {
            table.name: learn(as_data(table), "class", "patient")
            for table in tables
            if min(np.bincount(table.y)) >= FEWEST
        }
        for train, test in permutations(tables, 2):
            if train.name not in models:
                continue
            model, label = models[train.name], columns[test.name]
            new = leave_known_out(Pair("", train, test)).test
            data = as_data(Table(test.name, test.x.loc[new.x.index], new.y, new.who))
            card = ask(model, data)
            inside = model.inside["linear"][METRIC]
            outside = reach(model, data, data.obs["class"].to_numpy())
            rows.append({"card": say(card), "inside": inside, "outside": outside})
            print_row(
                label, f"{train.name} → {test.name}", *show(model, data, card), say(card),
                f"{inside:.3f}", f"{outside:.3f}",
            )  # fmt: skip
    print("\nBy what the card says\n")
    print_head("card", "pairs", "inside", "outside")
    for said, own in pd.DataFrame(rows).groupby("card"):
        print_row(said, len(own), *(f"{own[name].mean():.3f}" for name in ("inside", "outside")))


def as_data(table: Table) -> AnnData:
    """A cohort as the app holds it."""
    obs = pd.DataFrame(
        {"class": np.where(table.y == 1, "one", "zero"), "patient": table.who.astype(str)},
        index=[f"{table.name} {sample}" for sample in table.x.index],
    )
    x = table.x.to_numpy(np.float32)
    return AnnData(x, obs=obs, var=pd.DataFrame(index=table.x.columns), uns={"scale": "log2"})


if __name__ == "__main__":
    main()

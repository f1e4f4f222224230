"""How far the top genes of a class are the same after other trainings: runs that differ in seed.

    for SEED in 0 1 2 3 4; do genecanvas run … --seed $SEED; done
    genecanvas explain RUN        (each)
    python -m benchmarks.stability RUN RUN …

Prints a row a class: how alike the runs' lists of the 50 first genes are (Kuncheva's index and
Jaccard's, mean over pairs); how many genes stand in all of them; how many of a list are also among
the 50 first of a Welch test, of logistic regression, of neither (means over runs); how many of the
class's known markers are among the 50 first of the runs' consensus, and how many a random order
would bring.
"""

import sys

import numpy as np
import pandas as pd

from core.explain.consensus import aggregate
from core.explain.genes import compare_with_plain, rank_rows
from core.explain.markers import check_markers, match_type
from core.explain.methods import Recipe
from core.explain.rankings import jaccard, kuncheva, mean_over_pairs
from core.runs.explain import class_genes
from core.runs.result import load_result
from core.runs.store import RunStore

K = 50


def main(*prefixes: str) -> None:
    """Print a row for each class, and the sum of the markers."""
    runs = [RunStore().find(prefix).id for prefix in prefixes]
    for run in runs:
        result = load_result(run)
        plain = result.baselines["logistic_regression"]["accuracy"]
        print(f"{run}: accuracy {result.metrics['accuracy']:.3f}, logistic regression {plain:.3f}, "
              f"{result.n_test} held-out samples")  # fmt: skip
    print("\n| class | Kuncheva | Jaccard | in all lists | Welch too | logistic too | neither | "
          "markers | by chance |")  # fmt: skip
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    rows = []
    for name in load_result(runs[0]).classes:
        tables = [class_genes(run, Recipe(), name) for run in runs]
        lists = pd.concat([table.set_index("gene")["score"] for table in tables], axis=1)
        rankings = lists.to_numpy().T
        top = [set(table["gene"][:K]) for table in tables]
        plain = [compare_with_plain(table, K) for table in tables]
        agreed = pd.DataFrame({"gene": lists.index, "score": -aggregate(rankings)})
        agreed = agreed.sort_values("score", ascending=False, kind="stable", ignore_index=True)
        check = check_markers(rank_rows(agreed, "score"), match_type(name), K)
        rows.append(
            (
                mean_over_pairs(kuncheva, rankings, K),
                mean_over_pairs(jaccard, rankings, K),
                len(set.intersection(*top)),
                *(np.mean([len(getattr(one, kind)) for one in plain])
                  for kind in ("welch", "logistic", "only_network")),
                check.found, check.present, check.expected,
            )
        )  # fmt: skip
        _print_row(name, rows[-1])
    table = np.array(rows)
    _print_row("mean, sum", (*table[:, :6].mean(axis=0), *table[:, 6:].sum(axis=0)))


def _print_row(name: str, row: tuple[float, ...]) -> None:
    index, common, everywhere, welch, logistic, neither, found, present, expected = row
    print(f"| {name} | {index:.2f} | {common:.2f} | {everywhere:.0f} | {welch:.0f} | "
          f"{logistic:.0f} | {neither:.0f} | {found:.0f} of {present:.0f} | "
          f"{expected:.1f} |")  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])

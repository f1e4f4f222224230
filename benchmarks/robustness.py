"""How much distortion does a model stand, and who breaks first: the network or the linear model?

    python -m benchmarks.robustness EXPRESSION SAMPLES --label tumour_type --group patient \
        --where sample_type=tumour --weights file:squeezenet1_1_imagenet.pth

A run of each preset holds out every sample once (five folds; with --folds 1 three in ten); its own
held-out samples are then distorted as on the page Predict. Printed are a table for each preset and
the page's sentences.
"""

import argparse
import os
import tempfile
from pathlib import Path

import torch

os.environ["GENECANVAS_HOME"] = tempfile.mkdtemp(prefix="robustness")

from core.data.cohort import Cohort
from core.data.read import read_dataset
from core.data.store import add_dataset
from core.home import run_folder
from core.predict.distortions import DISTORTIONS
from core.predict.model import ensure_references, load_model
from core.predict.robustness import Robustness, measure_robustness
from core.runs.execute import Silent, execute
from core.runs.spec import RunSpec
from core.runs.study import open_samples


def main() -> None:
    """Train, distort, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("expression", type=Path)
    parser.add_argument("samples", type=Path)
    parser.add_argument("--label", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--where", required=True)
    parser.add_argument("--presets", nargs="+", default=["recommended", "trained_head"])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--weights", default="scratch")
    options = parser.parse_args()
    column, _, value = options.where.partition("=")
    dataset = add_dataset(read_dataset(options.expression, [options.samples]), "robustness").id
    cohort = Cohort(
        dataset=dataset, label=options.label, group=options.group, where={column: [value]}
    )
    for preset in options.presets:
        spec = RunSpec.parse(
            {
                "preset": preset,
                "cohort": cohort,
                "network": {"weights": options.weights},
                "split": {"kind": "kfold", "folds": options.folds} if options.folds > 1 else {},
            }
        )
        execute(spec, run_folder(spec.id), Silent(), torch.device("cpu"))
        ensure_references(spec.id, lambda *_: None)
        model = load_model(spec.id)
        found = measure_robustness(model, open_samples(spec), lambda *_: None)
        print(f"\n## {preset}: {found.samples} samples of {found.patients} patients\n")
        print_table(found)
        print()
        for verdict in found.verdicts:
            print(f"- **{DISTORTIONS[verdict.distortion].title}.** {found.describe(verdict)}")
        print(flush=True)


def print_table(found: Robustness) -> None:
    """A row a level: scores with their intervals."""
    columns = [(way, model) for way in ("none", "quantile") for model in ("network", "linear")]
    names = {"none": "", "quantile": ", quantiles"}
    titles = [f"{model}{names[way]}" for way, model in columns]
    print("| distortion | strength | " + " | ".join(titles) + " |")
    print("|" + " --- |" * (len(titles) + 2))
    table = found.table().set_index(["distortion", "level", "together", "model"])
    for verdict in found.verdicts:
        kind = DISTORTIONS[verdict.distortion]
        for level in kind.levels:
            cells = []
            for way, model in columns:
                point = table.loc[(kind.name, level, way, model)]
                cells.append(f"{point.score:.3f} ({point.low:.3f} to {point.high:.3f})")
            strength = f"{level:.0%}" if kind.is_share else f"{level:g}"
            print(f"| {kind.title} | {strength} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()

"""None of these: is a class that a model never met told from those that it knows?

    python -m benchmarks.novelty EXPRESSION SAMPLES --label tumour_type --group patient \
        --where sample_type=tumour --weights file:squeezenet1_1_imagenet.pth

Each class in turn is left out of a run of the recommended recipe, whose model then meets all of its
samples. Printed are the AUROC of novelty, of energy, and of the largest probability of the network
and of the tuned linear model, held-out samples of known classes against the class left out; and the
share of the class that is flagged where one in twenty held-out samples would be.
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

os.environ["GENECANVAS_HOME"] = tempfile.mkdtemp(prefix="novelty")

from core.data.cohort import Cohort
from core.data.read import read_dataset
from core.data.store import add_dataset
from core.home import run_folder
from core.predict.model import load_model
from core.predict.predicting import load_prediction, predict_samples
from core.predict.request import PredictRequest
from core.runs.execute import Silent, execute
from core.runs.result import load_scored
from core.runs.spec import RunSpec
from core.runs.study import open_samples


def main() -> None:
    """Print a table, a row a class."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("expression", type=Path)
    parser.add_argument("samples", type=Path)
    parser.add_argument("--label", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--where", required=True)
    parser.add_argument("--preset", default="recommended")
    parser.add_argument("--weights", default="scratch")
    options = parser.parse_args()
    column, _, value = options.where.partition("=")
    data = read_dataset(options.expression, [options.samples])
    dataset = add_dataset(data, "novelty").id
    classes = sorted(set(data.obs[options.label]))
    columns = ("novelty", "energy", "probability", "linear probability", "flagged")
    print("| left out | samples | " + " | ".join(columns) + " |")
    print("|" + " --- |" * (len(columns) + 2))
    found = []
    for left_out in classes:
        cohort = Cohort(dataset=dataset, label=options.label, group=options.group)
        known = [name for name in classes if name != left_out]
        spec = RunSpec.parse(
            {
                "preset": options.preset,
                "cohort": cohort.changed(where={column: [value], options.label: known}),
                "network": {"weights": options.weights},
            }
        )
        execute(spec, run_folder(spec.id), Silent(), torch.device("cpu"))
        asked = PredictRequest(
            model=spec.id, cohort=cohort.changed(where={column: [value], options.label: [left_out]})
        )
        predict_samples(asked, lambda *_: None)
        row = measure(spec, asked)
        found.append(row)
        print(f"| {left_out} | {len(load_prediction(asked).calls)} | " + say(row), flush=True)
    print("| mean | | " + say(np.mean(found, axis=0)))


def measure(spec: RunSpec, asked: PredictRequest) -> list[float]:
    """AUROC of each score, and the share that is flagged."""
    calls, held_out = load_prediction(asked).calls, load_scored(spec.id)
    model = load_model(spec.id)
    [fold], [reference] = model.folds, model.references
    samples = open_samples(spec)
    rows = fold.source.transform(samples)[fold.locate(samples).test]
    linear = reference.answer(model.task, rows).max(axis=1)
    network = model.task.answers(held_out, model.classes).max(axis=1)
    found = [calls["novelty"].mean(), calls["energy"].mean()]  # shares of held-out samples below
    for known, new in ((network, calls["probability"]), (linear, calls["linear_probability"])):
        truth = np.r_[np.zeros(len(known)), np.ones(len(new))]
        found.append(roc_auc_score(truth, -np.r_[known, new]))
    return [*found, calls["flagged"].mean()]


def say(row: list[float]) -> str:
    """Cells."""
    return " | ".join(f"{value:.3f}" for value in row) + " |"


if __name__ == "__main__":
    main()

"""How long a large cohort takes to be matched and called, and how much memory that needs.

    python -m benchmarks.predict [--samples 10000] [--genes 20000]

A model of 1 024 genes of the recommended recipe (SqueezeNet, random weights) learns from 600
simulated tumours; the cohort has other draws of the same profiles and many genes that the model
doesn't know, with known classes. Prints seconds of the match card and of the calls, and the
most memory that a process of its own needed for both.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
import pandas as pd
import torch
from anndata import AnnData

os.environ.setdefault("GENECANVAS_HOME", tempfile.mkdtemp(prefix="predict"))

from core.data.cohort import Cohort
from core.data.simulate import simulate
from core.data.store import add_dataset
from core.home import run_folder
from core.predict.predicting import load_prediction, match_samples, predict_samples
from core.predict.request import PredictRequest
from core.runs.execute import Silent, execute
from core.runs.spec import RunSpec


def main() -> None:
    """Make everything, then measure in another process."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--genes", type=int, default=20_000)
    parser.add_argument("--ask", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ask:
        measure(PredictRequest.model_validate_json(options.ask))
        return
    own, _ = simulate(600, 5000, seed=0)
    columns = Cohort(label="tumour_type", group="patient")
    spec = RunSpec.parse(
        {
            "preset": "recommended",
            "cohort": columns.changed(dataset=add_dataset(own, "own").id),
            "network": {"backbone": "squeezenet1_1", "weights": "scratch"},
        }
    )
    execute(spec, run_folder(spec.id), Silent(), torch.device("cpu"))
    other = add_dataset(draw(own, options.samples, options.genes), "other").id
    for together in ("none", "quantile"):
        asked = PredictRequest(
            model=spec.id, cohort=columns.changed(dataset=other), together=together
        )
        command = [sys.executable, "-m", "benchmarks.predict", "--ask", asked.model_dump_json()]
        subprocess.run(command, check=True)


def draw(own: AnnData, samples: int, genes: int) -> AnnData:
    """Other counts of the same profiles, and genes that nobody else has."""
    rng = np.random.default_rng(1)
    rows = rng.integers(0, own.n_obs, samples)
    x = np.empty((samples, genes), np.float32)
    for at in range(0, samples, 500):
        some = rows[at : at + 500]
        x[at : at + 500, : own.n_vars] = rng.poisson(own.X[some])
        x[at : at + 500, own.n_vars :] = rng.poisson(20, (len(some), genes - own.n_vars))
    obs = own.obs.iloc[rows].assign(patient=[f"N{number}" for number in range(samples)])
    obs.index = [f"new{number}" for number in range(samples)]
    names = [*own.var_names, *(f"OTHER{number}" for number in range(genes - own.n_vars))]
    return AnnData(x, obs=obs, var=pd.DataFrame(index=names), uns={"scale": "counts"})


def measure(asked: PredictRequest) -> None:
    """Match and call, and print what it took."""
    started = time.perf_counter()
    match_samples(asked, lambda *_: None)
    matched = time.perf_counter()
    predict_samples(asked, lambda *_: None)
    called = time.perf_counter()
    samples = load_prediction(asked).summary.n
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{asked.together}: match card {matched - started:.0f} s, calls {called - matched:.0f} s, "
        f"most memory {peak:.1f} GB; {samples:,} samples",
        flush=True,
    )


if __name__ == "__main__":
    main()

"""The process that explains a run when a page asks, which says what as JSON on standard input."""

import json
import sys
from typing import Any

import torch

from core.errors import GeneCanvasError
from core.explain.methods import Recipe
from core.runs.explain import collect_evidence, explain_run
from core.runs.worker import choose_threads


def main(asked: dict[str, Any]) -> None:
    """Compute an attribution, or with `evidence` its trust card; both leave it in the run's folder.

    Raises:
        GeneCanvasError: the recipe, the run or its folder is wrong.
    """
    torch.set_num_threads(choose_threads())
    recipe = Recipe(**{**asked["recipe"], "samples": tuple(asked["recipe"]["samples"])})
    work = collect_evidence if asked["evidence"] else explain_run
    work(asked["run"], recipe, lambda done, total: print(f"{done} of {total}", flush=True))


if __name__ == "__main__":
    try:
        main(json.load(sys.stdin))
    except GeneCanvasError as error:
        sys.exit(f"error: {error}")

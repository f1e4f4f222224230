"""Checks before a run is queued: a spec that can't work is refused and nothing is stored."""

import subprocess
import sys
from pathlib import Path

from anndata import AnnData

from core.errors import GeneCanvasError, InputError
from core.images.layout import canvas_side
from core.images.layouts import check_reference
from core.runs.spec import RunSpec
from core.runs.study import open_study


def preflight(spec: RunSpec, data: AnnData | None = None) -> None:
    """Check all that can be checked without training.

    Args:
        spec: what shall be trained.
        data: the dataset, where it is not stored yet.

    Raises:
        InputError: the spec doesn't fit its dataset, the genes don't fit on the image, or the
            layout's reference file is missing.
        WeightsError: the weights are of a file or a run, and are missing, damaged or don't fit.
    """
    check_reference(spec.layout)
    study = open_study(spec, data)
    canvas_side(min(spec.preparation.genes, study.x.shape[1]), spec.network.image_size)
    if _needs_torch(spec):
        from core.models.network import build_network

        build_network(spec.network, len(study.classes), seed=spec.seed)


def preflight_apart(spec: RunSpec) -> None:
    """`preflight` for callers that must not load torch: what needs it runs in another process.

    Raises:
        InputError: with the message of the error found there.
    """
    if not _needs_torch(spec):
        preflight(spec)
        return
    answer = subprocess.run(
        [sys.executable, "-m", "core.runs.preflight"],
        cwd=Path(__file__).parents[2],
        input=spec.model_dump_json(),
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        raise InputError(answer.stderr.strip().splitlines()[-1])


def _needs_torch(spec: RunSpec) -> bool:
    return spec.network.weights.startswith(("file:", "run:"))


if __name__ == "__main__":
    try:
        preflight(RunSpec.model_validate_json(sys.stdin.read()))
    except GeneCanvasError as error:
        print(str(error).replace("\n", " "), file=sys.stderr)
        sys.exit(2)

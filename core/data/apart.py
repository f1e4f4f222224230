"""Reading h5ad and MATLAB files in a process of their own.

Their libraries are written in C, and damaged files made them crash or hang when they were tried
with random changes. A crash then ends that process, and here it is an error like any other.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from core.data.matrix import Matrix
from core.data.notes import Finding, Notes
from core.errors import InputError
from core.processes import run_module

SECONDS = 30
"""Time that any file may take, beside the time for its size."""
BYTES_A_SECOND = 10_000_000


def list_apart(path: Path) -> list[str]:
    """What can be chosen in an h5ad or MATLAB file; raises InputError for a damaged one."""
    return json.loads(_run("list", path))


def read_apart(path: Path, part: str | None) -> Matrix:
    """Read an h5ad or MATLAB file; raises InputError for one that isn't right."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        _run("read", path, folder, *([part] if part else []))
        obs = pd.read_parquet(place / "obs.parquet")
        names = json.loads((place / "names.json").read_text(encoding="utf-8"))
        return Matrix(
            np.load(place / "x.npy", allow_pickle=False),
            np.array(names["samples"], dtype=str),
            np.array(names["genes"], dtype=str),
            obs,
            Notes(names["notes"], [Finding.model_validate(one) for one in names["findings"]]),
        )


def _run(command: str, path: Path, *options: str) -> str:
    seconds = SECONDS + path.stat().st_size / BYTES_A_SECOND
    try:
        ended = run_module(
            ["core.data.apart", command, str(path.absolute()), *options], timeout=seconds
        )
    except subprocess.TimeoutExpired:
        raise InputError(
            f"{path.name} could not be read within {seconds:.0f} s: it is damaged, or much larger "
            "once it is unpacked."
        ) from None
    if ended.returncode == 0:
        return ended.stdout
    if ended.returncode == 2:
        raise InputError(ended.stderr.strip().splitlines()[-1])
    raise InputError(f"{path.name} is damaged: the library that reads such files crashed on it.")


def main() -> None:
    """List or read a file, in the process of its own."""
    from core.data.formats import list_matrices_or_layers, read_matrix

    command, path, *options = sys.argv[1:]
    try:
        if command == "list":
            print(json.dumps(list_matrices_or_layers(Path(path))))
            return
        place = Path(options[0])
        matrix = read_matrix(Path(path), options[1] if len(options) > 1 else None)
        np.save(place / "x.npy", matrix.x, allow_pickle=False)
        matrix.obs.reset_index(drop=True).to_parquet(place / "obs.parquet")
        names = {
            "samples": [str(name) for name in matrix.samples],
            "genes": [str(name) for name in matrix.genes],
            "notes": matrix.notes.said,
            "findings": [finding.model_dump() for finding in matrix.notes.found],
        }
        (place / "names.json").write_text(json.dumps(names), encoding="utf-8")
    except InputError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()

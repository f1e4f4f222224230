"""Reading packed and binary files in a process of their own, which has no rights to anything else.

Their libraries are written in C, and files that were damaged, or made for it, had them crash, hang,
ask for hundreds of gigabytes and open other files. Here all of that is an error like any other.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.data.formats.unpack import Progress
from core.data.matrix import Matrix
from core.data.notes import Finding, Notes
from core.data.text import Table
from core.errors import InputError
from core.files import read_json
from core.processes import ROOT
from core.scratch import scratch

SECONDS = 20
"""Processor time that any file may take, beside the time for its size."""
BYTES_A_SECOND = 4_000_000
WAIT = 4
"""Times the processor time that an answer is waited for."""
MEMORY = 4 * 2**30
"""Bytes that reading any file may take, beside what it takes for its size."""
MEMORY_PER_BYTE = 16
MOST_MEMORY = 24 * 2**30
NO_MEMORY = 3
"""Exit status of a process whose memory did not suffice."""


def list_apart(path: Path) -> list[str]:
    """What can be chosen in a file; raises InputError for a damaged one."""
    with scratch() as folder:
        _run({"do": "list", "path": str(path.absolute())}, folder)
        return read_json(folder / "parts.json")


def read_apart(
    path: Path,
    part: str | None,
    metadata: list[str],
    progress: Progress | None = None,
    *,
    all_text: bool = False,
) -> Table | Matrix:
    """Read a file of any format; raises InputError for one that isn't right.

    The arguments are those of `core.data.formats.readers.read_here`.
    """
    asked = {"do": "read", "path": str(path.absolute()), "part": part, "metadata": metadata,
             "all_text": all_text}  # fmt: skip
    with scratch() as folder:
        _run(asked, folder, progress)
        return _take(folder)


def unpack_apart(path: Path, patterns: Sequence[str], folder: Path) -> dict[str, Path]:
    """Copy files out of an archive whose bare names fit one of some patterns, as `fnmatch` has it.

    Gives their names in the archive, with where each copy lies: in a folder of its own below
    `folder`. Raises InputError for a damaged archive.
    """
    place = Path(tempfile.mkdtemp(dir=folder))
    _run({"do": "unpack", "path": str(path.absolute()), "patterns": list(patterns)}, place)
    return {name: place / found for name, found in read_json(place / "unpacked.json").items()}


def tiles_apart(path: Path) -> np.ndarray:
    """Tiles that are ready: (tiles, side, side, 3) uint8; raises InputError for anything else."""
    with scratch() as folder:
        _run({"do": "tiles", "path": str(path.absolute())}, folder)
        return np.load(folder / "tiles.npy", allow_pickle=False)


def cut_apart(
    path: Path, places: np.ndarray, width: float, side: int, part: str | None = None
) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Tiles cut out of an image, how dark it is there, and its columns and rows.

    The arguments are those of `core.data.formats.pictures.cut_tiles`. Raises InputError for a file
    that isn't right.
    """
    asked = {"do": "cut", "path": str(path.absolute()), "width": width, "side": side,
             "part": part, "places": places.tolist()}  # fmt: skip
    with scratch() as folder:
        _run(asked, folder)
        tiles, dark = (
            np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("tiles", "dark")
        )
        columns, rows = read_json(folder / "size.json")
        return tiles, dark, (columns, rows)


def places_apart(path: Path) -> dict[str, Any]:
    """What `core.data.formats.spatial.read_places` gives, of an h5ad file; raises InputError."""
    with scratch() as folder:
        _run({"do": "places", "path": str(path.absolute())}, folder)
        return read_json(folder / "places.json")


def picture_apart(path: Path, side: int) -> np.ndarray:
    """(side, side, 3) uint8, the whole of an image; raises InputError for a file that is none."""
    with scratch() as folder:
        _run({"do": "picture", "path": str(path.absolute()), "side": side}, folder)
        return np.load(folder / "picture.npy", allow_pickle=False)


def _run(asked: dict[str, Any], folder: Path, progress: Progress | None = None) -> None:
    """Have a process do what is asked and leave its answer in a folder."""
    path = Path(asked["path"])
    size = path.stat().st_size
    limits = {
        "memory": min(MEMORY + MEMORY_PER_BYTE * size, MOST_MEMORY),
        "seconds": int(SECONDS + size / BYTES_A_SECOND),
    }
    reader = _take_reader()
    late = threading.Timer(WAIT * limits["seconds"], reader.kill)
    late.start()
    wrong, status = "", None
    try:
        reader.process.stdin.write(json.dumps({**asked, **limits, "folder": str(folder)}) + "\n")
        reader.process.stdin.flush()
        for line in reader.process.stdout:
            said = json.loads(line)
            if "share" in said and progress:
                progress(said["share"])
            wrong = said.get("wrong", wrong)
            if "status" in said:
                status = said["status"]
                break
    finally:
        late.cancel()
        if status is None:
            reader.kill()  # it was late, or nobody waits for its answer any more
        else:
            _idle.append(reader)
    if status != 0:
        raise InputError(wrong or _say_why(path.name, status, limits))


def _say_why(name: str, status: int | None, limits: dict[str, int]) -> str:
    """Why a process ended without an answer or a reason, in a sentence."""
    memory = f"{limits['memory'] / 2**30:.1f} GB of memory"
    if status == NO_MEMORY:
        return f"{name} needs more than {memory} to be read. Save it as CSV, or a part of it only."
    if status in (None, -signal.SIGXCPU, -signal.SIGKILL):
        return (
            f"{name} could not be read within {limits['seconds']} s: it is damaged, or much larger "
            "once it is unpacked."
        )
    return (
        f"{name} is damaged, or asks for more than {memory}: the library that reads such files "
        "crashed on it."
    )


class _Reader:
    """A process that has loaded the libraries, and reads each file in a child that it forks."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "core.data.confined"], cwd=ROOT, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip

    def kill(self) -> None:
        """End it and the child that reads."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


_idle: list[_Reader] = []
"""Readers that wait for a file; each ends by itself after a while, or with this process."""


def _take_reader() -> _Reader:
    while _idle:
        reader = _idle.pop()
        if reader.process.poll() is None:
            return reader
    return _Reader()


# --- the answer, as files ---------------------------------------------------------------------


def hand_over(read: Table | Matrix, folder: Path) -> None:
    """Leave what was read in a folder."""
    if isinstance(read, Matrix):
        np.save(folder / "x.npy", read.x, allow_pickle=False)
        texts = {str(name): read.obs[name] for name in read.obs.columns}
        document = {
            "samples": list(map(str, read.samples)),
            "genes": list(map(str, read.genes)),
            "columns": list(map(str, read.obs.columns)),
            "symbols": read.symbols,
        }
    else:
        width = read.numbers[0].shape[1]
        shape = (sum(map(len, read.numbers)), width)
        x = np.lib.format.open_memmap(folder / "x.npy", "w+", np.float32, shape)
        row = 0
        for block in read.numbers:
            x[row : row + len(block)] = block
            row += len(block)
        del x
        texts = {str(column): values for column, values in read.text_at.items()}
        document = {
            "names": read.names,
            "source": read.source,
            "rows": read.rows,
            "number_at": list(read.number_at.items()),
            "index": read.index,
            "above": list(read.above.items()),
            "describing": sorted(read.describing),
        }
        if read.lines is not None:
            np.save(folder / "lines.npy", read.lines, allow_pickle=False)
    document["said"] = read.notes.said
    document["found"] = [finding.model_dump() for finding in read.notes.found]
    frame = pd.DataFrame({name: np.asarray(text, dtype=object) for name, text in texts.items()})
    frame.to_parquet(folder / "texts.parquet")
    kind = "matrix" if isinstance(read, Matrix) else "table"
    (folder / f"{kind}.json").write_text(json.dumps(document), encoding="utf-8")


def _take(folder: Path) -> Table | Matrix:
    x = np.load(folder / "x.npy", allow_pickle=False)
    texts = pd.read_parquet(folder / "texts.parquet")
    matrix = (folder / "matrix.json").exists()
    document = read_json(folder / ("matrix.json" if matrix else "table.json"))
    found = [Finding.model_validate(one) for one in document["found"]]
    notes = Notes(document["said"], found)
    if matrix:
        samples = np.array(document["samples"], dtype=str)
        columns = {name: texts[name].to_numpy(dtype=object) for name in document["columns"]}
        obs = pd.DataFrame(columns, index=samples)
        genes = np.array(document["genes"], dtype=str)
        return Matrix(x, samples, genes, obs, notes, document["symbols"])
    lines = folder / "lines.npy"
    return Table(
        names=document["names"],
        source=document["source"],
        rows=document["rows"],
        numbers=[x],
        number_at=dict(document["number_at"]),
        text_at={int(name): texts[name].to_numpy(dtype=object) for name in texts.columns},
        index=document["index"],
        above=dict(document["above"]),
        describing=frozenset(document["describing"]),
        lines=np.load(lines, allow_pickle=False) if lines.exists() else None,
        notes=notes,
    )

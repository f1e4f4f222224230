"""Feed damaged files to every reader: nothing but our own errors may come out, and soon.

    python -m benchmarks.fuzz_reading --minutes 10 --only h5ad

Takes the files of tests/traps and one of every binary format, cuts, flips, repeats and mixes their
bytes, and reads each in a process of limited memory. What ends in another error than InputError,
takes longer than it may or kills the process is kept in the folder that is printed. With `--only`,
only files of that ending are damaged.
"""

import argparse
import io
import random
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import traceback
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.io import savemat
from scipy.sparse import csc_array, csr_matrix

from core.data.apart import SECONDS
from core.data.read import read_dataset
from core.errors import InputError

MEMORY = 6 * 2**30
SLOW = SECONDS + 15
PIECES = [b"\0", b"\xff" * 8, b",", b"\t", b"\n", b'"', b"9" * 400, b"-1", b"1e999", b"NaN",
          b"\r", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"PK\x03\x04", b"#1.2\n",
          b"\xef\xbb\xbf"]  # fmt: skip


def make_seeds(folder: Path) -> list[Path]:
    """The traps, and a small file of every binary format."""
    frame = pd.DataFrame(
        np.random.default_rng(0).normal(6, 2, (6, 5)), columns=["TP63", "SOX2", "KRT5", "A", "B"]
    )
    frame.index = [f"s{n}" for n in range(6)]
    frame.to_parquet(folder / "a.parquet")
    frame.reset_index().to_feather(folder / "a.feather")
    frame.to_excel(folder / "a.xlsx")
    for name in ("gz", "bz2", "xz", "zst", "zip"):
        frame.to_csv(folder / f"a.csv.{name}")
    AnnData(frame.astype(np.float32)).write_h5ad(folder / "a.h5ad")
    AnnData(csr_matrix(frame.to_numpy())).write_h5ad(folder / "sparse.h5ad")
    savemat(folder / "a.mat", {"x": frame.to_numpy(), "gene": np.array(frame.columns, object)})
    savemat(folder / "b.mat", {"x": frame.to_numpy(), "s": {"a": 1}}, do_compression=True)
    genes, samples = ([name.encode() for name in names] for names in (frame.columns, frame.index))
    x = csc_array(frame.to_numpy().T)
    with h5py.File(folder / "10x.h5", "w") as file:
        for name in ("data", "indices", "indptr"):
            file[f"matrix/{name}"] = getattr(x, name)
        file["matrix/shape"], file["matrix/barcodes"] = x.shape, samples
        file["matrix/features/name"] = genes
        file["matrix/features/feature_type"] = [b"Gene Expression"] * len(genes)
    with h5py.File(folder / "a.loom", "w") as file:
        file["matrix"], file["row_attrs/Gene"], file["col_attrs/CellID"] = (
            x.todense(),
            genes,
            samples,
        )
    with h5py.File(folder / "archs4.h5", "w") as file:
        file["data/expression"], file["meta/genes/symbol"] = x.todense(), genes
        file["meta/samples/geo_accession"] = samples
    text = "ENSG00000141510.1\t{}\nENSG00000073282.2\t5\n"
    with zipfile.ZipFile(folder / "star.zip", "w") as archive:
        for n in range(3):
            archive.writestr(f"P{n}.tab", text.format(n))
    with tarfile.open(folder / "star.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("P1/quant.tab")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text.encode()))
    traps = Path(__file__).parents[1] / "tests/traps"
    return sorted([*folder.iterdir(), *traps.iterdir()])


def damage(content: bytes, other: bytes, chance: random.Random) -> bytes:
    """A few random changes of some bytes."""
    for _ in range(chance.choice([1, 1, 2, 4, 16])):
        at = chance.randrange(len(content) + 1)
        size = chance.choice([1, 2, 4, 16, 256])
        kind = chance.randrange(6)
        if kind == 0:
            content = content[:at]
        elif kind == 1:
            content = content[:at] + chance.randbytes(size) + content[at + size :]
        elif kind == 2:
            content = content[:at] + chance.choice(PIECES) + content[at:]
        elif kind == 3:
            content = content[:at] + content[max(0, at - size) : at] * chance.choice([2, 50, 2000])
        elif kind == 4:
            start = chance.randrange(len(other) + 1)
            content = content[:at] + other[start : start + size] + content[at:]
        else:
            content = content[:at] + content[at + size :]
    return content


def work(seed: int, seconds: float, folder: Path, only: str) -> None:
    """Damage and read until the time is over; every input is on disk before it is read."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    chance = random.Random(seed)
    seeds = [
        path for path in make_seeds(Path(tempfile.mkdtemp(dir=folder))) if path.name.endswith(only)
    ]
    contents = [path.read_bytes() for path in seeds]
    ends = time.monotonic() + seconds
    done = read = 0
    while time.monotonic() < ends:
        number = chance.randrange(len(seeds))
        content = damage(contents[number], chance.choice(contents), chance)
        path = folder / f"now-{seed}{seeds[number].suffix}"
        path.write_bytes(content)
        started = time.monotonic()
        signal.alarm(2 * SLOW)
        try:
            orientation = chance.choice(["auto", "samples_in_rows", "genes_in_rows"])
            read_dataset(path, path if chance.random() < 0.1 else None, orientation=orientation)
            read += 1
        except InputError:
            pass
        except Exception as error:
            shutil.copy(path, folder / f"bad-{seed}-{done}-{type(error).__name__}{path.suffix}")
            place = traceback.extract_tb(error.__traceback__)[-1]
            print(
                f"bad: {seeds[number].name}: {type(error).__name__}: {str(error)[:100]} "
                f"({Path(place.filename).name}:{place.lineno})", flush=True,
            )  # fmt: skip
        signal.alarm(0)
        if time.monotonic() - started > SLOW:
            shutil.copy(path, folder / f"slow-{seed}-{done}{path.suffix}")
            print(f"slow: {seeds[number].name}", flush=True)
        path.unlink()
        done += 1
    print(f"{done} files, {read} of them readable", flush=True)


def main() -> None:
    """Start workers again and again, each with another seed, and keep what killed one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only", default="", help="ending of the files that are damaged")
    options = parser.parse_args()
    if options.seed is not None:
        work(options.seed, options.minutes * 60, options.folder, options.only)
        return
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    print(f"what fails is kept in {folder}", flush=True)
    ends, seed = time.monotonic() + options.minutes * 60, int(time.time())
    while time.monotonic() < ends:
        minutes = min(1.0, (ends - time.monotonic()) / 60)
        command = [sys.executable, "-m", "benchmarks.fuzz_reading", "--seed", str(seed),
                   "--minutes", str(minutes), "--folder", str(folder),
                   "--only", options.only]  # fmt: skip
        ended = subprocess.run(command).returncode
        if ended:
            print(f"worker {seed} ended with {ended}", flush=True)
            for path in folder.glob(f"now-{seed}.*"):
                path.rename(folder / f"killed-{seed}{path.suffix}")
        seed += 1


if __name__ == "__main__":
    main()

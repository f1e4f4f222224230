"""Time and peak memory of reading one large expression file, side by side with public readers.

    python -m benchmarks.reading --samples 10000 --genes 20000

Makes a gzipped TSV with genes in rows (log2 values with four decimals, as UCSC Xena has them) and
the same matrix as h5ad in a temporary folder, reads each with every reader in a process of its own,
and prints a table. polars takes part when it is installed; it is no dependency of ours.
"""

import argparse
import gzip
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

import anndata
import numpy as np

READERS = {
    "GeneCanvas": "from core.data.read import read_dataset; x = read_dataset(Path(path)).X",
    "pyarrow.csv": "import pyarrow.csv as c; x = c.read_csv("
    "path, parse_options=c.ParseOptions(delimiter='\\t'))",
    "polars": "import polars; x = polars.read_csv(path, separator='\\t')",
    "pandas (C)": "import pandas; x = pandas.read_csv(path, sep='\\t', index_col=0)",
    "pandas (pyarrow)": "import pandas; x = pandas.read_csv("
    "path, sep='\\t', index_col=0, engine='pyarrow')",
}
READERS_H5AD = {
    "GeneCanvas, h5ad": READERS["GeneCanvas"],
    "anndata, h5ad": "import anndata; x = anndata.read_h5ad(path).X",
}
MEASURE = """
import resource, time
from pathlib import Path
path = {path!r}
{imports}
started = time.perf_counter()
{code}
seconds = time.perf_counter() - started
peaks = [resource.getrusage(who).ru_maxrss
         for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(seconds, sum(peaks) / 1e6)
"""


def make_files(samples: int, genes: int, folder: Path) -> tuple[Path, Path]:
    """Write the matrix as TSV.gz and as h5ad; 200 rows of numbers are used again and again."""
    rng = np.random.default_rng(0)
    x = np.round(rng.gamma(4, 1.5, (200, samples)), 4).astype(np.float32)
    lines = ["\t".join(f"{value:.4f}" for value in row) for row in x]
    path = folder / "matrix.tsv.gz"
    with gzip.open(path, "wt", compresslevel=1) as file:
        file.write("gene\t" + "\t".join(f"S{n}" for n in range(samples)) + "\n")
        for gene in range(genes):
            file.write(f"ENSG{gene:011d}\t{lines[gene % 200]}\n")
    h5ad = folder / "matrix.h5ad"
    whole = anndata.AnnData(np.ascontiguousarray(x[np.arange(genes) % 200].T))
    whole.obs_names = [f"S{n}" for n in range(samples)]
    whole.var_names = [f"ENSG{gene:011d}" for gene in range(genes)]
    whole.write_h5ad(h5ad)
    return path, h5ad


def measure(code: str, path: Path) -> tuple[float, float] | None:
    """Seconds and peak gigabytes of one reader; None when it fails."""
    imports = code.partition(";")[0]
    script = MEASURE.format(path=str(path), imports=imports, code=code)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    if done.returncode:
        print(done.stderr[-500:], file=sys.stderr)
        return None
    seconds, gigabytes = done.stdout.split()
    return float(seconds), float(gigabytes)


def main() -> None:
    """Make the files, run the readers one after the other, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--genes", type=int, default=20000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text, h5ad = make_files(options.samples, options.genes, Path(folder))
        print(f"{options.samples} samples x {options.genes} genes, {text.stat().st_size / 1e6:.0f} "
              "MB as TSV.gz\n\n| reader | seconds | peak GB |\n| --- | --- | --- |")  # fmt: skip
        for name, code in READERS.items():
            if name != "polars" or importlib.util.find_spec("polars"):
                report(name, measure(code, text))
        for name, code in READERS_H5AD.items():
            report(name, measure(code, h5ad))


def report(name: str, measured: tuple[float, float] | None) -> None:
    """Print one row."""
    shown = "failed | " if measured is None else f"{measured[0]:.1f} | {measured[1]:.2f}"
    print(f"| {name} | {shown} |", flush=True)


if __name__ == "__main__":
    main()

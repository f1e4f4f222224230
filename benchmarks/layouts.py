"""Layouts, ours and others': time, peak memory and every measure of quality, as Markdown tables.

    python -m venv others
    others/bin/pip install pyDeepInsight TINTOlib opencv-python-headless grad-cam torchcam
    GENECANVAS_DATA=FOLDER python -m benchmarks.layouts --others others/bin/python

Each layout of each dataset is fitted in a process of its own with one thread, so that peak memory
is its own. Seconds are those of the processor, so that other work on the machine hardly counts; a
fit that takes more than the limit is stopped. The datasets are the tumours of
tcga11 in GENECANVAS_DATA (left out without it) and simulated matrices of 800 samples in five
classes, whose genes belong to 60 modules. Expression is scaled to [0, 1] gene by gene.

DeepInsight layouts get a canvas of 224 x 224, the default of pyDeepInsight; all others the
smallest square that holds the genes. The last table is the throughput of the imager.
"""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
SAMPLES = 800
MODULES = 60
WIDE = 224
"""Canvas of the layouts that let genes share pixels."""
STARTING = 15
"""Processor seconds beyond the limit that a process gets to import and to read."""
REFERENCES = {"positions": "gene_positions_grch37.tsv.gz", "sets": "go_bp_2021.gmt"}
OTHERS = {
    "pyDeepInsight t-SNE, bin": "deepinsight_tsne",
    "pyDeepInsight PCA, assignment": "deepinsight_assignment",
    "TINTOlib IGTD, 1000 steps": "igtd_original",
}


def main() -> None:
    """Print the tables; progress goes to stderr."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--others", help="Python with pyDeepInsight and TINTOlib")
    parser.add_argument(
        "--limit", type=float, default=60, help="processor seconds a layout (default: 60)"
    )
    parser.add_argument("--genes", type=int, nargs="*", default=[1000, 5000, 20_000])
    parser.add_argument("--layouts", nargs="*", help="only these of ours (default: all)")
    options = parser.parse_args()
    print("| data | layout | CPU s | peak MB | sharing | trustworthiness | recall | ρ | rank error "
          "| Moran's I | displacement |")  # fmt: skip
    print("| --- | --- " + "| ---: " * 9 + "|")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ.update(GENECANVAS_HOME=str(folder / "home"), OMP_NUM_THREADS="1")
        data = os.environ.get("GENECANVAS_DATA")
        if data:
            write_tcga11(folder, Path(data))
            compare("tcga11, 3556", folder, options)
        for genes in options.genes:
            write_simulated(folder, genes)
            compare(f"simulated, {genes}", folder, options)
    print("\n| images of 64 x 64, 1000 genes | images a CPU s |\n| --- | ---: |")
    show_throughput("GeneImager", sys.executable, "paint")
    if options.others:
        show_throughput("pyDeepInsight transform", options.others, "transform")


def write_tcga11(folder: Path, data: Path) -> None:
    """The tumours of tcga11, and the ids of its reference files."""
    import pandas as pd

    from core.images.references import add_reference

    samples = pd.read_csv(data / "tcga11_samples.csv").set_index("barcode")
    samples = samples[samples["sample_type"] == "tumour"]
    expression = pd.read_parquet(data / "tcga11_expression.parquet").loc[samples.index]
    write_dataset(folder, expression.to_numpy(), expression.columns, samples["tumour_type"])
    references = {kind: add_reference(data / name) for kind, name in REFERENCES.items()}
    (folder / "references.json").write_text(json.dumps(references))


def write_simulated(folder: Path, genes: int) -> None:
    """Log expression whose genes follow modules; classes differ in the modules' activity."""
    rng = np.random.default_rng(genes)
    labels = rng.integers(5, size=SAMPLES)
    activity = rng.normal(size=(SAMPLES, MODULES)) + rng.normal(size=(5, MODULES))[labels]
    loading = rng.uniform(0.3, 1, genes)
    x = 10 + activity[:, rng.integers(MODULES, size=genes)] * loading
    x += rng.normal(scale=0.7, size=x.shape)
    write_dataset(folder, x, [f"G{number:05d}" for number in range(genes)], labels)
    (folder / "references.json").write_text("{}")


def write_dataset(folder: Path, x: np.ndarray, genes, labels) -> None:
    """What the processes read: prepared expression, genes, labels."""
    from core.data.prepare import PreparationSpec, Preprocessor

    x = np.asarray(x, dtype=np.float32)
    prepared = Preprocessor.fit(x, list(genes), "log2", PreparationSpec(genes=20_000))
    np.save(folder / "x.npy", prepared.transform(x, list(genes)))
    np.save(folder / "genes.npy", prepared.genes)
    np.save(folder / "labels.npy", np.asarray(labels).astype(str))


def compare(title: str, folder: Path, options: argparse.Namespace) -> None:
    """A row for each layout of the dataset in the folder."""
    from core.images.layouts import LAYOUTS

    references = json.loads((folder / "references.json").read_text())
    for name in options.layouts or LAYOUTS.names:
        needs = LAYOUTS[name].needs
        if not needs or needs in references:
            arguments = ["fit", name, references.get(needs, "")]
            show_row(title, f"`{name}`", sys.executable, arguments, folder, options.limit)
    for name, method in OTHERS.items() if options.others else ():
        show_row(title, name, options.others, ["fit_other", method], folder, options.limit)


def show_row(
    title: str, name: str, python: str, arguments: list[str], folder: Path, limit: float
) -> None:
    """Fit in one process, measure in another, print what came out."""
    print(time.strftime("%H:%M:%S"), title, name, file=sys.stderr, flush=True)
    try:
        fitted = call(python, [*arguments, str(folder)], limit + STARTING)
    except subprocess.CalledProcessError as error:
        if error.returncode == -signal.SIGXCPU:
            print(f"| {title} | {name} | > {limit:.0f} |" + " |" * 8, flush=True)
            return
        reason = error.stderr.strip().splitlines()[-1][:60] if error.stderr.strip() else "killed"
        print(f"| {title} | {name} | failed: {reason} |" + " |" * 8, flush=True)
        return
    again = arguments[1:] if arguments[0] == "fit" and fitted["seconds"] < limit / 6 else []
    found = call(sys.executable, ["measure", str(folder), *again], 10 * limit)
    moved = "" if found["displacement"] is None else f"{found['displacement']:.3f}"
    print(
        f"| {title} | {name} | {fitted['seconds']:.2f} | {fitted['peak']:.0f} "
        f"({fitted['before']:.0f}) | {found['shared']} | {found['trustworthiness']:.3f} "
        f"| {found['recall']:.3f} | {found['rank_correlation']:.2f} | {found['rank_error']:.3f} "
        f"| {found['moran']:.2f} | {moved} |",
        flush=True,
    )


def show_throughput(name: str, python: str, task: str) -> None:
    """Images a processor second of one imager."""
    print(f"| {name} | {call(python, [task], 120)['rate']:,.0f} |", flush=True)


def call(python: str, arguments: list[str], limit: float) -> dict:
    """Run a task of this file in a process of its own, for at most `limit` processor seconds."""
    answer = subprocess.run(
        [python, __file__, "task", f"{limit:.0f}", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(answer.stdout.splitlines()[-1])


def fit(name: str, reference: str, folder: str) -> dict:
    """One of our layouts."""
    import sklearn.manifold  # noqa: F401  (importing is not fitting)

    x, genes = np.load(f"{folder}/x.npy"), np.load(f"{folder}/genes.npy")
    refit = choose_layout(name, reference, genes)

    def place() -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
        layout = refit(x)
        return layout.row, layout.col, layout.shape

    return take_time(folder, place)


def choose_layout(name: str, reference: str, genes: np.ndarray) -> Callable:
    """The fit of one of our layouts to a matrix."""
    from core.images.layouts import LAYOUTS, LayoutSpec, fit_layout

    spec = LayoutSpec(name=name, reference=reference or None)
    size = smallest_side(len(genes)) if LAYOUTS[name].placement.one_per_pixel else WIDE
    return lambda x: fit_layout(x, genes, spec, size, 0)


def fit_other(name: str, folder: str) -> dict:
    """A layout of pyDeepInsight or TINTOlib, through their public interface."""
    x = np.load(f"{folder}/x.npy").astype(np.float64)
    side = smallest_side(x.shape[1])
    if name == "igtd_original":
        import pandas as pd
        from TINTOlib.igtd import IGTD

        method = IGTD(scale=[side, side], error="abs", max_step=1000, random_seed=0)
        table = pd.DataFrame(x)
        table["class"] = 0

        def place() -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
            method.fit(table)
            order = method.index[method.min_id]
            row, col = np.empty((2, x.shape[1]), dtype=np.int64)
            row[order], col[order] = method.coordinate
            return row, col, (side, side)

        return take_time(folder, place)
    from pyDeepInsight import ImageTransformer
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if name == "deepinsight_tsne":
        reduce, discretise, side = TSNE(metric="cosine", random_state=0), "bin", WIDE
    else:
        reduce, discretise = PCA(n_components=2, random_state=0), "lsa"
    method = ImageTransformer(reduce, discretise, pixels=(side, side))

    def place() -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
        method.fit(x)
        return (*method.coords().T, (side, side))

    return take_time(folder, place)


def take_time(folder: str, place: Callable) -> dict:
    """Processor seconds, peak memory in MB, and what it was before; writes the places."""
    before = peak_memory()
    started = time.process_time()
    row, col, shape = place()
    seconds = time.process_time() - started
    peak = peak_memory()
    np.savez(f"{folder}/places.npz", row=row, col=col, shape=shape)
    return {"seconds": seconds, "peak": peak, "before": before}


def peak_memory() -> float:
    """Greatest resident memory of this process so far, in MB (Linux).

    Not `getrusage`, whose figure a child takes over from its parent.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(folder: str, name: str = "", reference: str = "") -> dict:
    """Quality of the places written last; displacement if a layout is named to fit again."""
    from core.images.layout import GeneLayout
    from core.images.quality import measure_layout

    x, genes = np.load(f"{folder}/x.npy"), np.load(f"{folder}/genes.npy")
    with np.load(f"{folder}/places.npz") as places:
        shape = tuple(places["shape"].tolist())
        layout = GeneLayout("measured", genes, places["row"], places["col"], shape)
    refit = choose_layout(name, reference, genes) if name else None
    return vars(measure_layout(layout, x, np.load(f"{folder}/labels.npy"), refit))


def paint() -> dict:
    """Our imager: 1000 genes on 32 x 32, enlarged to 64 x 64."""
    import torch

    from core.images.imager import GeneImager
    from core.images.layouts import LayoutSpec, fit_layout

    x = np.random.default_rng(0).random((256, 1000), dtype=np.float32)
    layout = fit_layout(x, np.arange(1000).astype(str), LayoutSpec(name="random", side=32), 64, 0)
    imager, batch = GeneImager(layout, 64), torch.from_numpy(x)
    with torch.inference_mode():
        return count_images(lambda: imager(batch), len(x))


def transform() -> dict:
    """pyDeepInsight: 1000 genes assigned to pixels of 64 x 64, as tensors."""
    from pyDeepInsight import ImageTransformer
    from sklearn.decomposition import PCA

    x = np.random.default_rng(0).random((256, 1000))
    method = ImageTransformer(PCA(n_components=2), "lsa", pixels=(64, 64))
    method.fit(x)
    return count_images(lambda: method.transform(x, img_format="pytorch"), len(x))


def count_images(make: Callable, images: int) -> dict:
    """Images a processor second, the best of five."""
    make()
    rates = []
    for _ in range(5):
        made, started = 0, time.process_time()
        while time.process_time() - started < 1:
            make()
            made += images
        rates.append(made / (time.process_time() - started))
    return {"rate": max(rates)}


def smallest_side(genes: int) -> int:
    """Side of the smallest square canvas."""
    return int(np.ceil(np.sqrt(genes)))


TASKS = {task.__name__: task for task in (fit, fit_other, measure, paint, transform)}

if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # not this folder, whose modules would stand before those of packages
    if sys.argv[1:2] == ["task"]:
        limit, task, *arguments = sys.argv[2:]
        resource.setrlimit(resource.RLIMIT_CPU, (int(limit), resource.RLIM_INFINITY))
        print(json.dumps(TASKS[task](*arguments)))
    else:
        main()

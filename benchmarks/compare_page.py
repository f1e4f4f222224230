"""How long the Compare page takes to answer with many runs: a new score, and one seen before.

    python -m benchmarks.compare_page [--runs 200] [--samples 1200]

The runs are finished ones with made-up predictions on real splits of simulated data, stored as a
worker leaves them. The page runs in Streamlit's AppTest: this is the server's time, without the
network and the browser.
"""

import argparse
import os
import tempfile
import time

os.environ["GENECANVAS_HOME"] = tempfile.mkdtemp(prefix="genecanvas-")

from core.data.simulate import simulate
from core.data.store import add_dataset
from core.evaluation.metrics import METRICS
from core.runs.outcome import keep_measures
from tests.pages import open_page
from tests.test_runs_compare import finish_run


def main() -> None:
    """Print seconds of wall clock and of this process for each change of the score."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--samples", type=int, default=1200)
    options = parser.parse_args()
    dataset = add_dataset(simulate(options.samples, 200)[0], "simulated").id
    for k in range(options.runs):
        share = 0.1 + 0.03 * (k * 37 % 10)
        keep_measures(finish_run(dataset, share, seed=k // 10, training={"epochs": k % 10 + 1}))
    begin = time.perf_counter()
    app = open_page("compare", runs="all")
    print(f"{options.runs} runs, first look, accuracy: {time.perf_counter() - begin:.2f} s")
    names = [metric.name for metric in METRICS if metric.has_interval]
    print(f"{'score':20} {'new':>6} {'CPU':>6} {'again':>6} {'CPU':>6}   seconds")
    for name in names[1:]:
        figures = []
        for _ in range(2):
            begin, busy = time.perf_counter(), time.process_time()
            app = app.selectbox(key="metric").select(name).run()
            figures += [time.perf_counter() - begin, time.process_time() - busy]
            assert not app.exception
            app = app.selectbox(key="metric").select("accuracy").run()
        print(f"{name:20} " + " ".join(f"{figure:6.2f}" for figure in figures), flush=True)


if __name__ == "__main__":
    main()

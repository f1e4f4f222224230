"""The door, `import genecanvas as gcv`: its examples, a plain script, and one's own records."""

import doctest
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import genecanvas as gcv
from core.data.simulate import write_simulated

ROOT = Path(__file__).parents[1]
TINY = {"network": {"image_size": 32}, "training": {"epochs": 1}, "preparation": {"genes": 60}}


def run_python(code: str, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, without a GPU, as somebody's script is."""
    script = tmp_path / "script.py"
    script.write_text(code)
    return subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", **environment},
    )  # fmt: skip


def test_every_name_of_the_door_has_an_example_that_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_simulated(gcv.simulate(90, 200)[0], Path("cohort.csv"))
    runner, shared = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS), {"gcv": gcv, "np": np}
    first = doctest.DocTestParser().get_doctest(gcv.__doc__, shared, "genecanvas", None, 0)
    runner.run(first, clear_globs=False)
    shared |= first.globs
    for example in doctest.DocTestFinder().find(gcv, "genecanvas", globs=shared):
        if example.name != "genecanvas":
            runner.run(example)
    assert runner.summarize(verbose=False).failed == 0
    own = [getattr(gcv, name) for name in gcv.__all__]
    for one in own:
        assert one.__doc__, one
        if one.__module__ == "genecanvas":
            assert ">>>" in one.__doc__, one


def test_a_plain_script_goes_from_a_file_to_genes(tmp_path: Path) -> None:
    write_simulated(gcv.simulate(90, 200)[0], tmp_path / "cohort.csv")
    answer = run_python(
        "import sys\n"
        "import genecanvas as gcv\n"
        "assert 'torch' not in sys.modules and 'streamlit' not in sys.modules\n"
        "adata = gcv.read('cohort.csv')\n"
        "cohort = gcv.Cohort(label='tumour_type', group='patient')\n"
        f"spec = gcv.RunSpec(cohort=cohort, **{TINY!r})\n"
        "said = []\n"
        "run = gcv.fit(adata, spec, progress=lambda share, text: said.append((share, text)))\n"
        "assert all(0 <= share <= 1 for share, _ in said) and 'painting' in str(said)\n"
        "print(len(run.predictions), run.result.device, len(run.explain('saliency').genes))\n",
        tmp_path,
    )
    assert answer.returncode == 0, answer.stderr
    assert re.fullmatch(r"27 .+ 300\n", answer.stdout)  # the device is this machine's


def test_a_run_of_the_queue_is_the_one_that_is_fitted_here(tmp_path: Path) -> None:
    adata, _ = gcv.simulate(90, 200)
    spec = gcv.RunSpec(cohort=gcv.Cohort(label="tumour_type", group="patient"), **TINY)
    store = gcv.Store(tmp_path / "elsewhere")
    assert store.path == (tmp_path / "elsewhere").resolve()
    queued = store.submit(adata, spec, name="Mine")
    assert queued.wait().state == "done"
    assert gcv.fit(adata, spec) == queued == gcv.Store().find(queued.id[:8])
    assert store.runs() == [queued]


def test_a_cohort_of_another_dataset_and_a_foreign_anndata_are_refused() -> None:
    adata, _ = gcv.simulate(90, 200)
    cohort = gcv.Cohort(label="tumour_type", dataset="0" * 64)
    with pytest.raises(gcv.GeneCanvasError, match="The cohort is of dataset 000000000000…"):
        gcv.fit(adata, gcv.RunSpec(cohort=cohort))
    del adata.uns["scale"]
    with pytest.raises(gcv.GeneCanvasError, match="write_h5ad"):
        gcv.fit(adata, gcv.RunSpec(cohort=gcv.Cohort(label="tumour_type")))


def test_a_preset_fills_what_is_not_said() -> None:
    cohort = gcv.Cohort(label="tumour_type")
    spec = gcv.RunSpec(cohort=cohort, preset="trained_head", training={"epochs": 3})
    assert (spec.network.freeze, spec.training.batch_size, spec.training.epochs) == (
        "backbone", 64, 3,
    )  # fmt: skip
    with pytest.raises(gcv.GeneCanvasError, match=r"Unknown preset 'best'\. Known: recommended"):
        gcv.RunSpec(cohort=cohort, preset="best")


def test_the_instructions_for_ones_own_records_work(tmp_path: Path) -> None:
    """The code of docs/extend.md as an extension, and the commands below it."""
    page = (ROOT / "docs" / "extend.md").read_text()
    extension = tmp_path / "my_extension.py"
    extension.write_text("\n\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)))
    commands = re.findall(r"^genecanvas (.*)$", page, re.MULTILINE)
    assert len(commands) == 3
    write_simulated(gcv.simulate(90, 200)[0], tmp_path / "sim.csv")
    quick = ["--image-size", "32", "--genes", "60", "--epochs", "1", "--pool", "2"]
    answer = run_python(
        "import contextlib, io\n"
        "from core.__main__ import main\n"
        "run = ''\n"
        f"for command in {commands!r}:\n"
        f"    options = command.replace('RUN', run).split() + {quick!r} * ('RUN' not in command)\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as said:\n"
        "        assert main(options) == 0, command\n"
        "    run = said.getvalue()[len('run '):].partition(':')[0]\n",
        tmp_path,
        GENECANVAS_EXTENSIONS=str(extension),
    )
    assert answer.returncode == 0, answer.stderr


MINE = (
    "import genecanvas as gcv\n"
    "gcv.register_layout(gcv.LayoutMethod(name='mine', title='Mine', help='', reference='',\n"
    "    complexity='', quick_genes=1, placement=gcv.SORTED,\n"
    "    embedding=gcv.Embedding(lambda genes, seed: genes.x[:2].T)))\n"
)


def test_what_only_this_process_knows_is_not_queued(tmp_path: Path) -> None:
    """Beside a record that a file brings."""
    (tmp_path / "ours.py").write_text(MINE.replace("mine", "ours"))
    answer = run_python(
        MINE + "from core.extensions import require_shared\n"
        "require_shared([gcv.RunSpec(cohort=gcv.Cohort(label='tumour_type'),\n"
        "    layout={'name': 'ours'}).layout.name])\n"
        "adata, _ = gcv.simulate(60, 200)\n"
        "spec = gcv.RunSpec(cohort=gcv.Cohort(label='tumour_type'), layout={'name': 'mine'})\n"
        "try: gcv.Store().submit(adata, spec)\n"
        "except gcv.GeneCanvasError as error: print(error, len(gcv.Store().runs()))\n",
        tmp_path,
        GENECANVAS_EXTENSIONS=str(tmp_path / "ours.py"),
    )
    assert answer.returncode == 0, answer.stderr
    assert "'mine' was registered in this process only" in answer.stdout
    assert answer.stdout.endswith(" 0\n")


def test_an_extension_that_fails_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("1 / 0\n")
    for path, why in ((broken, "division by zero"), (tmp_path / "gone.py", "No such file")):
        answer = run_python("import genecanvas\n", tmp_path, GENECANVAS_EXTENSIONS=str(path))
        assert answer.returncode == 1
        assert f"GENECANVAS_EXTENSIONS names {path}" in answer.stderr.splitlines()[-1]
        assert why in answer.stderr.splitlines()[-1]


def test_the_door_s_names_and_defaults_are_what_notebooks_rest_on() -> None:
    """Whoever changes one of these breaks somebody's notebook: say so in the changelog."""
    functions = {
        name: {
            parameter.name: parameter.default
            for parameter in inspect.signature(getattr(gcv, name)).parameters.values()
            if parameter.default is not parameter.empty
        }
        for name in gcv.__all__
        if inspect.isfunction(getattr(gcv, name))
    }
    assert functions == {
        "ask": {"folder": ".", "progress": None},
        "check": {"label": None, "group": None, "batch": None},
        "compare": {"metric": None},
        "compare_groups": {"other": None, "patient": None, "batch": None},
        "divide": {},
        "fit": {"name": "from Python", "progress": None},
        "keep_group": {},
        "read": {"labels": None},
        "register_backbone": {},
        "register_layout": {},
        "register_method": {},
        "simulate": {"samples": 600, "genes": 1000, "seed": 0},
        "transfer": {"name": "from Python", "progress": None},
    }
    assert {name for name in gcv.__all__ if inspect.isclass(getattr(gcv, name))} == {
        "Backbone", "Cohort", "Embedding", "Explanation", "GeneCanvasError", "Genes",
        "LayoutMethod", "Method", "Placement", "Places", "Question", "Reply", "Run", "RunSpec",
        "Stage",
        "Store", "Transfer", "TransferSpec",
    }  # fmt: skip
    assert set(gcv.__all__) - functions.keys() >= {"ALONG_CURVE", "ASSIGNED", "SORTED"}
    explain = inspect.signature(gcv.Run.explain).parameters
    assert explain["method"].default == "integrated_gradients"
    predict = inspect.signature(gcv.Run.predict).parameters
    assert (predict["cohort"].default, predict["together"].default) == (None, "none")

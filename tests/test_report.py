"""The report of a run: what stands in it, that names are text, and that nothing is fetched."""

import base64
import hashlib
import io
import json
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from core.cli import main
from core.compare.comparison import compare_runs
from core.data.simulate import simulate
from core.data.store import add_dataset, delete_dataset
from core.errors import InputError
from core.explain.measures import MEASURES
from core.explain.methods import METHODS
from core.home import run_folder
from core.images.layouts import LAYOUTS
from core.images.references import add_reference
from core.jobs.job import Lane
from core.jobs.record import JobState
from core.models.backbones import BACKBONES
from core.plots.stage import restore_figure
from core.predict.predicting import predict_here
from core.predict.request import PredictRequest
from core.predict.words import describe_flags
from core.report.contents import Chart
from core.report.notebook import make_notebook
from core.report.prediction import write_prediction_report
from core.report.references import Bibliography, key_of, known_references
from core.report.run import RECIPE, report_run, write_run_report
from core.report.story import tell_run
from core.runs.execute import Silent, execute
from core.runs.explaining import explain_run
from core.runs.result import headline, load_result, load_spec
from core.runs.spec import PRESETS, RunSpec
from core.runs.store import RunStore
from core.stories import delete_story, load_view
from core.training.augmentations import AUGMENTATIONS
from core.training.splits import SPLITS
from tests.runs import make
from tests.test_runs_compare import finish_run

BAD = "<script>window.ran = 1</script>"
"""Part of every name of the dataset."""


def finish(spec: RunSpec) -> str:
    store = RunStore()
    run = store.submit(spec)[0].id
    store.claim("cpu", Lane.QUEUE)
    execute(spec, run_folder(run), Silent())
    store.finish(run, JobState.DONE)
    return run


def spoil(name: str = f"</title>{BAD}") -> str:
    """A dataset whose names are markup."""
    data, _ = simulate(90, 200, seed=1)
    data.var_names = [f"{gene}{BAD}" for gene in data.var_names]
    data.obs_names = [f"{sample}{BAD}" for sample in data.obs_names]
    data.obs["type"] = data.obs["tumour_type"].astype(str) + BAD
    data.obs["age"] = [str(40 + number % 30) for number in range(data.n_obs)]
    return add_dataset(data, name).id


class Page(HTMLParser):
    """A written report, taken apart."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        """Tag and the text in it."""
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in ("meta", "link"):
            self._open.append(tag)
            self.texts.append((tag, ""))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open:
            tag, text = self.texts[-1]
            if tag == self._open[-1]:
                self.texts[-1] = (tag, text + data)
            else:
                self.texts.append((self._open[-1], data))

    def within(self, tag: str) -> list[str]:
        """The texts directly in all elements of a tag."""
        return [text.strip() for name, text in self.texts if name == tag and text.strip()]

    def kept(self, suffix: str) -> list:
        """The JSON documents of the figures: '' their drawings, '-data' their data."""
        named = [a["id"] for t, a in self.tags if t == "script" and "id" in a]
        documents = [text for name, text in self.texts if name == "script"]
        return [
            json.loads(text) for name, text in zip(named, documents, strict=False)
            if name.endswith("-data") == bool(suffix)
        ]  # fmt: skip


@pytest.fixture(scope="module")
def trained(shared_home: Path) -> tuple[Path, str]:
    """A tiny run whose network was trained by steps, and explained."""
    run = finish(make(spoil(), preparation={"genes": 60}))
    explain_run(run, RECIPE, lambda *_: None)
    return shared_home, run


@pytest.fixture
def run(trained: tuple[Path, str], home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("GENECANVAS_HOME", str(trained[0]))
    return trained[1]


@pytest.fixture(scope="module")
def written(trained: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENECANVAS_HOME", str(trained[0]))
        return write_run_report(trained[1], tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture(scope="module")
def page(written: Path) -> Page:
    return Page(written.read_text())


def test_a_story_of_the_run_has_the_charts_of_its_report(run: str) -> None:
    charts = [
        block.finding for section in report_run(run).sections for block in section.blocks
        if isinstance(block, Chart)
    ]  # fmt: skip
    story = tell_run(run)
    assert [pinned.caption for pinned in story.views] == charts
    views = [load_view(story.id, pinned.view) for pinned in story.views]
    assert {"run", "data", "images", "explain"} == {view.page for view in views}
    assert views[0].link == {"id": run}
    assert "samples held out" in views[0].source
    for view in views:
        restore_figure(view.figure)
    delete_story(story.id)


def test_every_section_stands_in_it_under_headings_in_order(page: Page) -> None:
    assert page.within("h2") == [
        "Result", "Right and wrong", "Training", "Data", "Gene-images", "Genes", "Limits",
        "Methods", "Settings", "To repeat it", "References",
    ]  # fmt: skip
    levels = [tag for tag, _ in page.tags if tag in ("h1", "h2", "h3")]
    assert levels[:2] == ["h1", "h2"]
    assert levels.count("h1") == 1


def test_it_says_the_result_as_the_app_does(page: Page, run: str) -> None:
    result = load_result(run)
    assert headline(run) in page.within("p")
    for note in result.notes:
        assert note in page.within("li")
    for found in result.findings or []:
        assert found.message in page.within("p")


def test_the_run_can_be_asked_again_from_it(page: Page, run: str) -> None:
    [yaml] = [text for text in page.within("pre") if text.startswith("cohort:")]
    assert RunSpec.from_yaml(yaml) == load_spec(run)
    assert any(f"genecanvas report {run}" in text for text in page.within("pre"))


def test_each_figure_has_its_finding_and_its_data(page: Page, run: str) -> None:
    charts = [a for tag, a in page.tags if "data-chart" in a]
    captions = page.within("figcaption")
    assert len(charts) == len(captions) == len(page.kept("")) == len(page.kept("-data")) == 8
    for chart, caption in zip(charts, captions, strict=True):
        assert caption.endswith(chart["aria-label"])
        assert chart["role"] == "img"
    tables = [pd.read_csv(io.StringIO(text)) for text in page.kept("-data")]
    [counts] = [table for table in tables if "true" in table and len(table) == len(table.T) - 1]
    assert counts.drop(columns="true").to_numpy().sum() == load_result(run).n_test


def test_names_are_text_never_markup(page: Page) -> None:
    scripts = [attributes for tag, attributes in page.tags if tag == "script"]
    code = [attributes for attributes in scripts if "type" not in attributes]
    assert len(code) == 2  # plotly and our own
    assert len(scripts) - 2 == 2 * len(page.kept(""))
    cells = page.within("td")
    assert sum(BAD in cell for cell in cells) > 50
    assert f"BRCA{BAD}" in cells
    assert not any("onerror" in attributes for _, attributes in page.tags)


def test_nothing_is_fetched(page: Page, written: Path) -> None:
    for tag, attributes in page.tags:
        assert not {"src", "srcset", "action", "data"} & attributes.keys(), tag
        if "href" in attributes:
            own = attributes["href"].startswith(("#", "data:,"))
            source = attributes["href"].startswith(("https://doi.org/", "https://arxiv.org/abs/"))
            assert own or (source and tag == "a"), attributes
    assert "@import" not in written.read_text().partition("<body>")[0]
    [policy] = [a["content"] for _, a in page.tags if a.get("http-equiv")]
    assert policy.startswith("default-src 'none'; ")
    text = written.read_text()
    for part in text.split("<script>")[1:]:
        digest = hashlib.sha256(part.partition("</script>")[0].encode()).digest()
        assert f"'sha256-{base64.b64encode(digest).decode()}'" in policy


def test_it_is_small_and_holds_plotly_once(written: Path) -> None:
    assert written.stat().st_size < 6_500_000
    assert written.read_text().count("plotly.js v") == 1


def test_methods_hold_the_numbers_of_the_run_and_cite_what_is_listed(run: str) -> None:
    report = report_run(run)
    [part] = [section for section in report.sections if section.title == "Methods"]
    text = " ".join(block.words for block in part.blocks)
    result, spec = load_result(run), load_spec(run)
    for said in (
        "90 samples of 82 patients", "60 of 200 genes", "32 x 32 pixels", "AdamW",
        f"rose linearly to {spec.learning_rate:g}", "trained for 1 epoch of",
        f"{result.n_train} training", f"T = {result.calibration['temperature']:.2f}",
        "Integrated gradients".lower(), "Wilson 1927", "McNemar 1947",
    ):  # fmt: skip
        assert said in text, said
    listed = {reference.key for reference in report.references}
    assert {"iandola2016", "loshchilov2019", "sundararajan2017", "guo2017", "brier1950"} <= listed
    named = re.findall(r"([A-Z][\w' .]+? \d{4})[;)]", text)
    assert len(named) > 8
    assert {key_of(source) for source in named} <= listed
    assert "solved" not in text


def test_a_regression_in_folds_with_a_solved_head(run: str) -> None:
    cohort = load_spec(run).cohort
    other = finish(
        make(
            cohort.dataset, label="age", task="regression", preparation={"genes": 60},
            network={"image_size": 32, "freeze": "backbone", "head": "linear"},
            training={"augmentation": "none"}, split={"kind": "kfold", "folds": 2},
        )
    )  # fmt: skip
    report = report_run(other)
    titles = [section.title for section in report.sections]
    assert "Training" not in titles
    assert report.headline == headline(other)
    text = " ".join(
        block.words for section in report.sections for block in section.blocks
        if block.kind == "text"
    )  # fmt: skip
    assert "solved exactly" in text
    assert "AdamW" not in text
    assert "In 2 folds each sample was held out once" in text
    assert f"genecanvas explain {other} --evidence" in text  # nothing is computed yet


def test_gene_sets_stand_in_it_where_they_are_named(run: str, tmp_path: Path) -> None:
    report = report_run(run)
    [part] = [section for section in report.sections if section.title == "Genes"]
    [listed] = [b.data for b in part.blocks if b.kind == "table" and "evidence" in b.title]
    own = listed.loc[listed["class"] == f"KIRC{BAD}", "gene"].tolist()[:6]
    (tmp_path / "sets.gmt").write_text("KIDNEY\t\t" + "\t".join(own) + "\n")
    sets = add_reference(tmp_path / "sets.gmt")
    [part] = [s for s in report_run(run, sets).sections if s.title == "Genes"]
    table = part.blocks[-1].data
    best = table[table["class"] == f"KIRC{BAD}"].iloc[0]
    assert best["set"] == "KIDNEY"
    assert best["overlap"] > 1


def test_a_prediction_says_how_unlike_training_its_samples_are_before_all(
    run: str, tmp_path: Path
) -> None:
    model = load_spec(run)
    asked = PredictRequest(model=run, cohort=model.cohort.changed(leave_out=(f"S0001{BAD}",)))
    found = predict_here(asked, lambda *_: None)
    page = Page(write_prediction_report(asked, tmp_path / "report.html").read_text())
    assert describe_flags(found.summary) in page.within("p")
    assert page.within("h2") == [
        "Calls", "Right and wrong", "Does the model fit?", "Among the training samples", "Limits",
        "Methods", "To repeat it", "References",
    ]  # fmt: skip
    calls = pd.read_csv(io.StringIO(page.kept("-data")[0]))
    assert calls["sample"].tolist() == found.calls["sample"].tolist()
    [scored] = [words for words in page.within("p") if words.startswith("Accuracy of the network")]
    assert f"on {found.summary.scores.n:,} samples that are known" in scored
    [command] = [text for text in page.within("pre") if text.startswith("genecanvas predict")]
    assert shlex.split(command)[2:] == [
        run, asked.cohort.dataset, "--label", "type", "--group", "patient",
    ]  # fmt: skip
    code = [a for tag, a in page.tags if tag == "script" and "type" not in a]
    assert len(code) == 2


def test_runs_side_by_side(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = spoil()
    runs = [
        finish_run(dataset, wrong + 0.02 * seed, seed=seed, label="type", training={
            "augmentation": augmentation})
        for seed in range(3) for wrong, augmentation in ((0.1, "none"), (0.3, "expression"))
    ]  # fmt: skip
    path = tmp_path / "report.html"
    assert main(["report", *runs, str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"] == runs
    page = Page(path.read_text())
    assert compare_runs(runs).headline in page.within("p")
    assert page.within("h2") == [
        "Result", "Differences", "What settings do", "Cost", "Runs", "Limits", "Methods",
        "Settings", "References",
    ]  # fmt: skip
    cells = page.within("td")
    assert all(run[:6] in cells for run in runs)
    assert len(page.kept("")) == len(page.kept("-data")) == 4
    assert main(["report", *runs, str(path), "--sets", "hallmark"]) == 2
    assert main(["report", runs[0], str(path), "--metric", "mcc"]) == 2


def test_it_is_written_without_its_dataset(home: Path, tmp_path: Path) -> None:
    run = finish(make(spoil(), preparation={"genes": 60}))
    delete_dataset(load_spec(run).cohort.dataset)
    page = Page(write_run_report(run, tmp_path / "report.html").read_text())
    assert "Gene-images" not in page.within("h2")
    assert any("no longer in this home" in words for words in page.within("p"))


def test_on_the_command_line(run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.html"
    assert main(["report", run[:6], str(path), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == {"runs": [run], "file": str(path), "bytes": path.stat().st_size}
    assert main(["report", "0" * 16, str(path)]) == 2


def test_an_archive_describes_its_files_with_checksums(run: str, tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    assert main(["archive", run, str(folder)]) == 0
    assert main(["archive", run, str(folder)]) == 2  # never into a folder that holds something
    graph = json.loads((folder / "ro-crate-metadata.json").read_text())["@graph"]
    by_id = {entity["@id"]: entity for entity in graph}
    assert len(by_id) == len(graph)
    files = {path.name for path in folder.iterdir()} - {"ro-crate-metadata.json"}
    assert files == {part["@id"] for part in by_id["./"]["hasPart"]}
    assert files == {
        "report.html", "run.ipynb", "run.yaml", "result.json", "predictions.csv", "genes.csv",
    }  # fmt: skip
    for name in files:
        content = (folder / name).read_bytes()
        assert by_id[name]["sha256"] == hashlib.sha256(content).hexdigest()
        assert by_id[name]["contentSize"] == str(len(content))
    for entity in graph:
        for value in entity.values():
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, dict) and not one["@id"].startswith("http"):
                    assert one["@id"] in by_id
    assert RunSpec.from_yaml((folder / "run.yaml").read_bytes()) == load_spec(run)
    assert by_id["#dataset"]["sha256"] == load_spec(run).cohort.dataset


def test_the_notebook_runs_through_the_door(
    run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = make_notebook(run, "cohort.csv")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec(cell["source"], names)
        else:
            assert BAD not in cell["source"]
    assert names["run"].id == run
    assert names["spec"] == load_spec(run)
    assert (tmp_path / "report.html").exists()
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])


def test_a_run_without_a_result_is_refused(run: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no result yet"):
        write_run_report("0" * 16, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


CITED = [
    source.strip()
    for registry in (PRESETS, LAYOUTS, BACKBONES, SPLITS, AUGMENTATIONS, METHODS, MEASURES)
    for record in registry
    for source in record.reference.split(";")
    if source.strip()
]


@pytest.mark.parametrize("source", sorted(set(CITED)))
def test_each_source_of_a_record_is_known_with_authors_title_and_year(source: str) -> None:
    reference = known_references()[key_of(source)]
    assert f"year = {{{key_of(source)[-4:]}}}" in reference.bibtex
    assert "author = {" in reference.bibtex
    kind, _, link = source.rpartition(", ")[2].partition(":")
    if kind in ("doi", "arXiv"):
        assert reference.link.endswith(link)


def test_sources_are_cited_as_they_are_and_listed_once() -> None:
    books = Bibliography()
    assert books.cite("") == ""
    said = books.cite("Nadeau and Bengio 2003, Mach. Learn. 52:239; Welch 1947", "Own 2026, {x}")
    assert said == " (Nadeau and Bengio 2003; Welch 1947; Own 2026)"
    assert books.cite("Welch 1947") == " (Welch 1947)"
    assert [reference.key for reference in books.references] == [
        "nadeau2003", "own2026", "welch1947",
    ]  # fmt: skip
    assert "@misc{own2026,\n  note = {Own 2026, x},\n}" in books.bibtex

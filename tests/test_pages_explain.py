"""Explain without a browser: the question, the trust card, statistics, gene sets, markers."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.data.catalogue import CATALOGUE, _note
from core.data.simulate import simulate
from core.data.store import add_dataset
from core.explain.evidence import MEASURES
from core.explain.methods import Recipe
from core.home import download_folder, run_folder
from core.runs.execute import execute
from core.runs.explain import class_genes, collect_evidence, explain_run
from core.runs.spec import RunSpec
from core.runs.store import RunState, RunStore
from core.runs.trust import load_evidence
from core.runs.whatif import permuted_labels
from tests.pages import button, charts, open_page, words
from tests.test_explain_runs import Silent

CAM = Recipe("hirescam", stage="stem")


def train(spec: RunSpec) -> str:
    """Train a run here and now, and mark it as done."""
    store = RunStore()
    run = store.submit(spec)[0].id
    store.claim()
    execute(spec, run_folder(run), Silent())
    store.finish(run, RunState.DONE)
    return run


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A home with a run of two folds that is explained in two ways, and the run's id."""
    place = tmp_path_factory.mktemp("explained")
    before = os.environ.get("GENECANVAS_HOME")
    os.environ["GENECANVAS_HOME"] = str(place)
    dataset = add_dataset(simulate(90, 200, seed=1)[0], "tiny").id
    run = train(
        RunSpec.parse(
            {
                "dataset": dataset,
                "label": "tumour_type",
                "group": "patient",
                "preparation": {"genes": 60},
                "network": {"image_size": 32, "pool": 2},
                "training": {"epochs": 1, "batch_size": 16, "precision": "float32"},
                "split": {"kind": "kfold", "folds": 2},
            }
        )
    )
    explain_run(run, CAM, lambda *_: None)
    collect_evidence(run, Recipe(), lambda *_: None)
    yield place, run
    if before is None:
        del os.environ["GENECANVAS_HOME"]
    else:
        os.environ["GENECANVAS_HOME"] = before


@pytest.fixture
def run(explained: tuple[Path, str], home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("GENECANVAS_HOME", str(explained[0]))
    return explained[1]


def view(app: AppTest, name: str) -> AppTest:
    """Change to one of the page's views."""
    app.segmented_control(key="explain view").set_value(name).run()
    assert not app.exception
    return app


def test_the_table_has_its_evidence(run: str) -> None:
    app = open_page("explain", run=run)
    assert not app.exception
    assert not [error for error in app.error if "know the classes" not in error.value]
    table = app.dataframe[0].value
    assert {"rank", "score", "sd", "selected", "consensus", "direction", "log2fc", "fdr", "auroc",
            "mean_in", "mean_out", "pixel"} <= set(table)  # fmt: skip
    assert set(table["direction"]) <= {"higher", "lower"}
    assert set(table["selected"]) <= {0, 50, 100}
    assert app.query_params["method"] == "integrated_gradients"
    text = words(app)
    for link in ("GeneCards", "HGNC", "NCBI Gene", "Ensembl", "UniProt", "Human Protein Atlas",
                 "cBioPortal", "Open Targets"):  # fmt: skip
        assert f"[{link}](https://" in text
    assert "Trust card." in text
    assert charts(app) == 2


def test_a_search_leads_to_the_gene(run: str) -> None:
    gene = class_genes(run, Recipe(), "KIRC")["gene"][30]
    app = open_page("explain", run=run)
    app.selectbox(key=f"class {run}").select("KIRC").run()
    app.text_input(key="search").input(gene.lower()).run()
    assert not app.exception
    assert 0 < len(app.dataframe[0].value) < 10
    assert f"#### {gene}" in words(app).replace("\\", "")
    assert "Rank 31 of" in words(app)
    app.text_input(key="search").input("no such gene").run()
    assert not app.exception
    assert len(app.dataframe[0].value) == 0


def test_the_link_brings_method_and_class(run: str) -> None:
    app = open_page("explain", run=run, **{"method": "hirescam", "class": "LUSC"})
    assert not app.exception
    assert app.selectbox(key="method").value == "hirescam"
    assert app.selectbox(key=f"class {run}").value == "LUSC"
    assert "HiResCAM** has not been computed for this run yet" in words(app)
    stage = app.selectbox(key="stage squeezenet1_1 32")
    assert stage.value == "fire2_3"
    assert stage.options == [
        "stem (15 x 15 cells)", "fire2_3 (7 x 7 cells)", "fire4_5 (3 x 3 cells)",
    ]  # fmt: skip
    app.selectbox(key="stage squeezenet1_1 32").select("stem").run()
    assert not app.exception
    assert any("Region view at stem: the map has 15 x 15 cells" in box.value for box in app.warning)
    odd = open_page("explain", run=run, **{"method": "../x", "class": "?"})
    assert not odd.exception
    assert odd.selectbox(key="method").value == "integrated_gradients"


def test_why_this_class_and_not_that(run: str) -> None:
    app = open_page("explain", run=run)
    app.selectbox(key=f"against {run} BRCA").select("LUSC").run()
    assert not app.exception
    assert "Integrated gradients against LUSC** has not been computed" in words(app)
    app.selectbox(key="baseline").select("others").run()
    assert "from mean of the other classes against LUSC" in words(app)
    app.selectbox(key="method").select("saliency").run()
    assert not app.exception
    assert not [box for box in app.selectbox if box.key == "baseline"]


def test_the_trust_card_shows_every_light(run: str) -> None:
    app = view(open_page("explain", run=run), "trust")
    text = words(app)
    for measure in MEASURES:
        assert f"**{measure.title}**" in text
    card = load_evidence(run, Recipe())
    assert sum("**" in e.value and "-badge[" in e.value for e in app.markdown) >= len(card.evidence)
    assert card.light == "red"
    assert "order no primers" in text
    assert "arXiv:1810.03292" in text
    assert charts(app) == 2
    assert button(app, "Train it with permuted labels")


def test_without_a_trust_card_it_can_be_measured(run: str) -> None:
    app = open_page("explain", run=run, method="hirescam")
    app.selectbox(key="stage squeezenet1_1 32").select("stem").run()
    assert "without training names" in words(app)
    app = view(app, "trust")
    assert button(app, "Measure how far this can be believed")


def test_a_network_that_guesses_is_said(run: str, explained: tuple[Path, str]) -> None:
    """The control with permuted labels has its own light on the card, and its own page warns."""
    spec = permuted_labels(RunStore().get(run).spec)
    assert {row.name: row for row in load_evidence(run, Recipe()).evidence}[
        "permuted"
    ].value is None
    control = train(spec)
    light = {row.name: row for row in load_evidence(run, Recipe()).evidence}["permuted"]
    assert light.value < 0.2
    assert "With permuted labels" in light.sentence
    explain_run(control, Recipe("saliency"), lambda *_: None)
    app = open_page("explain", run=control, method="saliency")
    assert not app.exception
    assert any("better than a guess" in error.value for error in app.error)


def test_network_or_t_test(run: str) -> None:
    app = view(open_page("explain", run=run), "statistics")
    assert "that a Welch t test puts first" in words(app)
    assert charts(app) == 1
    genes = len(class_genes(run, Recipe(), "BRCA"))
    app.number_input(key="statistics top").set_value(genes).run()
    assert not app.exception
    assert f"Of the {genes} top genes, **{genes}**" in words(app)


def test_gene_sets(run: str) -> None:
    app = view(open_page("explain", run=run), "sets")
    assert "Bring a file of gene sets" in app.info[0].value
    genes = class_genes(run, Recipe(), "BRCA")["gene"].tolist()
    sets = {"first": genes[:6], "last": genes[-6:], "strange": [f"X{i}" for i in range(9)]}
    text = "".join(f"{name}\t\t" + "\t".join(members) + "\n" for name, members in sets.items())
    app.file_uploader(key="gmt").upload("sets.gmt", text.encode(), "text/plain").run()
    assert not app.exception
    assert f"3 sets; 12 of their genes are among the {len(genes)} on the image" in words(app)
    assert app.dataframe[0].value["set"].tolist() == ["first"]
    assert charts(app) == 3
    assert len(app.query_params["sets"]) == 64
    app.segmented_control(key="set test").set_value("Along the whole ranking").run()
    assert not app.exception
    assert set(app.dataframe[0].value["set"]) == {"first", "last"}
    app.selectbox(key="set").select("last").run()
    assert not app.exception


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("A\tx\t" + "\t".join(f"ENSG{i}" for i in range(9)), "None of the 1 sets has"),
     ("no tabs here", "expected")],
)  # fmt: skip
def test_gene_sets_that_do_not_fit_are_said(run: str, text: str, complaint: str) -> None:
    app = view(open_page("explain", run=run), "sets")
    app.file_uploader(key="gmt").upload("sets.gmt", text.encode(), "text/plain").run()
    assert not app.exception
    assert any(complaint in error.value for error in app.error)


def test_known_markers(run: str) -> None:
    app = view(open_page("explain", run=run), "markers")
    assert app.selectbox(key="markers BRCA").value == "BRCA"
    assert "known markers of BRCA" in words(app)
    assert "reference" in app.dataframe[0].value
    app.selectbox(key="markers BRCA").select("UVM").run()
    assert not app.exception


def test_side_by_side(run: str) -> None:
    app = view(open_page("explain", run=run), "compare")
    assert charts(app) == 1
    assert "beyond chance" in words(app)
    for what in ("Samples", "Methods"):
        app.segmented_control(key="compare what").set_value(what).run()
        assert not app.exception
    assert "Only one method has been computed" in words(app)


def test_a_gene_of_the_link_is_shown_and_stays(run: str) -> None:
    gene = class_genes(run, Recipe(), "BRCA")["gene"][7]
    app = open_page("explain", run=run, gene=gene)
    assert not app.exception
    assert f"#### {gene}" in words(app).replace("\\", "")
    assert "Rank 8 of" in words(app)
    app.selectbox(key=f"class {run}").select("KIRC").run()
    assert f"#### {gene}" in words(app).replace("\\", "")
    assert app.query_params["gene"] == gene
    app = open_page("explain", run=run, gene="no such gene")
    assert not app.exception
    assert "no such gene is not on these images" in words(app)


def test_what_if_without_a_list(run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.whatif.preflight_apart", lambda spec: None)
    monkeypatch.setattr("ui.whatif.ensure_worker", lambda: None)
    genes = class_genes(run, Recipe(), "BRCA")["gene"].tolist()
    app = open_page("explain", run=run)
    app.number_input(key="list top").set_value(5).run()
    assert "#### 5 genes at the top of the table" in words(app)
    assert any(code.value.splitlines() == genes[:5] for code in app.code)
    button(app, "What if without these 5?").click().run()
    assert not app.exception
    child = RunStore().list()[0]
    assert child.parent == run
    assert set(child.spec.preparation.without) == set(genes[:5])
    assert app.title[0].value == "Train"
    assert app.session_state["last run"] == child.id
    RunStore().delete(child.id)


def test_genes_drawn_around_and_their_sets(run: str) -> None:
    genes = class_genes(run, Recipe(), "BRCA")["gene"].tolist()
    app = open_page("explain", run=run)
    app.segmented_control(key="map pointer").set_value("draw").run()
    assert "Draw around pixels" in words(app)
    app.session_state["explained genes drawn"] = [*genes[3:10], "of another class"]
    app.run()
    assert not app.exception
    assert "#### 7 genes drawn around on the map" in words(app)
    assert any(code.value.splitlines() == genes[3:10] for code in app.code)


def test_names_and_ids_once_hgncs_list_is_kept(run: str) -> None:
    table = class_genes(run, Recipe(), "BRCA")
    gene = str(table["gene"][0])
    assert "data fetch hgnc" in words(open_page("explain", run=run))

    [path] = [download_folder("hgnc") / file.name for file in CATALOGUE["hgnc"].files]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "hgnc_id\tsymbol\tname\tprev_symbol\tentrez_id\tensembl_gene_id\tuniprot_ids\n"
        f"HGNC:1\t{gene}\tthe first gene\t\t672\tENSG00000012048\tP38398\n"
    )
    note = _note(path)
    note.write_text("{}")
    try:
        app = open_page("explain", run=run)
        assert not app.exception
        row = app.dataframe[0].value.iloc[0]
        assert (row["name"], row["ensembl"], row["uniprot"]) == (
            "the first gene", "ENSG00000012048", "P38398",
        )  # fmt: skip
        assert "the first gene · " in words(app).replace("\\", "")
        assert "[NCBI Gene](https://www.ncbi.nlm.nih.gov/gene/672)" in words(app)
        app.text_input(key="search").input("first gene").run()
        assert app.dataframe[0].value["gene"].tolist() == [gene]
    finally:
        path.unlink()
        note.unlink()

"""Explain without a browser: the question, the trust card, statistics, gene sets, markers."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.data.catalogue import CATALOGUE
from core.data.fetched import _note, forget
from core.data.simulate import simulate
from core.data.store import add_dataset
from core.escape import escape_markdown
from core.explain.gene_sets import REST
from core.explain.measures import MEASURES
from core.explain.methods import Recipe
from core.home import download_folder
from core.jobs.here import do_here
from core.runs.explain import class_genes, class_sets
from core.runs.explaining import collect_evidence, explain_run
from core.runs.fitted import load_fitted
from core.runs.network_genes import genes_path, write_genes
from core.runs.result import load_predictions
from core.runs.spec import RunSpec
from core.runs.store import RunStore
from core.runs.training import TrainJob
from core.runs.trust import load_evidence
from core.runs.whatif import permuted_labels
from tests.pages import button, charts, open_page, words
from tests.runs import guess
from tests.test_download import Site, site  # noqa: F401

CAM = Recipe("hirescam", stage="stem")


def train(spec: RunSpec) -> str:
    """Train a run here and now."""
    return do_here(TrainJob(spec=spec), lambda *_: None)


@pytest.fixture(scope="module")
def explained(shared_home: Path) -> tuple[Path, str]:
    """A home with a run that knows nothing, of two folds, explained in two ways; and its id."""
    dataset = add_dataset(simulate(90, 200, seed=1)[0], "tiny").id
    run = train(
        RunSpec.parse(
            {
                "cohort": {
                    "dataset": dataset,
                    "label": "tumour_type",
                    "group": "patient",
                },
                "preparation": {"genes": 60},
                "network": {"image_size": 32, "pool": 2},
                "training": {"epochs": 1, "batch_size": 16, "precision": "float32"},
                "split": {"kind": "kfold", "folds": 2},
            }
        )
    )
    guess(run)
    explain_run(run, CAM, lambda *_: None)
    collect_evidence(run, Recipe(), lambda *_: None)
    return shared_home, run


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
    assert f"## {gene}" in words(app)
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
    stage = app.selectbox(key="stage squeezenet1_1 33")
    assert stage.value == "fire2_3"
    assert stage.options == [
        "stem (16 x 16 cells)", "fire2_3 (8 x 8 cells)", "fire4_5 (4 x 4 cells)",
        "fire6_9 (2 x 2 cells)",
    ]  # fmt: skip
    app.selectbox(key="stage squeezenet1_1 33").select("stem").run()
    assert not app.exception
    assert any("Region view at stem: the map has 16 x 16 cells" in box.value for box in app.warning)
    odd = open_page("explain", run=run, **{"method": "../x", "class": "?"})
    assert not odd.exception
    assert odd.selectbox(key="method").value == "integrated_gradients"


def test_genes_that_the_network_could_not_see_are_named(home: Path) -> None:
    dataset = add_dataset(simulate(90, 1100, seed=1)[0], "tiny").id
    fields = {
        "cohort": {"dataset": dataset, "label": "tumour_type"},
        "preparation": {"genes": 1024},
        "layout": {"name": "random"},
        "network": {"image_size": 32, "pool": 2, "freeze": "backbone", "edge": "cut"},
        "training": {"epochs": 1, "precision": "float32"},
    }
    run = train(RunSpec.parse(fields))
    explain_run(run, Recipe("saliency"), lambda *_: None)
    [gene] = load_fitted(run, 0).layout.genes_at(31, 31)
    app = open_page("explain", run=run, method="saliency", gene=gene)
    assert not app.exception
    assert any("could not see 63 of 1,024 genes" in box.value for box in app.warning)
    assert f"{gene} stands where this network could not see it" in words(app)
    [table] = [frame.value for frame in app.dataframe]
    assert len(table) == 1024 - 63


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
    app.selectbox(key="stage squeezenet1_1 33").select("stem").run()
    assert "without training names" not in words(app)  # that compares lists of genes
    app = view(app, "trust")
    assert button(app, "Measure how far this can be believed")


def test_a_region_method_shows_regions_and_no_rank_of_a_gene(run: str) -> None:
    app = open_page("explain", run=run, method="hirescam", **{"class": "KIRC"})
    app.selectbox(key="stage squeezenet1_1 33").select("stem").run()
    assert not app.exception
    assert "Regions that spoke for KIRC" in words(app)
    assert "Click a pixel of the map" in words(app)
    [table] = [frame.value for frame in app.dataframe]
    assert "gene" not in table
    assert table["rank"].iloc[0] == 1
    layout = load_fitted(run, 0).layout
    assert sorted(", ".join(table["genes"]).split(", ")) == sorted(layout.genes)
    app.session_state["explained gene"] = str(layout.genes[3])
    app.run()
    assert f"## {layout.genes[3]}" in words(app)
    assert "Rank" not in words(app).replace("Rank genes by integrated gradients", "")
    for name in ("statistics", "sets", "markers"):
        app = view(app, name)
        assert "no ranking of genes to look at here" in words(app)


def test_a_network_that_guesses_is_said(run: str, explained: tuple[Path, str]) -> None:
    """The control with permuted labels has its own light on the card, and its own page warns."""
    spec = permuted_labels(RunStore().get(run).spec)
    assert {row.name: row for row in load_evidence(run, Recipe()).evidence}[
        "permuted"
    ].value is None
    control = train(spec)
    guess(control)
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


def bring_sets(app: AppTest, run: str, prefix: str = "") -> AppTest:
    """Upload three sets: the first and last genes of BRCA's table, and one that is not there.

    Their genes are on the images of all folds, whichever genes lead the table.
    """
    on_all = set.intersection(*(set(load_fitted(run, fold).layout.genes) for fold in range(2)))
    genes = [gene for gene in class_genes(run, Recipe(), "BRCA")["gene"] if gene in on_all]
    sets = {
        "first": genes[:6], "inner": genes[1:6], "last": genes[-6:],
        "strange": [f"X{i}" for i in range(9)],
    }  # fmt: skip
    text = "".join(f"{name}\t\t" + "\t".join(members) + "\n" for name, members in sets.items())
    app.file_uploader(key=f"{prefix}gmt").upload("sets.gmt", text.encode(), "text/plain").run()
    assert not app.exception
    return app


@pytest.fixture
def no_sets(explained: tuple[Path, str]) -> Iterator[None]:
    """No gene sets are kept, before and after."""
    folder = explained[0] / "references"
    shutil.rmtree(folder, ignore_errors=True)
    yield
    shutil.rmtree(folder, ignore_errors=True)


def test_gene_sets(run: str, no_sets: None) -> None:
    app = view(open_page("explain", run=run), "sets")
    assert "Bring a file of gene sets" in app.info[0].value
    genes = class_genes(run, Recipe(), "BRCA")["gene"].tolist()
    app = bring_sets(app, run)
    assert f"4 sets; 12 of their genes are among the {len(genes)} on the image" in words(app)
    assert app.dataframe[0].value["set"].tolist() == ["first", "inner"]
    assert charts(app) == 4
    assert "2 sets with an FDR below 0.05, in 1 groups" in words(app)
    assert len(app.query_params["sets"]) == 64
    app.number_input(key="network limit").set_value(0.001).run()
    assert not app.exception
    app.segmented_control(key="set test").set_value("Along the whole ranking").run()
    assert not app.exception
    assert set(app.dataframe[0].value["set"]) == {"first", "inner", "last"}
    app.selectbox(key="set").select("last").run()
    assert not app.exception
    again = view(open_page("explain", run=run, sets=app.query_params["sets"]), "sets")
    assert not again.exception
    assert again.selectbox(key=f"sets {app.query_params['sets']}").options == ["sets.gmt"]


def test_public_gene_sets_are_fetched_with_their_licence(
    run: str,
    no_sets: None,
    site: Site,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    genes = class_genes(run, Recipe(), "BRCA")["gene"].tolist()
    file = CATALOGUE["hallmark"].files[0].name
    site.files = {f"/hallmark/{file}": ("MINE\tabout\t" + "\t".join(genes[:9])).encode()}
    monkeypatch.setenv("GENECANVAS_CATALOGUE_URL", site.address)
    app = view(open_page("explain", run=run), "sets")
    text = words(app)
    for name in ("Hallmark", "Gene Ontology", "Reactome", "WikiPathways"):
        assert name in text
    assert "CC BY 4.0" in text
    assert "could not be tried where this was built" in text
    app.button(key="fetch hallmark").click().run()
    try:
        assert not app.exception
        assert app.dataframe[0].value["set"].tolist() == ["MINE"]
        app.button(key="fetch go").click().run()
        assert not app.exception
        assert any("answers 404" in error.value for error in app.error)
    finally:
        forget(CATALOGUE["hallmark"])


def test_what_gene_sets_add(run: str, no_sets: None) -> None:
    app = open_page("explain", run=run, method="set_occlusion")
    assert not app.exception
    assert "Bring a file of gene sets" in app.info[0].value
    app = bring_sets(app, run, "method ")
    assert "Occlusion by gene set** has not been computed" in words(app)
    recipe = Recipe("set_occlusion", sets=app.query_params["sets"])
    explain_run(run, recipe, lambda *_: None)
    try:
        app = view(app.run(), "sets")
        assert not app.exception
        assert "Scored are gene sets, not genes" in app.warning[0].value
        assert set(app.dataframe[0].value["set"]) == {"first", "inner", "last", REST}
        assert charts(app) == 2
        app.selectbox(key="added set").select("last").run()
        assert not app.exception
        [members] = class_sets(run, recipe, "BRCA").query("set == 'last'")["genes"]
        assert f"Its {len(members)} genes" in words(app)
        app = view(app, "genes")
    finally:
        app.session_state["method"] = "integrated_gradients"


def test_samples_are_chosen_and_explained_towards_a_class(
    run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The misclassified; in the browser also by a lasso."""
    asked: list[Recipe] = []
    monkeypatch.setattr(
        "ui.explain.request_explanation", lambda run, recipe, evidence: asked.append(recipe)
    )
    app = view(open_page("explain", run=run), "samples")
    assert "Draw around samples on the map" in words(app)
    held = load_predictions(run)
    wrong = held[held["true"] != held["predicted"]]
    assert len(wrong)
    app.button(key="choose All misclassified").click().run()
    assert not app.exception
    assert f"## {len(wrong)} samples, explained towards BRCA" in words(app)
    assert set(app.dataframe[0].value["sample"]) == set(wrong["sample"])
    few = sorted(wrong["sample"])[:4]
    app.session_state["explained samples"] = few
    button(app.run(), "Compute Integrated gradients").click().run()
    [recipe] = asked
    assert recipe == Recipe(samples=tuple(few), towards="BRCA")
    explain_run(run, recipe, lambda *_: None)
    app.run()
    assert not app.exception
    assert "Genes that spoke for BRCA" in words(app)
    table = app.dataframe[1].value
    assert table["gene"].tolist() == class_genes(run, recipe, "BRCA")["gene"].tolist()
    app.segmented_control(key="explained samples map kind").set_value(
        "Nearest neighbours (t-SNE)"
    ).run()
    assert not app.exception
    button(app, "Choose none").click().run()
    assert "Draw around samples on the map" in words(app)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("A\tx\t" + "\t".join(f"ENSG{i}" for i in range(9)), "None of the 1 sets has"),
     ("no tabs here", "expected")],
)  # fmt: skip
def test_gene_sets_that_do_not_fit_are_said(
    run: str, no_sets: None, text: str, complaint: str
) -> None:
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
    assert "Networks on genes" not in app.segmented_control(key="compare what").options


def test_networks_on_genes_beside_the_run(run: str) -> None:
    genes = class_genes(run, Recipe(), "BRCA")["gene"].tolist()
    table = pd.DataFrame({"gene": genes, "class": "BRCA", "samples": 9, "saliency": 1.0,
                          "integrated_gradients": range(len(genes), 0, -1)})  # fmt: skip
    write_genes(run, "convolution", [table])
    try:
        app = view(open_page("explain", run=run), "compare")
        app.segmented_control(key="compare what").set_value("Networks on genes").run()
        assert not app.exception
        assert charts(app) == 1
        assert "and Convolution over genes in order share" in words(app)
        app.multiselect(key=f"compare networks {run}").set_value([]).run()
        assert not app.exception
        assert "Choose at least two." in app.info[0].value
    finally:
        genes_path(run, "convolution").unlink()


def test_a_gene_of_the_link_is_shown_and_stays(run: str) -> None:
    gene = class_genes(run, Recipe(), "BRCA")["gene"][7]
    app = open_page("explain", run=run, gene=gene)
    assert not app.exception
    assert f"## {gene}" in words(app)
    assert "Rank 8 of" in words(app)
    app.selectbox(key=f"class {run}").select("KIRC").run()
    assert f"## {gene}" in words(app)
    assert app.query_params["gene"] == gene
    app = open_page("explain", run=run, gene="no such gene")
    assert not app.exception
    assert "no such gene is not on these images" in words(app)


def test_what_if_without_a_list(run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.whatif.preflight_apart", lambda spec, data: None)
    for part in ("ui.whatif", "ui.run_live", "core.jobs.launch"):
        monkeypatch.setattr(f"{part}.ensure_workers", lambda: None)
    genes = class_genes(run, Recipe(), "BRCA")["gene"].tolist()
    app = open_page("explain", run=run)
    app.number_input(key="list top").set_value(5).run()
    assert "## 5 genes at the top of the table" in words(app)
    assert any(code.value.splitlines() == genes[:5] for code in app.code)
    button(app, "What if without these 5?").click().run()
    assert not app.exception
    child = RunStore().list()[0]
    assert child.parent == run
    assert set(child.spec.preparation.without) == set(genes[:5])
    assert app.title[0].value == escape_markdown(child.name)
    assert app.query_params["id"] == child.id
    RunStore().delete(child.id)


def test_genes_drawn_around_and_their_sets(run: str) -> None:
    genes = class_genes(run, Recipe(), "BRCA")["gene"].tolist()
    app = open_page("explain", run=run)
    app.segmented_control(key="map pointer").set_value("draw").run()
    assert "Draw around pixels" in words(app)
    app.session_state["explained genes drawn"] = [*genes[3:10], "of another class"]
    app.run()
    assert not app.exception
    assert "## 7 genes drawn around on the map" in words(app)
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
        assert "the first gene · " in words(app)
        assert "[NCBI Gene](https://www.ncbi.nlm.nih.gov/gene/672)" in words(app)
        app.text_input(key="search").input("first gene").run()
        assert app.dataframe[0].value["gene"].tolist() == [gene]
    finally:
        path.unlink()
        note.unlink()

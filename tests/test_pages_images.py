"""The Gene images page: empty, every view, a gene found, settings that don't fit."""

import time
from pathlib import Path

import pytest

from core.data.choices import Choices, save_choices
from core.data.cohort import Cohort
from core.data.simulate import simulate
from core.data.store import DatasetRecord, add_dataset, load_dataset
from core.images.references import add_reference
from tests.pages import button, charts, open_page, words
from tests.test_pages_runs import busy_worker  # noqa: F401


@pytest.fixture
def dataset() -> DatasetRecord:
    data, _ = simulate(60, 200)
    return add_dataset(data, "small")


def test_first_view_says_what_it_is_fitted_on(dataset: DatasetRecord) -> None:
    app = open_page("images")
    assert not app.exception
    assert not app.error
    text = words(app)
    assert "200 genes on 16 x 16 pixels" in text
    assert "each on its own" in text
    assert "fitted on all samples shown" in text
    assert "training samples only" in text
    assert charts(app) == 1


@pytest.mark.parametrize("scaling", ["zscore", "robust", "minmax", "rank"])
def test_every_view(dataset: DatasetRecord, scaling: str) -> None:
    app = open_page("images")
    app.selectbox(key=f"scaling {dataset.id[:12]}").select(scaling).run()
    for view in ("mean", "difference", "classes", "samples"):
        app.session_state["image view"] = view
        app.run()
        assert not app.exception, view
        assert not app.error, view
        assert charts(app) == 1, view


def test_class_means_under_the_pointer_are_few_and_the_chosen_class_is_among_them() -> None:
    data, _ = simulate(90, 200)
    data.obs["many"] = [f"c{min(number // 3, 14):02d}" for number in range(90)]
    record = add_dataset(data, "many classes")
    save_choices(record.id, Choices(cohort=Cohort(label="many")))
    app = open_page("images")
    app.selectbox(key="class shown").select("c03").run()
    [chart] = app.get("plotly_chart")
    assert len(chart.proto.spec) < 200_000
    assert chart.proto.spec.count("mean of c") == 14  # colour bar, value, twelve classes
    for name in ("c03", "c14"):
        assert f"mean of {name} %{{customdata" in chart.proto.spec


@pytest.mark.parametrize("layout", ["order", "random"])
def test_other_layouts(dataset: DatasetRecord, layout: str) -> None:
    app = open_page("images")
    app.selectbox(key="layout").select(layout).run()
    assert not app.exception
    assert charts(app) == 1


def test_a_gene_is_found_and_its_expression_shown(dataset: DatasetRecord) -> None:
    app = open_page("images")
    gene = "GATA3"
    app.text_input(key="gene").input(gene.lower()).run()
    assert charts(app) == 2
    assert f"## {gene}" in words(app)
    assert "Neighbours" in words(app)


def test_a_link_restores_the_gene_and_an_unknown_one_does_no_harm(dataset: DatasetRecord) -> None:
    assert "## GATA3" in words(open_page("images", gene="GATA3"))
    app = open_page("images", gene="NOSUCHGENE")
    assert not app.exception
    assert "No name here holds “NOSUCHGENE”" in words(app)


def test_genes_that_hold_what_is_typed_are_offered(dataset: DatasetRecord) -> None:
    names = load_dataset(dataset.id).var_names
    part = "1"
    held = [name for name in names if part in name]
    app = open_page("images")
    app.text_input(key="gene").input(part).run()
    offered = [b.label for b in app.button if b.key and b.key.startswith("gene offer ")]
    assert 0 < len(offered) <= 4
    first = [name for name in held if name.startswith(part)] or held
    assert offered[0].replace("\\", "") == min(first, key=lambda name: (len(name), name))
    assert "## One gene" in words(app)
    name = offered[0].replace("\\", "")
    app = app.button(key=f"gene offer {name}").click().run()
    assert app.text_input(key="gene").value == name
    assert f"## {name}" in words(app)


def test_more_genes_than_pixels_is_one_message(dataset: DatasetRecord) -> None:
    data, _ = simulate(60, 1100)
    add_dataset(data, "larger")
    app = open_page("images")
    app.number_input(key="image size").set_value(32)
    app.number_input[0].set_value(1100).run()
    assert not app.exception
    assert len(app.error) == 1
    assert "fewer genes" in app.error[0].value
    app.number_input(key="image size").set_value(96).run()
    assert not app.error


def test_a_subset_of_samples(dataset: DatasetRecord) -> None:
    save_choices(
        dataset.id,
        Choices(cohort=Cohort(label="tumour_type", where={"tumour_type": ["BRCA", "KIRC"]})),
    )
    app = open_page("images")
    assert not app.exception
    assert app.selectbox(key="class shown").options == ["BRCA", "KIRC"]
    assert "tumour_type is BRCA, KIRC" in words(app)


def test_without_a_class_column_all_samples_are_shown() -> None:
    data, _ = simulate(60, 200)
    data.obs = data.obs[["patient"]]
    add_dataset(data, "no classes")
    app = open_page("images")
    assert not app.exception
    assert not app.error
    assert "60 samples" in words(app)


POSITIONS = "symbol\tchr\tstart\n"


def write_positions(dataset: DatasetRecord) -> bytes:
    """A position for each gene of the dataset, on two chromosomes."""
    genes = load_dataset(dataset.id).var_names
    lines = [f"{gene}\t{1 + number % 2}\t{number}\n" for number, gene in enumerate(genes)]
    return (POSITIONS + "".join(lines)).encode()


def test_a_layout_that_needs_a_file_asks_for_it_and_takes_it(dataset: DatasetRecord) -> None:
    app = open_page("images")
    app.selectbox(key="layout").select("chromosome").run()
    assert not app.exception
    assert "needs a file of gene positions" in app.error[0].value
    upload = app.file_uploader(key="layout new positions")
    upload.upload("wrong.txt", b"nothing\n", "text/plain").run()
    assert any("wrong.txt holds no gene positions" in error.value for error in app.error)
    upload = app.file_uploader(key="layout new positions")
    upload.upload("places.tsv", write_positions(dataset), "text/plain").run()
    assert not app.exception
    assert not app.error
    assert "knows 200 of this dataset's 200 genes" in words(app)
    assert charts(app) == 1
    app.selectbox(key="layout").select("treemap").run()
    assert "needs a file of gene sets" in app.error[0].value
    upload = app.file_uploader(key="layout new sets")
    upload.upload("places.tsv", write_positions(dataset), "text/plain").run()
    assert any("places.tsv is no file of gene sets" in error.value for error in app.error)


def test_a_slow_layout_is_computed_beside_the_page(dataset: DatasetRecord) -> None:
    app = open_page("images")
    app.selectbox(key="layout").select("tsne").run()
    assert not app.exception
    assert charts(app) == 0
    assert "computed beside the page" in words(app)
    for _ in range(1500):
        if charts(app):
            break
        time.sleep(0.2)
        app.run()
    assert not app.exception
    assert not app.error
    assert charts(app) == 1
    assert "200 genes on 16 x 16 pixels" in words(app)


def test_what_an_embedding_leaves_open_is_asked_and_checked(dataset: DatasetRecord) -> None:
    app = open_page("images")
    assert not [field for field in app.number_input if field.key == "layout perplexity"]
    app.selectbox(key="layout").select("deepinsight").run()
    app.number_input(key="layout perplexity").set_value(1).run()
    assert "Perplexity must be 2 to 200, got 1" in words(app)
    assert not app.exception


def test_a_stopped_layout_can_be_tried_again(
    dataset: DatasetRecord,
    busy_worker: None,  # noqa: F811
) -> None:
    app = open_page("images")
    app.selectbox(key="layout").select("tsne").run()
    button(app, "Stop").click().run()
    app.run()
    assert "The computation was stopped" in app.error[0].value
    button(app, "Try again").click().run()
    assert not app.error
    button(app, "Stop").click().run()


def test_two_layouts_side_by_side_with_their_measures(dataset: DatasetRecord) -> None:
    app = open_page("images")
    app.session_state["image view"] = "compare"
    app.run()
    assert charts(app) == 2
    assert "Random (control)" in words(app)
    for _ in range(1500):
        if "None of these is accuracy" in words(app) and not app.get("status"):
            break
        time.sleep(0.2)
        app.run()
    assert not app.exception
    assert not app.error
    table = app.table[0].value
    assert "**Trustworthiness**" in table.index
    assert float(table.loc["**Trustworthiness**"].iloc[0]) > 0.6
    app.selectbox(key="other layout").select("deepinsight_pca").run()
    assert charts(app) == 2
    assert "share a pixel with another" in words(app)


def test_the_canvas_by_modules_chromosomes_and_sets(dataset: DatasetRecord) -> None:
    app = open_page("images")
    app.session_state["image view"] = "groups"
    app.run()
    assert charts(app) == 1
    assert "neighbouring genes with a colour" in words(app)
    app.session_state["colour by"] = "positions"
    app.run()
    assert charts(app) == 0
    assert "Add a file" in words(app)
    upload = app.file_uploader(key="groups new positions")
    upload.upload("places.tsv", write_positions(dataset), "text/plain").run()
    assert charts(app) == 1
    genes = load_dataset(dataset.id).var_names
    sets = "\n".join("\t".join([f"set {n}", "", *genes[n : n + 20]]) for n in range(12))
    app.session_state["colour by"] = "sets"
    app.run()
    upload = app.file_uploader(key="groups new sets")
    upload.upload("mine.gmt", sets.encode(), "text/plain").run()
    assert not app.exception
    assert not app.error
    assert charts(app) == 1


def test_drawn_genes_are_listed_and_tested_for_sets(dataset: DatasetRecord, tmp_path: Path) -> None:
    genes = load_dataset(dataset.id).var_names
    path = tmp_path / "mine.gmt"
    path.write_text("\t".join(["one", "", *genes[:20]]) + "\n")
    add_reference(path)
    app = open_page("images")
    app.session_state["pointer"] = "draw"
    app.session_state["drawn"] = [*genes[:12], "not on the image"]
    app.run()
    assert not app.exception
    assert "12 genes drawn around" in words(app)
    assert app.code[0].value.split("\n") == list(genes[:12])


def test_samples_are_played_one_after_the_other(dataset: DatasetRecord) -> None:
    app = open_page("images")
    app.session_state["image view"] = "samples"
    app.run()
    app.toggle(key="play").set_value(True).run()
    assert not app.exception
    assert charts(app) == 1
    assert " · 1 of " in words(app)
    app.run()
    assert " · 2 of " in words(app)


def test_genes_that_share_a_pixel_are_said(dataset: DatasetRecord) -> None:
    app = open_page("images")
    app.number_input(key="image size").set_value(32)
    app.selectbox(key="layout").select("deepinsight_pca").run()
    assert "share a pixel with another" in words(app)
    assert "genes may share a pixel" in words(app)

"""The Gene images page: empty, every view, a gene found, settings that don't fit."""

import pytest

from core.data.choices import Choices, save_choices
from core.data.simulate import simulate
from core.data.store import DatasetRecord, add_dataset
from tests.pages import button, charts, open_page, words


@pytest.fixture
def dataset() -> DatasetRecord:
    data, _ = simulate(60, 200)
    return add_dataset(data, "small")


def test_without_data_the_page_leads_to_it() -> None:
    app = open_page("images")
    assert not app.exception
    app = button(app, "Bring data").click().run()
    assert app.title[0].value == "Data"


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
        app.session_state["view"] = view
        app.run()
        assert not app.exception, view
        assert not app.error, view
        assert charts(app) == 1, view


@pytest.mark.parametrize("layout", ["order", "random"])
def test_other_layouts(dataset: DatasetRecord, layout: str) -> None:
    app = open_page("images")
    app.selectbox(key="layout").select(layout).run()
    assert not app.exception
    assert charts(app) == 1


def test_a_gene_is_found_and_its_expression_shown(dataset: DatasetRecord) -> None:
    app = open_page("images")
    gene = sorted(app.selectbox(key="gene").options)[3]
    app.selectbox(key="gene").select(gene).run()
    assert charts(app) == 2
    assert f"#### {gene}" in words(app).replace("\\", "")
    assert "Neighbours" in words(app)


def test_a_link_restores_the_gene_and_an_unknown_one_does_no_harm(dataset: DatasetRecord) -> None:
    gene = open_page("images").selectbox(key="gene").options[0]
    assert open_page("images", gene=gene).selectbox(key="gene").value == gene
    app = open_page("images", gene="NOSUCHGENE")
    assert not app.exception
    assert app.selectbox(key="gene").value is None


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
    save_choices(dataset.id, Choices(label="tumour_type", where={"tumour_type": ["BRCA", "KIRC"]}))
    app = open_page("images")
    assert not app.exception
    assert app.selectbox(key="class shown").options == ["BRCA", "KIRC"]
    assert "tumour\\_type is BRCA, KIRC" in words(app)


def test_without_a_class_column_all_samples_are_shown() -> None:
    data, _ = simulate(60, 200)
    data.obs = data.obs[["patient"]]
    add_dataset(data, "no classes")
    app = open_page("images")
    assert not app.exception
    assert not app.error
    assert "60 samples" in words(app)

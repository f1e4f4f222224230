"""The Data page: empty, with the example, with uploads good and bad."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.data.simulate import simulate
from core.data.store import add_dataset, list_datasets
from tests.pages import button, charts, open_page, words


def table(samples: int = 24, genes: int = 12, classes: int = 2) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        rng.normal(6, 1, (samples, genes)).round(3), columns=[f"G{i}" for i in range(genes)]
    )
    frame.insert(0, "tumour_type", [f"T{i % classes}" for i in range(samples)])
    frame.insert(0, "sample", [f"S{i}" for i in range(samples)])
    return frame


def upload(name: str, content: bytes, labels: tuple[str, bytes] | None = None):
    app = open_page("data")
    app.file_uploader[0].upload(name, content)
    if labels:
        app.file_uploader[1].upload(*labels)
    return button(app, "Read this file").click().run()


def test_first_visit_offers_the_example_first() -> None:
    app = open_page("data")
    assert [widget.label for widget in app.button] == ["Load the example", "Read this file"]
    assert not app.exception
    assert not app.error


def test_example_in_one_click() -> None:
    app = button(open_page("data"), "Load the example").click().run()
    assert not app.exception
    assert [metric.value for metric in app.metric] == ["600", "1,000", "5", "counts"]
    assert charts(app) == 1
    record = list_datasets()[0]
    assert app.query_params["dataset"] == record.id[:12]
    assert record.id in words(app)  # where it is kept
    assert not button(app, "See gene-images →").disabled
    app = button(app, "See gene-images →").click().run()
    assert app.title[0].value == "Gene images"
    assert not app.exception


def test_upload_says_what_was_understood() -> None:
    app = upload("mine.csv", table().to_csv(index=False).encode())
    assert not app.error
    assert [metric.value for metric in app.metric] == ["24", "12", "2", "log2"]
    assert [record.name for record in list_datasets()] == ["mine.csv"]


def test_upload_with_genes_in_rows_and_labels_apart() -> None:
    frame = table().set_index("sample")
    matrix = frame.drop(columns="tumour_type").T.rename_axis("gene")
    content = gzip.compress(matrix.to_csv(sep="\t").encode())
    labels = frame[["tumour_type"]].to_csv().encode()
    app = upload("mine.tsv.gz", content, ("labels.csv", labels))
    assert not app.error
    assert [metric.value for metric in app.metric] == ["24", "12", "2", "log2"]


def test_upload_of_one_class_is_shown_but_leads_nowhere() -> None:
    app = upload("one.csv", table(classes=1).to_csv(index=False).encode())
    assert not app.exception
    assert "at least two classes" in words(app)
    assert button(app, "See gene-images →").disabled


def no_labels_match() -> tuple:
    labels = table().set_index("sample")[["tumour_type"]].rename(index=lambda name: f"X{name}")
    matrix = table().drop(columns="tumour_type").to_csv(index=False).encode()
    return "mine.csv", matrix, ("labels.csv", labels.to_csv().encode())


def same_sample_twice() -> tuple:
    return "twice.csv", pd.concat([table(), table().head(1)]).to_csv(index=False).encode()


@pytest.mark.parametrize(
    "given",
    [
        ("empty.csv", b""),
        ("letter.csv", b"Dear colleague,\nhere is my data.\n"),
        ("picture.csv", b"\x89PNG\r\n\x1a\n" + bytes(range(256))),
        ("words.csv", b"sample,tumour_type\nS1,A\nS2,B\n"),
        same_sample_twice(),
        no_labels_match(),
    ],
    ids=lambda given: given[0],
)
def test_bad_upload_gives_one_message_and_stores_nothing(given: tuple, home: Path) -> None:
    app = upload(*given)
    assert not app.exception
    assert len(app.error) == 1
    assert "unforeseen" not in app.error[0].value
    assert not list_datasets()
    assert not list((home / "datasets").glob("*"))


def test_reading_nothing_asks_for_a_file() -> None:
    app = button(open_page("data"), "Read this file").click().run()
    assert [error.value for error in app.error] == ["Choose an expression matrix first."]


def test_what_nobody_foresaw_is_calm(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("core.data.read.read_dataset", fail)
    app = upload("mine.csv", table().to_csv(index=False).encode())
    assert not app.exception
    assert "unforeseen" in app.error[0].value
    assert "secret" not in words(app)


def test_names_are_shown_as_they_are() -> None:
    data, _ = simulate(60, 200)
    data.obs["tumour_type"] = data.obs["tumour_type"].replace("LUAD", "![x](http://x.y/*z*)")
    add_dataset(data, "odd names")
    app = open_page("data")
    assert not app.exception
    assert "![x]" not in words(app)


def test_delete_asks_first_and_leads_back_to_the_start() -> None:
    data, _ = simulate(60, 200)
    add_dataset(data, "small")
    app = open_page("data")
    assert button(app, "Delete dataset").disabled
    app.checkbox[0].check().run()
    app = button(app, "Delete dataset").click().run()
    assert not list_datasets()
    assert button(app, "Load the example")


def test_link_to_a_dataset_that_is_gone_says_so() -> None:
    data, _ = simulate(60, 200)
    add_dataset(data, "small")
    app = open_page("data", dataset="0123456789ab")
    assert not app.exception
    assert "not here" in app.warning[0].value
    assert app.metric[0].value == "60"

"""The Data page: empty, with the example, with uploads good and bad."""

import gzip
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.data.choices import Choices, load_choices, save_choices
from core.data.cohort import Cohort
from core.data.simulate import simulate
from core.data.store import add_dataset, list_datasets
from core.runs.spec import RunSpec
from core.runs.store import RunStore
from tests.pages import button, charts, open_page, run_script, words


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
    kind = "application/octet-stream"
    files = [(*file, kind) for file in (labels, (name, content)) if file]  # in whatever order
    return app.file_uploader[0].set_value(files).run()


def upload_and_keep(name: str, content: bytes, labels: tuple[str, bytes] | None = None):
    return button(upload(name, content, labels), "Save this dataset").click().run()


def metrics(app: AppTest) -> dict[str, str]:
    """The sizes in the line above the findings."""
    line = next(each.value for each in app.markdown if "** samples · " in each.value)
    *sizes, scale = line.split(" · ")
    found = (re.fullmatch(r"\*\*(.+)\*\* (.+)", size).groups() for size in sizes)
    return {name.capitalize(): number for number, name in found} | {"Scale": scale}


def test_first_visit_offers_two_examples_first() -> None:
    app = open_page("data")
    assert [found.label for found in app.button[:2]] == [
        "Load real tumours", "Load simulated tumours",
    ]  # fmt: skip
    assert len(app.file_uploader) == 1
    assert not app.exception
    assert not app.error


def test_real_tumours_in_one_click() -> None:
    app = button(open_page("data"), "Load real tumours").click().run()
    assert not app.exception
    assert not app.error
    found = metrics(app)
    assert {name: found[name] for name in ("Samples", "Genes", "Classes", "Patients", "Scale")} == {
        "Samples": "602", "Genes": "2,000", "Classes": "11", "Patients": "602", "Scale": "log2",
    }  # fmt: skip
    assert not button(app, "See gene-images →").disabled
    # its run is the one that the page Train would start; else: python assets/make_ready.py
    there = button(app, "See its last run →").click().run()
    assert "of 182 held-out samples are right" in words(there)
    asked = RunSpec.from_yaml(open_page("train").code[0].value)
    assert [run.id for run in RunStore().list()] == [asked.id]


def test_simulated_tumours_in_one_click() -> None:
    app = button(open_page("data"), "Load simulated tumours").click().run()
    assert not app.exception
    assert metrics(app) == {
        "Samples": "600", "Genes": "1,000", "Classes": "5", "Patients": "543", "Batches": "4",
        "Scale": "counts",
    }  # fmt: skip
    assert charts(app) == 2
    record = list_datasets()[0]
    assert app.query_params["dataset"] == record.id[:12]
    assert record.id in words(app)  # where it is kept
    assert not button(app, "See gene-images →").disabled
    for way, title in (("See gene-images →", "Gene images"), ("Train on these →", "Train")):
        there = button(open_page("data", dataset=record.id[:12]), way).click().run()
        assert there.title[0].value == title
        assert not there.exception


def test_each_choice_of_a_dataset_holds_and_stands_in_the_link() -> None:
    for seed in range(3):
        add_dataset(simulate(60, 200, seed=seed)[0], f"number {seed}")
    app = open_page("data")
    for place in (1, 2, 0, 1):
        box = next(box for box in app.selectbox if box.label == "Dataset")
        box.select_index(place).run()
        box = next(box for box in app.selectbox if box.label == "Dataset")
        assert box.index == place
        assert app.query_params["dataset"] == box.value


def test_upload_says_what_was_understood() -> None:
    app = upload("mine.csv", table().to_csv(index=False).encode())
    assert not app.error
    assert "24 samples x 12 genes" in words(app)
    assert "Samples are in rows" in words(app)
    assert not list_datasets()  # nothing is kept until the user agrees
    app = button(app, "Save this dataset").click().run()
    assert not app.exception
    assert metrics(app)["Samples"] == "24"
    assert metrics(app)["Scale"] == "log2"
    assert [record.name for record in list_datasets()] == ["mine.csv"]


def test_upload_with_genes_in_rows_and_labels_apart() -> None:
    frame = table().set_index("sample")
    matrix = frame.drop(columns="tumour_type").T.rename_axis("gene")
    content = gzip.compress(matrix.to_csv(sep="\t").encode())
    labels = frame[["tumour_type"]].to_csv().encode()
    app = upload_and_keep("mine.tsv.gz", content, ("labels.csv", labels))
    assert not app.error
    assert (metrics(app)["Samples"], metrics(app)["Classes"]) == ("24", "2")


def test_files_of_one_name_and_the_wrong_guess_taken_back() -> None:
    ages = "sample,tumour_type," + ",".join(f"age{n}" for n in range(40)) + "\n"
    frame = table()
    ages += "".join(
        f"{name},{kind}," + ",".join(str(n + 1.5) for n in range(40)) + "\n"
        for name, kind in zip(frame["sample"], frame["tumour_type"], strict=True)
    )
    matrix = frame.drop(columns="tumour_type").to_csv(index=False)
    app = open_page("data")
    files = [("one.csv", text.encode(), "text/csv") for text in (matrix, ages)]
    app.file_uploader[0].set_value(files).run()
    choice = next(box for box in app.segmented_control if box.label == "The expression is in")
    assert choice.options == ["1: one.csv", "2: one.csv"]
    assert choice.value == 1
    assert "24 samples x 40 genes" in words(app)
    choice.set_value(0).run()
    assert "24 samples x 12 genes" in words(app)
    assert not app.error


def test_upload_of_one_class_is_shown_but_leads_nowhere() -> None:
    app = upload_and_keep("one.csv", table(classes=1).to_csv(index=False).encode())
    assert not app.exception
    assert "at least two classes" in words(app)
    assert button(app, "See gene-images →").disabled
    assert button(app, "Train on these →").disabled


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


def test_labels_can_be_pasted() -> None:
    frame = table().set_index("sample")
    app = upload("mine.csv", frame.drop(columns="tumour_type").to_csv().encode())
    pasted = frame[["tumour_type"]].to_csv(sep="\t")
    app = app.text_area(key="pasted").input(pasted).run()
    assert not app.error
    app = button(app, "Save this dataset").click().run()
    assert metrics(app)["Classes"] == "2"


def test_a_workbook_with_two_sheets_offers_them(tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    with pd.ExcelWriter(path) as book:
        table().to_excel(book, sheet_name="all", index=False)
        table(samples=6).to_excel(book, sheet_name="few", index=False)
    app = upload("book.xlsx", path.read_bytes())
    assert app.selectbox(key="part").options == ["all", "few"]
    assert "24 samples" in words(app)
    app = app.selectbox(key="part").select("few").run()
    assert "6 samples" in words(app)


def test_a_turned_table_is_turned_back_by_hand() -> None:
    app = upload("mine.csv", table().drop(columns="tumour_type").to_csv(index=False).encode())
    app.session_state["orientation"] = "genes_in_rows"
    app.run()
    assert "12 samples x 24 genes" in words(app)


def test_roles_are_shown_and_changed_before_anything_is_kept() -> None:
    frame = table(samples=40, genes=30)
    frame["stage"] = ["I", "II"] * 20
    frame["thing"] = [n % 3 for n in range(40)]
    app = upload("mine.csv", frame.to_csv(index=False).encode())
    assert app.selectbox(key="role tumour_type class").value == "class"
    assert app.selectbox(key="role thing label").value == "label"  # 0, 1, 2 is no log2 expression
    assert "40 samples x 30 genes" in words(app)
    app = app.selectbox(key="role stage label").select("class").run()
    assert app.selectbox(key="role tumour_type label").value == "label"
    app = button(app, "Take thing as a gene").click().run()
    assert "40 samples x 31 genes" in words(app)
    app = app.selectbox(key="role tumour_type label").select("ignore").run()
    app = app.text_input(key="other column").input("G3").run()
    app = app.selectbox(key="other role").select("label").run()
    app = button(app, "Read again").click().run()
    assert "40 samples x 30 genes" in words(app)
    assert not list_datasets()
    app = button(app, "Save this dataset").click().run()
    assert not app.exception
    record = list_datasets()[0]
    assert set(record.columns) == {"stage", "G3"}
    assert load_choices(record.id).cohort.label == "stage"


def test_what_was_said_is_taken_back_and_is_forgotten_with_the_file() -> None:
    app = upload("mine.csv", table().to_csv(index=False).encode())
    app = app.text_input(key="other column").input("nothing").run()
    app = button(app, "Read again").click().run()
    assert "no column 'nothing'" in app.error[0].value
    app = button(app, "Take back what you said (nothing = names the rows)").click().run()
    assert not app.error
    app = app.selectbox(key="role tumour_type class").select("ignore").run()
    app.file_uploader[0].upload("other.csv", table(samples=30).to_csv(index=False).encode()).run()
    assert app.selectbox(key="role tumour_type class").value == "class"


def test_spellings_of_a_class_are_counted_as_one_on_every_page() -> None:
    frame = table()
    frame["tumour_type"] = ["LUAD", "luad", "LUSC"] * 8
    app = upload_and_keep("mine.csv", frame.to_csv(index=False).encode())
    assert metrics(app)["Classes"] == "3"
    app = button(app, "Take them as one").click().run()
    assert metrics(app)["Classes"] == "2"
    assert "luad counts as LUAD" in words(app)
    assert "luad: LUAD" in open_page("train").code[0].value


def messy() -> bytes:
    frame = table(samples=40, genes=200, classes=3)
    frame.loc[39, frame.columns[2:]] = frame.loc[38, frame.columns[2:]]  # a copy
    frame.loc[frame["tumour_type"] == "T1", frame.columns[5:9]] = np.nan
    frame["patient"] = [f"P{n}" for n in range(40)]
    return frame.to_csv(index=False).encode()


def test_findings_are_repaired_by_buttons_and_the_decisions_are_kept() -> None:
    app = upload_and_keep("messy.csv", messy())
    assert metrics(app)["Samples"] == "40"
    app = button(app, "Keep one of each").click().run()
    assert metrics(app)["Samples"] == "39"
    app = button(app, "Leave these 4 genes out").click().run()
    assert "leave" not in " ".join(w.label.lower() for w in app.button)
    record = list_datasets()[0]
    choices = load_choices(record.id)
    assert choices.cohort.leave_out == ("S39",)
    assert choices.preparation.missing == "drop"
    app = open_page("data")  # another session, another day
    assert metrics(app)["Samples"] == "39"
    train = open_page("train")
    assert not train.exception
    assert "without 1 that were left out" in words(train)
    assert "missing: drop" in train.code[0].value
    assert "- S39" in train.code[0].value
    app = button(app, "Take it all back").click().run()
    assert metrics(app)["Samples"] == "40"


@pytest.mark.parametrize("view", ["card", "heat", "values", "prepare"])
def test_every_view(view: str) -> None:
    app = upload_and_keep("messy.csv", messy())
    app.session_state["data view"] = view
    app.run()
    assert not app.exception
    assert not app.error
    assert charts(app) == {"card": 2, "heat": 1, "values": 2, "prepare": 0}[view]


def test_a_preparation_is_chosen_told_and_kept() -> None:
    app = upload_and_keep("messy.csv", messy())
    app.session_state["data view"] = "prepare"
    app.run()
    area = next(area for area in app.text_area if area.label == "Only these genes")
    area.input("G1, G2 G3\nG1 unknown").run()
    assert "3 of the 4 listed genes" in words(app)
    columns = next(box for box in app.multiselect if box.label.startswith("Keep only"))
    columns.set_value(["tumour_type"]).run()
    next(box for box in app.multiselect if box.label == r"tumour\_type is").set_value(
        ["T0", "T2"]
    ).run()
    app = button(app, "Use this preparation").click().run()
    assert not app.exception
    choices = load_choices(list_datasets()[0].id)
    assert choices.preparation.gene_list == ("G1", "G2", "G3", "unknown")
    assert choices.cohort.where == {"tumour_type": ["T0", "T2"]}
    assert button(app, "Use this preparation").disabled


def test_a_choice_that_cannot_be_listed_stays_and_a_number_out_of_range_is_not_used() -> None:
    """Conditions on a column of more than 60 values aren't offered; saving must not lose them."""
    data, _ = simulate(90, 200, seed=1)
    record = add_dataset(data, "simulated")
    patients = sorted(set(data.obs["patient"]))[:70]
    save_choices(
        record.id, Choices(cohort=Cohort(label="tumour_type", where={"patient": patients}))
    )
    app = open_page("data", dataset=record.id[:12])
    app.session_state["data view"] = "prepare"
    app.run()
    assert "As decided before: a choice by patient" in words(app)
    genes = next(field for field in app.number_input if field.label == "Genes")
    app = genes.set_value(2).run()
    assert not app.exception
    assert any("Genes must be 4 to 20000, got 2" in error.value for error in app.error)
    assert not [widget for widget in app.button if widget.label == "Use this preparation"]
    genes = next(field for field in app.number_input if field.label == "Genes")
    app = genes.set_value(20).run()
    app = button(app, "Use this preparation").click().run()
    choices = load_choices(record.id)
    assert (choices.preparation.genes, choices.cohort.where) == (20, {"patient": patients})


def test_the_class_that_is_picked_holds_on_every_page_and_later() -> None:
    frame = table()
    frame["stage"] = ["I", "II", "III"] * 8
    app = upload_and_keep("mine.csv", frame.to_csv(index=False).encode())
    short = list_datasets()[0].id[:12]
    app.selectbox(key=f"label {short}").select("stage").run()
    assert metrics(app)["Classes"] == "3"
    assert open_page("train").selectbox(key=f"label {short}").value == "stage"


def test_what_nobody_foresaw_is_calm(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("core.data.read.read_any", fail)
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
    assert "![x](" in words(app)  # as its readers see it
    assert not any("![x](" in element.value for element in [*app.markdown, *app.caption])


def test_delete_asks_first_and_leads_back_to_the_start() -> None:
    data, _ = simulate(60, 200)
    add_dataset(data, "small")
    app = button(open_page("data"), "Delete this dataset").click().run()
    assert list_datasets()
    app = button(app, "Yes, delete it").click().run()
    assert not list_datasets()
    assert button(app, "Load simulated tumours")


def test_link_to_a_dataset_that_is_gone_says_so() -> None:
    data, _ = simulate(60, 200)
    add_dataset(data, "small")
    app = open_page("data", dataset="0123456789ab")
    assert not app.exception
    assert "not among" in app.warning[0].value
    assert metrics(app)["Samples"] == "60"


def test_cohorts_that_are_here_are_joined() -> None:
    """Of two cohorts whose classes stand in columns of other names."""
    data = simulate(60, 200, seed=1)[0]
    here, there = data[:30].copy(), data[30:].copy()
    there.obs = there.obs.rename(columns={"tumour_type": "type"})
    for part, name in ((here, "here"), (there, "there")):
        add_dataset(part, name)

    def dialog() -> None:
        """The part of the dialog that joins: each answer of a dialog runs it alone."""
        from ui.join import show_join

        show_join()

    app = run_script(dialog)
    app.multiselect(key="joined cohorts").select("here").select("there").run()
    ids = {record.name: record.id for record in list_datasets()}
    app.selectbox(key=f"joined class {ids['here']}").select("tumour_type")
    app.run()
    button(app, "Join").click().run()
    assert "Say it for all, or for none" in app.error[0].value
    app.selectbox(key=f"joined class {ids['there']}").select("type").run()
    button(app, "Join").click().run()
    assert not app.exception
    [joint] = [record for record in list_datasets() if record.name == "here + there"]
    assert (joint.samples, joint.genes) == (60, 200)
    assert joint.columns["cohort"] == {"here": 30, "there": 30}
    assert "class" in joint.columns

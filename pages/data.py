"""Data: bring an expression matrix, see what was understood and what is wrong with it."""

import tempfile
from pathlib import Path

import pandas as pd
import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core.data.check import DataCard, check_dataset
from core.data.read import read_dataset
from core.data.roles import suggest_group
from core.data.simulate import simulate
from core.data.store import DatasetRecord, add_dataset, delete_dataset, list_datasets
from core.home import dataset_folder
from core.plots.figures import class_sizes
from ui.parts import (
    download_table,
    errors,
    escape_markdown,
    go_to,
    open_dataset,
    pick_dataset,
    pick_label,
    show_figure,
)

BADGES = {
    "error": ":red-badge[:material/block: put right first]",
    "warning": ":orange-badge[:material/warning: look out]",
    "info": ":blue-badge[:material/info: good to know]",
}
SCALES = {
    "counts": ("counts", "Whole numbers: reads per gene."),
    "linear": ("TPM-like", "Not whole, large values: TPM, FPKM or the like, not yet logged."),
    "log2": ("log2", "Small values: taken for log2 of the expression."),
}
ORIENTATIONS = {
    "auto": "Find out",
    "samples_in_rows": "Samples in rows",
    "genes_in_rows": "Genes in rows",
}


def bring_example() -> None:
    """Make the simulated cohort and keep it."""
    with st.spinner("Simulating 600 tumours"):
        data, _ = simulate()
        keep(add_dataset(data, "Example: five simulated tumour types"))


def bring_file(matrix: UploadedFile, labels: UploadedFile | None, orientation: str) -> None:
    """Read an upload and keep it; nothing is kept when it can't be read."""
    with tempfile.TemporaryDirectory() as folder, st.spinner(f"Reading {matrix.name}"):
        paths = []
        for number, upload in enumerate((matrix, labels)):
            if upload is not None:
                place = Path(folder) / str(number)
                place.mkdir()
                paths.append(place / Path(upload.name).name)
                paths[-1].write_bytes(upload.getbuffer())
        data = read_dataset(paths[0], *paths[1:], orientation=orientation)
        keep(add_dataset(data, Path(matrix.name).name))


def keep(record: DatasetRecord) -> None:
    """Make a dataset the one that all pages show."""
    st.query_params["dataset"] = record.id[:12]
    st.session_state["last dataset"] = record.id[:12]


@st.cache_data(max_entries=20, show_spinner="Checking the data")
def examine(dataset: str, label: str | None, group: str | None) -> DataCard:
    """The data card of a stored dataset."""
    return check_dataset(open_dataset(dataset), label, group)


def show_upload() -> None:
    """The form that takes a file."""
    with st.form("upload", border=False):
        left, right = st.columns(2)
        matrix = left.file_uploader(
            "Expression matrix",
            help="CSV, TSV (also .gz), Parquet or h5ad. Samples in rows or in columns; counts, "
            "TPM or log2.",
        )
        labels = right.file_uploader(
            "Labels, if they are in a second file",
            help="A table with the sample ids in one column; others hold tumour type, patient, …",
        )
        orientation = st.segmented_control(
            "Where are the samples?", ORIENTATIONS, default="auto", required=True,
            format_func=ORIENTATIONS.get,
        )  # fmt: skip
        if st.form_submit_button("Read this file", type="primary"):
            if matrix is None:
                st.error("Choose an expression matrix first.")
            else:
                with errors():
                    bring_file(matrix, labels, orientation)
                    st.rerun()
    st.caption("Files stay on the computer that runs this app. Nothing is sent anywhere.")


def show_welcome() -> None:
    """What the app does, the example first, then one's own file."""
    st.markdown(
        "GeneCanvas paints each RNA-Seq profile as an image, fine-tunes a network on the images, "
        "and shows **which genes** tell one tumour type from another."
    )
    with st.container(border=True):
        st.markdown("#### Start with the example")
        st.markdown(
            "600 simulated tumours of five types, with marker genes that are known, so that "
            "every later answer can be checked. It takes a few seconds."
        )
        if st.button("Load the example", type="primary"):
            bring_example()
            st.rerun()
    with st.container(border=True):
        st.markdown("#### Or bring your own data")
        show_upload()


@st.dialog("Add a dataset", width="large")
def ask_for_more() -> None:
    """The form again, over the page, when there are datasets already."""
    show_upload()
    if st.button("Load the example", type="tertiary"):
        with errors():
            bring_example()
            st.rerun()


def show_dataset(record: DatasetRecord) -> None:
    """What a dataset is, what was found about it, and what comes next."""
    data = open_dataset(record.id)
    columns = list(data.obs.columns)
    left, right = st.columns(2)
    with left:
        label = pick_label(record)
    guess = suggest_group(data)
    group = right.selectbox(
        "Patient", [None, *columns], index=1 + columns.index(guess) if guess else 0,
        format_func=lambda name: name or "none: samples can't be grouped",
        key=f"group {record.id}", help="A patient is never on both sides of a split.",
    )  # fmt: skip
    card = examine(record.id, label, group)
    understood, sizes = st.columns([3, 2], gap="large")
    with understood:
        show_card(record, card)
    with sizes:
        st.markdown("#### Class sizes")
        if card.classes:
            table = pd.DataFrame({"class": card.classes.keys(), "samples": card.classes.values()})
            show_figure(class_sizes(card.classes), table, "class_sizes", alt="Samples by class")
        else:
            st.caption("Choose the column that holds the class.")
    st.markdown("#### A corner of the matrix")
    corner = pd.DataFrame(data.X[:6, :12], data.obs_names[:6], data.var_names[:12])
    known = data.obs[:6].drop(columns=corner.columns, errors="ignore")
    st.dataframe(
        pd.concat([known, corner], axis=1), height="content",
        column_config={"_index": st.column_config.TextColumn("sample", width="medium")},
    )  # fmt: skip
    show_keeping(record)


def show_card(record: DatasetRecord, card: DataCard) -> None:
    """Its size, what reading did and found, and the way on when nothing stands in it."""
    numbers = st.columns(4)
    numbers[0].metric("Samples", f"{card.samples:,}")
    numbers[1].metric("Genes", f"{card.genes:,}")
    numbers[2].metric("Classes", len(card.classes) or "–")
    scale, meaning = SCALES[card.scale]
    numbers[3].metric("Scale", scale, help=f"{meaning} Found from the values.")
    st.markdown("#### What was understood")
    for note in record.notes:
        st.markdown(f":gray-badge[:material/description: reading] {escape_markdown(note)}")
    for finding in card.findings:
        st.markdown(f"{BADGES[finding.severity]} {escape_markdown(finding.message)}")
    st.space("small")
    wrong = any(finding.severity == "error" for finding in card.findings)
    if wrong or not card.label:
        st.caption("Once a class column is chosen and nothing stands in the way, go on from here.")
    if st.button("See gene-images →", type="primary", disabled=wrong or not card.label):
        go_to("images")


def show_keeping(record: DatasetRecord) -> None:
    """Where a dataset is kept, and how to delete it."""
    with st.expander("Where this dataset is kept, and how to delete it"):
        st.markdown(
            f"`{dataset_folder(record.id)}` · {record.bytes / 1e6:.1f} MB · added "
            f"{record.added[:16].replace('T', ' ')} UTC"
        )
        if record.source == "simulated":
            download_table(
                lambda: simulate()[1], "planted_genes", "Planted marker genes (CSV)", key="truth"
            )
        sure = st.checkbox(
            "Yes, delete this dataset. Runs that used it keep their results, but can't go on.",
            key=f"sure {record.id}",
        )
        if st.button("Delete dataset", disabled=not sure):
            delete_dataset(record.id)
            st.session_state.pop("last dataset", None)
            st.query_params.clear()
            st.rerun()


st.title("Data")
with errors():
    if not list_datasets():
        show_welcome()
    else:
        chosen, more = st.columns([4, 1], vertical_alignment="bottom")
        with chosen:
            record = pick_dataset()
        if more.button("Add a dataset", icon=":material/add:", width="stretch"):
            ask_for_more()
        if record:
            show_dataset(record)

"""Data: bring an expression matrix, see what was understood and what is wrong with it."""

import tempfile
from pathlib import Path

import pandas as pd
import streamlit as st

from core.data.check import check_dataset, suggest_group, suggest_label
from core.data.read import read_dataset
from core.data.simulate import simulate
from core.data.store import DatasetRecord, add_dataset, delete_dataset, list_datasets
from core.home import dataset_folder
from core.plots.figures import class_sizes
from ui.parts import errors, go_to, open_dataset, pick_dataset, show_figure

ICONS = {
    "error": ":red-badge[error]",
    "warning": ":orange-badge[warning]",
    "info": ":blue-badge[note]",
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


def bring_file(matrix, labels, orientation: str) -> None:
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
def examine(dataset: str, label: str | None, group: str | None):
    """The data card of a stored dataset."""
    return check_dataset(open_dataset(dataset), label, group)


def show_upload() -> None:
    """The form that takes a file."""
    with st.form("upload", border=False):
        left, right = st.columns(2)
        matrix = left.file_uploader(
            "Expression matrix",
            help="CSV, TSV (also .gz), Parquet or h5ad. Samples in rows or in columns.",
        )
        labels = right.file_uploader(
            "Labels (if they are in a second file)",
            help="A table with the sample ids in one column, and tumour type, patient, …",
        )
        orientation = st.segmented_control(
            "Where are the samples?", ORIENTATIONS, default="auto",
            format_func=ORIENTATIONS.get,
        )  # fmt: skip
        if st.form_submit_button("Read this file", type="primary"):
            if matrix is None:
                st.error("Choose an expression matrix first.")
            else:
                with errors():
                    bring_file(matrix, labels, orientation or "auto")
                    st.rerun()


def show_dataset(record: DatasetRecord) -> None:
    """What a dataset is, what was found about it, and what comes next."""
    data = open_dataset(record.id)
    columns = list(data.obs.columns)
    left, right = st.columns(2)
    guess = suggest_label(data)
    label = left.selectbox(
        "Class (tumour type)", columns, index=columns.index(guess) if guess else None,
        key=f"label {record.id}", placeholder="choose the column",
    )  # fmt: skip
    guess = suggest_group(data)
    group = right.selectbox(
        "Patient", [None, *columns], index=1 + columns.index(guess) if guess else 0,
        format_func=lambda name: name or "none: samples can't be grouped",
        key=f"group {record.id}", help="A patient is never on both sides of a split.",
    )  # fmt: skip
    card = examine(record.id, label, group)
    numbers = st.columns(4)
    numbers[0].metric("Samples", f"{card.samples:,}")
    numbers[1].metric("Genes", f"{card.genes:,}")
    numbers[2].metric("Classes", len(card.classes) or "–")
    scales = {"counts": "counts", "linear": "TPM-like", "log2": "log2"}
    numbers[3].metric("Scale", scales[card.scale], help="Found from the values' range.")
    for note in record.notes:
        st.caption(note)
    for finding in card.findings:
        st.markdown(f"{ICONS[finding.severity]} {finding.message}")
    st.space("small")
    if (
        not any(finding.severity == "error" for finding in card.findings)
        and label
        and st.button("See gene-images →", type="primary")
    ):
        go_to("images")

    left, right = st.columns([2, 3], gap="large")
    with left:
        st.markdown("#### Class sizes")
        if card.classes:
            table = pd.DataFrame({"class": card.classes.keys(), "samples": card.classes.values()})
            show_figure(class_sizes(card.classes), table, "class_sizes", alt="Samples by class")
    with right:
        st.markdown("#### A corner of the matrix")
        corner = pd.DataFrame(data.X[:8, :10], data.obs_names[:8], data.var_names[:10])
        st.dataframe(pd.concat([data.obs[:8], corner], axis=1), height="content")

    with st.expander("Where this dataset is kept, and how to delete it"):
        st.markdown(
            f"`{dataset_folder(record.id)}` · {record.bytes / 1e6:.1f} MB · added "
            f"{record.added[:16].replace('T', ' ')} UTC"
        )
        sure = st.checkbox("Yes, delete this dataset", key=f"sure {record.id}")
        if st.button("Delete dataset", disabled=not sure):
            delete_dataset(record.id)
            st.session_state.pop("last dataset", None)
            st.query_params.clear()
            st.rerun()


st.title("Data")
with errors():
    if not list_datasets():
        st.markdown(
            "GeneCanvas paints each RNA-Seq profile as an image, fine-tunes a network on the "
            "images, and shows **which genes** tell one tumour type from another."
        )
        with st.container(border=True):
            st.markdown("#### Start with the example")
            st.markdown(
                "600 simulated tumours of five types, with marker genes that are known, so that "
                "every later answer can be checked."
            )
            if st.button("Load the example", type="primary"):
                bring_example()
                st.rerun()
        with st.container(border=True):
            st.markdown("#### Or bring your own data")
            show_upload()
    else:
        with st.expander("Bring more data"):
            if st.button("Load the example"):
                bring_example()
                st.rerun()
            show_upload()
        if record := pick_dataset():
            show_dataset(record)

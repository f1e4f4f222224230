"""Bringing data: the example, one's own file with a preview before it is kept, public datasets."""

from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
from anndata import AnnData
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core.data import quota
from core.data.catalogue import (
    CATALOGUE,
    PublicDataset,
    fetch,
    forget,
    kept,
    kept_files,
    own_entry,
    read_entry,
)
from core.data.formats import list_parts
from core.data.genes import find_outdated, read_hgnc, rename_genes
from core.data.read import read_dataset
from core.data.simulate import simulate
from core.data.store import DatasetRecord, add_dataset
from core.scratch import scratch
from ui.parts import errors, escape_markdown
from ui.uploads import hold

ORIENTATIONS = {
    "auto": "Find out",
    "samples_in_rows": "Samples in rows",
    "genes_in_rows": "Genes in rows",
}
FORMATS = (
    "CSV, TSV or other text (also .gz, .bz2, .xz, .zst), Excel, Parquet, Feather, h5ad, GCT, "
    "MATLAB, or an archive with one of these, with one file a sample (STAR, HTSeq, RSEM, salmon, "
    "kallisto, GDC) or with a Matrix Market folder."
)
CORNER = (6, 8)
"""Samples and genes of the corner that is shown."""
ROLES = {
    "sample": ("blue", "rgba(35, 137, 181, 0.22)"),
    "about samples": ("orange", "rgba(230, 159, 0, 0.25)"),
    "expression": ("green", "rgba(0, 158, 115, 0.18)"),
}


def keep(record: DatasetRecord) -> None:
    """Make a dataset the one that all pages show."""
    st.query_params["dataset"] = record.id[:12]
    st.session_state["last dataset"] = record.id[:12]
    st.session_state.pop("draft", None)


def offer_example(kind: str = "primary") -> None:
    """The button that makes the simulated cohort and keeps it."""
    if st.button("Load the example", type=kind):
        with errors(), st.spinner("Simulating 600 tumours"):
            data, _ = simulate()
            keep(add_dataset(data, "Example: five simulated tumour types"))
            st.rerun()


def show_upload() -> None:
    """Take a file, show how it was understood, and keep it when the user agrees."""
    left, right = st.columns(2)
    matrix = left.file_uploader("Expression matrix", key="matrix", help=FORMATS)
    labels = right.file_uploader(
        "Labels, if they are in a second file", key="labels",
        help="A table with the sample ids in one column; others hold tumour type, patient, …",
    )  # fmt: skip
    st.caption("Files stay on the computer that runs this app. Nothing is sent anywhere.")
    if matrix is None:
        return
    pasted = None
    if labels is None:
        pasted = right.text_area(
            "or type or paste them", placeholder="sample\ttumour_type\nS1\tLUAD\nS2\tLUSC",
            height=100, key="pasted",
        )  # fmt: skip
    with errors(), scratch() as folder:
        paths = _write_uploads(folder, matrix, labels, pasted)
        parts = list_parts(paths[0])
        options = st.columns(2)
        part = options[0].selectbox(
            "Which table", parts, index=None, placeholder="the largest one", key="part"
        ) if parts else None  # fmt: skip
        orientation = options[1].segmented_control(
            "Where are the samples?", ORIENTATIONS, default="auto", required=True,
            format_func=ORIENTATIONS.get, key="orientation",
        )  # fmt: skip
        asked = (matrix.file_id, labels and labels.file_id, pasted, orientation, part)
        show_draft(_read_draft(asked, paths, orientation, part), Path(matrix.name).name)


def _write_uploads(
    folder: Path, matrix: UploadedFile, labels: UploadedFile | None, pasted: str | None
) -> list[Path]:
    """The uploads as files, under their own bare names; typed labels as one in `folder`."""
    paths = [hold(matrix)]
    if labels is not None:
        paths.append(hold(labels))
    elif pasted and pasted.strip():
        paths.append(folder / "typed labels")
        paths[1].write_text(pasted, encoding="utf-8")
    return paths


def _read_draft(asked: tuple, paths: list[Path], orientation: str, part: str | None) -> AnnData:
    """What the files hold; read once for each way of asking."""
    draft = st.session_state.get("draft")
    if draft is None or draft[0] != asked:
        words = f"Reading {escape_markdown(paths[0].name)}"
        bar = st.progress(0.0, words)
        try:
            data = read_dataset(
                paths[0], *paths[1:], orientation=orientation, part=part,
                progress=lambda share: bar.progress(share, words),
            )  # fmt: skip
        finally:
            bar.empty()
        st.session_state["draft"] = draft = (asked, data)
    return draft[1]


def show_draft(data: AnnData, name: str) -> None:
    """What was understood of a file that isn't kept yet."""
    st.markdown(f"#### {data.n_obs:,} samples x {data.n_vars:,} genes")
    data = offer_current_symbols(data)
    show_notes(data.uns["notes"])
    show_corner(data)
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    title = left.text_input("Name", name, key=f"name {name}")
    if right.button("Keep this dataset", type="primary", width="stretch"):
        with errors(), st.spinner("Keeping the dataset"):
            keep(add_dataset(data, title))
            st.rerun()


def offer_current_symbols(data: AnnData) -> AnnData:
    """Rename outdated symbols if the user wants it; HGNC's list is fetched once for that."""
    hgnc = CATALOGUE["hgnc"]
    if not kept(hgnc):
        if st.button("Look for outdated gene symbols (fetches HGNC's list once)", type="tertiary"):
            with errors():
                fetch_with_bar(hgnc)
                st.rerun()
        return data
    outdated = find_outdated(data.var_names, former_symbols(str(kept_files(hgnc)[0])))
    if not outdated:
        return data
    examples = ", ".join(f"{old} → {new}" for old, new in list(outdated.items())[:3])
    wanted = st.toggle(
        f"Use today's symbols for {len(outdated)} outdated ones ({escape_markdown(examples)})",
        key="today's symbols",
    )
    return rename_genes(data, outdated) if wanted else data


@st.cache_resource(max_entries=1, show_spinner=False)
def former_symbols(path: str) -> dict[str, str]:
    """HGNC's former symbols."""
    return read_hgnc(Path(path))


def show_notes(notes: list[str]) -> None:
    """What reading did, a line each."""
    for note in notes:
        st.markdown(f":gray-badge[:material/description: reading] {escape_markdown(note)}")


def show_corner(data: AnnData) -> None:
    """The first samples and genes, coloured by what they were taken for."""
    samples, genes = CORNER
    about = data.obs.iloc[:samples, :4].astype(str).reset_index(drop=True)
    values = pd.DataFrame(
        np.asarray(data.X[:samples, :genes]), columns=[f"{g} " for g in data.var_names[:genes]]
    )
    corner = pd.concat([pd.DataFrame({"sample": data.obs_names[:samples]}), about, values], axis=1)
    corner.columns = _make_unique(corner.columns)
    colours = [ROLES["sample"][1], *[ROLES["about samples"][1]] * about.shape[1]]
    colours += [ROLES["expression"][1]] * values.shape[1]
    styled = corner.style.apply(
        lambda row: [f"background-color: {colour}" for colour in colours], axis=1
    ).format(precision=3, na_rep="missing", subset=list(corner.columns[1 + about.shape[1] :]))
    shown = [role for role in ROLES if role != "about samples" or about.shape[1]]
    st.markdown("A corner of it: " + " ".join(f":{ROLES[role][0]}-badge[{role}]" for role in shown))
    st.dataframe(styled, hide_index=True, height="content", key=f"corner {data.shape}")


def _make_unique(names: pd.Index) -> list[str]:
    """Column names of which none stands twice."""
    found: dict[str, int] = {}
    unique = []
    for name in names:
        found[name] = found.get(name, 0) + 1
        unique.append(name + " " * (found[name] - 1))
    return unique


def show_catalogue() -> None:
    """Public datasets, each with its licence and one button."""
    taken, limit = sum(quota.usage().values()), quota.limit()
    st.caption(
        f"Fetched once, then usable without a network. Kept so far: {taken / 1e9:.2f} of "
        f"{limit / 1e9:.0f} GB."
    )
    for entry in CATALOGUE:
        if entry.matrix is not None:
            with st.container(border=True):
                show_entry(entry)
    with st.container(border=True):
        st.markdown("**A file at an address of your own**")
        url = st.text_input("Address", placeholder="https://…/matrix.tsv.gz", key="own address")
        if url:
            with errors():
                show_entry(own_entry(url.strip()), titled=False)


def show_entry(entry: PublicDataset, *, titled: bool = True) -> None:
    """One public dataset: what it is, what is odd about it, fetch, open, forget."""
    if titled:
        st.markdown(f"**{escape_markdown(entry.title)}**  \n{escape_markdown(entry.help)}")
    for trap in entry.traps:
        st.markdown(f":orange-badge[:material/warning: look out] {escape_markdown(trap)}")
    here = kept(entry)
    size = "size not published" if entry.bytes is None else f"{entry.bytes / 1e6:,.0f} MB"
    st.caption(
        f"{size} · licence: {escape_markdown(entry.licence)} · cite: "
        f"{escape_markdown(entry.citation)}"
    )
    row = st.container(horizontal=True)
    words = "Open it" if here else "Fetch and open it"
    if row.button(words, key=f"fetch {entry.name}", type="primary"):
        with errors():
            keep(add_dataset(_fetch_and_read(entry), entry.title))
            st.rerun()
    if here and row.button(
        f"Delete the download ({here / 1e6:,.0f} MB)", key=f"forget {entry.name}"
    ):
        with errors():
            forget(entry)
            st.rerun()


def _fetch_and_read(entry: PublicDataset) -> AnnData:
    fetch_with_bar(entry)
    with st.spinner("Reading what was fetched"):
        return read_entry(entry)


def fetch_with_bar(entry: PublicDataset) -> None:
    """Download what isn't here yet of a catalogue entry, with its progress."""
    bar = st.progress(0.0, "Asking the server")

    def progress(name: str, done: int, total: int | None) -> None:
        of = f" of {total / 1e6:,.0f}" if total else ""
        bar.progress(
            min(1.0, done / total) if total else 0.0,
            f"{escape_markdown(name)}: {done / 1e6:,.0f}{of} MB",
        )

    try:
        fetch(entry, progress)
    finally:
        bar.empty()

"""Bringing data: the examples, one's own file with a preview before it is stored, public ones."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import streamlit as st
from anndata import AnnData
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core.data import quota
from core.data.brought import find_expression
from core.data.catalogue import CATALOGUE, PublicDataset
from core.data.choices import Choices, load_choices, save_choices
from core.data.cohort import Cohort
from core.data.fetched import fetch, forget, kept, kept_files, own_entry, read_entry
from core.data.formats.asking import list_parts
from core.data.gene_symbols import Symbols, find_ids, find_new_names, read_hgnc, rename_genes
from core.data.notes import Finding
from core.data.read import read_dataset
from core.data.roles import CHOSEN, Column, Role
from core.data.simulate import simulate
from core.data.store import DatasetRecord, add_dataset
from core.escape import escape_markdown
from core.runs.example import add_example
from core.scratch import scratch
from ui.kept import cache_resource
from ui.parts import errors, say_finding
from ui.uploads import hold

ORIENTATIONS = {
    "auto": "Find out",
    "samples_in_rows": "Samples in rows",
    "genes_in_rows": "Genes in rows",
}
FORMATS = (
    "CSV, TSV or other text (also .gz, .bz2, .xz, .zst), Excel, Parquet, Feather, h5ad, 10x, loom, "
    "GCT, GEO's series matrix, MATLAB, or an archive with one of these, with one file per sample "
    "(GDC, STAR, HTSeq, RSEM, salmon, kallisto, GEO's RAW.tar) or with 10x folders."
)
LABELS = (
    "A table of labels has the sample ids in one column; others hold tumour type, patient, … "
    "Several, such as GDC's sample sheet and clinical table, can be brought at once."
)
ROLE_TITLES: dict[Role, str] = {
    "id": "Names the rows",
    "class": "Class",
    "patient": "Patient",
    "batch": "Batch or site",
    "label": "Other label",
    "gene": "Gene",
    "sample": "Sample",
    "ignore": "Leave out",
}
MOST_COLUMNS = 40
"""Columns whose roles are listed."""
LOW, HIGH = 6, 380
"""Columns from which the list scrolls, and its height in pixels then."""
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


def offer_examples() -> None:
    """Two examples, each kept by one click: real tumours, and simulated ones with known genes."""
    real, simulated = st.columns(2)
    with real:
        st.markdown(
            "**Real**: 602 tumours of eleven types from The Cancer Genome Atlas, with the 2,000 "
            "genes that vary most. As in real data, some values are missing. A finished run, its "
            "genes and a story come with them."
        )
        _offer("Load real tumours", add_example, "primary")
    with simulated:
        st.markdown(
            "**Simulated**: 600 tumours of five types, with marker genes that are known, so that "
            "every later answer can be checked."
        )
        _offer(
            "Load simulated tumours",
            lambda: add_dataset(simulate()[0], "Five simulated tumour types"),
        )


def _offer(
    label: str, add: Callable[[], DatasetRecord],
    kind: Literal["primary", "secondary"] = "secondary",
) -> None:  # fmt: skip
    if st.button(label, type=kind):
        with errors(), st.spinner("Reading 600 tumours"):
            keep(add())
            st.rerun()


def show_upload(use: Callable[[DatasetRecord], None] = keep) -> None:
    """Take a file, or several that are one dataset, show how they were understood, and store it
    when the user agrees.

    Args:
        use: what the page does with the dataset once it is stored.
    """
    uploads = st.file_uploader(
        "Expression matrix, and tables of labels if they are in files of their own",
        accept_multiple_files=True, key="files", help=f"{FORMATS} {LABELS}",
    )  # fmt: skip
    st.caption("Files stay on the computer that runs this app. Nothing is sent anywhere.")
    if not uploads:
        return
    with errors(), scratch() as folder:
        paths = [hold(upload) for upload in uploads]
        _forget_other_files(tuple(upload.file_id for upload in uploads))
        pasted = None
        if len(paths) > 1:
            first = _ask_expression(uploads, paths)
            paths.insert(0, paths.pop(first))
        else:
            pasted = st.text_area(
                "Labels that stand in no file can be typed or pasted",
                placeholder="sample\ttumour_type\nS1\tLUAD\nS2\tLUSC", height=100, key="pasted",
            )  # fmt: skip
        if pasted and pasted.strip():
            paths.append(folder / "typed labels")
            paths[1].write_text(pasted, encoding="utf-8")
        parts = list_parts(paths[0])
        options = st.columns(2)
        part = options[0].selectbox(
            "Which table", parts, index=None, placeholder="the largest one", key="part"
        ) if parts else None  # fmt: skip
        orientation = options[1].segmented_control(
            "Where are the samples?", ORIENTATIONS, default="auto", required=True,
            format_func=ORIENTATIONS.get, key="orientation",
        )  # fmt: skip
        said = st.session_state["said"]["changes"]
        if said:
            st.button(
                f"Take back what you said ({_name_changes(said)})", on_click=_unsay,
                icon=":material/undo:", type="tertiary",
            )  # fmt: skip
        ways = {"orientation": orientation, "part": part, **said}
        files = tuple(str(path) for path in paths[: len(uploads)])
        asked = (files, pasted, repr(ways))
        draft = None
        with errors():
            draft = _read_draft(asked, paths, ways)
        if draft is None:
            _ask_another()
        else:
            show_draft(draft, paths[0].name, use)


def _ask_expression(uploads: Sequence[UploadedFile], paths: Sequence[Path]) -> int:
    """Which of several files holds the expression; told from what is in them, and can be said."""
    files = tuple(upload.file_id for upload in uploads)
    found = st.session_state.get("expression found")
    if found is None or found[0] != files:
        with st.spinner("Looking which file holds the expression"):
            found = st.session_state["expression found"] = (files, find_expression(paths))
    names = [escape_markdown(path.name) for path in paths]
    if len(set(names)) < len(names):  # a choice is known by its words
        names = [f"{n}: {name}" for n, name in enumerate(names, start=1)]
    return st.segmented_control(
        "The expression is in", range(len(paths)), default=found[1], required=True,
        format_func=names.__getitem__, key=f"expression {files}",
        help="The other files are tables about its samples, and are joined to it.",
    )  # fmt: skip


def _forget_other_files(files: tuple[str | None, ...]) -> None:
    """What was said about a file doesn't hold for the next one."""
    if st.session_state.get("said", {}).get("files") != files:
        st.session_state["said"] = {"files": files, "changes": {}}


def _say(**changes: Any) -> None:
    """Let the draft be read again with other arguments of `read_dataset`."""
    said = st.session_state["said"]["changes"]
    for name, value in changes.items():
        if name in ("orientation", "part"):
            st.session_state[name] = value
        elif name == "roles":
            before = {k: v for k, v in said.get("roles", {}).items() if k not in value}
            said["roles"] = {**before, **value}
        else:
            said[name] = value


def _unsay() -> None:
    st.session_state["said"]["changes"] = {}


def _name_changes(changes: dict[str, Any]) -> str:
    roles = changes.get("roles", {}).items()
    listed = [f"{_call(name)} = {ROLE_TITLES[role].lower()}" for name, role in roles]
    listed += [f"{name} = {value}" for name, value in changes.items() if name != "roles"]
    return ", ".join(map(escape_markdown, listed[:3])) + (" …" if len(listed) > 3 else "")


def _call(column: str) -> str:
    return column or "the column without a name"


def _read_draft(asked: tuple, paths: list[Path], ways: dict[str, Any]) -> AnnData:
    """What the files hold; read once for each way of asking."""
    draft = st.session_state.get("draft")
    if draft is None or draft[0] != asked:
        words = f"Reading {escape_markdown(paths[0].name)}"
        bar = st.progress(0.0, words)
        try:
            data = read_dataset(
                paths[0], *paths[1:], **ways,
                progress=lambda share: bar.progress(share, words),
            )  # fmt: skip
        finally:
            bar.empty()
        st.session_state["draft"] = draft = (asked, data)
    return draft[1]


def show_draft(data: AnnData, name: str, use: Callable[[DatasetRecord], None]) -> None:
    """What was understood of a file that isn't stored yet."""
    st.markdown(f"## {data.n_obs:,} samples x {data.n_vars:,} genes")
    data = offer_current_symbols(data)
    for finding in map(Finding.model_validate, data.uns["findings"]):
        say_finding(finding, lambda f=finding: _say(**f.repair.changes))
    show_notes(data.uns["notes"])
    ask_roles(data)
    show_corner(data)
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    title = left.text_input("Name", name, key=f"name {name}")
    if right.button("Save this dataset", type="primary", width="stretch"):
        with errors(), st.spinner("Saving the dataset"):
            record = add_dataset(data, title)
            columns = {c["role"]: c["name"] for c in data.uns["columns"] if c["role"] in CHOSEN}
            if columns and load_choices(record.id) is None:
                chosen = {field: columns.get(role) for role, field in CHOSEN.items()}
                save_choices(record.id, Choices(cohort=Cohort(**chosen)))
            st.session_state.pop("draft", None)
            use(record)
            st.rerun()


def ask_roles(data: AnnData) -> None:
    """What each column was taken for that isn't simply a gene or a sample; each can be changed."""
    columns = [Column.model_validate(column) for column in data.uns["columns"]]
    st.markdown("### What the columns are")
    st.caption(
        "All others are genes or samples. After a change the file is read again; nothing is saved "
        "yet."
    )
    with st.container(border=True, height=HIGH if len(columns) > LOW else "content", gap="xsmall"):
        for column in columns[:MOST_COLUMNS]:
            _ask_role(column)
    if len(columns) > MOST_COLUMNS:
        st.caption(f"And {len(columns) - MOST_COLUMNS} more; their roles can be said below.")
    _ask_another()


def _ask_another() -> None:
    """A role for a column that isn't listed, as none is while the file can't be read."""
    with st.expander("Another column or row"):
        left, middle, right = st.columns([3, 2, 1], vertical_alignment="bottom")
        name = left.text_input("Its name, as it stands in the file", key="other column")
        role = middle.selectbox("It is", ROLE_TITLES, format_func=ROLE_TITLES.get, key="other role")
        right.button(
            "Read again", disabled=not name, on_click=lambda: _say(roles={name: role}),
            width="stretch",
        )  # fmt: skip


def _ask_role(column: Column) -> None:
    name, role, why = st.columns([3, 2, 3], vertical_alignment="center")
    doubt = ":orange-badge[:material/help: sure?] " if column.doubtful else ""
    name.markdown(
        f"{doubt}**{escape_markdown(_call(column.name))}**  \n"
        f":small[{escape_markdown(column.example)}]"
    )
    options = [r for r in ROLE_TITLES if r == column.role or r in column.can]
    key = f"role {column.name} {column.role}"
    role.selectbox(
        escape_markdown(_call(column.name)), options, index=options.index(column.role), key=key,
        format_func=ROLE_TITLES.get, label_visibility="collapsed",
        on_change=lambda: _say(roles={column.name: st.session_state[key]}),
    )  # fmt: skip
    why.caption(escape_markdown(column.why))


def offer_current_symbols(data: AnnData) -> AnnData:
    """Rename ids and outdated symbols if the user wants it; HGNC's list is fetched once for it."""
    hgnc, kind = CATALOGUE["hgnc"], find_ids(data.var_names)
    if not kept(hgnc):
        words = (
            f"Look for the symbols of these {kind}" if kind else "Look for outdated gene symbols"
        )
        if st.button(f"{words} (fetches HGNC's list once)", type="tertiary"):
            with errors():
                fetch_with_bar(hgnc)
                st.rerun()
        return data
    known, kind = read_symbols(str(kept_files(hgnc)[0])), kind or "outdated symbols"
    names = find_new_names(
        data.var_names, known.former if kind == "outdated symbols" else known.ids
    )
    if not names:
        return data
    examples = ", ".join(f"{old} → {new}" for old, new in list(names.items())[:3])
    wanted = st.toggle(
        f"Use today's symbols for {len(names)} {kind} ({escape_markdown(examples)})",
        key="today's symbols",
    )
    return rename_genes(data, names, kind) if wanted else data


@cache_resource(max_entries=1, show_spinner=False)
def read_symbols(path: str) -> Symbols:
    """HGNC's symbols."""
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
    taken, limit = quota.taken(anew=True), quota.limit()
    st.caption(
        f"Fetched once, then usable without a network. Stored so far: {taken / 1e9:.2f} of "
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

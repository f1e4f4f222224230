"""The computers that train: this one's devices, or those of a Ray cluster and what runs there."""

from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from core.devices import cluster, devices
from core.escape import escape_markdown, escape_message
from core.jobs.computers import Computer, Computers, last_seen
from core.jobs.launch import look_at_cluster
from core.jobs.store import JobStore
from core.jobs.which import Which
from core.words import say_duration
from ui.line import say_facts, show_line
from ui.parts import errors

WORDS = {"cpu": "the processor", "cuda": "GPU"}


def show_computers() -> None:
    """The page."""
    facts = show_line("Computers").facts
    address = cluster()
    if address is None:
        say_facts(facts, "this computer")
        _show_here()
        return
    say_facts(facts, f"Ray cluster {address}")
    st.fragment(_show_cluster, run_every=2)()


def _show_here() -> None:
    names = [_name_device(device) for device in devices()]
    st.markdown(
        f"Trainings run on this computer: on {' and '.join(names)}, one at a time on each.\n\n"
        "More computers can share the work as a Ray cluster: start Ray on them, and this app with "
        "`GENECANVAS_RAY=auto`. [How that is done](/docs?read=docs/cluster.md)."
    )


def _name_device(device: str) -> str:
    kind, _, number = device.partition(":")
    return f"{WORDS[kind]} {number}".strip()


def _show_cluster() -> None:
    """What the coordinator saw last; there is one while somebody looks."""
    with errors():
        look_at_cluster()
        seen = last_seen()
        if seen is None:
            st.caption(
                "Looking for the cluster. That takes some seconds, or a minute where it doesn't "
                "answer."
            )
            return
        if seen.problem:
            st.error(escape_message(seen.problem))
            return
        names = {}
        if JobStore.exists():
            jobs = [job for computer in seen.computers for job in computer.jobs]
            names = {record.id: record.name for record in JobStore().list(Which(ids=jobs))}
        ago = say_duration(max((datetime.now(UTC) - seen.seen).total_seconds(), 1))
        st.markdown(f"{_count(seen)} Looked at {ago} ago.")
        st.dataframe(
            pd.DataFrame([_row(computer, names) for computer in seen.computers]),
            hide_index=True, key="computers",
        )  # fmt: skip
        for words in dict.fromkeys(map(_say_unused, seen.computers)):
            st.markdown(escape_markdown(words))
        st.caption(
            "Answers to pages, such as explanations, are computed on the computer of this app. "
            "[Setting up a cluster](/docs?read=docs/cluster.md)"
        )


def _count(seen: Computers) -> str:
    used = sum(not computer.why_unused for computer in seen.computers)
    return f"**{used} of {len(seen.computers)}** computers get trainings, {seen.at_once} at a time."


def _say_unused(computer: Computer) -> str:
    """Why a computer gets no trainings; empty where it gets some."""
    return computer.why_unused and f"{computer.name} gets none. {computer.why_unused}"


def _row(computer: Computer, names: dict[str, str]) -> dict[str, str | int | float]:
    gpus = f"{computer.gpus} {computer.kind}".strip() if computer.gpus else "none"
    versions = computer.versions
    files = "reads the home itself" if computer.sees_home else "are sent"
    return {
        "computer": computer.name,
        "trains": "; ".join(names.get(job, "a training") for job in computer.jobs) or "–",
        "gets trainings": "no" if computer.why_unused else "yes",
        "CPUs": computer.cpus,
        "GPUs": gpus,
        "memory, GB": round(computer.memory / 1e9, 1),
        "files": files if versions else "–",
        "Python": versions.get("Python", "–"),
        "torch": versions.get("torch", "–"),
        "GeneCanvas": versions.get("GeneCanvas", "–"),
    }

"""Who uses a server, what they take of it, and what they may: for those who look after it."""

import pandas as pd
import streamlit as st

from core.errors import GeneCanvasError, InputError
from core.escape import escape_markdown, escape_message
from core.home import at, server_home
from core.jobs.launch import cancel
from core.jobs.record import UNFINISHED
from core.jobs.store import RUN, JobStore
from core.jobs.which import Which
from core.people import Person, Quota, clear_home, list_people, load_rules, set_quota
from core.sharing import Invitation, forget_person, list_invitations, list_shared
from core.sizes import recent_size
from ui.parts import pick_row
from ui.signin import is_admin


def show_people() -> None:
    """A row a person, and for the chosen one what they do, may, and what can be stopped."""
    if not is_admin():
        raise InputError("There is no such page.")
    with at(server_home()):
        people, rules = list_people(), load_rules()
        table = pd.DataFrame([_describe(one, rules.is_admin(one.name)) for one in people])
        st.caption(
            "Limits of everybody stand in people.yaml in the server's home: "
            + "; ".join(_say_quota(rules.quota))
        )
        row = pick_row(table, "people", why="to see more of a person")
        if row is not None:
            _show_person(people[row])


def _describe(person: Person, admin: bool) -> dict[str, object]:
    """What a row says of a person: how much, and nothing of what it is."""
    with at(person.home):
        store = JobStore() if JobStore.exists() else None
        counts = store.counts() if store else {}
        return {
            "name": person.name,
            "admin": "yes" if admin else "",
            "last seen": f"{person.seen:%Y-%m-%d %H:%M}",
            "GB": round(recent_size(person.home) / 1e9, 2),
            "datasets": sum(1 for _ in person.home.glob("datasets/*/record.json")),
            "runs": sum(count for (kind, _), count in counts.items() if kind == RUN),
            "at work": sum(count for (_, state), count in counts.items() if state in UNFINISHED),
            "device hours, 7 days": round(store.device_hours(), 1) if store else 0.0,
        }


def _say_quota(quota: Quota) -> list[str]:
    return [
        f"{field.title}: {'no limit' if value is None else f'{value:g}'}"
        for field, value in zip(Quota.model_fields.values(), dict(quota).values(), strict=True)
    ]


def _show_person(person: Person) -> None:
    st.markdown(f"## {escape_markdown(person.name)}")
    left, right = st.columns(2)
    with left, st.form(f"quota {person.key}"):
        st.markdown("**Limits of their own**, where empty those of everybody")
        given = {
            name: st.number_input(
                field.title, value=getattr(person.quota, name), key=f"{name} {person.key}",
                placeholder="as everybody",
            )
            for name, field in Quota.model_fields.items()
        }  # fmt: skip
        if st.form_submit_button("Set them"):
            try:
                set_quota(person.key, Quota.model_validate(given))
                st.rerun()
            except ValueError:
                st.error(
                    "A limit is empty, or a number: GB above 0, whole runs, hours of 0 or more."
                )
    with at(person.home):
        counts = JobStore().counts() if JobStore.exists() else {}
    left_to_do = {one: count for one, count in counts.items() if one[1] in UNFINISHED}
    with right:
        _show_work(person, left_to_do)
        _show_links(person)
        sure = st.checkbox(
            "Yes, delete all that stands in their home", key=f"sure {person.key}",
            help="Datasets, runs, stories, all of it, also what they share. What others have taken "
            "of it they keep.",
        )  # fmt: skip
        st.button(
            "Clear their home", disabled=not sure or bool(left_to_do), key=f"clear {person.key}",
            on_click=_attempt, args=(_clear, person.key),
            help="Stop their work first." if left_to_do else None,
        )  # fmt: skip


def _show_work(person: Person, counts: dict[tuple[str, str], int]) -> None:
    """How many of their jobs of each kind and state are at work, and the button that stops all."""
    st.markdown(f"**At work**: {sum(counts.values()):,}")
    for (kind, state), count in counts.items():
        st.caption(f"{count:,} × {kind}, {state}")
    if counts:
        st.button(
            "Stop all of it", key=f"stop {person.key}", on_click=_attempt, args=(_stop, person)
        )


def _show_links(person: Person) -> None:
    shared = [note for note in list_shared() if note.by == person.key]
    links: list[Invitation] = [
        one for one in list_invitations(everybody=True) if one.note.by == person.key
    ]
    if shared or links:
        st.caption(f"Shares {len(shared)} with the lab, {len(links)} by guests' links.")
        st.button(
            "Take that back", key=f"unshare {person.key}", on_click=_attempt,
            args=(forget_person, person.key),
        )  # fmt: skip


def _stop(person: Person) -> None:
    with at(person.home):
        for record in JobStore().list(Which(states=UNFINISHED)):
            cancel(record.id)


def _clear(key: str) -> None:
    forget_person(key)
    clear_home(key)


def _attempt(action, *args) -> None:
    if not is_admin():
        return
    try:
        with at(server_home()):
            action(*args)
    except GeneCanvasError as error:
        st.toast(escape_message(str(error)))

"""What is damaged and can be mended, said where it is met, with the button that sees to it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import streamlit as st

from core.errors import DamageError
from core.escape import escape_message
from core.home import only_looks
from core.runs.doctor import (
    damaged_computed,
    damaged_decisions,
    drop_computed,
    set_aside_decisions,
)
from ui.parts import errors, go_to_run
from ui.work import act

REMOVE = "Remove what is damaged"


@contextmanager
def mending(
    thing: str,
    find: Callable[[str], object],
    mend: Callable[[str], None],
    label: str,
    elsewhere: Callable[[str], None] | None = None,
) -> Iterator[None]:
    """As `errors`; where something of a thing turns out to be damaged there is a button.

    Args:
        thing: the id of a dataset or a run.
        find: what of it is damaged and can be mended; nothing where the damage is elsewhere.
        mend: mends that.
        label: of the button.
        elsewhere: offers the way to where the thing's other damage is mended.
    """
    with errors():
        try:
            yield
        except DamageError as error:
            st.error(escape_message(str(error)))
            if only_looks():
                return
            if find(thing):
                act(label, mend, thing, key=f"mend {label}")
            elif elsewhere:
                elsewhere(thing)


def mending_decisions(dataset: str) -> AbstractContextManager[None]:
    """What was decided about a dataset is set aside where it is damaged."""
    return mending(dataset, damaged_decisions, set_aside_decisions, "Set it aside")


def mending_computed(run: str) -> AbstractContextManager[None]:
    """What was computed of a run is removed where it is damaged, to be computed again."""
    return mending(run, damaged_computed, drop_computed, REMOVE)


def mending_run(run: str) -> AbstractContextManager[None]:
    """The same on other pages than the run's own, to which a button leads for all other damage."""
    return mending(run, damaged_computed, drop_computed, REMOVE, _offer_run)


def _offer_run(run: str) -> None:
    if st.button("See what can be done →", key="damaged run"):
        go_to_run(run)

"""What pages remember for all sessions: each answer belongs to the home that it was asked in.

Streamlit's caches are one for all who use the server, and find an answer by the arguments alone; an
id that somebody else knows would find what was read for them.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

import streamlit as st

from core.home import home


def cache_data(**options: Any) -> Callable[[Callable], Callable]:
    """`st.cache_data` with its options, apart for each home."""
    return _for_each_home(st.cache_data(**options))


def cache_resource(**options: Any) -> Callable[[Callable], Callable]:
    """`st.cache_resource` with its options, apart for each home."""
    return _for_each_home(st.cache_resource(**options))


def _for_each_home(cache: Callable[[Callable], Callable]) -> Callable[[Callable], Callable]:
    def decorate(function: Callable) -> Callable:
        @wraps(function)
        def compute(place: str, *args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        # Streamlit takes the names of arguments, of which those with _ don't count, from here
        signature = inspect.signature(function)
        place = inspect.Parameter("place", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        compute.__signature__ = signature.replace(
            parameters=[place, *signature.parameters.values()]
        )
        kept = cache(compute)

        @wraps(function)
        def ask(*args: Any, **kwargs: Any) -> Any:
            return kept(str(home()), *args, **kwargs)

        ask.clear = kept.clear
        return ask

    return decorate

"""How large a dataset may be."""

from core.errors import InputError

MAX_VALUES = 500_000_000
"""Samples x genes: 2 GB as float32."""
MAX_TEXT_BYTES = 8_000_000_000
"""A text file, after unpacking."""


def refuse_large(rows: int, columns: int, name: str) -> None:
    """Raise InputError when a matrix has more than `MAX_VALUES` values."""
    if rows * columns > MAX_VALUES:
        raise InputError(
            f"{name} has {rows:,} x {columns:,} values; at most {MAX_VALUES:,} can be read. "
            "Leave out samples, or genes that hardly vary."
        )

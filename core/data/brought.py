"""Files that are brought together: which one holds the expression, and which are about samples."""

from collections.abc import Sequence
from pathlib import Path

from core.data.formats.asking import read_any
from core.data.matrix import Matrix
from core.errors import InputError

FAR_LARGER = 20
"""Times as large a file as the next one is the expression without being read for it."""


def find_expression(files: Sequence[Path]) -> int:
    """Which of several files holds the expression: the one with the most numbers.

    A file that is far larger than all others isn't read for that, as tables about samples are
    small.

    Args:
        files: one or more, of any format; those that can't be read hold no numbers.

    Returns:
        Its place among them, the first of equals.
    """
    sizes = [path.stat().st_size for path in files]
    largest = sizes.index(max(sizes))
    if all(size * FAR_LARGER < sizes[largest] for n, size in enumerate(sizes) if n != largest):
        return largest
    numbers = [_count_numbers(path) for path in files]
    return numbers.index(max(numbers))


def _count_numbers(path: Path) -> int:
    try:
        read = read_any(path)
    except InputError:
        return 0
    if isinstance(read, Matrix):
        return read.x.size
    return read.rows * sum(read.is_number(column) for column in range(len(read.names)))

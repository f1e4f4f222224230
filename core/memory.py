"""What a process remembers: what it read and fitted for one job, and may need for the next."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

Value = TypeVar("Value")


class Memory:
    """Values by all that decides them; what was asked for longest ago is forgotten first.

    It ends with its process. A value is given as it is, not copied: nobody may change it.

    Args:
        most: bytes that all values may take together; a larger one isn't remembered.
    """

    def __init__(self, most: float) -> None:
        self.most = most
        self._known: OrderedDict[str, tuple[Any, int]] = OrderedDict()

    def recall(
        self, key: str, compute: Callable[[], Value], weigh: Callable[[Value], int]
    ) -> Value:
        """The value of a key, computed unless it is known.

        Args:
            key: says all that decides the value, so that equal keys mean equal bits.
            compute: gives the value.
            weigh: its bytes, about.
        """
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key][0]
        value = compute()
        size = weigh(value)
        if size <= self.most:
            self._known[key] = value, size
        while sum(size for _, size in self._known.values()) > self.most:
            self._known.popitem(last=False)
        return value

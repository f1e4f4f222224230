"""Durations in words."""

import pytest

from core.words import say_duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "1 second"), (1.4, "1 second"), (1.6, "2 seconds"), (89, "89 seconds"),
     (90, "1.5 minutes"), (1200, "20 minutes"), (9000, "2.5 hours"), (180_000, "2.1 days")],
)  # fmt: skip
def test_durations_are_said_to_two_figures(seconds: float, words: str) -> None:
    assert say_duration(seconds) == words

"""What a process remembers: by its key, the last that was asked for, within a limit."""

from core.memory import Memory


def ask(memory: Memory, key: str, size: int = 1) -> bool:
    """Whether a value had to be computed."""
    computed = []
    value = memory.recall(key, lambda: computed.append(key) or key.upper(), lambda _: size)
    assert value == key.upper()
    return bool(computed)


def test_a_value_is_computed_once() -> None:
    memory = Memory(most=10)
    assert [ask(memory, key) for key in "aba"] == [True, True, False]


def test_what_was_asked_for_longest_ago_goes_first() -> None:
    memory = Memory(most=3)
    for key in "abcab":  # c is the oldest
        ask(memory, key)
    ask(memory, "d")
    assert [ask(memory, key) for key in "abd"] == [False] * 3
    assert ask(memory, "c")


def test_values_take_no_more_than_the_limit() -> None:
    memory = Memory(most=10)
    ask(memory, "a", 6)
    ask(memory, "b", 6)
    assert ask(memory, "a", 6)
    assert ask(memory, "large", 11)
    assert ask(memory, "large", 11)
    assert not ask(memory, "a"), "one that is too large pushes nothing out"

"""YAML that people write, read with limits on size, depth and what its references unfold to."""

from typing import Any

import yaml

from core.errors import InputError

MAX_BYTES = 300_000
MAX_NODES = 100_000
"""Most values, each counted as often as it is referred to."""
MAX_DEPTH = 50


def parse_yaml(content: bytes | str, what: str) -> Any:
    """The document that a YAML text holds.

    Args:
        content: the text; bytes must be UTF-8.
        what: what messages call it, such as "The study".

    Raises:
        InputError: it isn't YAML in UTF-8, or larger, deeper or more than a person writes.
    """
    if len(content) > MAX_BYTES:
        raise InputError(f"{what} has more than {MAX_BYTES:,} characters. Write a shorter one.")
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
        _check_depth(text, what)
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _count(node, what, {}, ())
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{what} is not a text in UTF-8 (byte {error.start + 1}). Save it as UTF-8."
        ) from None
    except (yaml.YAMLError, ValueError, OverflowError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{what} is not valid YAML: {reason[:300]}") from None


def _check_depth(text: str, what: str) -> None:
    """Stop reading where it is nested too deep; finding the end of that would take long."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise _say_too_deep(what)


def _count(node: yaml.Node, what: str, known: dict[int, int], above: tuple[int, ...]) -> int:
    """How many values a node unfolds to."""
    if id(node) in above or len(above) > MAX_DEPTH:
        raise _say_too_deep(what)
    if id(node) in known:
        return known[id(node)]
    children: list[yaml.Node] = []
    if isinstance(node, yaml.SequenceNode):
        children = node.value
    elif isinstance(node, yaml.MappingNode):
        children = [part for pair in node.value for part in pair]
    total = 1 + sum(_count(child, what, known, (*above, id(node))) for child in children)
    if total > MAX_NODES:
        raise InputError(
            f"{what} unfolds to more than {MAX_NODES:,} values, because its references refer to "
            "references. Write out what is meant."
        )
    known[id(node)] = total
    return total


def _say_too_deep(what: str) -> InputError:
    return InputError(
        f"{what} is nested more than {MAX_DEPTH} levels deep, or refers to itself. Write it flat."
    )

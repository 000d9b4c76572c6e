"""YAML files of settings, which may come from a stranger: read within bounds, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 1_000_000
MAX_NODES = 100_000
"""Values in a file when every alias stands for all that it names: a few lines of aliases to
aliases can stand for more than any memory holds."""

MAX_DEPTH = 50


def read_yaml(path: Path) -> Any:
    """Read a YAML file of plain values.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is no YAML or no UTF-8, or larger, deeper or more than is reasonable; the
            reason is short.
    """
    with path.open("rb") as stream:
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES} bytes, which no settings are")
    try:
        text = content.decode("utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is not None:
            _size(node, {}, 0)
        return yaml.safe_load(text)
    except RecursionError as error:
        raise ValueError(f"it is nested more than {MAX_DEPTH} deep") from error
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())[:200]) from error
    except (TypeError, LookupError, AttributeError, OverflowError) as error:
        # What PyYAML raises of a value that does not fit its tag, `!!int ''` say.
        raise ValueError(f"a value does not fit its tag: {type(error).__name__}") from error


def _size(node: Any, known: dict[int, int], depth: int) -> int:
    """How many values a node stands for; each node is counted once, however often it is named."""
    if id(node) in known:
        if known[id(node)] < 0:
            raise ValueError("a value contains itself")
        return known[id(node)]
    if depth > MAX_DEPTH:
        raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
    known[id(node)] = -1
    parts: list[Any] = []
    if isinstance(node, yaml.SequenceNode):
        parts = node.value
    elif isinstance(node, yaml.MappingNode):
        parts = [part for pair in node.value for part in pair]
    size = 1 + sum(_size(part, known, depth + 1) for part in parts)
    if size > MAX_NODES:
        raise ValueError(f"it stands for more than {MAX_NODES} values")
    known[id(node)] = size
    return size

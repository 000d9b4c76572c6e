"""Markdown out of plain values."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence

_SECTION = re.compile(r"^(Attributes|Args|Returns|Raises|Example):\s*$", re.MULTILINE)
_ATTRIBUTE = re.compile(r"^(\w+): (.*)$")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a cell may hold anything but a line break that counts."""
    lines = [list(head), ["---"] * len(head), *([cell(text) for text in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def cell(text: str) -> str:
    """Text that ends no cell."""
    return " ".join(text.split()).replace("|", "\\|")


def code(text: object) -> str:
    """A code span; nothing for nothing."""
    return f"`{text}`" if text not in (None, "") else ""


def summary_of(thing: object) -> str:
    """A docstring up to its first section."""
    text = inspect.getdoc(thing) or ""
    return _SECTION.split(text, maxsplit=1)[0].strip()


def sections_of(thing: object) -> dict[str, str]:
    """The sections of a Google-style docstring, by their headings."""
    parts = _SECTION.split(inspect.getdoc(thing) or "")
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def attributes_of(thing: object) -> dict[str, str]:
    """The attributes that a Google-style docstring describes."""
    sections = sections_of(thing)
    found: dict[str, str] = {}
    name = ""
    for line in inspect.cleandoc(sections.get("Attributes", "")).splitlines():
        if match := _ATTRIBUTE.match(line):
            name, found[match[1]] = match[1], match[2]
        elif name:
            found[name] += f" {line.strip()}"
    return found

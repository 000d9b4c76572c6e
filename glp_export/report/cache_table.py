"""What the cache keeps, on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.text import Text

from glp_export.core import numbers
from glp_export.report.tables import Table, terminal_table

if TYPE_CHECKING:
    from glp_export.cache.store import Entry

WIDTH = 79

_UNITS = (("d", 86400), ("h", 3600), ("min", 60))


def cache_table(
    entries: Sequence[Entry], title: str, now: datetime | None = None
) -> RenderableType:
    """One row an entry: what it is, which model and task it belongs to, its size and age."""
    now = now or datetime.now(UTC)
    table = Table.of(
        title,
        (
            {
                "kind": entry.kind,
                "model": _name(entry.facts, "model") or entry.key[:8],
                "task": _name(entry.facts, "task") or None,
                "size": numbers.file_size(entry.bytes),
                "last used": age((now - entry.last_used).total_seconds()),
            }
            for entry in entries
        ),
        words=("model", "task"),
    )
    drawn = terminal_table(table, title, fold=("kind", "model", "task"))
    return Group(Constrain(drawn, WIDTH), Text(f"{total(entries)} in all", style="dim"))


def total(entries: Sequence[Entry]) -> str:
    """How many entries, and their size: `3 entries, 1.2 GB`."""
    noun = "entry" if len(entries) == 1 else "entries"
    size = numbers.file_size(sum(entry.bytes for entry in entries))
    return f"{len(entries)} {noun}, {size}"


def age(seconds: float) -> str:
    """How long ago: `just now`, `5 min ago`, `3 h ago`, `12 d ago`."""
    for unit, length in _UNITS:
        if seconds >= length:
            return f"{seconds // length:.0f} {unit} ago"
    return "just now"


def _name(facts: Mapping[str, Any], what: str) -> str:
    """The name of a model or task among the facts; of a path its last part."""
    value = facts.get(what)
    if isinstance(value, Mapping):
        value = value.get("name")
    name = str(value or "")
    return PurePath(name).name if PurePath(name).is_absolute() else name

"""Small HTML tables, as notebooks show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

MOST_ROWS = 60


def facts_html(title: str, facts: Mapping[str, object]) -> str:
    """Names and values, one a line."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th>"
        f"<td style='text-align:left'>{escape(str(value))}</td></tr>"
        for name, value in facts.items()
    )
    return f"<table><caption>{escape(title)}</caption>{rows}</table>"


def table_html(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of text; rows past the first sixty are counted."""
    whole = list(rows)
    heads = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in whole[:MOST_ROWS]
    )
    rest = len(whole) - MOST_ROWS
    more = f"<tr><td colspan='{len(head)}'>… and {rest} more</td></tr>" if rest > 0 else ""
    return f"<table><caption>{escape(title)}</caption><tr>{heads}</tr>{body}{more}</table>"


def lines_html(lines: Iterable[str]) -> str:
    """Sentences, one a line."""
    return "".join(f"<div>{escape(line)}</div>" for line in lines)

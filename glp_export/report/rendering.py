"""Markdown from the templates beside this file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from glp_export.core import numbers
from glp_export.core.text import markdown, plain

_LONG = 2000
TEMPLATES = Path(__file__).parent / "templates"


def render(name: str, **values: Any) -> str:
    """The text of a template with these values."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = _cell
    environment.filters["code"] = _code
    environment.filters["text"] = markdown
    return environment.get_template(name).render(**values)


def _cell(text: str) -> str:
    """Text inside a Markdown table."""
    return markdown(text, _LONG)


def _code(text: str) -> str:
    """Text as inline code, whatever is in it."""
    return f"`{plain(text, _LONG).replace('`', chr(39))}`" if text else numbers.MISSING

"""Text from templates: Markdown for the card, HTML for the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from glp_export.core import numbers
from glp_export.core.text import markdown
from glp_export.report.tables import code, markdown_table

_HERE = Path(__file__).parent


def render(name: str, **values: Any) -> str:
    """Markdown from a template with these values; `table`, `code` and `text` are its filters."""
    environment = _environment("templates", keep_trailing_newline=True)
    environment.filters["table"] = markdown_table
    environment.filters["code"] = lambda text: code(text) or numbers.MISSING
    environment.filters["text"] = markdown
    return str(environment.get_template(name).render(**values))


def render_page(name: str, **values: Any) -> str:
    """A whole HTML page from a template; whatever comes from data is escaped."""
    from glp_export.report.html.theme import variables

    environment = _environment("html/templates", autoescape=True)
    schemes = {"light": variables(0), "dark": variables(1)}
    style = environment.get_template("style.css.jinja").render(**schemes)
    return str(environment.get_template(name).render(style=style, numbers=numbers, **values))


def _environment(templates: str, **options: Any) -> Any:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / templates),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **options,
    )

"""HTML from the templates beside this file; whatever comes from data is escaped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from glp_export.report.html.theme import variables

TEMPLATES = Path(__file__).parent / "templates"


def render_page(name: str, **values: Any) -> str:
    """A whole page from a template with these values."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = environment.get_template("style.css.jinja").render(
        light=variables(0), dark=variables(1)
    )
    return environment.get_template(name).render(style=style, **values)

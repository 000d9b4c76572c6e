"""The settings of a run, from the sections of the configuration."""

from __future__ import annotations

from typing import Any

from generate.markdown import code, table
from glp_export.config.run_config import fields, heading
from glp_export.core.options import former_names, short_flag


def settings() -> str:
    """One table a panel: key, flag, default, meaning."""
    panels: dict[str, list[tuple[str, ...]]] = {}
    for name, field, section in fields():
        panels.setdefault(heading(section), []).append(_row(name, field))
    head = ("key", "flag", "default", "meaning")
    return "\n".join(f"## {panel}\n\n{table(head, rows)}" for panel, rows in panels.items())


def _row(name: str, field: Any) -> tuple[str, ...]:
    short = short_flag(field)
    flags = [f"--{one.replace('_', '-')}" for one in (name, *former_names(field))]
    flags += [short] if short else []
    return code(name), ", ".join(map(code, flags)), code(_default(field)), field.description


def _default(field: Any) -> str | None:
    if isinstance(field.default, tuple):
        return " ".join(map(str, field.default))
    if isinstance(field.default, bool):
        return "true" if field.default else "false"
    return None if field.default is None else f"{field.default}"

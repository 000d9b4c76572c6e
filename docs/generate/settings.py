"""The settings of a run, from `RunConfig`."""

from __future__ import annotations

from typing import Any

from generate.markdown import code, table
from glp_export.config.run_config import RunConfig


def settings() -> str:
    """One table a panel: key, flag, default, meaning."""
    panels: dict[str, list[tuple[str, ...]]] = {}
    for name, field in RunConfig.model_fields.items():
        extra: Any = field.json_schema_extra
        panels.setdefault(extra["panel"], []).append(_row(name, field, extra["short"]))
    head = ("key", "flag", "default", "meaning")
    return "\n".join(f"## {panel}\n\n{table(head, rows)}" for panel, rows in panels.items())


def _row(name: str, field: Any, short: str | None) -> tuple[str, ...]:
    flags = [f"--{name.replace('_', '-')}", *([short] if short else [])]
    return code(name), ", ".join(map(code, flags)), code(_default(field)), field.description


def _default(field: Any) -> str | None:
    if isinstance(field.default, tuple):
        return " ".join(map(str, field.default))
    if isinstance(field.default, bool):
        return "true" if field.default else "false"
    return None if field.default is None else f"{field.default}"

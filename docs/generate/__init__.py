"""The parts of the documentation that the package itself says: commands, settings, files, tasks."""

from __future__ import annotations

import json
from pathlib import Path

from generate import python_api
from generate.budget import budget_keys
from generate.commands import commands
from generate.exit_codes import exit_codes
from generate.repository import DOCS, copies
from generate.schemas import FILES, schema_sections
from generate.settings import settings
from generate.tables import families, metrics, strategies, tasks

PARTS = {
    "commands": commands,
    "settings": settings,
    "exit-codes": exit_codes,
    "files": schema_sections,
    "budget-keys": budget_keys,
    "tasks": tasks,
    "metrics": metrics,
    "strategies": strategies,
    "families": families,
    "python-functions": python_api.functions,
    "python-results": python_api.results,
    "python-served": python_api.served,
    "python-gate": python_api.gate_fixture,
    "python-extended": python_api.extended,
}


def write_all() -> None:
    """Write copies of the repository's other pages into `_generated/`.

    The parts of the reference stand in its pages (`generate.pages`). The JSON Schemas of the files
    go below `extra/schemas/`.
    """
    folder = DOCS / "_generated"
    for name, text in copies():
        _write(DOCS / name, text)
    for file in FILES:
        name = f"{Path(file.name).stem}.schema.json"
        text = json.dumps(file.schema(), indent=2, ensure_ascii=False) + "\n"
        _write(folder / "extra" / "schemas" / name, text)


def _write(path: Path, text: str) -> None:
    """Write what has changed: a builder that watches files then rebuilds nothing else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")

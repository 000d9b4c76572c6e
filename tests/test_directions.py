"""Which rooms may import which: imports point down, and only the doors know the configuration."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "glp_export"
GUIDE = Path(__file__).parents[1] / "CONTRIBUTING.md"
LOWER = (
    "gate",
    "publish",
    "compress",
    "bench",
    "artifact",
    "precision",
    "encoder",
    "tasks",
    "serve",
)


def imported(room: str) -> set[tuple[str, str]]:
    """Every module of ours that files of a room import, with the file."""
    found = set()
    for path in [*(PACKAGE / room).rglob("*.py"), *PACKAGE.glob(f"{room}.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [a.name for a in node.names] if isinstance(node, ast.Import) else []
            found |= {(str(path.relative_to(PACKAGE)), name) for name in names}
    return found


def rooms() -> list[str]:
    """The rooms in the order of the guide's table, the uppermost first."""
    rows = re.findall(r"^\| `([^`]+)/` \|", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    return [row for row in rows if "/" not in row]


def test_the_guide_names_every_room() -> None:
    there = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    aliases = {"search"}  # a path of 0.1
    assert set(rooms()) == there - aliases


@pytest.mark.parametrize("room", rooms())
def test_imports_point_down_the_table_of_the_guide(room) -> None:
    """Imports inside functions and for types alone count too."""
    above = rooms()[: rooms().index(room)]
    upward = [
        (file, name)
        for file, name in imported(room)
        if name.startswith("glp_export.") and name.split(".")[1] in above
    ]
    assert upward == []


@pytest.mark.parametrize("room", [*LOWER, "cache", "core"])
@pytest.mark.parametrize("upper", ["workflows", "config", "cli"])
def test_a_lower_room_imports_no_upper_one(room, upper):
    whole = f"glp_export.{upper}"
    assert not [
        (file, name)
        for file, name in imported(room)
        if name == whole or name.startswith(f"{whole}.")
    ]


def test_no_modules_import_each_other() -> None:
    """Imports inside functions and for types alone count too."""
    modules = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        modules[".".join(parts).removesuffix(".__init__")] = path
    graph = {}
    for module, path in modules.items():
        names: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module in modules:
                whole = {f"{node.module}.{alias.name}" for alias in node.names}
                # A name of a package may be a module in it; else the package gives it.
                names |= {one if one in modules else node.module for one in whole}
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names} & modules.keys()
        graph[module] = names - {module}
    tuple(TopologicalSorter(graph).static_order())  # raises CycleError with the circle

"""The command line, from the same objects that print `--help`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from rich.text import Text

from generate.markdown import code, table
from glp_export.cli.app import app

_EXAMPLE = "Example:"
_REST = "Other"


def commands() -> str:
    """One section a command: what it does, an example, its arguments and its flags by panel."""
    return "\n".join(_section(name, command) for name, command in walk(typer.main.get_command(app)))


def walk(group: Any, above: str = "glp-export") -> Iterator[tuple[str, Any]]:
    """Every command below a group, with the words that call it."""
    for name, command in group.commands.items():
        called = f"{above} {name}"
        if hasattr(command, "commands"):
            yield from walk(command, called)
        else:
            yield called, command


def example_of(command: Any) -> str | None:
    """The example in a command's help."""
    paragraphs = (command.help or "").split("\n\n")
    found = [" ".join(text.split()) for text in paragraphs if text.strip().startswith(_EXAMPLE)]
    return found[0].removeprefix(_EXAMPLE).strip() if found else None


def _section(called: str, command: Any) -> str:
    words = [
        plain(text)
        for text in (command.help or "").split("\n\n")
        if not text.strip().startswith(_EXAMPLE)
    ]
    parts = [f"## {called}", *words]
    if example := example_of(command):
        parts.append(f"```bash\n{example}\n```")
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    if arguments:
        parts.append(table(("argument", "meaning"), [_argument(one) for one in arguments]))
    for panel, flags in _panels(command).items():
        parts.append(table((panel, "meaning"), [_flag(one) for one in flags]))
    return "\n\n".join(parts) + "\n"


def _panels(command: Any) -> dict[str, list[Any]]:
    """The flags by the panel of `--help` that they stand in."""
    panels: dict[str, list[Any]] = {}
    for one in command.params:
        if one.param_type_name == "option" and not one.hidden:
            panels.setdefault(getattr(one, "rich_help_panel", None) or _REST, []).append(one)
    last = panels.pop(_REST, [])
    return {**panels, **({_REST: last} if last else {})}


def _argument(one: Any) -> tuple[str, str]:
    return code(one.name.upper()), plain(one.help or "")


def _flag(one: Any) -> tuple[str, str]:
    return ", ".join(code(name) for name in one.opts), plain(one.help or "")


def plain(text: str) -> str:
    """Help text without rich's markup."""
    return " ".join(Text.from_markup(text).plain.split())

"""Command-line flags made from the fields of the configuration: each is defined once, there."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from glp_export.config.run_config import compressor_sections, fields, heading
from glp_export.config.sections import CompressOptions
from glp_export.core.errors import UsageError
from glp_export.core.options import (
    former_names,
    short_flag,
    takes_several,
    words_beside_numbers,
)


def spread(arguments: Sequence[str]) -> list[str]:
    """Give each value of `--batch-sizes 1 8` its own flag, which is what the parser knows."""
    several = {
        flag
        for name, field, _ in fields()
        if takes_several(field)
        for flag in _spelled(name, field)
    }
    spread: list[str] = []
    flag = None
    for argument, after in pairwise((*arguments, "-")):
        name = argument.replace("_", "-") if argument.startswith("--") else argument
        if argument.startswith("-"):
            flag = name if name in several else None
            # One without a value is the parser's to refuse, or another command's switch: --int8.
            if flag is None or after.startswith("-"):
                spread.append(argument)
        elif flag:
            spread += [flag, argument]
        else:
            spread.append(argument)
    return spread


def require_filled(arguments: Sequence[str]) -> None:
    """Refuse nothing where something is meant: an empty path would be the directory one is in.

    A token is left: who has none gives an empty one, and reads what is public.

    Raises:
        UsageError: it names the flag, or what stands before.
    """
    for before, argument in pairwise(("", *arguments)):
        name, equals, value = argument.partition("=")
        if argument.strip() and not (name.startswith("--") and equals and not value.strip()):
            continue
        flag = name.strip() or before
        if flag != "--token":
            raise UsageError(
                "a value is empty; a variable of the shell may not be set",
                where=flag if flag.startswith("-") else f"after '{flag}'",
                fix="leave it out, or give a value",
            )


def flags_of(
    *wanted: type[BaseModel], also: Sequence[str] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the flags of these sections, collected in its argument `settings`.

    With the section of the search come the options of every compressor.

    Args:
        wanted: sections.
        also: names of single fields of other sections.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        own_options = compressor_sections() if CompressOptions in wanted else {}
        flags = [
            _flag(name, field, heading(section))
            for name, field, section in fields()
            if section in (*wanted, *own_options.values()) or name in also
        ]

        def wrapped(**given: Any) -> Any:
            settings = {flag.name: given.pop(flag.name) for flag in flags}
            return command(settings=_given(settings), **given)

        own = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for parameter in inspect.signature(command, eval_str=True).parameters.values()
            if parameter.name != "settings"
        ]
        wrapped.__signature__ = inspect.Signature([*own, *flags])  # type: ignore[attr-defined]
        wrapped.__annotations__ = {p.name: p.annotation for p in (*own, *flags)}
        wrapped.__doc__, wrapped.__name__ = command.__doc__, command.__name__
        return wrapped

    return decorate


def _flag(name: str, field: FieldInfo, panel: str) -> inspect.Parameter:
    """One field of the configuration as a Typer option that knows whether it was given."""
    words = words_beside_numbers(field)
    default = words[0] if words else field.default
    shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
    text = field.description
    if shown not in (None, False):
        text = f"{text} [dim](default: {shown})[/]"
    option = typer.Option(
        *_spelled(name, field), help=text, rich_help_panel=panel, show_default=False
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[_plain_type(field) | None, option],
    )


def _spelled(name: str, field: FieldInfo) -> list[str]:
    """All flags of a field: its name, its former names and its letter."""
    names = [f"--{one.replace('_', '-')}" for one in (name, *former_names(field))]
    short = short_flag(field)
    return [*names, short] if short else names


def _plain_type(field: FieldInfo) -> Any:
    """What the parser makes of a field: pydantic has the last word on its value."""
    annotation: Any = field.annotation
    if takes_several(field):
        return list[str]
    if words_beside_numbers(field):
        return str
    if annotation in (bool, int, float, str, Path):
        return annotation
    if any(get_origin(kind) is Literal for kind in get_args(annotation)):
        return str
    kinds = [kind for kind in get_args(annotation) if kind in (bool, int, float, str, Path)]
    return kinds[0] if kinds else str


def _given(settings: dict[str, Any]) -> dict[str, Any]:
    """What was given: a flag that is absent is None, an empty list or False, but 0 is a value."""
    absent = (None, False)
    return {
        name: value
        for name, value in settings.items()
        if not any(value is nothing for nothing in absent) and value != []
    }

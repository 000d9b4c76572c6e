"""Command-line flags made from the fields of `RunConfig`: each is defined once, in `config`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from glp_export.config.run_config import RunConfig

SEVERAL_VALUES = (
    *("--batch-sizes", "--seq-lens", "--depths", "--text-columns"),
    *("--precision", "--int8", "--pytorch"),
)
"""Flags that take more than one value after them."""


def spread(arguments: Sequence[str]) -> list[str]:
    """Give each value of `--batch-sizes 1 8` its own flag, which is what the parser knows."""
    spread: list[str] = []
    flag = None
    for argument in arguments:
        name = argument.replace("_", "-") if argument.startswith("--") else argument
        if argument.startswith("-"):
            flag = name if name in SEVERAL_VALUES else None
            if flag is None:
                spread.append(argument)
        elif flag:
            spread += [flag, argument]
        else:
            spread.append(argument)
    return spread


def flags_of(
    *panels: str, also: Sequence[str] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the flags of these panels, collected in its argument `settings`.

    Args:
        panels: of `RunConfig`.
        also: names of single fields of other panels.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        flags = [
            _flag(name, field)
            for name, field in RunConfig.model_fields.items()
            if _extra(field)["panel"] in panels or name in also
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


def _flag(name: str, field: Any) -> inspect.Parameter:
    """One field of the configuration as a Typer option that knows whether it was given."""
    spelled = [f"--{name.replace('_', '-')}"]
    if short := _extra(field)["short"]:
        spelled.append(short)
    default = field.default
    shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
    text = field.description
    if shown not in (None, False):
        text = f"{text} [dim](default: {shown})[/]"
    kind = _plain_type(field.annotation)
    option = typer.Option(
        *spelled, help=text, rich_help_panel=_extra(field)["panel"], show_default=False
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )


def _plain_type(annotation: Any) -> Any:
    """What the parser makes of a field: pydantic has the last word on its value."""
    kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
    if annotation in (bool, int, float, str, Path):
        return annotation
    if "tuple" in str(annotation):
        return list[str]
    if any(get_origin(kind) is Literal for kind in kinds):
        return str  # a number or a word
    return kinds[0] if any(kind in (int, float, str, Path) for kind in kinds) else str


def _extra(field: Any) -> dict[str, Any]:
    return dict(field.json_schema_extra)


def _given(settings: dict[str, Any]) -> dict[str, Any]:
    """What was given: a flag that is absent is None, an empty list or False, but 0 is a value."""
    absent = (None, False)
    return {
        name: value
        for name, value in settings.items()
        if not any(value is nothing for nothing in absent) and value != []
    }

"""The command line of a run, as it may be shown to others."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

SECRET = ("--token",)
"""Flags whose values are nobody else's business."""

_HIDDEN = "***"


def command_line(arguments: Sequence[str]) -> str:
    """The command that a shell would take, secrets hidden: it stands in files that are shared.

    Args:
        arguments: after the program's name.
    """
    shown: list[str] = []
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        if shown and shown[-1] in SECRET:
            shown.append(_HIDDEN)
        elif name in SECRET and equals:
            shown.append(f"{name}={_HIDDEN}")
        else:
            shown.append(argument)
    return shlex.join(["glp-export", *shown])

"""How a run is configured: flags over a file over defaults, and errors that name the setting."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from glp_export.config import COUNTS, RunConfig
from glp_export.errors import UsageError

SIZES = (*((name,) for name in COUNTS), ("target_speedup", "latency_budget", "max_drop"))
"""The ways to say how much goes; one on the command line replaces another in the file."""


def resolve(flags: Mapping[str, Any], file: Path | None = None) -> RunConfig:
    """Lay flags over a file over defaults.

    Args:
        flags: what was given on the command line; None means not given.
        file: a YAML file of the same names.

    Raises:
        UsageError: an unknown key, a value of the wrong kind, or values that contradict.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    values = {**(read_file(file) if file else {}), **given}
    chosen = [way for way in SIZES if not given.keys().isdisjoint(way)]
    for way in SIZES:
        if chosen and way not in chosen:
            values = {name: value for name, value in values.items() if name not in way}
    try:
        return RunConfig(**values)
    except ValidationError as error:
        raise _explain(error, file) from error


def read_file(path: Path) -> dict[str, Any]:
    """Read a YAML file of settings; dashes and underscores are the same.

    Raises:
        UsageError: it cannot be read, or is no mapping.
    """
    try:
        content = yaml.safe_load(path.read_text()) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = str(error).replace("\n", " ")
        raise UsageError(f"the configuration cannot be read: {reason}", where=str(path)) from error
    if not isinstance(content, dict):
        raise UsageError("the configuration is no mapping of names to values", where=str(path))
    return {str(name).replace("-", "_"): value for name, value in content.items()}


def _explain(error: ValidationError, file: Path | None) -> UsageError:
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    flag = f"--{name.replace('_', '-')}"
    if first["type"] == "extra_forbidden":
        close = get_close_matches(name, RunConfig.model_fields, n=1)
        return UsageError(
            f"unknown setting {name!r}",
            where=str(file) if file else None,
            fix=f"did you mean {close[0]}?" if close else "see glp-export prune-and-export --help",
        )
    message = first["msg"].removeprefix("Value error, ")
    return UsageError(
        f"{flag}: {message.lower()} (given: {first['input']})" if name else message,
        where=str(file) if file and not name else None,
        fix="see glp-export prune-and-export --help",
    )

"""How a run is configured: flags over a file over defaults, and errors that name the setting."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from glp_export.config.run_config import RunConfig, fields, flat
from glp_export.config.sections import COUNTS
from glp_export.core.errors import UsageError

SITE_FILE = "GLP_EXPORT_CONFIG"
"""Environment variable that names a file of defaults: of a team, a machine, or a test."""

Layer = tuple[Path | None, Mapping[str, Any]]
"""Settings and the file that they stand in; None for the command line."""

logger = logging.getLogger(__name__)

SIZES = (*((name,) for name in COUNTS), ("target_speedup", "latency_budget", "max_drop"))
"""The ways to say how much goes; one on the command line replaces another in the file."""


def resolve(flags: Mapping[str, Any], file: Path | None = None) -> RunConfig:
    """Lay flags over a file over the site's own defaults over the built-in ones.

    The site's defaults stand in the file that the environment names in `GLP_EXPORT_CONFIG`.

    Args:
        flags: what was given on the command line or in Python; None means not given.
        file: a YAML file of the same names.

    Raises:
        UsageError: an unknown key, a value of the wrong kind, or values that contradict.
    """
    layers: list[Layer] = [(path, read_file(path)) for path in (_site_file(), file) if path]
    layers.append((None, {key: value for key, value in _flat(flags).items() if value is not None}))
    values: dict[str, Any] = {}
    for _, given in layers:
        values = {**_without_other_sizes(values, given), **given}
    try:
        return RunConfig(**values)
    except ValidationError as error:
        raise _explain(error, layers) from error


def _flat(given: Mapping[str, Any], where: str | None = None) -> dict[str, Any]:
    """The settings side by side.

    Raises:
        UsageError: one is given twice.
    """
    try:
        return flat(given)
    except ValueError as error:
        raise UsageError(str(error), where=where, fix="give it once") from error


def _site_file() -> Path | None:
    named = os.environ.get(SITE_FILE)
    if not named:
        return None
    logger.info("defaults from %s (%s)", named, SITE_FILE)
    return Path(named).expanduser()


def _without_other_sizes(values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The values without the ways to say how much goes that what is given has replaced."""
    chosen = [way for way in SIZES if not given.keys().isdisjoint(way)]
    replaced = {name for way in SIZES for name in way if chosen and way not in chosen}
    return {name: value for name, value in values.items() if name not in replaced}


def read_file(path: Path) -> dict[str, Any]:
    """Read a YAML file of settings, in sections or not; dashes and underscores are the same.

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
    return _flat(_underscored(content), str(path))


def _underscored(content: Mapping[Any, Any]) -> dict[str, Any]:
    """The names with underscores, those inside of sections too."""
    return {
        str(name).replace("-", "_"): _underscored(value) if isinstance(value, dict) else value
        for name, value in content.items()
    }


def _explain(error: ValidationError, layers: Sequence[Layer]) -> UsageError:
    first = error.errors()[0]
    names = {name for name, _, _ in fields()}
    section_and_name = [str(part) for part in first["loc"][:2]]
    unknown = first["type"] == "extra_forbidden"
    name = section_and_name[-1] if unknown or len(section_and_name) > 1 else ""
    flag = f"--{name.replace('_', '-')}"
    places = [path for path, given in layers if (name in given if name else path)]
    where = str(places[-1]) if places and places[-1] else None
    if unknown:
        close = get_close_matches(name, names, n=1)
        return UsageError(
            f"unknown setting {name!r}",
            where=where,
            fix=f"did you mean {close[0]}?" if close else "see glp-export prune-and-export --help",
        )
    message = first["msg"].removeprefix("Value error, ")
    return UsageError(
        f"{flag}: {message.lower()} (given: {first['input']})" if name else message,
        where=where,
        fix="see glp-export prune-and-export --help",
    )

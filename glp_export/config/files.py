"""How a run is configured: flags over a file over defaults, and errors that name the setting."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from glp_export.config.run_config import COMPRESSOR_ERRORS, RunConfig, fields, flat
from glp_export.config.sections import COUNTS
from glp_export.core.errors import UsageError, quoted, reason_of
from glp_export.core.yaml_file import read_yaml

SITE_FILE = "GLP_EXPORT_CONFIG"
"""Environment variable that names a file of defaults: of a team, a machine, or a test."""

Layer = tuple[Path | None, Mapping[str, Any]]
"""Settings and the file that they stand in; None for the command line."""

MOST_FAULTS = 20

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
    layers.append(
        (None, {key: value for key, value in flat_settings(flags).items() if value is not None})
    )
    values: dict[str, Any] = {}
    for _, given in layers:
        values = {**_without_other_sizes(values, given), **given}
    try:
        return RunConfig(**values)
    except ValidationError as error:
        raise _explain(error, layers) from error


def flat_settings(given: Mapping[str, Any], where: str | None = None) -> dict[str, Any]:
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
        content = read_yaml(path) or {}
    except (OSError, ValueError) as error:
        reason = quoted(" ".join(reason_of(error).split()))
        raise UsageError(
            f"the configuration cannot be read: {reason}",
            where=str(path),
            fix="give a YAML file of settings by their flags' names; glp-export init writes one",
        ) from error
    if not isinstance(content, dict):
        raise UsageError("the configuration is no mapping of names to values", where=str(path))
    return flat_settings(_underscored(content), str(path))


def _underscored(content: Mapping[Any, Any]) -> dict[str, Any]:
    """The names with underscores, those in a section too."""
    return {
        _name(key): {_name(inner): one for inner, one in value.items()}
        if isinstance(value, dict)
        else value
        for key, value in content.items()
    }


def _name(key: Any) -> str:
    return quoted(str(key) if isinstance(key, str | int) else type(key).__name__).replace("-", "_")


@dataclass(frozen=True)
class _Fault:
    """One thing that is wrong with the settings, and the file that it stands in."""

    what: str
    file: Path | None
    fix: str = "see --help of the command"


def _explain(error: ValidationError, layers: Sequence[Layer]) -> UsageError:
    """All that is wrong, in the words of where it was written: `depth` in a file, or `--depth`."""
    faults = [_fault(one, layers) for one in _errors(error)]
    files = dict.fromkeys(str(fault.file) for fault in faults if fault.file)
    where = ", ".join(files) or None
    if len(faults) == 1:
        return UsageError(faults[0].what, where=where, fix=faults[0].fix)
    lines = [
        f"  {fault.what}{f'; {fault.fix}' if fault.fix.endswith('?') else ''}"
        for fault in faults[:MOST_FAULTS]
    ]
    if len(faults) > MOST_FAULTS:
        lines.append(f"  and {len(faults) - MOST_FAULTS} more")
    return UsageError(
        "\n".join([f"{len(faults)} settings cannot be used:", *lines]),
        where=where,
        fix=_Fault.fix,
    )


def _errors(error: ValidationError) -> list[Any]:
    """The errors one by one, those of the compressors' options among them."""
    found: list[Any] = []
    for one in error.errors(include_url=False):
        inner = one.get("ctx", {}).get("errors")
        nested = inner if one["type"] == COMPRESSOR_ERRORS else None
        found += [{**each, "loc": ("", *each["loc"])} for each in nested] if nested else [one]
    return found


def _fault(error: Mapping[str, Any], layers: Sequence[Layer]) -> _Fault:
    section_and_name = [str(part) for part in error["loc"][:2]]
    unknown = error["type"] == "extra_forbidden"
    name = section_and_name[-1] if unknown or len(section_and_name) > 1 else ""
    given_in = [path for path, given in layers if (name in given if name else path)]
    file = given_in[-1] if given_in else None
    if unknown:
        close = get_close_matches(name, {setting for setting, _, _ in fields()}, n=1)
        what = f"unknown setting {quoted(name)!r}"
        return _Fault(what, file, f"did you mean {close[0]}?" if close else _Fault.fix)
    message = quoted(error["msg"].removeprefix("Value error, "))
    if not name:
        return _Fault(message, file)
    spelled = name if file else f"--{name.replace('_', '-')}"
    message = message.removeprefix("Input ")
    return _Fault(f"{spelled}: {message} (given: {quoted(error['input'])})", file)

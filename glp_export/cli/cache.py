"""`glp-export cache`: look at what is kept between runs, and remove it."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from glp_export.cli.console import JsonFlag
from glp_export.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rich.console import RenderableType

    from glp_export.cache.store import Cache, Entry

app = typer.Typer(help="List and prune the cache.")

Root = Annotated[
    Path | None,
    typer.Option(
        "--cache", help="The cache [dim](default: $GLP_EXPORT_CACHE, else ~/.cache/glp-export)[/]."
    ),
]
Kinds = Annotated[
    list[str] | None, typer.Option("--kind", help="Only entries of this kind; may be repeated.")
]

_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_BYTES = {"b": 1} | {
    f"{letter}{binary}b": base**power
    for binary, base in (("", 1000), ("i", 1024))
    for power, letter in enumerate("kmgt", start=1)
}
_QUANTITY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", re.IGNORECASE)


@app.callback(invoke_without_command=True)
def help_without_command(context: typer.Context) -> None:
    """List and prune the cache."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command("list")
def list_command(
    kinds: Kinds = None,
    cache: Root = None,
    json_output: JsonFlag = False,
) -> None:
    """List what the cache holds, the least recently used first.

    Example: glp-export cache list --kind teacher
    """
    opened = _open(cache)
    entries = [entry for entry in opened.entries() if not kinds or entry.kind in kinds]
    if json_output:
        _print_json({"root": opened.root, "entries": [asdict(entry) for entry in entries]})
    elif entries:
        Console().print(_table(entries, "cache"))
        print(opened.root)
    else:
        print(f"nothing is kept in {opened.root}")


@app.command("prune")
def prune_command(
    older_than: Annotated[
        str | None, typer.Option(help="Remove what was last used longer ago: 12h, 30d, 8w.")
    ] = None,
    max_size: Annotated[
        str | None,
        typer.Option(help="Remove the least recently used until the rest fits: 500MB, 5GB."),
    ] = None,
    kinds: Kinds = None,
    everything: Annotated[bool, typer.Option("--all", help="Remove all of it.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Remove nothing, say what.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    cache: Root = None,
    json_output: JsonFlag = False,
) -> None:
    """Remove entries; those that a running process uses stay.

    Example: glp-export cache prune --older-than 30d --max-size 5GB
    """
    age, limit = _limits(older_than, max_size, everything)
    opened = _open(cache)
    doomed = opened.prune(older_than=age, max_bytes=limit, kinds=kinds or None, dry_run=True)
    if doomed and not yes:
        Console(stderr=json_output or not dry_run).print(_table(doomed, "to be removed"))
    if everything:
        _tell_what_stays(opened, kinds, doomed)
    removed: Sequence[Entry] = []
    if dry_run:
        words = f"would remove {_total(doomed)}" if doomed else "nothing to remove"
    elif doomed and not yes and not _confirmed(doomed):
        words = "nothing was removed"
    else:
        removed = opened.prune(older_than=age, max_bytes=limit, kinds=kinds or None)
        words = f"removed {_total(removed)}" if removed else "nothing to remove"
    if json_output:
        shown = doomed if dry_run else removed
        entries = [asdict(entry) for entry in shown]
        _print_json({"root": opened.root, "dry_run": dry_run, "removed": entries})
    else:
        print(words)


def _limits(
    older_than: str | None, max_size: str | None, everything: bool
) -> tuple[timedelta | None, int | None]:
    """The age and the size that were asked for.

    Raises:
        UsageError: none or too many of the flags were given, or one cannot be read.
    """
    if everything and (older_than or max_size):
        raise UsageError(
            "--all leaves nothing for --older-than and --max-size to choose from",
            where="--all",
            fix="leave one of them out",
        )
    if not (everything or older_than or max_size):
        raise UsageError(
            "what shall be removed was not said",
            fix="add --older-than 30d, --max-size 5GB or --all",
        )
    if everything:
        return None, 0
    age = _quantity(older_than, _SECONDS, "--older-than", "an age like 12h, 30d or 8w")
    limit = _quantity(max_size, _BYTES, "--max-size", "a size like 500MB, 5GB or 2GiB")
    try:
        return None if age is None else timedelta(seconds=age), None if limit is None else int(
            limit
        )
    except OverflowError as error:
        raise UsageError(f"{older_than} is too long", where="--older-than") from error


def _quantity(text: str | None, units: dict[str, int], flag: str, example: str) -> float | None:
    """A number with its unit, in seconds or bytes."""
    if text is None:
        return None
    match = _QUANTITY.fullmatch(text)
    factor = match and units.get(match[2].lower())
    if not match or not factor:
        raise UsageError(f"{text!r} cannot be read", where=flag, fix=f"give {example}")
    return float(match[1]) * factor


def _confirmed(entries: Sequence[Entry]) -> bool:
    """Ask whether these shall go.

    Raises:
        UsageError: there is nobody to ask.
    """
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask on", fix="add --yes, or look with --dry-run")
    return typer.confirm(f"remove {_total(entries)}?", err=True)


def _tell_what_stays(cache: Cache, kinds: Collection[str] | None, gone: Sequence[Entry]) -> None:
    paths = {entry.path for entry in gone}
    stay = [
        entry
        for entry in cache.entries()
        if entry.path not in paths and (not kinds or entry.kind in kinds)
    ]
    if stay:
        verb = "is" if len(stay) == 1 else "are"
        print(f"{_total(stay)} {verb} in use by a running process and will stay", file=sys.stderr)


def _open(root: Path | None) -> Cache:
    from glp_export.cache.store import Cache, default_root

    return Cache(root or default_root())


def _table(entries: Sequence[Entry], title: str) -> RenderableType:
    from glp_export.report.cache_table import cache_table

    return cache_table(entries, title)


def _total(entries: Sequence[Entry]) -> str:
    from glp_export.report.cache_table import total

    return total(entries)


def _print_json(content: object) -> None:
    print(json.dumps(content, indent=2, default=_plain))


def _plain(value: object) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)

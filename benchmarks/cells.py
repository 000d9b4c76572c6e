"""What a script that runs for hours has measured so far: a file that is written after each cell."""

from __future__ import annotations

import json
import logging
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tables import say


def measure_cells(
    arguments: Namespace,
    measured: Callable[[Namespace, dict[str, Any]], Iterator[tuple[str, Any]]],
    write_page: Callable[[Namespace, dict[str, Any]], None],
) -> None:
    """Measure what is not in `arguments.work` yet, and write the page after each cell.

    Args:
        measured: gives the cells that are not kept yet by name: dataclasses, in words as strings.
    """
    logging.disable(logging.WARNING)
    path = arguments.work / "results.json"
    kept = read_kept(path)
    for key, cell in measured(arguments, kept):
        kept[key] = asdict(cell)
        write_whole(path, kept)
        say(f"{key}: {cell}")
        write_page(arguments, kept)
    write_page(arguments, kept)


def read_kept(path: Path) -> dict[str, Any]:
    """What stands in the file; nothing where there is none yet."""
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return found


def write_whole(path: Path, content: dict[str, Any]) -> None:
    """Write the file, so that a killed run leaves the former one whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(content, indent=1) + "\n")
    unfinished.rename(path)


def shown_command() -> str:
    """The command line without this machine's directories."""
    return " ".join(Path(part).name if "/" in part else part for part in sys.argv)

"""What a script that runs for hours has measured so far: a file that is written after each cell."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


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

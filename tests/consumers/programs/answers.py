"""What the programs share: the cases they are given, and how they say what they found."""

from __future__ import annotations

import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any


def given() -> tuple[Path, dict[str, Any], list[str]]:
    """The artifact, the cases and whatever else stands on the command line."""
    artifact, cases, *rest = sys.argv[1:]
    return Path(artifact), json.loads(Path(cases).read_text()), rest


def answer(*packages: str, **content: Any) -> None:
    """Print what was found and with which versions, as the last line of the output."""
    versions = {package: version(package) for package in packages}
    found = {"versions": {**versions, "python": platform.python_version()}, **content}
    print(json.dumps(found), flush=True)

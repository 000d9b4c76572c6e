"""What stands at a path: an artifact, several of them, or something else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glp_export.core.errors import ModelError

CONFIG = "config.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
FRONTIER = "glp/frontier.json"

_HUB = re.compile(r"(https?:/.*|[\w.-]+(/[\w.-]+)?)")
"""What may be meant as the name of a repository of the hub."""


def require_artifact(root: Path) -> None:
    """Check that there is something to open, and say what to open instead.

    Raises:
        ModelError: there is no artifact, or there are several.
    """
    if (root / CONFIG).is_file() and (root / "onnx").is_dir():
        return
    sweep_variants = [name for name in _listed(root) if (root / name / "onnx").is_dir()]
    if sweep_variants:
        raise ModelError(
            "this directory holds several artifacts",
            where=str(root),
            fix=f"open one of them: {', '.join(str(root / name) for name in sweep_variants)}",
        )
    if not root.exists() and _HUB.fullmatch(str(root)):
        raise ModelError(
            "there is no such directory, and ids of the hub are not loaded: serving does without "
            "the network",
            where=str(root),
            fix="fetch it first: huggingface_hub.snapshot_download(id) gives a directory to open",
        )
    raise ModelError(
        f"this is no artifact: it has no {CONFIG} and no onnx/",
        where=str(root),
        fix="give a directory that `glp-export prune-and-export` or `glp-export export` wrote",
    )


def _listed(root: Path) -> list[str]:
    """The artifacts that a sweep's `glp/frontier.json` lists, each once."""
    try:
        content = json.loads((root / FRONTIER).read_text(encoding="utf-8"))
        found = [str(point["directory"]) for point in content["points"] if point["directory"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return list(dict.fromkeys(found))


def read_config(root: Path) -> dict[str, Any]:
    """The configuration of the model at `root`.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        return dict(json.loads((root / CONFIG).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ModelError(
            f"the model's configuration cannot be read: {error!s:.200}",
            where=str(root / CONFIG),
            fix="copy the file again",
        ) from error


@contextmanager
def sense_required(root: Path) -> Iterator[None]:
    """Refuse settings of the model or its tokenizer that are of another type, or no such value.

    Raises:
        ModelError: there is one.
    """
    try:
        yield
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise ModelError(
            f"{CONFIG} or {TOKENIZER_CONFIG} holds a value that it cannot have: {error!r:.200}",
            where=str(root),
            fix="copy both files again, or make the artifact again",
        ) from error

"""JSON files that a model brings with it: read, or refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from glp_export.core.errors import ModelError

Content = TypeVar("Content")


def read_json(path: Path, understand: Callable[[Any], Content], *, what: str, fix: str) -> Content:
    """What a file of a model says.

    Args:
        path: the file.
        understand: makes of its content what is wanted; what it does not take is no such file.
        what: the file holds, in words.
        fix: what to do about one that cannot be read.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        return understand(json.loads(path.read_text(encoding="utf-8")))
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelError(
            f"{what} cannot be read: {error!s:.200}", where=str(path), fix=fix
        ) from error

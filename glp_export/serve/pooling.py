"""From the hidden states of a text's tokens to one vector, as sentence-transformers does it.

Training, the metric and serving all go by this.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glp_export.core.errors import ModelError

MODULES = "modules.json"
MEAN, FIRST = "mean", "cls"
"""The poolings that can be done, by sentence-transformers' names."""

_KNOWN = ("Transformer", "Pooling", "Normalize")


def mean_pooled(states: NDArray[Any], mask: NDArray[Any]) -> NDArray[np.float32]:
    """The mean over the tokens that are there.

    Args:
        states: (batch, length, width).
        mask: (batch, length), 1 for a token that is there.

    Returns:
        (batch, width).
    """
    there = np.asarray(mask, dtype=np.float32)
    sums = np.einsum("blw,bl->bw", np.asarray(states, dtype=np.float32), there)
    return np.asarray(sums / np.maximum(there.sum(axis=1, keepdims=True), 1), dtype=np.float32)


def first_pooled(states: NDArray[Any], mask: NDArray[Any]) -> NDArray[np.float32]:
    """The first token that is there, as of `mean_pooled`."""
    first = np.asarray(mask).astype(bool).argmax(axis=1)
    return np.asarray(states[np.arange(len(states)), first], dtype=np.float32)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors (…, width) of length 1, so that their products are cosines."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)


POOLINGS: dict[str, Callable[[NDArray[Any], NDArray[Any]], NDArray[np.float32]]] = {
    MEAN: mean_pooled,
    FIRST: first_pooled,
}


def said_pooling(find: Callable[[str], Path | None]) -> str | None:
    """The pooling that a model's sentence-transformers files ask for; None where it has none.

    Args:
        find: from a file's name below the model to where it lies.

    Raises:
        ModelError: they cannot be read, or ask for what cannot be done here.
    """
    path = find(MODULES)
    if path is None:
        return None
    try:
        modules = {entry["type"].rpartition(".")[2]: entry["path"] for entry in _json(path)}
        settings = find(f"{modules['Pooling']}/config.json")
        asked = _modes(_json(settings)) if settings else []
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"the model's modules cannot be read: {error!r}",
            where=str(path),
            fix="copy the model again, with its Pooling directory",
        ) from error
    odd = [name for name in modules if name not in _KNOWN]
    if odd or len(asked) != 1 or asked[0] not in POOLINGS:
        raise ModelError(
            f"the model makes embeddings by {', '.join(odd or asked) or 'an unknown pooling'}",
            where=str(path),
            fix=f"give one with {' or '.join(POOLINGS)} pooling and nothing behind it",
        )
    return asked[0]


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _modes(settings: dict[str, Any]) -> list[str]:
    """What is switched on: `pooling_mode_cls_token`; newer versions write `pooling_mode`."""
    named = settings.get("pooling_mode")
    if named is not None:
        return [named] if isinstance(named, str) else list(named)
    names = {"cls_token": FIRST, "mean_tokens": MEAN}
    on = [key.removeprefix("pooling_mode_") for key, value in settings.items() if value is True]
    return [names.get(key, key) for key in on if f"pooling_mode_{key}" in settings]

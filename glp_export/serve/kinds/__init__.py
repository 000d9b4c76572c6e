"""How each kind of task is asked and what it answers: one file each, one row each in `SERVED`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glp_export.serve.kinds.base import ServedKind
from glp_export.serve.kinds.masks import MASKS
from glp_export.serve.kinds.spans import SPANS
from glp_export.serve.kinds.texts import TEXTS
from glp_export.serve.kinds.vectors import FIRST_VECTORS, MEAN_VECTORS
from glp_export.serve.kinds.words import WORDS
from glp_export.serve.pooling import FIRST, said_pooling

__all__ = ["SERVED", "ServedKind", "served_kind"]

SERVED: dict[str, ServedKind] = {
    "text-classification": TEXTS,
    "regression": TEXTS,
    "multi-label-classification": TEXTS,
    "token-classification": WORDS,
    "question-answering": SPANS,
    "reranking": TEXTS,
    "masked-language-model": MASKS,
    "sentence-embeddings": MEAN_VECTORS,
    "sentence-embeddings-cls": FIRST_VECTORS,
}
"""By the kind of task that the artifact names."""


def served_kind(
    named: str | None, config: Mapping[str, Any], root: Path | None = None
) -> ServedKind:
    """What the artifact names; of one that names nothing, what the head in its configuration says.

    Of several that have this head, files of sentence-transformers tell.

    Args:
        named: a key of `SERVED`, or a kind that answers as a classifier does.
        config: the model's `config.json`.
        root: the artifact's directory.
    """
    if named is not None:
        return SERVED.get(named, TEXTS)
    heads = config.get("architectures") or ()
    fitting = (kind for kind in SERVED.values() if any(name.endswith(kind.head) for name in heads))
    found = next(fitting, TEXTS)
    if found is not MEAN_VECTORS or root is None:
        return found
    pooling = said_pooling(lambda name: path if (path := root / name).is_file() else None)
    return FIRST_VECTORS if pooling == FIRST else MEAN_VECTORS

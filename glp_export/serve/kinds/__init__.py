"""How each kind of task is asked and what it answers: one file each, one row each in `SERVED`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glp_export.serve.kinds.base import ServedKind
from glp_export.serve.kinds.masks import MASKS
from glp_export.serve.kinds.spans import SPANS
from glp_export.serve.kinds.texts import TEXTS
from glp_export.serve.kinds.vectors import FIRST_VECTORS, MEAN_VECTORS
from glp_export.serve.kinds.words import WORDS

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


def served_kind(named: str | None, config: Mapping[str, Any]) -> ServedKind:
    """What the artifact names; of one that names nothing, what the head in its configuration says.

    Args:
        named: a key of `SERVED`, or a kind that answers as a classifier does.
        config: the model's `config.json`.
    """
    if named is not None:
        return SERVED.get(named, TEXTS)
    heads = config.get("architectures") or ()
    fitting = (kind for kind in SERVED.values() if any(name.endswith(kind.head) for name in heads))
    return next(fitting, TEXTS)

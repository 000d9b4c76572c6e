"""Texts, or pairs of them, each with a label, several labels or a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glp_export.serve.answers import Answers
from glp_export.serve.kinds.base import ServedKind

if TYPE_CHECKING:
    from glp_export.serve.model import ServedModel


def _answer(model: ServedModel, texts: Any, text_pairs: Any) -> Answers:
    return Answers(model.logits(texts, text_pairs), model.head.names, model.head.problem)


TEXTS = ServedKind(
    head="ForSequenceClassification", outputs=("logits",), answer=_answer, of_texts=True
)

"""Texts, or pairs of them, each with a label, several labels or a number."""

from __future__ import annotations

from typing import Any

from glp_export.serve.answers import Answers
from glp_export.serve.kinds.base import Opened, ServedKind


def _answer(model: Opened, texts: Any, text_pairs: Any) -> Answers:
    return Answers(model.logits(texts, text_pairs), model.head.names, model.head.problem)


TEXTS = ServedKind(
    head="ForSequenceClassification", outputs=("logits",), answer=_answer, of_texts=True
)

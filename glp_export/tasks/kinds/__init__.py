"""The kinds of task, in the order in which they are asked whether data is theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from glp_export.tasks.kinds.base import (
    NO_LABEL,
    Batch,
    Choices,
    Columns,
    LabelColumn,
    LabelReader,
    Outputs,
    TaskKind,
    read_logits,
)
from glp_export.tasks.kinds.classification import TEXT_CLASSIFICATION
from glp_export.tasks.kinds.masked_language_model import MASKED_LANGUAGE_MODEL
from glp_export.tasks.kinds.multi_label import MULTI_LABEL
from glp_export.tasks.kinds.question_answering import QUESTION_ANSWERING
from glp_export.tasks.kinds.regression import REGRESSION
from glp_export.tasks.kinds.reranking import RERANKING
from glp_export.tasks.kinds.sentence_embeddings import FIRST_EMBEDDINGS, MEAN_EMBEDDINGS
from glp_export.tasks.kinds.token_classification import TOKEN_CLASSIFICATION

__all__ = [
    "KINDS",
    "NO_LABEL",
    "Batch",
    "Choices",
    "Columns",
    "LabelColumn",
    "LabelReader",
    "Outputs",
    "TaskKind",
    "has_head",
    "kind_of_config",
    "metric_names",
    "outputs_of",
    "read_logits",
]

KINDS: dict[str, TaskKind] = {
    kind.name: kind
    for kind in (
        QUESTION_ANSWERING,
        TOKEN_CLASSIFICATION,
        MULTI_LABEL,
        REGRESSION,
        TEXT_CLASSIFICATION,
        MASKED_LANGUAGE_MODEL,
        RERANKING,
        MEAN_EMBEDDINGS,
        FIRST_EMBEDDINGS,
    )
}
"""What a kind of task has to know; everything else in the package is the same for all kinds."""


def metric_names() -> tuple[str, ...]:
    """Every metric that can be asked for."""
    kinds = reversed(KINDS.values())
    metrics = (metric for kind in kinds for metric in kind.metrics if not metric.of_model)
    return tuple(dict.fromkeys(metric.name for metric in metrics))


def kind_of_config(config: Any, *names: str) -> TaskKind | None:
    """The kind of task that a model was made for, as its configuration and head tell.

    Where it was made here, `finetuning_task` in the configuration says it; a kind that has to be
    asked for is told by nothing else.

    Args:
        config: of transformers.
        names: of the class with the head, ``BertForSequenceClassification``; those that the
            configuration names where none is given.
    """
    heads = names or config.architectures or ()
    said = KINDS.get(getattr(config, "finetuning_task", None) or "")
    if said and has_head(said, heads):
        return said
    unsaid = "regression" if config.num_labels == 1 else "single_label_classification"
    problem = config.problem_type or unsaid
    for kind in KINDS.values():
        fits = kind.problem_type in (None, problem) and not kind.asked
        if fits and has_head(kind, heads):
            return kind
    return None


def has_head(kind: TaskKind, names: Sequence[str]) -> bool:
    """Whether one of these classes of transformers has the head that a kind of task needs."""
    head = kind.auto_class.removeprefix("AutoModel") or "Model"
    return any(name.endswith(head) for name in names)


def outputs_of(auto_class: str) -> tuple[str, ...]:
    """Names of the outputs that the models of a class of transformers answer with."""
    return next(kind.outputs for kind in KINDS.values() if kind.auto_class == auto_class)

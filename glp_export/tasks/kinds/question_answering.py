"""The part of a document that answers a question, as in SQuAD 1.1.

A document longer than the model reads is cut into windows that overlap; each is an encoded row, and
the best span of all windows is the example's answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.serve.spans import best_span
from glp_export.tasks.kinds.base import (
    Batch,
    Choices,
    Outputs,
    TaskKind,
    require_fast,
    standardise,
)
from glp_export.tasks.kinds.documents import (
    Windows,
    encode_windows,
    find_columns,
    read_answers,
    windows_of,
)
from glp_export.tasks.kinds.learning import soft_cross_entropy
from glp_export.tasks.kinds.lists import list_of
from glp_export.tasks.kinds.squad_metrics import SQUAD_METRICS
from glp_export.tasks.kinds.units import of_tokens

if TYPE_CHECKING:
    from torch import Tensor

OTHER_TOKENS = 14
"""Tokens of a window that its answer's beginning and end have to stand out from."""

_UNREAD = -1e4
"""A logit that no token has: exp of it is 0 in float32."""


def _read(outputs: Outputs, batch: Batch) -> NDArray[np.float32]:
    """Logits of every token as a beginning and as an end, (batch, length, 2)."""
    pair = [outputs["start_logits"], outputs["end_logits"]]
    return of_tokens(np.stack(pair, axis=-1), batch)


def _judge(answers: NDArray[Any], truth: Windows) -> tuple[list[str], list[list[str]]]:
    """The text of the best span over all windows of each example, and the right ones."""
    best: dict[int, tuple[float, str]] = {}
    golds: dict[int, list[str]] = {}
    for window, example in enumerate(truth.examples.tolist()):
        begins, ends = truth.begins[window], truth.ends[window]
        own = answers[window, : len(begins)]
        span = best_span(own[:, 0], own[:, 1], begins >= 0)
        golds[example] = truth.golds[window]
        best.setdefault(example, (-np.inf, ""))
        if span and span.score > best[example][0]:
            text = truth.contexts[window][begins[span.first] : ends[span.last]]
            best[example] = (span.score, text)
    return [text for _, text in best.values()], list(golds.values())


def _choices(answers: NDArray[Any], mask: NDArray[Any]) -> Choices:
    """The token at which the answer begins, and the one at which it ends."""
    there = np.arange(answers.shape[1]) < mask.sum(axis=1)[:, None]
    lowest = answers.min(axis=1, keepdims=True)  # of no token that is decided for
    options = np.where(there[:, :, None], answers, lowest).transpose(0, 2, 1)
    return Choices(options.reshape(-1, answers.shape[1]), np.repeat(np.arange(len(answers)), 2))


def _imitate(outputs: Any, teacher: Tensor, batch: Mapping[str, Any], temperature: float) -> Tensor:
    """Mean divergence from the teacher's distributions over tokens: of beginnings and of ends."""
    import torch

    student = torch.stack([outputs.start_logits, outputs.end_logits], dim=1)
    there = batch["attention_mask"].bool().unsqueeze(1)
    own, wanted = (
        logits.masked_fill(~there, _UNREAD) for logits in (student, teacher.transpose(1, 2))
    )
    return soft_cross_entropy(own, wanted, temperature).mean()


def _features(hidden_states: Tensor, batch: Mapping[str, Any]) -> list[Tensor]:
    """Hidden states of the answer's first and last token, and of others spread over the window."""
    import torch

    rows = []
    for row, states in enumerate(hidden_states):
        gold = [int(batch[name][row]) for name in ("start_positions", "end_positions")]
        there = batch["attention_mask"][row].nonzero().flatten()
        spread = torch.linspace(0, len(there) - 1, OTHER_TOKENS).round().long()
        others = [token for token in there[spread].unique().tolist() if token not in gold]
        rows.append(states[[*gold, *others]])
    return rows


def _refit(
    seen: Sequence[NDArray[Any]], known: Windows, new: Sequence[NDArray[Any]], wanted: Windows
) -> NDArray[np.float32]:
    """How well logistic regressions tell an answer's first and last token from others."""
    from sklearn.linear_model import LogisticRegression

    before, after = standardise(np.concatenate(seen), np.concatenate(new))
    stops = np.cumsum([len(row) for row in new])[:-1]
    losses = np.zeros(len(new))
    for side in (0, 1):
        is_gold = np.concatenate([np.arange(len(row)) == side for row in seen])
        head = LogisticRegression(C=0.01, max_iter=300).fit(before, is_gold)
        for row, scores in enumerate(np.split(head.decision_function(after), stops)):
            losses[row] += np.logaddexp.reduce(scores) - scores[side]
    return np.asarray(losses / 2, dtype=np.float32)


QUESTION_ANSWERING = TaskKind(
    name="question-answering",
    auto_class="AutoModelForQuestionAnswering",
    export_task="question-answering",
    ort_class="ORTModelForQuestionAnswering",
    hub_task="question-answering",
    problem_type=None,
    metrics=SQUAD_METRICS,
    default_metric="squad_f1",
    label_feature=lambda: {"text": list_of("string"), "answer_start": list_of("int64")},
    columns=find_columns,
    needs="a question, its document, and answers with text and answer_start as SQuAD has them",
    recognises=lambda column: False,
    reader=read_answers,
    strata=lambda targets: np.zeros(len(targets), dtype=np.int64),
    prepare=require_fast,
    encode=encode_windows,
    targets=("start_positions", "end_positions"),
    outputs=("start_logits", "end_logits"),
    read=_read,
    truth=windows_of,
    count=lambda truth: truth.count,
    judge=_judge,
    choices=_choices,
    imitation=_imitate,
    features=_features,
    refit=_refit,
    named=False,
    shift_axis=1,
    width=2,
    of_tokens=True,
)

"""Training a model of Kronecker factors: on general texts first, then on the task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from glp_export.compress.compressors.kronecker import GENERAL_EPOCHS
from glp_export.compress.plan import Plan
from glp_export.encoder import Recovery, TrainingInputs

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def train_factors(
    model: PreTrainedModel,
    plan: Plan,
    recovery: Recovery,
    inputs: TrainingInputs,
    labelled: int,
    report: Callable[[int, int], None],
) -> PreTrainedModel:
    """Train a model of factors in place, in two stages where there are unlabelled texts.

    As KroneckerBERT is (arXiv 2109.06243, section 3.3): both stages imitate hidden states and
    answers of the teacher, the first one on general texts, the second one on the task. Its losses
    on attention scores and inside the feed-forward layers are not here: the states after each
    layer stand for both.

    Args:
        model: where training begins.
        plan: that it comes from.
        recovery: a row of `RECOVERIES`; one that imitates goes through both stages.
        inputs: the rows of the task and, after them, the unlabelled texts; hidden states too.
        labelled: how many are of the task.
        report: told the updates done and those in all.
    """
    if not recovery.inherits:
        return recovery.train(model, inputs, report)
    epochs, rows = float(plan.settings.get("general_epochs", GENERAL_EPOCHS)), len(inputs.examples)
    if rows > labelled and epochs > 0:
        stage = replace(
            _part(inputs, labelled, rows),
            settings=replace(inputs.settings, epochs=epochs),
            # Their labels are the teacher's own and say nothing that its answers do not.
            distillation=replace(inputs.distillation, weight=1.0),
            watch=None,
        )
        model = recovery.train(model, stage, report)
    return recovery.train(model, _part(inputs, 0, labelled), report)


def _part(inputs: TrainingInputs, start: int, stop: int) -> TrainingInputs:
    """The rows from `start` on."""
    answers = inputs.teacher_logits
    return replace(
        inputs,
        examples=inputs.examples.select(range(start, stop)),
        teacher_logits=None if answers is None else answers[start:stop],
    )

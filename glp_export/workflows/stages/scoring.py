"""The stage that scores: every contender by the very files that are timed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.artifact import OnnxFile, open_session, predict_onnx
from glp_export.artifact.padding import padding_matters
from glp_export.bench import (
    Benchmark,
    Chance,
    ClassChange,
    ContenderName,
    DifferenceRow,
    MetricRow,
    Share,
    of_plan,
)
from glp_export.precision.record import Loss, PrecisionEntry
from glp_export.report import OtherScore
from glp_export.tasks import (
    Task,
    against_chance,
    calibration_error,
    changed_predictions,
    class_drops,
    count_examples,
    paired_difference_interval,
    score,
    score_interval,
    truth_of,
)
from glp_export.tasks.divergence import NAME as DIVERGENCE
from glp_export.tasks.divergence import divergences, mean_interval
from glp_export.workflows.execution import ExecutionContext
from glp_export.workflows.stages.export import (
    Exported,
)

if TYPE_CHECKING:
    from datasets import Dataset

MOST_CLASSES = 20
"""That are recorded of a task with many, those that lose most."""


@dataclass(frozen=True)
class Scored:
    """What a contender's files answer on the test sets.

    Attributes:
        exported: the contender with its files.
        rows: the metric on the test set for each precision, fp32 first, for benchmark.json.
        logits: the answers on the test set, of each precision likewise.
        others: the metric on further test sets, in fp32.
    """

    exported: Exported
    rows: tuple[MetricRow, ...]
    logits: tuple[NDArray[np.float32], ...]
    others: tuple[OtherScore, ...]

    @property
    def contender(self) -> ContenderName:
        """`unpruned`, `pruned` or `distilled`."""
        return self.rows[0].contender

    @property
    def plan_id(self) -> str:
        """Of the edits that made it."""
        return self.rows[0].plan_id

    @property
    def rival_of(self) -> str | None:
        """The plan that a distilled model is compared with; None for all."""
        return self.rows[0].rival_of

    @property
    def entries(self) -> tuple[PrecisionEntry, ...]:
        """The precisions that were to be made, with what they cost on the test set."""
        return self.exported.entries


def score_contender(
    execution: ExecutionContext, exported: Exported, other_metric: str = ""
) -> Scored:
    """Compute the task's metric with the very files that are timed.

    Args:
        execution: the task and the machine.
        exported: the contender with its files.
        other_metric: of further test sets; empty for the task's.
    """
    trained = exported.trained
    # What is rounded differs with padding anyhow: the plain file says whether it is read.
    apart = padding_matters(
        exported.plain.path,
        trained.test,
        trained.tokenizer,
        longest=min(execution.max_length, trained.tokenizer.model_max_length),
        scaled=execution.kind.scaled,
    )

    def answers(file: OnnxFile, rows: Dataset) -> NDArray[np.float32]:
        session = open_session(file.path, provider=execution.provider, threads=execution.threads)
        kind = execution.kind
        return predict_onnx(
            session,
            rows,
            trained.tokenizer,
            read=kind.read,
            batch_size=kind.batch_size,
            apart=apart,
        )

    predictions = [answers(file, trained.test) for file in exported.best]
    rows = tuple(
        MetricRow(
            contender=trained.contender,
            precision=file.precision,
            **trained.named,
            **_metric(execution.task, logits, trained.test),
            calibration_error=_calibration(execution.task, logits, trained.test),
        )
        for file, logits in zip(exported.best, predictions, strict=True)
    )
    if trained.contender == "unpruned":
        chance = _chance(execution, predictions[0], trained.test)
        rows = (rows[0].model_copy(update={"chance": chance}), *rows[1:])
    task = replace(execution.task, metric=other_metric or execution.task.metric)
    others = tuple(
        OtherScore(
            name,
            trained.contender,
            metric=other_metric,
            **_metric(task, answers(exported.chosen, test), test),
        )
        for name, test in trained.other_tests.items()
    )
    return Scored(_with_losses(execution, exported, predictions), rows, tuple(predictions), others)


def with_divergences(scored: Sequence[Scored], task: Task) -> list[Scored]:
    """Add how far each model's answers on the test set are from the unpruned one's, in fp32."""
    (unpruned,) = (one for one in scored if one.contender == "unpruned")
    return [
        one
        if one is unpruned
        else replace(one, others=(*one.others, _divergence(one, unpruned, task)))
        for one in scored
    ]


def _divergence(scored: Scored, unpruned: Scored, task: Task) -> OtherScore:
    found = divergences(task, scored.logits[0], unpruned.logits[0])
    low, high = mean_interval(found)
    value = float(found.mean())
    return OtherScore("test", scored.contender, value, low, high, len(found), DIVERGENCE)


def _metric(task: Task, logits: NDArray[np.float32], rows: Dataset) -> dict[str, Any]:
    truth = truth_of(task, rows)
    low, high = score_interval(task, logits, truth)
    return {
        "value": score(task, logits, truth),
        "low": low,
        "high": high,
        "samples": count_examples(task, truth),
    }


def _chance(execution: ExecutionContext, logits: NDArray[np.float32], rows: Dataset) -> Chance:
    found = against_chance(execution.task, logits, truth_of(execution.task, rows))
    return Chance(value=found.chance, low=found.low, high=found.high, significant=found.significant)


def _calibration(task: Task, logits: NDArray[np.float32], rows: Dataset) -> Share | None:
    found = calibration_error(task, logits, truth_of(task, rows))
    return Share(**asdict(found)) if found else None


def _with_losses(
    execution: ExecutionContext, exported: Exported, predictions: Sequence[NDArray[np.float32]]
) -> Exported:
    """Enter what each lower precision costs on the test set, beside fp32 on the same examples."""
    truth = truth_of(execution.task, exported.trained.test)
    reference, *lower = predictions
    losses = {
        file.precision: Loss.of(
            score(execution.task, logits, truth),
            paired_difference_interval(execution.task, reference, logits, truth),
            count_examples(execution.task, truth),
        )
        for file, logits in zip(exported.best[1:], lower, strict=True)
    }
    entries = tuple(
        entry.model_copy(update={"on_test": losses.get(entry.precision)})
        for entry in exported.entries
    )
    return replace(exported, entries=entries)


def with_differences(
    measured: Benchmark, scored: Sequence[Scored], task: Task, labels: Sequence[Any]
) -> Benchmark:
    """Enter how far each pruned model is from its rivals, on the same test examples.

    In fp32 from all of them, in a lower precision from the unpruned one: what a user gives up.

    Args:
        scored: of all depths.
        labels: what the test set's answers are scored against.
    """
    found = tuple(
        _difference(pruned, index, other, task, labels)
        for pruned in scored
        if pruned.contender == "pruned"
        for other in of_plan(scored, pruned.plan_id)
        for index in range(len(pruned.rows))
        if other.contender != "pruned" and (index == 0 or other.contender == "unpruned")
    )
    return replace(measured, file=measured.file.model_copy(update={"differences": found}))


def _difference(
    pruned: Scored, index: int, other: Scored, task: Task, labels: Sequence[Any]
) -> DifferenceRow:
    value, low, high = paired_difference_interval(
        task, pruned.logits[index], other.logits[0], labels
    )
    row = pruned.rows[index]
    share = changed_predictions(task, pruned.logits[index], other.logits[0], labels)
    return DifferenceRow(
        precision=row.precision,
        plan_id=row.plan_id,
        model_shape=row.model_shape,
        layers=row.layers,
        less=other.contender,
        value=value,
        low=low,
        high=high,
        changed=Share(**asdict(share)) if share else None,
        classes=_classes(task, pruned.logits[index], other.logits[0], labels)
        if other.contender == "unpruned"
        else (),
    )


def _classes(
    task: Task, pruned: NDArray[np.float32], unpruned: NDArray[np.float32], labels: Sequence[Any]
) -> tuple[ClassChange, ...]:
    drops = class_drops(task, pruned, unpruned, labels)[:MOST_CLASSES]
    return tuple(
        ClassChange(
            label=one.label,
            rows=one.rows,
            before=one.before,
            change=one.change.value,
            low=one.change.low,
            high=one.change.high,
        )
        for one in drops
    )

"""The task's metric of an artifact's file, on data that the gate was given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from glp_export.artifact import (
    ArtifactLayout,
    OnnxFile,
    one_artifact,
    predict_onnx,
)
from glp_export.artifact.opened import data_settings, recorded_settings
from glp_export.bench import BenchmarkFile
from glp_export.core.errors import DataError, UsageError
from glp_export.core.numbers import few
from glp_export.encoder import ModelSource, infer_kind, load_tokenizer, task_of_model
from glp_export.serve.runtimes import ONNX_RUNTIME, open_in
from glp_export.serve.settings import read_settings
from glp_export.tasks import (
    KINDS,
    DataSpec,
    Task,
    encode,
    load_task_data,
    positive_id,
    same_task,
)
from glp_export.tasks.checksum import checksum_of_test_set
from glp_export.tasks.label_names import match_labels
from glp_export.tasks.metrics import AGREEMENT
from glp_export.tasks.own_metric import is_own

DATA_SETTINGS = ("task", "dataset", "train_file", "validation_file")
"""Settings that name data, and so ask for the accuracy lines."""

DRAWN_BY = ("seed", "max_test_samples")
"""Settings by which test rows are drawn."""


@dataclass(frozen=True)
class TestRows:
    """The test split of some data, as an artifact reads it.

    Attributes:
        task: of the data, which is the artifact's.
        rows: encoded by the artifact's tokenizer.
        tokenizer: the artifact's.
        outputs: the place of each of the task's labels among the model's; () without labels.
        checksum: of the rows as they were read.
        apart: whether rows of several lengths are answered apart, as they are served.
    """

    __test__ = False  # for pytest: a class, no test

    task: Task
    rows: Sequence[Mapping[str, Any]]
    tokenizer: Any
    outputs: tuple[int, ...] = ()
    checksum: str = ""
    apart: bool = False


def read_test_rows(
    artifact: Path, asked: Mapping[str, Any], beside: Path | None = None
) -> TestRows:
    """The test split of some data for an artifact.

    Args:
        artifact: its tokenizer encodes the data.
        asked: fields of `DataSpec` that name the data, over those that the run recorded.
        beside: another artifact that answers the same rows: its run says which are drawn, in which
            order labels stand, and how they are scored.

    Raises:
        DataError: the data cannot be read.
        UsageError: it is data of another task.
    """
    layout, leading = one_artifact(artifact), one_artifact(beside or artifact)
    drawn = data_settings(leading)
    settings = {name: one for name, one in data_settings(layout).items() if name not in DRAWN_BY}
    settings |= {name: drawn[name] for name in DRAWN_BY if name in drawn}
    settings |= asked
    source = ModelSource(str(layout.root), offline=True)
    tokenizer = load_tokenizer(source)
    own, wanted = task_of_model(artifact), task_of_model(leading.root)
    data = load_task_data(_spec(settings), wanted)
    if not data.labelled:
        raise DataError(
            "the data has no labels: what a file is worth on it is not known",
            where=data.source,
            fix="give data with labels, or leave it away",
        )
    task = infer_kind(data.task, source)
    if not (same_task(task, own) and same_task(task, wanted)):
        raise UsageError(
            f"the data is of another task: its labels are {few(task.labels) or 'none'}",
            where="--dataset",
            fix=f"give data with the artifact's labels: {few(own.labels) or 'none'}",
        )
    task = _as_recorded(task, wanted, leading, asked)
    longest = settings.get("max_length")
    if not isinstance(longest, int):  # then as it is served
        longest = read_settings(layout.root).max_length or tokenizer.model_max_length
    rows = encode(data.test, task, tokenizer, longest)
    outputs = match_labels(own.labels, wanted.labels).rows
    apart = not read_settings(layout.root).pads
    return TestRows(task, rows, tokenizer, outputs, checksum_of_test_set(data.test), apart)


def _as_recorded(task: Task, own: Task, layout: ArtifactLayout, asked: Mapping[str, Any]) -> Task:
    """The data's task, scored as the run that made the artifact scored its own.

    Ids are the artifact's already; metrics of tags read its spelling as well: B- and I-. The run
    may have had its metric, and the class that F1 is of, from a task that the gate is not told.
    """
    name = recorded_settings(layout).get("task")
    positive = positive_id(name if isinstance(name, str) else None, own.labels)
    task = replace(task, labels=own.labels, positive=positive)
    if not layout.benchmark.is_file():
        return task
    metric = BenchmarkFile.load(layout.benchmark).metric
    fitting = {one.name for one in KINDS[task.kind].metrics_for(task.labels)} - {AGREEMENT}
    if not asked.get("metric") and is_own(metric):
        raise UsageError(
            f"the artifact was scored by {metric}, a function of whoever made it",
            where=str(layout.benchmark),
            fix=f"name it, with its module at hand: --metric {metric}; no code runs unnamed",
        )
    if asked.get("metric") or metric not in fitting:
        return task
    return replace(task, metric=metric)


def answers_of(
    data: TestRows,
    file: OnnxFile,
    *,
    provider: str,
    threads: int,
    runtime: str = ONNX_RUNTIME,
) -> NDArray[Any]:
    """A file's answers, in the order of the rows and of the task's labels.

    Args:
        data: as the file's artifact reads it.
        file: what answers.
        provider: execution provider of ONNX Runtime.
        threads: intra-op threads.
        runtime: that runs it.
    """
    session = open_in(
        runtime, file.path, precision=file.precision, provider=provider, threads=threads
    )
    kind = KINDS[data.task.kind]
    answers = predict_onnx(
        session,
        data.rows,
        data.tokenizer,
        read=kind.read,
        batch_size=kind.batch_size,
        apart=data.apart,
    )
    return answers[..., list(data.outputs)] if data.outputs else answers


def _spec(settings: Mapping[str, Any]) -> DataSpec:
    known = {field.name for field in fields(DataSpec)}
    given = {name: value for name, value in settings.items() if name in known}
    for name, value in given.items():
        if isinstance(value, Path):
            given[name] = str(value)
        elif isinstance(value, list):
            given[name] = tuple(value)
    return DataSpec(**given)

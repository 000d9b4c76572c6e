"""What a builder of a lower precision is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glp_export.artifact import OnnxFile, open_session, predict_onnx
from glp_export.core.progress import Progress
from glp_export.encoder import DistillSettings, TrainSettings
from glp_export.tasks import encode
from glp_export.workflows.context import ExecutionContext, RunContext
from glp_export.workflows.stages.export import Exported
from glp_export.workflows.stages.training import Trained

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class CalibrationData:
    """What a file of lower precision is made and judged on.

    Attributes:
        fit: encoded; ranges of activations are taken from it.
        select: encoded; accuracy is judged on it.
        train: encoded; both, for a model that has to learn to bear the rounding.
        max_drop: metric points that it may cost on `select`.
        settings: how the contender was trained.
        distillation: how it imitates.
    """

    fit: Dataset
    select: Dataset
    train: Dataset
    max_drop: float
    settings: TrainSettings
    distillation: DistillSettings


@dataclass(frozen=True)
class PrecisionJob:
    """One precision of one contender, to be made.

    Attributes:
        work: scratch, for it alone.
        calibration: None where there is no data, or no trained weights: nothing is judged then.
    """

    execution: ExecutionContext
    exported: Exported
    work: Path
    calibration: CalibrationData | None
    progress: Progress

    def predictions(self, file: OnnxFile, rows: Dataset) -> NDArray[np.float32]:
        """Answers of a file of this contender."""
        session = open_session(
            file.path, provider=self.execution.provider, threads=self.execution.threads
        )
        tokenizer = self.exported.trained.tokenizer
        kind = self.execution.kind
        return predict_onnx(session, rows, tokenizer, read=kind.read, batch_size=kind.batch_size)


def calibration_data_of(
    context: RunContext, trained: Trained, spent: float = 0.0
) -> CalibrationData:
    """What a trained contender's files are judged on, by its own tokenizer.

    Args:
        context: of the run.
        trained: the contender.
        spent: metric points that pruning cost, of those that `--max-drop` allows in all.
    """
    data, config = context.data, context.config
    if trained.tokenizer is context.tokenizer:
        fit, select, train = context.fit, context.select, context.train
    else:
        fit, select, train = (
            encode(rows, data.task, trained.tokenizer, config.data.max_length)
            for rows in (data.fit, data.select, context.lessons)
        )
    total = config.compress.max_drop
    left = config.precision.int8_drop if total is None else max(0.0, total - max(0.0, spent))
    return CalibrationData(fit, select, train, left, context.final, context.distillation)

"""What a builder of a lower precision is given, and what it makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from glp_export.artifact import OnnxFile, open_session, predict_onnx
from glp_export.artifact.padding import padding_matters
from glp_export.encoder import DistillSettings, TrainSettings
from glp_export.precision.record import PrecisionEntry
from glp_export.tasks import KINDS, Task, TaskKind

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class CalibrationData:
    """What a file of lower precision is made and judged on.

    Attributes:
        fit: encoded; ranges of activations are taken from it.
        select: encoded; accuracy is judged on it.
        train: encoded; both, for quantisation-aware training.
        max_drop: metric points that it may cost on dev; infinite where nothing is judged.
        flag: that allows the drop.
        settings: how the model was trained.
        distillation: how it imitates.
    """

    fit: Dataset
    select: Dataset
    train: Dataset
    max_drop: float
    flag: str
    settings: TrainSettings
    distillation: DistillSettings


@dataclass(frozen=True)
class PrecisionJob:
    """One precision of one model, to be made.

    Attributes:
        task: what the model answers.
        plain: its fp32 file of standard operators.
        chosen: its fastest fp32 file.
        checkpoint: what both were exported from.
        tokenizer: of the model.
        device: `cpu` or `cuda`, that weights are trained on.
        provider: the execution provider that files are run by.
        threads: of PyTorch and of ONNX Runtime.
        recipes: keys of `RECIPES`, those of int8 that are tried.
        scope: of int8, "matmuls" or "full".
        exporter: as `plain` was exported by.
        opset: likewise.
        work: scratch, for it alone.
        calibration: None where there is no data, or no trained weights: nothing is judged then.
        texts: encoded; ranges are taken from them where there is no calibration data.
        quickest: the fastest of some files; it is asked where several are accurate enough.
    """

    task: Task
    plain: OnnxFile
    chosen: OnnxFile
    checkpoint: Path
    tokenizer: PreTrainedTokenizerBase
    device: str
    provider: str
    threads: int
    recipes: tuple[str, ...]
    scope: Literal["matmuls", "full"]
    exporter: str
    opset: int | None
    work: Path
    calibration: CalibrationData | None
    quickest: Callable[[Sequence[OnnxFile]], OnnxFile]
    texts: Dataset | None = None

    @property
    def kind(self) -> TaskKind:
        """What the task's kind knows."""
        return KINDS[self.task.kind]

    def predictions(self, file: OnnxFile, rows: Dataset) -> NDArray[np.float32]:
        """Answers of a file of this model."""
        session = open_session(file.path, provider=self.provider, threads=self.threads)
        return predict_onnx(
            session,
            rows,
            self.tokenizer,
            read=self.kind.read,
            batch_size=self.kind.batch_size,
            apart=self._padding_matters,
        )

    @cached_property
    def _padding_matters(self) -> bool:
        """Of the plain file: what is rounded differs with padding anyhow."""
        rows = self.calibration and self.calibration.select
        return rows is not None and padding_matters(
            self.plain.path, rows, self.tokenizer, scaled=self.kind.scaled
        )


@dataclass(frozen=True)
class LowerPrecision:
    """A file of lower precision, with how it was made and what it costs."""

    file: OnnxFile
    entry: PrecisionEntry

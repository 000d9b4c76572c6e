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
from glp_export.workflows.context import Place, Setup
from glp_export.workflows.stages.export import Exported
from glp_export.workflows.stages.training import Trained

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Evidence:
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
class Order:
    """One precision of one contender, to be made.

    Attributes:
        work: scratch, for it alone.
        evidence: None where there is no data, or no trained weights: nothing is judged then.
    """

    place: Place
    exported: Exported
    work: Path
    evidence: Evidence | None
    progress: Progress

    def answers(self, file: OnnxFile, rows: Dataset) -> NDArray[np.float32]:
        """Answers of a file of this contender."""
        session = open_session(file.path, provider=self.place.provider, threads=self.place.threads)
        tokenizer = self.exported.trained.tokenizer
        kind = self.place.kind
        return predict_onnx(session, rows, tokenizer, read=kind.read, batch_size=kind.batch_size)


def evidence_of(setup: Setup, trained: Trained, spent: float = 0.0) -> Evidence:
    """What a trained contender's files are judged on, by its own tokenizer.

    Args:
        setup: of the run.
        trained: the contender.
        spent: metric points that pruning cost, of those that `--max-drop` allows in all.
    """
    data, config = setup.data, setup.config
    if trained.tokenizer is setup.tokenizer:
        fit, select, train = setup.fit, setup.select, setup.train
    else:
        fit, select, train = (
            encode(rows, data.task, trained.tokenizer, config.max_length)
            for rows in (data.fit, data.select, data.train)
        )
    total = config.max_drop
    left = config.int8_drop if total is None else max(0.0, total - max(0.0, spent))
    return Evidence(fit, select, train, left, setup.final, setup.distillation)

"""What the model must do: the task, its data, its columns, its metric."""

from __future__ import annotations

from glp_export.tasks.auxiliary import AuxiliaryData, load_auxiliary, unseen
from glp_export.tasks.calibration import calibration_error
from glp_export.tasks.chance import AgainstChance, against_chance
from glp_export.tasks.changes import Interval, changed_predictions, class_drops
from glp_export.tasks.encoding import encode
from glp_export.tasks.glue import GLUE_TASKS, GlueTask
from glp_export.tasks.kinds import KINDS, TaskKind, kind_of_config, outputs_of
from glp_export.tasks.load import load_task_data, require_data, require_enough
from glp_export.tasks.metrics import METRICS, Metric
from glp_export.tasks.reading import positive_id
from glp_export.tasks.scoring import (
    count_examples,
    metric_of,
    paired_difference_interval,
    probability_at_most,
    score,
    score_interval,
    truth_of,
)
from glp_export.tasks.spec import DataSpec
from glp_export.tasks.splits import drawn
from glp_export.tasks.task import Task, TaskData, same_task
from glp_export.tasks.unlabeled import blank_labels, labels_of, read_unlabeled, with_labels

__all__ = [
    "GLUE_TASKS",
    "KINDS",
    "METRICS",
    "AgainstChance",
    "AuxiliaryData",
    "DataSpec",
    "GlueTask",
    "Interval",
    "Metric",
    "Task",
    "TaskData",
    "TaskKind",
    "against_chance",
    "blank_labels",
    "calibration_error",
    "changed_predictions",
    "class_drops",
    "count_examples",
    "drawn",
    "encode",
    "kind_of_config",
    "labels_of",
    "load_auxiliary",
    "load_task_data",
    "metric_of",
    "outputs_of",
    "paired_difference_interval",
    "positive_id",
    "probability_at_most",
    "read_unlabeled",
    "require_data",
    "require_enough",
    "same_task",
    "score",
    "score_interval",
    "truth_of",
    "unseen",
    "with_labels",
]

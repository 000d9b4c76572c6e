"""The kinds of task, in the order in which they are asked whether labels are theirs."""

from __future__ import annotations

from glp_export.tasks.kinds.base import LabelColumn, LabelReader, TaskKind
from glp_export.tasks.kinds.classification import TEXT_CLASSIFICATION
from glp_export.tasks.kinds.regression import REGRESSION

__all__ = ["KINDS", "LabelColumn", "LabelReader", "TaskKind"]

KINDS: dict[str, TaskKind] = {kind.name: kind for kind in (REGRESSION, TEXT_CLASSIFICATION)}

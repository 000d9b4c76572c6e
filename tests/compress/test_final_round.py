from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from glp_export.compress.compressors.structure.final_round import Finalist, decide
from glp_export.compress.selection import Selection
from glp_export.core.progress import Progress

LOSSES = {
    # Before a short training and after it.
    "structure": (0.05, 0.24),
    "layers (top)": (1.6, 0.17),
    "layers (symmetric)": (1.5, 0.20),
}


def train_briefly(model: str, examples: int) -> tuple[Any, float]:
    losses = np.full(8, LOSSES[model][bool(examples)], np.float32)
    return losses + np.linspace(0, 0.01, 8, dtype=np.float32), 0.9


def test_each_is_judged_by_the_better_of_the_looks_before_and_after_its_training() -> None:
    evaluator: Any = SimpleNamespace(
        progress=Progress(),
        train_briefly=train_briefly,
        task=SimpleNamespace(metric="accuracy"),
    )
    finalists = [Finalist(name, Selection(((1, 1), (1, 1)), 0.0, 0.0)) for name in LOSSES]
    winner, (step,), cost = decide(finalists, 1024, evaluator, lambda one: one.label)
    assert winner.label == "structure"
    seen = {candidate.label: candidate.examples for candidate in step.candidates}
    assert seen == {"structure": 0, "layers (top)": 1024, "layers (symmetric)": 1024}
    assert [candidate.label for candidate in step.candidates][:2] == ["structure", "layers (top)"]
    assert cost.trainings == 3

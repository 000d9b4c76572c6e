from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from glp_export.compress.compressors.structure.final_round import Finalist, FinalRound
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
    final_round = FinalRound(1024, evaluator, lambda one: one.label)
    final_round.train(finalists)
    winner, (step,), cost = final_round.result()
    assert winner.label == "structure"
    seen = {candidate.label: candidate.examples for candidate in step.candidates}
    assert seen == {"structure": 0, "layers (top)": 1024, "layers (symmetric)": 1024}
    assert [candidate.label for candidate in step.candidates][:2] == ["structure", "layers (top)"]
    assert cost.trainings == 3


def far(structure: float, rule: float, score: float, *, reverse: bool = False) -> bool:
    """Whether a round of structure and a rule with these losses is settled."""
    losses = {"structure": structure, "layers (top)": rule}

    def train_briefly(model: str, examples: int) -> tuple[Any, float]:
        noise = np.linspace(0, 0.01, 8, dtype=np.float32)
        return losses.get(model, 0.0) + noise, 0.9 if model == "unpruned" else score

    evaluator: Any = SimpleNamespace(
        progress=Progress(),
        train_briefly=train_briefly,
        teacher="unpruned",
        task=SimpleNamespace(metric="accuracy"),
    )
    finalists = [Finalist(name, Selection(((1, 1), (1, 1)), 0.0, 0.0)) for name in losses]
    final_round = FinalRound(1024, evaluator, lambda one: one.label)
    final_round.train(finalists[::-1] if reverse else finalists)
    return final_round.settled()


def test_no_rival_is_searched_where_structure_is_far_ahead_and_as_good_as_the_unpruned() -> None:
    assert far(0.1, 0.5, score=0.89)
    assert not far(0.45, 0.5, score=0.89)
    assert not far(0.1, 0.5, score=0.8)
    assert not far(0.5, 0.1, score=0.89)
    # A rule that is ahead does not stop the search for better layers.
    assert not far(0.1, 0.5, score=0.89, reverse=True)

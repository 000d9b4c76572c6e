"""What stays of a model under a time budget, as its latency table says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from glp_export.compress.budget import TimeBudget
from glp_export.compress.compressors.base import CompressionEvaluator
from glp_export.compress.compressors.structure.options import StructureOptions
from glp_export.compress.compressors.structure.ranked import Ranked
from glp_export.compress.criteria.moments import run
from glp_export.compress.latency_table import LatencyTable, WholeModel
from glp_export.compress.mutation import Coefficients, Mutation, improve, weighted
from glp_export.compress.search_space import make_space
from glp_export.compress.selection import SearchSpace, Selection, select
from glp_export.compress.sensitivity import divergences

MARGIN = 1.03
"""A choice is made for so much more than the speedup asked for: what ships is measured anew, and a
median of it moves by a few percent."""


@dataclass(frozen=True)
class Chooser:
    """Chooses by a latency table; all that a choice depends on besides stands here.

    Attributes:
        options: of the compressor.
        time: that is asked for.
        evaluator: scores choices.
        ranked: what is chosen from.
        measured: the table before any correction.
    """

    options: StructureOptions
    time: TimeBudget
    evaluator: CompressionEvaluator
    ranked: Ranked
    measured: LatencyTable

    def by(self, table: LatencyTable) -> Selection:
        """The choice that a table leads to; its corrections do not move what errors weigh."""
        space = weighted(self.space(table), self._coefficients)
        return select(space, [wanted_ms(self.time, table)])[0]

    def fast_enough(self, models: Sequence[WholeModel]) -> bool:
        """Whether measured models keep the budget; the unpruned one stands first."""
        unpruned, *chosen = (model.milliseconds for model in models)
        return all(self.time.kept_by(milliseconds, unpruned) for milliseconds in chosen)

    def space(self, table: LatencyTable) -> SearchSpace:
        """All choices."""
        layers, worth = range(table.base.depth), self.ranked.sensitivities
        return make_space(
            self.ranked.ranking,
            table,
            neuron_step=self.options.neuron_step,
            sensitivity=worth.sublayers,
            whole_layers={n: worth.layers.get(n, 0.0) for n in layers},
            pinned=[n for n in layers if n not in self.evaluator.removable],
        )

    @cached_property
    def _coefficients(self) -> Coefficients:
        """Of errors, with which a choice by the first table diverges least from the teacher."""
        mutation = Mutation(rounds=self.options.mutations, seed=self.evaluator.seed)
        wanted = wanted_ms(self.time, self.measured)
        return improve(self.space(self.measured), wanted, self._loss, mutation)

    def _loss(self, choice: Selection) -> float:
        """How far a choice diverges from the teacher on the rows for choosing."""
        ranked, evaluator = self.ranked, self.evaluator
        (loss,) = divergences(
            *(ranked.model, ranked.ranking, [choice], evaluator.dev, evaluator.divergence),
            answers=self._unpruned,
        )
        return loss

    @cached_property
    def _unpruned(self) -> list[Any]:
        """The unpruned model's answers to the rows for choosing."""
        import torch

        with torch.inference_mode():
            return [run(self.ranked.model, batch) for batch in self.evaluator.dev]


def fastest_speedup(table: LatencyTable, removable: Sequence[int]) -> float:
    """The speedup of a single head where layers may go: nothing that is chosen is faster."""
    base = table.base
    least = base.layers[-1].model_copy(update={"heads": 1, "neurons": 0})
    stay = max(1, base.depth - len(removable))
    return table.speedup(base.model_copy(update={"layers": (least,) * stay}))


def wanted_ms(time: TimeBudget, table: LatencyTable) -> float:
    """What a batch may take by a table, with the margin."""
    most = math.inf if time.milliseconds is None else time.milliseconds
    if time.speedup or time.milliseconds is None:
        most = min(most, table.predict(table.base) / (time.speedup or 1.0))
    return most / MARGIN

"""What stays of a model under a time budget, as its latency table says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
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

AGAIN = 2
"""Times as few variations for a table that corrects another one."""


@dataclass(frozen=True)
class Chooser:
    """Chooses by a latency table; all that a choice depends on besides stands here.

    Attributes:
        options: of the compressor.
        time: that is asked for.
        evaluator: scores choices.
        ranked: what is chosen from.
    """

    options: StructureOptions
    time: TimeBudget
    evaluator: CompressionEvaluator
    ranked: Ranked
    _found: dict[str, Coefficients] = field(default_factory=dict, init=False, repr=False)
    _losses: dict[tuple[tuple[int, int] | None, ...], float] = field(
        default_factory=dict, init=False, repr=False
    )

    def by(self, table: LatencyTable) -> Selection:
        """The choice that diverges least from the teacher, of those that were scored.

        What errors weigh is found for the first table, and varied a little for those that correct
        it: the shares of the time move, and the errors do not.
        """
        space, wanted = self.space(table), wanted_ms(self.time, table)
        if table.id not in self._found:
            before = list(self._found.values())
            rounds = -(-self.options.mutations // AGAIN) if before else self.options.mutations
            mutation = Mutation(rounds=rounds, seed=self.evaluator.seed + len(before))
            start = before[-1] if before else None
            self._found[table.id] = improve(space, wanted, self._loss, mutation, start=start)
        return select(weighted(space, self._found[table.id]), [wanted])[0]

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

    def _loss(self, choice: Selection) -> float:
        """How far a choice diverges; another table may lead to one that was scored before."""
        ranked, evaluator = self.ranked, self.evaluator
        if choice.layers not in self._losses:
            (self._losses[choice.layers],) = divergences(
                *(ranked.model, ranked.ranking, [choice], evaluator.dev, evaluator.divergence),
                answers=self._unpruned,
            )
        return self._losses[choice.layers]

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

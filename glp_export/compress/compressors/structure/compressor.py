"""The structure compressor: ranking, choice under a latency table, and a final round.

As ZipLM (arXiv 2302.04089): every sublayer's units are ranked with their whole error curve, and the
choice that loses least within the time that the table says is found by dynamic programming. Whole
layers are among the choices. The table is corrected by whole models until it predicts the speedup
of what it chose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glp_export.compress.budget import Budget, TimeBudget
from glp_export.compress.compressors.base import (
    Calibrator,
    CompressionEvaluator,
    Found,
    LatencyTables,
)
from glp_export.compress.compressors.structure.final_round import Finalist, decide
from glp_export.compress.compressors.structure.options import StructureOptions
from glp_export.compress.criteria import CRITERIA
from glp_export.compress.criteria.base import Calibration, Ranking
from glp_export.compress.criteria.projections import find_projections
from glp_export.compress.edits import RemoveLayers, width_edits
from glp_export.compress.latency_table import corrected_by_choices
from glp_export.compress.plan import Cost, Plan
from glp_export.compress.pruned_model import build_pruned, refit_kept
from glp_export.compress.search_space import kept_units, make_space, removed_layers, selected_shape
from glp_export.compress.selection import Mutation, SearchSpace, Selection, improve, selection_ms
from glp_export.compress.sensitivity import Sensitivities, divergences, measure_sensitivities
from glp_export.core.errors import UsageError
from glp_export.core.shape import ModelShape

if TYPE_CHECKING:
    from pydantic import BaseModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from glp_export.compress.latency_table import LatencyTable

MARGIN = 1.03
"""A choice is made for so much more than the speedup asked for: what ships is measured anew, and a
median of it moves by a few percent."""


@dataclass(frozen=True)
class StructureCompressor:
    """The row of the structure compressor."""

    name: str = "structure"
    summary: str = "heads, neurons, sublayers and layers, by a latency table of what will ship"
    options: type[BaseModel] = StructureOptions

    def require(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        """Check that it is known where the model's heads and neurons are.

        Raises:
            ModelError: it is not.
        """
        from glp_export.encoder.sublayers import require_sublayers

        require_sublayers(model)

    def search(
        self, options: StructureOptions, budget: Budget, evaluator: CompressionEvaluator
    ) -> list[Found]:
        """One plan for each time budget, all from one ranking.

        Raises:
            LatencyError: a budget is out of reach; the message has the fastest that is not.
            UsageError: no time budget was given, or there is no such criterion.
        """
        if not budget.times:
            raise UsageError(
                "structure is chosen for a speed",
                where="--compress structure",
                fix="add --target-speedup 2.0@1x128 or --latency-budget 10ms@1x128",
            )
        ranking = rank(
            options, evaluator.teacher, evaluator.calibrator(options.calibration_samples)
        )
        with evaluator.progress.stage("measure what each sublayer is worth"):
            sensitivities = measure_sensitivities(
                evaluator.teacher,
                ranking,
                evaluator.dev,
                evaluator.divergence,
                removable=evaluator.removable,
            )
        tables = evaluator.tables(options.latency_table)
        return [
            self._for(options, time, evaluator, tables, ranking, sensitivities)
            for time in budget.times
        ]

    def start(self, plan: Plan, model: PreTrainedModel, calibrator: Calibrator) -> PreTrainedModel:
        """The plan's units of a model, the remaining weights refitted where the criterion does so.

        Raises:
            UsageError: the plan is for another model.
        """
        kept = plan.kept_units
        if kept is None or plan.strategy not in CRITERIA or not CRITERIA[plan.strategy].refits:
            return plan.apply(model)
        return refit_kept(plan, model, kept, calibrator)

    def _for(
        self,
        options: StructureOptions,
        time: TimeBudget,
        evaluator: CompressionEvaluator,
        tables: LatencyTables,
        ranking: Ranking,
        sensitivities: Sensitivities,
    ) -> Found:
        measured = tables.table(time)
        base, chosen = measured.base, _Chosen(options, time, evaluator, ranking, sensitivities)
        with evaluator.progress.stage("choose heads, neurons and layers") as meter:
            table = corrected_by_choices(
                measured,
                lambda one: [selected_shape(chosen.by(one), base)],
                lambda shapes: tables.measure_whole(measured.conditions, shapes),
            )
            table.keep(evaluator.directory)
            selection = chosen.by(table)
            shape = selected_shape(selection, base)
            meter.advance(f"{shape.label(base)}: {table.speedup(shape):.2f}× predicted")
        space, wanted = chosen.space(table), chosen.milliseconds(table)
        rivals = _layer_rivals(space, wanted, evaluator)
        selection, steps, cost = decide(
            [Finalist("structure", selection), *rivals],
            options.final_round,
            evaluator,
            lambda one: build_pruned(evaluator.teacher, one, ranking),
        )
        return Found(_plan(options, selection, ranking, table, evaluator, steps, cost))


@dataclass(frozen=True)
class _Chosen:
    """What a latency table leads to, with everything else as it is: a pure function of it."""

    options: StructureOptions
    time: TimeBudget
    evaluator: CompressionEvaluator
    ranking: Ranking
    sensitivities: Sensitivities

    def by(self, table: LatencyTable) -> Selection:
        """The choice that diverges least from the teacher, of those that were scored."""
        evaluator = self.evaluator
        mutation = Mutation(rounds=self.options.mutations, seed=evaluator.seed)
        chosen, _ = improve(self.space(table), self.milliseconds(table), self._loss, mutation)
        return chosen

    def space(self, table: LatencyTable) -> SearchSpace:
        """All choices."""
        layers = range(table.base.depth)
        return make_space(
            self.ranking,
            table,
            neuron_step=self.options.neuron_step,
            sensitivity=self.sensitivities.sublayers,
            whole_layers={n: self.sensitivities.layers.get(n, 0.0) for n in layers},
            pinned=[n for n in layers if n not in self.evaluator.removable],
        )

    def milliseconds(self, table: LatencyTable) -> float:
        """What a batch may take by the table."""
        if self.time.milliseconds is not None:
            return self.time.milliseconds / MARGIN
        return table.predict(table.base) / ((self.time.speedup or 1.0) * MARGIN)

    def _loss(self, choice: Selection) -> float:
        evaluator = self.evaluator
        return divergences(
            evaluator.teacher, self.ranking, [choice], evaluator.dev, evaluator.divergence
        )[0]


def rank(options: StructureOptions, model: PreTrainedModel, calibrator: Calibrator) -> Ranking:
    """Rank the units of every sublayer.

    Raises:
        UsageError: there is no such criterion.
    """
    if options.criterion not in CRITERIA:
        raise UsageError(
            f"there is no criterion {options.criterion!r}",
            where="--criterion",
            fix=f"one of {', '.join(CRITERIA)}",
        )
    return CRITERIA[options.criterion].rank(
        Calibration(model, find_projections(model), calibrator.batches, calibrator.loss)
    )


def _layer_rivals(
    space: SearchSpace, wanted_ms: float, evaluator: CompressionEvaluator
) -> list[Finalist]:
    """The rules of whole layers at about the same time: what structure has to beat."""
    from glp_export.compress.compressors.layers.strategies import Problem, order_by_rule

    whole = [
        (max(layer.attention.counts), max(layer.feed_forward.counts)) for layer in space.layers
    ]
    found: dict[tuple[Any, ...], Finalist] = {}
    for rule in ("alternate", "symmetric", "top"):
        for cuts in range(1, len(evaluator.removable) + 1):
            gone = set(order_by_rule(rule, Problem(evaluator.removable, cuts)))
            layers = tuple(None if n in gone else pair for n, pair in enumerate(whole))
            if all(layer is None for layer in layers):
                break
            milliseconds = selection_ms(space, layers)
            if milliseconds <= wanted_ms:
                choice = Selection(layers, 0.0, milliseconds)
                found.setdefault(layers, Finalist(f"layers ({rule})", choice))
                break
    return list(found.values())


def _plan(
    options: StructureOptions,
    selection: Selection,
    ranking: Ranking,
    table: LatencyTable,
    evaluator: CompressionEvaluator,
    steps: tuple[Any, ...],
    cost: Cost,
) -> Plan:
    gone = removed_layers(selection)
    edits = (RemoveLayers(layers=gone),) if gone else ()
    base: ModelShape = evaluator.facts["base_shape"]
    left = edits[0].shape(base) if edits else base
    return Plan(
        **evaluator.facts,
        compressors=("structure",),
        strategy=options.criterion,
        seed=evaluator.seed,
        edits=(*edits, *width_edits(kept_units(selection, ranking), left)),
        steps=steps,
        cost=cost,
        settings=options.model_dump(mode="json", exclude={"latency_table"}),
        latency_table=table.id,
        predicted_speedup=round(table.speedup(selected_shape(selection, table.base)), 3),
    )


STRUCTURE = StructureCompressor()

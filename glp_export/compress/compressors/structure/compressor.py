"""The structure compressor: ranking, choice under a latency table, and a final round.

As ZipLM (arXiv 2302.04089): every sublayer's units are ranked with their whole error curve, and the
choice that loses least within the time that the table says is found by dynamic programming. Whole
layers are among the choices. The table is corrected by whole models until it predicts the speedup
of what it chose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from glp_export.compress.budget import Budget, TimeBudget
from glp_export.compress.compressors.base import (
    Calibrator,
    CompressionEvaluator,
    Found,
    LatencyTables,
)
from glp_export.compress.compressors.layers.compressor import LAYERS
from glp_export.compress.compressors.layers.options import LayerOptions
from glp_export.compress.compressors.structure.accuracy import (
    fastest_within_drop,
    longest_search,
    speed_wanted,
    speeds_within,
)
from glp_export.compress.compressors.structure.choice import (
    MARGIN,
    Chooser,
    fastest_speedup,
    wanted_ms,
)
from glp_export.compress.compressors.structure.final_round import Finalist, FinalRound
from glp_export.compress.compressors.structure.options import StructureOptions
from glp_export.compress.compressors.structure.ranked import looked_at, trained_for
from glp_export.compress.compressors.structure.rivals import (
    RIVAL_RULES,
    rivals_by_rule,
    search_rival,
)
from glp_export.compress.criteria import CRITERIA
from glp_export.compress.criteria.base import Criterion
from glp_export.compress.edits import RemoveLayers, width_edits
from glp_export.compress.latency_fit import corrected_by_choices
from glp_export.compress.latency_table import LatencyTable, WholeModel
from glp_export.compress.plan import Cost, Plan, Step
from glp_export.compress.pruned_model import build_pruned, refit_kept
from glp_export.compress.search_cost import SearchCost, TrialGroup
from glp_export.compress.search_space import kept_units, removed_layers, selected_shape
from glp_export.compress.selection import Selection
from glp_export.compress.steps import Part
from glp_export.core.errors import UsageError
from glp_export.core.shape import ModelShape
from glp_export.core.stopwatch import Stopwatch

if TYPE_CHECKING:
    from pydantic import BaseModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


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

    def cost(
        self, options: StructureOptions, budget: Budget, base: ModelShape, removable: Sequence[int]
    ) -> SearchCost:
        """The final round of each budget: the structure that was chosen, and the rivals of it.

        Ranking and scoring choices are not counted: no model is trained for them.

        Raises:
            UsageError: no time budget was given, or there is no such criterion.
        """
        criterion_of(options.criterion)
        times, recoveries = _times(budget)
        groups = [TrialGroup(1, _layers_less(time, base.depth), sure=False) for time in recoveries]
        for time in times if options.final_round else ():
            cuts = max(1, _layers_less(time, base.depth))
            order = LAYERS.cost(LayerOptions(), Budget(cuts), base, removable)
            finalists = TrialGroup(2 + len(RIVAL_RULES), cuts, options.final_round)
            # Where no whole layers are fast enough, there is nothing to compare.
            groups += (replace(one, sure=False) for one in (*order.groups, finalists))
        return SearchCost(
            groups=tuple(groups),
            teachers=1,
            certain=False,
            strategy=options.criterion,
            flag="--criterion",
            # Sensitivities once; table, correction, choice, layers and final round of each.
            stages=1 + (3 + 2 * bool(options.final_round)) * len(times) + len(recoveries),
        )

    def search(
        self, options: StructureOptions, budget: Budget, evaluator: CompressionEvaluator
    ) -> list[Found]:
        """One plan for each time budget; with an accuracy to keep the fastest that does.

        A criterion that looks ranks once for all of them; one that trains does so for each.

        Raises:
            AccuracyError: no speed is slow enough for the accuracy.
            LatencyError: a budget is out of reach; the message has the fastest that is not.
            UsageError: no time budget was given, there is no such criterion, or it will not do for
                this model.
        """
        _times(budget)  # something is asked for, and it fits
        criterion = criterion_of(options.criterion)
        criterion.check(evaluator.facts["base_shape"], options.block_shape)
        tables = evaluator.tables(options.latency_table)
        once = looked_at(criterion, options, evaluator) if criterion.train is None else None

        def choose(time: TimeBudget) -> Found:
            with Stopwatch() as measuring:
                table = tables.table(time)
            ranked = once or trained_for(
                criterion, options, evaluator, table, wanted_ms(time, table)
            )
            return _for(Chooser(options, time, evaluator, ranked), table, tables, measuring)

        if budget.max_drop is None:
            return [choose(one) for one in budget.times]
        least = speed_wanted(budget)
        table = tables.table(least)
        unpruned = table.predict(table.base)
        slowest = unpruned / (wanted_ms(least, table) * MARGIN)
        speeds = speeds_within(least, slowest, fastest_speedup(table, evaluator.removable) / MARGIN)
        return [fastest_within_drop(speeds, choose, budget.max_drop, evaluator)]

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
    chooser: Chooser, measured: LatencyTable, tables: LatencyTables, measuring: Stopwatch
) -> Found:
    """The plan for one time budget; `measuring` has taken the seconds of its table."""
    base, evaluator, ranked = measured.base, chooser.evaluator, chooser.ranked
    choosing, measured_before = Stopwatch(), measuring.seconds

    def measure(shapes: Sequence[ModelShape]) -> Sequence[WholeModel]:
        with measuring:
            return tables.measure_whole(measured.conditions, shapes)

    with evaluator.progress.stage("choose heads, neurons and layers") as meter, choosing:
        table = corrected_by_choices(
            measured,
            lambda one: [selected_shape(chooser.by(one), base)],
            measure,
            enough=chooser.fast_enough,
        )
        table.keep(evaluator.directory)
        selection = chooser.by(table)
        shape = selected_shape(selection, base)
        chosen_words = f"{shape.label(base)}, {table.speedup(shape):.2f}× predicted"
        meter.advance(chosen_words)
    evaluator.progress.say(f"kept {chosen_words}")
    own = Finalist("structure", selection)
    winner, cost = own, ranked.cost + Cost.of_part(Part.TABLE, measuring.seconds)
    cost += Cost.of_part(Part.CHOICE, choosing.seconds - (measuring.seconds - measured_before))
    steps: tuple[Step, ...] = ()
    rivals = rivals_by_rule(chooser, table) if chooser.options.final_round else []
    if rivals:
        final_round = FinalRound(
            chooser.options.final_round,
            evaluator,
            # Whole layers are those of the teacher, whatever a criterion trained.
            lambda one: build_pruned(
                ranked.model if one is own else evaluator.teacher, one.selection, ranked.ranking
            ),
        )
        final_round.train([own, *rivals])
        cost += search_rival(chooser, table, rivals, final_round)
        winner, steps, compared = final_round.result()
        cost += compared
    else:
        cost += evaluator.teacher_cost
    plan = _plan(chooser, winner.selection, table, steps, cost)
    return Found(plan, ranked.start if winner is own else None)


def _times(budget: Budget) -> tuple[Sequence[TimeBudget], Sequence[TimeBudget]]:
    """The times that structure is chosen for at most, and those of them that are recovered.

    Raises:
        UsageError: nothing says how fast or how accurate the model is to be, several times stand
            beside an accuracy, or they are of several shapes.
    """
    if budget.max_drop is not None:
        looked_at = longest_search(budget)
        return looked_at, looked_at
    if not budget.times:
        raise UsageError(
            "structure is chosen for a speed or an accuracy",
            where="--compress structure",
            fix="add --target-speedup 2.0@1x128, --latency-budget 10ms@1x128 or --max-drop 0.01",
        )
    if len({(one.batch_size, one.sequence_length) for one in budget.times}) > 1:
        raise UsageError(
            "structure is chosen by a latency table of one shape, and the targets name several",
            where="--latency-budget",
            fix="name the shape of --target-speedup there too, or add --compress layers",
        )
    return budget.times, ()


def criterion_of(name: str) -> Criterion:
    """A row of `CRITERIA`.

    Raises:
        UsageError: there is no such criterion.
    """
    if name not in CRITERIA:
        raise UsageError(
            f"there is no criterion {name!r}",
            where="--criterion",
            fix=f"one of {', '.join(CRITERIA)}",
        )
    return CRITERIA[name]


def _layers_less(time: TimeBudget, layers: int) -> int:
    """Whole layers that a speedup is worth by count alone; 0 where it is not known before."""
    return layers - round(layers / time.speedup) if time.speedup else 0


def _plan(
    chooser: Chooser, selection: Selection, table: LatencyTable, steps: tuple[Step, ...], cost: Cost
) -> Plan:
    options, evaluator, ranking = chooser.options, chooser.evaluator, chooser.ranked.ranking
    gone = removed_layers(selection)
    unused = {"latency_table", "criterion_epochs", "block"}
    settings = options.model_dump(mode="json", exclude=unused) | dict(chooser.ranked.settings)
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
        settings=settings,
        latency_table=table.id,
        predicted_speedup=round(table.speedup(selected_shape(selection, table.base)), 3),
    )


STRUCTURE = StructureCompressor()

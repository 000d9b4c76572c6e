"""The rows of the frontier: what each of them leaves of the unpruned model, as plans."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glp_export.compress.budget import Budget, TimeBudget
from glp_export.compress.compressors import COMPRESSORS
from glp_export.compress.compressors.base import Found
from glp_export.compress.compressors.layers.options import LayerOptions
from glp_export.compress.compressors.structure.compressor import criterion_of
from glp_export.compress.compressors.structure.options import StructureOptions
from glp_export.compress.criteria.base import Calibration, Ranking
from glp_export.compress.criteria.projections import find_projections
from glp_export.compress.edits import width_edits
from glp_export.compress.latency_table import LatencyTable, kept_table
from glp_export.compress.plan import Plan
from glp_export.compress.search_space import kept_units, selected_shape
from glp_export.compress.selection import Selection
from glp_export.core.shape import Kept, KeptLayer, LayerShape, ModelShape
from glp_export.workflows.stages.recovery_start import alternate_student
from glp_export.workflows.stages.run_evaluator import RunEvaluator

UNPRUNED = "unpruned"
LAYERS, STUDENT = "layers (fast-greedy)", "layers (alternate student)"
OBS, FISHER = "structure (obs)", "structure (fisher)"
UNIFORM = {"magnitude": "uniform width (magnitude)", "fisher": "uniform width (fisher)"}
RANDOM, SHAPE_ALONE = "random structure", "found shape, other units"
MATCHED = "structure (obs), as fast as the layers"
TRAINED = {name: f"structure ({name})" for name in ("movement", "group-lasso", "pdp")}
SILENT, VOCABULARY, KRONECKER = "structure (silent-neurons)", "vocabulary", "kronecker"

ROWS = (UNPRUNED, LAYERS, STUDENT, *UNIFORM.values(), RANDOM, SHAPE_ALONE, FISHER, OBS, MATCHED)
"""Of the frontier, in the order of the table."""

COMPRESSORS_ROWS = (
    *(UNPRUNED, LAYERS, STUDENT, OBS, FISHER, *TRAINED.values(), SILENT),
    *(KRONECKER, VOCABULARY),
)
"""Of the comparison of compressors, in the order of the table; the last ones are for size alone."""

START = ".start"
"""Ending of the file that says where the weights are that recovery begins with."""

FIRST = (
    *(LAYERS, OBS, MATCHED, UNIFORM["fisher"], SHAPE_ALONE, RANDOM, STUDENT),
    *(UNIFORM["magnitude"], FISHER, *TRAINED.values(), SILENT, KRONECKER, VOCABULARY),
)
"""In the order of work."""


@dataclass(frozen=True)
class Rows:
    """The plans of one task and seed; each is searched once, and read from disk after that.

    Attributes:
        evaluator: of the task.
        directory: where plans and latency tables are kept.
        targets: speedups over the unpruned model.
        shape: rows and tokens at which they hold.
        criterion_options: how structure is chosen.
        wanted: the rows that are measured.
    """

    evaluator: RunEvaluator
    directory: Path
    targets: tuple[float, ...]
    shape: tuple[int, int]
    criterion_options: StructureOptions
    wanted: Sequence[str]

    def plan(self, row: str, target: float) -> Plan:
        """What a row leaves at a target.

        Raises:
            LatencyError: the target is out of reach.
        """
        return self.found(row, target).plan

    def found(self, row: str, target: float) -> Found:
        """The plan of a row at a target, and where its recovery begins.

        Raises:
            LatencyError: the target is out of reach.
        """
        path = self.directory / f"{row} {target:g}.json"
        if not path.is_file():
            self._makers()[row](target)
        start = path.with_suffix(START)
        return Found(Plan.load(path), Path(start.read_text()) if start.is_file() else None)

    def table(self, target: float) -> LatencyTable:
        """The latency table that structure was chosen by, corrected by what was chosen."""
        plan = self.plan(OBS, target)
        found = kept_table(self.evaluator.directory, plan.latency_table)
        assert found is not None, "the search keeps its table"
        return found

    def _makers(self) -> Mapping[str, Callable[[float], None]]:
        return {
            LAYERS: lambda target: self._layers(),
            STUDENT: self._student,
            OBS: lambda target: self._structure("obs", OBS, self.targets),
            **{
                row: lambda target, own=criterion, row=row: self._structure(own, row, self.targets)
                for criterion, row in {
                    "fisher": FISHER,
                    "silent-neurons": SILENT,
                    **TRAINED,
                }.items()
            },
            VOCABULARY: lambda target: self._for_size("vocabulary", VOCABULARY),
            KRONECKER: lambda target: self._for_size("kronecker", KRONECKER),
            MATCHED: lambda target: self._matched(),
            RANDOM: self._random,
            SHAPE_ALONE: self._shape_alone,
            **{
                name: lambda target, own=criterion: self._uniform(own, target)
                for criterion, name in UNIFORM.items()
            },
        }

    def _keep(self, plan: Plan, row: str, target: float, start: Path | None = None) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / f"{row} {target:g}.json"
        if start is not None:
            path.with_suffix(START).write_text(str(start))
        plan.save(path)

    @property
    def _base(self) -> ModelShape:
        base: ModelShape = self.evaluator.facts["base_shape"]
        return base

    def depth(self, target: float) -> int:
        """The most whole layers that are fast enough by the corrected table."""
        table, base = self.table(target), self._base
        return max(
            count
            for count in range(1, base.depth)
            if count == 1 or table.speedup(_first(base, count)) >= target
        )

    def _layers(self) -> None:
        depths = tuple(self.depth(target) for target in self.targets)
        budget = Budget(self._base.depth - min(depths), tuple(sorted(set(depths), reverse=True)))
        search = COMPRESSORS["layers"].load().search
        found = {one.plan.depth: one.plan for one in search(LayerOptions(), budget, self.evaluator)}
        for target, depth in zip(self.targets, depths, strict=True):
            self._keep(found[depth], LAYERS, target)

    def _student(self, target: float) -> None:
        plan = alternate_student(self.plan(LAYERS, target), self.evaluator.removable)
        self._keep(plan, STUDENT, target)

    def _structure(self, criterion: str, row: str, speedups: Sequence[float]) -> None:
        times = tuple(TimeBudget(*self.shape, speedup=one) for one in speedups)
        options = self.criterion_options.model_copy(update={"criterion": criterion})
        search = COMPRESSORS["structure"].load().search
        found = search(options, Budget(times=times), self.evaluator)
        for target, one in zip(self.targets, found, strict=True):
            self._keep(one.plan, row, target, one.start)

    def _for_size(self, compressor: str, row: str) -> None:
        """What makes a model smaller and not faster is the same at every target."""
        own = COMPRESSORS[compressor].load()
        (found,) = own.search(own.options(), Budget(), self.evaluator)
        for target in self.targets:
            self._keep(found.plan, row, target, found.start)

    def _matched(self) -> None:
        """As fast as the layers are: whole layers come in few speeds, mostly past the target."""
        base, tables = self._base, self.evaluator.tables()
        conditions = self.table(self.targets[0]).conditions
        shapes = [base, *(_first(base, self.plan(LAYERS, one).depth) for one in self.targets)]
        unpruned, *models = tables.measure_whole(conditions, shapes)
        speedups = [round(unpruned.milliseconds / one.milliseconds, 2) for one in models]
        self._structure("obs", MATCHED, speedups)

    def _ranking(self, criterion: str) -> Ranking:
        calibrator = self.evaluator.calibrator(self.criterion_options.calibration_samples)
        model = self.evaluator.teacher
        given = Calibration(model, find_projections(model), calibrator.batches, calibrator.loss)
        rank = criterion_of(criterion).rank
        assert rank is not None, "fisher and magnitude rank a model as it is"
        return rank(given)

    def _milliseconds(self, target: float) -> float:
        """What the structure that was found takes, by its table."""
        shape = self.plan(OBS, target).shape
        assert shape is not None
        return self.table(target).predict(shape)

    def _uniform(self, criterion: str, target: float) -> None:
        """The same share of the heads and of the neurons of every layer, the most that fit."""
        table, most = self.table(target), self._milliseconds(target)
        full, step = self._base.layers[0], self.criterion_options.neuron_step
        for neurons in range(full.neurons - step, 0, -step):
            heads = max(1, round(full.heads * neurons / full.neurons))
            selection = Selection(((heads, neurons),) * self._base.depth, 0.0, 0.0)
            if table.predict(selected_shape(selection, self._base)) <= most:
                break
        kept = kept_units(selection, self._ranking(criterion))
        self._keep(self._narrow(kept, f"uniform {criterion}", target), UNIFORM[criterion], target)

    def _random(self, target: float) -> None:
        """Widths drawn sublayer by sublayer, scaled until the model takes as long; units drawn."""
        table, most = self.table(target), self._milliseconds(target)
        generator = np.random.default_rng(self.evaluator.seed)
        shares = generator.random((self._base.depth, 2))
        full, low, high = self._base.layers[0], 0.0, 64.0
        for _ in range(40):
            power = (low + high) / 2
            counts = np.ceil(shares**power * (full.heads, full.neurons)).astype(int)
            pairs = tuple((int(heads), int(neurons)) for heads, neurons in counts)
            shape = selected_shape(Selection(pairs, 0.0, 0.0), self._base)
            low, high = (power, high) if table.predict(shape) > most else (low, power)
        counts = np.ceil(shares**high * (full.heads, full.neurons)).astype(int)
        kept = _drawn([(int(heads), int(neurons)) for heads, neurons in counts], full, generator)
        self._keep(self._narrow(kept, "random", target), RANDOM, target)

    def _shape_alone(self, target: float) -> None:
        """The structure's widths, with units that were drawn and weights as they were."""
        plan = self.plan(OBS, target)
        shape, full = plan.shape, self._base.layers[0]
        assert shape is not None
        generator = np.random.default_rng(self.evaluator.seed)
        kept = _drawn([(layer.heads, layer.neurons) for layer in shape.layers], full, generator)
        layers = plan.edits[:1] if plan.order else ()
        left = layers[0].shape(self._base) if layers else self._base
        edits = (*layers, *width_edits(kept, left))
        own = plan.model_copy(update={"edits": edits, "strategy": "drawn"})
        self._keep(own, SHAPE_ALONE, target)

    def _narrow(self, kept: Kept, strategy: str, target: float) -> Plan:
        table = self.table(target)
        plan = Plan(
            **self.evaluator.facts,
            compressors=("structure",),
            strategy=strategy,
            seed=self.evaluator.seed,
            edits=width_edits(kept, self._base),
            latency_table=table.id,
        )
        assert plan.shape is not None
        return plan.model_copy(update={"predicted_speedup": round(table.speedup(plan.shape), 3)})


def _first(base: ModelShape, count: int) -> ModelShape:
    return base.model_copy(update={"layers": base.layers[:count]})


def _drawn(
    counts: Sequence[tuple[int, int]], full: LayerShape, generator: np.random.Generator
) -> Kept:
    """So many heads and neurons of each layer, at random."""
    layers = []
    for heads, neurons in counts:
        drawn = (
            tuple(sorted(int(unit) for unit in generator.permutation(all_)[:some]))
            for all_, some in ((full.heads, heads), (full.neurons, neurons))
        )
        own_heads, own_neurons = drawn
        layers.append(KeptLayer(heads=own_heads, neurons=own_neurons))
    return Kept(layers=tuple(layers))

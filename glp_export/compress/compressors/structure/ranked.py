"""What a choice is made among: a model, the ranking of its units, and where they come from.

A criterion that looks ranks the teacher. One that trains gives a model of its own, which is trained
once and kept with its ranking, so that a run that goes on finds both as they were.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.compress.compressors.base import CompressionEvaluator
from glp_export.compress.compressors.structure.options import StructureOptions
from glp_export.compress.criteria import CRITERIA
from glp_export.compress.criteria.base import (
    Calibration,
    Counts,
    Criterion,
    ErrorCurve,
    Ranking,
    Sublayer,
    Trained,
    Training,
)
from glp_export.compress.criteria.projections import find_projections
from glp_export.compress.plan import Cost, Plan
from glp_export.compress.sensitivity import Sensitivities, measure_sensitivities
from glp_export.compress.steps import Part
from glp_export.core.errors import DataError
from glp_export.core.stopwatch import Stopwatch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from glp_export.compress.latency_table import LatencyTable

WEIGHTS, RANKING = "model.safetensors", "ranking.json"

KEPT = "criterion"
"""The kind of a trained model's entry in the cache."""


@dataclass(frozen=True)
class Ranked:
    """What a choice is made among.

    Attributes:
        model: at full size, whose units are ranked.
        ranking: of them.
        sensitivities: what each sublayer and layer is worth.
        start: where the model is kept; None for the teacher.
        cost: of its training.
        settings: of a plan, by which `trained_before` finds the model again.
    """

    model: PreTrainedModel
    ranking: Ranking
    sensitivities: Sensitivities
    start: Path | None = None
    cost: Cost = field(default_factory=Cost)
    settings: Mapping[str, Any] = field(default_factory=dict)


def looked_at(
    criterion: Criterion, options: StructureOptions, evaluator: CompressionEvaluator
) -> Ranked:
    """The teacher, ranked as it is."""
    assert criterion.rank is not None
    model = evaluator.teacher
    with Stopwatch() as watch:
        calibrator = evaluator.calibrator(options.calibration_samples)
        ranking = criterion.rank(
            Calibration(model, find_projections(model), calibrator.batches, calibrator.loss)
        )
        worth = _worth(model, ranking, evaluator)
    return Ranked(model, ranking, worth, cost=Cost.of_part(Part.RANKING, watch.seconds))


def trained_for(
    criterion: Criterion,
    options: StructureOptions,
    evaluator: CompressionEvaluator,
    table: LatencyTable,
    milliseconds: float,
) -> Ranked:
    """A model that a criterion trained for a time, from the cache or now.

    Args:
        criterion: that trains.
        options: how long, and in which blocks.
        evaluator: trains and keeps.
        table: of times; the training is steered by it.
        milliseconds: that shall be left.
    """
    wanted = milliseconds / table.predict(table.base)
    title, known = f"train for {criterion.name}", True
    settings = {
        "criterion_epochs": options.criterion_epochs,
        "block": options.block,
        "training_table": table.id,
        "time_left": round(wanted, 6),
    }

    def make(directory: Path) -> None:
        nonlocal known
        known = False
        assert criterion.train is not None
        with evaluator.progress.stage(title) as meter:
            training = Training(
                model=evaluator.teacher,
                teach=evaluator.teach(options.criterion_epochs, meter.update),
                share=lambda counts: _share(table, counts),
                wanted=wanted,
                block=options.block_shape,
                seed=evaluator.seed,
            )
            with Stopwatch() as watch:
                trained = criterion.train(training)
            save_trained(trained, directory, seconds=round(watch.seconds, 1))

    start = evaluator.kept(KEPT, _facts(criterion.name, settings), make)
    if known:
        evaluator.progress.skip(title, "in the cache")
    trained, seconds = load_trained(start, evaluator.teacher)
    evaluator.progress.say(
        f"{criterion.name}: {trained.reached:.0%} of the time is left where {wanted:.0%} is wanted"
    )
    with Stopwatch() as watch:
        worth = _worth(trained.model, trained.ranking, evaluator)
    cost = Cost.of_part(
        Part.RANKING,
        seconds + watch.seconds,
        trainings=1,
        sample_layers=round(evaluator.rows * options.criterion_epochs) * table.base.depth,
    )
    return Ranked(trained.model, trained.ranking, worth, start, cost, settings)


def needs_trained(plan: Plan) -> bool:
    """Whether a plan was made with weights that its criterion trained, which it does not hold."""
    criterion = CRITERIA.get(plan.strategy)
    return criterion is not None and criterion.train is not None and not plan.layers_only


def trained_before(plan: Plan, evaluator: CompressionEvaluator) -> Path | None:
    """The weights that a plan's criterion trained, where the cache still has them."""
    if not needs_trained(plan):
        return None
    return evaluator.kept_before(KEPT, _facts(plan.strategy, plan.settings))


def _facts(criterion: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What trained weights depend on, beside the model, the data and how it is trained."""
    names = ("criterion_epochs", "block", "training_table", "time_left")
    return {"criterion": criterion, **{name: settings.get(name) for name in names}}


def save_trained(trained: Trained, directory: Path, *, seconds: float) -> None:
    """Write a model's weights, full size, and the ranking of its units."""
    from safetensors.torch import save_model

    save_model(trained.model, str(directory / WEIGHTS))
    record = {
        "reached": trained.reached,
        "seconds": seconds,
        "curves": [asdict(curve) for curve in trained.ranking.curves],
    }
    (directory / RANKING).write_text(json.dumps(record))


def load_trained(directory: Path, like: PreTrainedModel) -> tuple[Trained, float]:
    """Read what `save_trained` wrote, and the seconds that it took.

    Raises:
        DataError: it cannot be read.
    """
    try:
        record = json.loads((directory / RANKING).read_text())
        curves = tuple(
            ErrorCurve(Sublayer(*one["sublayer"]), tuple(one["order"]), tuple(one["errors"]))
            for one in record["curves"]
        )
        reached, seconds = float(record["reached"]), float(record["seconds"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"what a criterion trained cannot be read: {error}",
            where=str(directory),
            fix="remove that directory: it is made again",
        ) from error
    return Trained(with_weights(like, directory), Ranking(curves), reached), seconds


def with_weights(like: PreTrainedModel, directory: Path) -> PreTrainedModel:
    """A copy of a model with the weights of a directory, in eval mode.

    Raises:
        DataError: they are not there, or those of another model.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_model

    model = copy.deepcopy(like)
    try:
        load_model(model, str(directory / WEIGHTS))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise DataError(
            f"the weights where recovery begins cannot be read: {error}",
            where=str(directory / WEIGHTS),
            fix="remove that directory: it is made again",
        ) from error
    return model.eval()


def _share(table: LatencyTable, counts: Counts) -> float:
    layers = tuple(
        layer.model_copy(update={"heads": heads, "neurons": neurons})
        for layer, (heads, neurons) in zip(table.base.layers, counts, strict=True)
    )
    shape = table.base.model_copy(update={"layers": layers})
    return table.predict(shape) / table.predict(table.base)


def _worth(
    model: PreTrainedModel, ranking: Ranking, evaluator: CompressionEvaluator
) -> Sensitivities:
    with evaluator.progress.stage("measure what each sublayer is worth"):
        return measure_sensitivities(
            model, ranking, evaluator.dev, evaluator.divergence, removable=evaluator.removable
        )

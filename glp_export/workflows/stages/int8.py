"""int8: quantise, smooth what is loud, keep in float what accuracy needs, or teach the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from glp_export.artifact import OnnxFile, export_onnx
from glp_export.artifact.batches import by_length, pad_rows
from glp_export.artifact.variants import VARIANTS
from glp_export.bench import quickest
from glp_export.core.errors import AccuracyError, UsageError
from glp_export.encoder import Lesson, ModelSource, load_model, predict, save_checkpoint
from glp_export.precision.int8 import NARROW, products, quantise, smooth
from glp_export.precision.int8.mixed_precision import (
    Kept,
    compare_with,
    divergence,
    fewest_in_float,
)
from glp_export.precision.int8.recipe import DYNAMIC, RECIPES
from glp_export.precision.qat import quantisation_aware
from glp_export.precision.record import Loss, PrecisionEntry
from glp_export.tasks import count_examples, truth_of
from glp_export.workflows.stages.export import Lower, choice_workloads, timing_of
from glp_export.workflows.stages.order import Evidence, Order

SMOOTHING_ROWS, CALIBRATION_ROWS = 1024, 256
"""Rows of `fit` that the largest activation of a channel, and the range of a tensor, is taken from.

A loud channel that only one row in a thousand has must be seen (benchmarks/int8_accuracy.py).
"""

LOUD = 1e-3
"""How far rounding may move the logits before activations are smoothed: mean square over variance.

A file that moves them by less kept its accuracy; of those that move them by more half did not, and
smoothing brings them back for 1 to 6 % of the speed (benchmarks/int8_accuracy.py and
production_speedup.py).
"""

PATIENT = 0.25
"""Share of the usual learning rate for weights that are where they should be."""


@dataclass(frozen=True)
class _Try:
    """A recipe with what stays in float for it, the file that came of it and its judgement."""

    name: str
    file: OnnxFile
    kept: Kept | None
    smoothed: bool = False
    recovered: bool = False


def build_int8(order: Order) -> Lower:
    """Make the fastest int8 file that is accurate enough.

    Every recipe that was asked for keeps in float what its accuracy needs. If none is accurate
    enough then, the weights are taught to bear the rounding, and the first recipe is tried again.

    Raises:
        AccuracyError: not even that is accurate enough.
        ModelError: the graph cannot be quantised.
    """
    names = order.place.config.int8
    tries = [_quantised(order, name, order.exported.plain) for name in names]
    passing = [one for one in tries if one.kept is None or one.kept.within]
    if not passing:
        tries.append(_taught(order, names[0]))
        passing = [tries[-1]] if tries[-1].kept and tries[-1].kept.within else []
    if not passing:
        raise _too_inaccurate(order, tries)
    return _lower(order, _fastest(order, passing), len(tries))


def _quantised(order: Order, name: str, plain: OnnxFile, *, recovered: bool = False) -> _Try:
    """The file of one recipe, with as little in float as its accuracy allows."""
    recipe, evidence = RECIPES[name], order.evidence
    work = order.work / f"{name}{'-taught' if recovered else ''}"
    work.mkdir(parents=True, exist_ok=True)
    static = recipe.mode != DYNAMIC
    batches = _batches(order, evidence, CALIBRATION_ROWS) if static else ()
    output = work / VARIANTS["int8"].file_name

    def build(source: OnnxFile, keep_float: frozenset[str] = frozenset()) -> OnnxFile:
        own = replace(recipe, keep_float=keep_float)
        return quantise(source, output, order.exported.trained.checkpoint, own, batches=batches)

    if evidence is None:
        return _Try(name, build(plain), None)
    # What it has to live up to are the answers of the model that was trained, in fp32.
    reference = order.answers(order.exported.plain, evidence.select)
    axis, numbers = order.place.kind.shift_axis, order.place.kind.numbers
    own = numbers(reference)
    moved = divergence(numbers(order.answers(build(plain), evidence.select)), own, axis)
    loud = moved > LOUD * divergence(own, own.mean(axis=0, keepdims=True), axis)
    if loud:
        rows = _batches(order, evidence, SMOOTHING_ROWS)
        plain = smooth(plain, work / "smooth.onnx", rows, threads=order.place.threads)
    kept = fewest_in_float(
        {one.name: float(one.work) for one in products(plain) if one.columns >= NARROW},
        lambda names: order.answers(build(plain, names), evidence.select),
        reference,
        compare_with(order.place.task, reference, truth_of(order.place.task, evidence.select)),
        max_drop=evidence.max_drop,
        shift_axis=axis,
        numbers=numbers,
    )
    return _Try(name, build(plain, kept.keep_float), kept, loud, recovered)


def _taught(order: Order, name: str) -> _Try:
    """The recipe once more, after a short lesson in which the weights feel the rounding."""
    evidence = order.evidence
    assert evidence is not None  # without it nothing was judged, and nothing failed
    place, trained = order.place, order.exported.trained
    model = load_model(ModelSource(str(trained.checkpoint), offline=True), place.task)
    settings = replace(evidence.settings, epochs=min(1.0, evidence.settings.epochs))
    lesson = Lesson(
        examples=evidence.train,
        tokenizer=trained.tokenizer,
        teacher_logits=predict(model, evidence.train, trained.tokenizer, device=place.device),
        settings=settings,
        distillation=replace(evidence.distillation, rate=PATIENT),
    )
    checkpoint = order.work / "taught"
    save_checkpoint(quantisation_aware(model, lesson), trained.tokenizer, checkpoint)
    plain = export_onnx(
        checkpoint,
        checkpoint / "onnx" / "model.onnx",
        export_task=place.kind.export_task,
        opset=place.config.opset,
        exporter=place.config.exporter,
        threads=place.threads,
    )
    return _quantised(order, name, plain, recovered=True)


def _batches(
    order: Order, evidence: Evidence | None, count: int
) -> list[Mapping[str, NDArray[np.int64]]]:
    """Padded rows of `fit` for calibration, never of `select` or `test`.

    Raises:
        UsageError: there are none.
    """
    if evidence is None:
        raise UsageError(
            "ranges cannot be taken without data",
            where="--int8",
            fix=f"use --int8 {DYNAMIC}, or prune-and-export, which has the data at hand",
        )
    rows = evidence.fit.select(range(min(count, len(evidence.fit))))
    tokenizer = order.exported.trained.tokenizer
    return [pad_rows(rows, part, tokenizer) for part in by_length(rows, 16)]


def _fastest(order: Order, passing: Sequence[_Try]) -> _Try:
    """Of several that are accurate enough the fastest, by interleaved timing."""
    if len(passing) == 1:
        return passing[0]
    place, trained = order.place, order.exported.trained
    with order.progress.still():
        winner = quickest(
            [one.file for one in passing],
            trained.checkpoint,
            choice_workloads(place, trained),
            provider=place.provider,
            threads=place.threads,
            auto_class=place.kind.auto_class,
            timing=timing_of(min(3.0, place.config.bench_seconds), place.config),
        )
    return next(one for one in passing if one.file == winner)


def _lower(order: Order, chosen: _Try, recipes: int) -> Lower:
    recipe, kept = RECIPES[chosen.name], chosen.kept
    ranges = "dynamic" if recipe.mode == DYNAMIC else f"static ({recipe.calibration})"
    smoothed = "smoothed " if chosen.smoothed else ""
    entry = PrecisionEntry(
        precision="int8",
        file=chosen.file.path.name,
        recipe=f"int8, {ranges} ranges, {smoothed}{recipe.form} graph",
        kept_in_float=tuple(sorted(kept.keep_float)) if kept else (),
        share_in_float=kept.share if kept else 0.0,
        files_tried=len(kept.trials) if kept else recipes,
        smoothed=chosen.smoothed,
        recovered=chosen.recovered,
        on_select=_loss(kept, order) if kept else None,
    )
    return Lower(chosen.file, entry)


def _loss(kept: Kept, order: Order) -> Loss | None:
    if order.evidence is None:
        return None
    task = order.place.task
    samples = count_examples(task, truth_of(task, order.evidence.select))
    return Loss.of(kept.value, (kept.drop, kept.low, kept.high), samples)


def _too_inaccurate(order: Order, tries: Sequence[_Try]) -> AccuracyError:
    evidence = order.evidence
    assert evidence is not None  # without it nothing was judged, and nothing failed
    best = min((one.kept for one in tries if one.kept), key=lambda kept: kept.drop)
    flag = "--max-drop" if order.place.config.max_drop is not None else "--int8-drop"
    return AccuracyError(
        f"no int8 file loses {evidence.max_drop:.3g} or less on select: the best of "
        f"{sum(len(one.kept.trials) for one in tries if one.kept)} loses {best.drop:.3f} "
        f"({best.low:.3f} to {best.high:.3f})",
        where=flag,
        fix="allow a larger drop, or ship fp32 (--precision fp32)",
    )

"""int8: quantise; SmoothQuant for outlier channels; mixed precision; QAT where that fails."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glp_export.artifact import OnnxFile, export_onnx
from glp_export.artifact.batches import by_length, pad_rows
from glp_export.artifact.variants import VARIANTS
from glp_export.core.errors import AccuracyError
from glp_export.encoder import ModelSource, TrainingInputs, load_model, predict, save_checkpoint
from glp_export.precision.int8 import NARROW, find_matmuls, quantise, ranges_of, smooth
from glp_export.precision.int8.calibrate import CALIBRATION_ROWS, without_texts
from glp_export.precision.int8.mixed_precision import (
    Kept,
    compare_with,
    divergence,
    fewest_in_float,
)
from glp_export.precision.int8.recipe import DYNAMIC, FULL, RECIPES, Int8Recipe
from glp_export.precision.int8.rewrite import Ranges
from glp_export.precision.job import CalibrationData, LowerPrecision, PrecisionJob
from glp_export.precision.kernels import count_kernels
from glp_export.precision.qat import quantisation_aware
from glp_export.precision.record import KernelCount, Loss, PrecisionEntry
from glp_export.tasks import count_examples, drawn, truth_of

if TYPE_CHECKING:
    from datasets import Dataset

SMOOTHING_ROWS = 1024
"""Rows of `fit` that the largest activation of a channel is taken from.

An outlier channel that only one row in a thousand has must be seen (benchmarks/int8_accuracy.py).
"""

OUTLIER_SHARE = 1e-3
"""How far rounding may move the logits before activations are smoothed: mean square over variance.

A file that moves them by less kept its accuracy; of those that move them by more half did not, and
smoothing brings them back for 1 to 6 % of the speed (benchmarks/int8_accuracy.py and
production_speedup.py).
"""

QAT_RATE = 0.25
"""Share of the usual learning rate for weights that are where they should be."""


@dataclass(frozen=True)
class _Attempt:
    """A recipe with what stays in float for it, the file that came of it and its judgement."""

    name: str
    file: OnnxFile
    kept: Kept | None
    smoothed: bool = False
    recovered: bool = False


@dataclass
class _Files:
    """The int8 files of one recipe, each at the same place: the last one is not built again."""

    job: PrecisionJob
    recipe: Int8Recipe
    batches: Sequence[Mapping[str, NDArray[np.int64]]]
    work: Path
    _ranges: dict[Path, Ranges] = field(default_factory=dict)
    _last: tuple[Path, frozenset[str]] | None = None
    _file: OnnxFile | None = None
    _predictions: NDArray[np.float32] | None = None

    def build(self, source: OnnxFile, keep_float: frozenset[str] = frozenset()) -> OnnxFile:
        """The file of a source in which some matmuls stay in float."""
        if self._file is None or self._last != (source.path, keep_float):
            own = replace(self.recipe, keep_float=keep_float)
            if self.job.scope == FULL and source.path not in self._ranges:
                place = self.work / "ranges.onnx"
                self._ranges[source.path] = ranges_of(source, own, self.batches, place)
            self._file = quantise(
                source,
                self.work / VARIANTS["int8"].file_name,
                self.job.checkpoint,
                own,
                batches=self.batches,
                ranges=self._ranges.get(source.path),
            )
            self._last, self._predictions = (source.path, keep_float), None
        return self._file

    def predictions(
        self, source: OnnxFile, rows: Dataset, keep_float: frozenset[str] = frozenset()
    ) -> NDArray[np.float32]:
        """What that file answers to rows, the same ones every time."""
        file = self.build(source, keep_float)
        if self._predictions is None:
            self._predictions = self.job.predictions(file, rows)
        return self._predictions


def build_int8(job: PrecisionJob) -> LowerPrecision:
    """Make the fastest int8 file that is accurate enough.

    Every recipe that was asked for keeps in float what its accuracy needs. If none is accurate
    enough then, quantisation-aware training (QAT) follows, and the first recipe is tried again.

    Raises:
        AccuracyError: not even that is accurate enough.
        ModelError: the graph cannot be quantised.
    """
    names = job.recipes
    attempts = [_quantised(job, name, job.plain) for name in names]
    passing = [one for one in attempts if one.kept is None or one.kept.within]
    if not passing:
        attempts.append(_qat(job, names[0]))
        passing = [attempts[-1]] if attempts[-1].kept and attempts[-1].kept.within else []
    if not passing:
        raise _too_inaccurate(job, attempts)
    return _lower(job, _fastest(job, passing), len(attempts))


def _quantised(
    job: PrecisionJob, name: str, plain: OnnxFile, *, recovered: bool = False
) -> _Attempt:
    """The file of one recipe, with as little in float as its accuracy allows."""
    recipe, calibration = replace(RECIPES[name], scope=job.scope), job.calibration
    work = job.work / f"{name}{'-qat' if recovered else ''}"
    work.mkdir(parents=True, exist_ok=True)
    static = recipe.mode != DYNAMIC
    batches = _batches(job, calibration, CALIBRATION_ROWS) if static else ()
    files = _Files(job, recipe, batches, work)
    if calibration is None:
        return _Attempt(name, files.build(plain), None)
    # What it has to live up to are the answers of the model that was trained, in fp32.
    reference = job.predictions(job.plain, calibration.select)
    axis, numbers = job.kind.shift_axis, job.kind.numbers
    own = numbers(reference)
    moved = divergence(numbers(files.predictions(plain, calibration.select)), own, axis)
    has_outliers = moved > OUTLIER_SHARE * divergence(own, own.mean(axis=0, keepdims=True), axis)
    if has_outliers:
        rows = _batches(job, calibration, SMOOTHING_ROWS)
        plain = smooth(plain, work / "smooth.onnx", rows, threads=job.threads)
    if math.isinf(calibration.max_drop):  # nothing is judged: such rows may have no labels at all
        return _Attempt(name, files.build(plain), None, has_outliers, recovered)
    kept = fewest_in_float(
        {
            one.name: float(one.work)
            for one in find_matmuls(plain, job.scope)
            if one.columns >= NARROW
        },
        lambda names: files.predictions(plain, calibration.select, names),
        reference,
        compare_with(job.task, reference, truth_of(job.task, calibration.select)),
        max_drop=calibration.max_drop,
        shift_axis=axis,
        numbers=numbers,
    )
    return _Attempt(name, files.build(plain, kept.keep_float), kept, has_outliers, recovered)


def _qat(job: PrecisionJob, name: str) -> _Attempt:
    """The recipe once more, after a short quantisation-aware training."""
    calibration = job.calibration
    assert calibration is not None  # without it nothing was judged, and nothing failed
    model = load_model(ModelSource(str(job.checkpoint), offline=True), job.task)
    epochs = min(1.0, calibration.settings.epochs)
    # What is rounded as the file rounds it is not to be rounded to bf16 besides.
    settings = replace(calibration.settings, epochs=epochs, bf16=False)
    inputs = TrainingInputs(
        examples=calibration.train,
        tokenizer=job.tokenizer,
        teacher_logits=predict(model, calibration.train, job.tokenizer, device=job.device),
        settings=settings,
        distillation=replace(calibration.distillation, rate=QAT_RATE),
    )
    checkpoint = job.work / "qat"
    save_checkpoint(quantisation_aware(model, inputs), job.tokenizer, checkpoint)
    plain = export_onnx(
        checkpoint,
        checkpoint / "onnx" / "model.onnx",
        export_task=job.kind.export_task,
        opset=job.opset,
        exporter=job.exporter,
        threads=job.threads,
    )
    return _quantised(job, name, plain, recovered=True)


def _batches(
    job: PrecisionJob, calibration: CalibrationData | None, count: int
) -> list[Mapping[str, NDArray[np.int64]]]:
    """Padded rows of `fit` for calibration, never of dev or test.

    Raises:
        UsageError: there are none.
    """
    texts = job.texts if calibration is None else calibration.fit
    if texts is None:
        raise without_texts(job.scope)
    rows = drawn(texts, count)
    tokenizer = job.tokenizer
    return [pad_rows(rows, part, tokenizer) for part in by_length(rows, 16)]


def _fastest(job: PrecisionJob, passing: Sequence[_Attempt]) -> _Attempt:
    """Of several that are accurate enough the fastest, as the job measures it."""
    if len(passing) == 1:
        return passing[0]
    winner = job.quickest([one.file for one in passing])
    return next(one for one in passing if one.file == winner)


def _lower(job: PrecisionJob, chosen: _Attempt, recipes: int) -> LowerPrecision:
    recipe, kept = RECIPES[chosen.name], chosen.kept
    ranges = "dynamic" if recipe.mode == DYNAMIC else f"static ({recipe.calibration})"
    smoothed = "smoothed " if chosen.smoothed else ""
    full = job.scope == FULL
    entry = PrecisionEntry(
        precision="int8",
        file=chosen.file.path.name,
        recipe=f"{'full ' if full else ''}int8, {ranges} ranges, {smoothed}{recipe.form} graph",
        kept_in_float=tuple(sorted(kept.keep_float)) if kept else (),
        share_in_float=kept.share if kept else 0.0,
        files_tried=len(kept.trials) if kept else recipes,
        smoothed=chosen.smoothed,
        recovered=chosen.recovered,
        on_select=_loss(kept, job) if kept else None,
        scope=job.scope,
        kernels=_kernels(job, chosen.file) if full else (),
    )
    return LowerPrecision(chosen.file, entry)


def _kernels(job: PrecisionJob, file: OnnxFile) -> tuple[KernelCount, ...]:
    """What each runtime computes of a file, on a batch of those that ranges were taken from."""
    batch = _batches(job, job.calibration, 1)[0]
    return count_kernels(file.path, batch, threads=job.threads)


def _loss(kept: Kept, job: PrecisionJob) -> Loss | None:
    if job.calibration is None:
        return None
    task = job.task
    samples = count_examples(task, truth_of(task, job.calibration.select))
    return Loss.of(kept.value, (kept.drop, kept.low, kept.high), samples)


def _too_inaccurate(job: PrecisionJob, attempts: Sequence[_Attempt]) -> AccuracyError:
    calibration = job.calibration
    assert calibration is not None  # without it nothing was judged, and nothing failed
    best = min((one.kept for one in attempts if one.kept), key=lambda kept: kept.drop)
    return AccuracyError(
        f"no int8 file loses {calibration.max_drop:.3g} or less on dev: the best of "
        f"{sum(len(one.kept.trials) for one in attempts if one.kept)} loses {best.drop:.3f} "
        f"({best.low:.3f} to {best.high:.3f})",
        where=calibration.flag,
        fix="allow a larger drop, or ship fp32 (--precision fp32)",
    )

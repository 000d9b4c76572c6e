"""Which of several ONNX files of one model is the fastest; in doubt, the plain one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from glp_export.bench.contenders import onnx_contender
from glp_export.bench.elimination import means_of, measure_by_elimination, told_apart_after
from glp_export.bench.shapes import Workload
from glp_export.bench.statistics import Ratio, paired_ratio
from glp_export.bench.timing import Progress, Samples, Timing, measure
from glp_export.core.errors import UsageError

if TYPE_CHECKING:
    from glp_export.artifact.onnx_file import OnnxFile

PLAIN = "none"

CONFIDENCE = 0.95
"""That a file which is chosen over the plain one is faster."""


@dataclass(frozen=True)
class CandidateTiming:
    """How one file did against the plain one.

    Attributes:
        file: the candidate.
        p50_ms: median latency for each shape's name.
        speedup: over the plain file, over all shapes together; its interval is widened for the
            number of candidates. Exactly 1 for the plain file itself.
        beats_plain: the interval lies above 1, and the file was timed long enough to say so.
    """

    file: OnnxFile
    p50_ms: dict[str, float]
    speedup: Ratio
    beats_plain: bool


@dataclass(frozen=True)
class Choice:
    """Every candidate with what was measured, in the order given."""

    table: tuple[CandidateTiming, ...]

    @property
    def winner(self) -> OnnxFile:
        """The fastest of what beat the plain file; the plain file where none did."""
        winners = [row for row in self.table if row.beats_plain]
        plain = [row for row in self.table if row.file.optimisation == PLAIN]
        return max(winners or plain, key=lambda row: row.speedup.value).file


def fastest(
    candidates: Sequence[OnnxFile],
    checkpoint: Path,
    workloads: Sequence[Workload],
    *,
    provider: str,
    threads: int,
    auto_class: str = "AutoModelForSequenceClassification",
    timing: Timing | None = None,
    required: Collection[str] = (),
    progress: Progress | None = None,
) -> Choice:
    """Time the files of one model side by side and pick one.

    A fused graph needs ONNX Runtime's own operators and is at times slower than the plain export
    (microsoft/onnxruntime #29655, #33873), so it has to earn its place: it wins only if its
    speedup over the plain file, the geometric mean over the shapes, excludes 1. `CONFIDENCE` is
    divided among the candidates (Bonferroni): many ties must not make a winner by chance.
    `measure_by_elimination` gives up early what is surely slower than another.

    Args:
        candidates: files of the same model, one of them with `optimisation == "none"`.
        checkpoint: what they were exported from.
        workloads: what they run.
        provider: the execution provider.
        threads: intra-op threads.
        auto_class: the transformers class of the model, which tells its outputs.
        timing: how long and how carefully.
        required: names of shapes that count however long a run takes.
        progress: called with a stage, units done and units in all.

    Raises:
        DeviceError: the provider is missing or fell back.
        ModelError: a file cannot be opened.
        UsageError: not exactly one candidate is plain.
    """
    plain = [file for file in candidates if file.optimisation == PLAIN]
    if len(plain) != 1:
        raise UsageError(f"one candidate must be the plain export, {len(plain)} are")
    if len(candidates) == 1:
        alone = CandidateTiming(plain[0], {}, Ratio(1.0, 1.0, 1.0, 0), beats_plain=False)
        return Choice((alone,))
    contenders = [
        onnx_contender("pruned", file, checkpoint, provider, threads, auto_class=auto_class)
        for file in candidates
    ]
    alpha = (1 - CONFIDENCE) / (len(candidates) - 1)
    place = candidates.index(plain[0])
    timing = timing or Timing()
    runs = measure_by_elimination(
        contenders,
        contenders[place],
        workloads,
        timing=timing,
        confidence=1 - alpha,
        required=required,
        progress=progress,
    )
    enough = min(told_apart_after(1 - alpha), timing.min_rounds)
    return Choice(
        tuple(
            _compare(file, own, runs[place], confidence=1 - alpha, enough=enough)
            for file, own in zip(candidates, runs, strict=True)
        )
    )


def quickest(
    files: Sequence[OnnxFile],
    checkpoint: Path,
    workloads: Sequence[Workload],
    *,
    provider: str,
    threads: int,
    auto_class: str = "AutoModelForSequenceClassification",
    timing: Timing | None = None,
) -> OnnxFile:
    """Time files that are equally welcome and take the one of the smallest mean latency.

    Args and errors as of `fastest`; none of the files has to be plain.
    """
    contenders = [
        onnx_contender("pruned", file, checkpoint, provider, threads, auto_class=auto_class)
        for file in files
    ]
    samples = measure(contenders, workloads, timing=timing)
    means = [
        np.mean(means_of([s for s in samples if s.contender is contender]))
        for contender in contenders
    ]
    return files[int(np.argmin(means))]


def _compare(
    file: OnnxFile, own: list[Samples], plain: list[Samples], *, confidence: float, enough: int
) -> CandidateTiming:
    means = means_of(own)
    ratio = paired_ratio(means_of(plain)[: len(means)], means, confidence=confidence)
    return CandidateTiming(
        file=file,
        p50_ms={sample.shape.name: median(sample.milliseconds) for sample in own},
        speedup=ratio,
        beats_plain=ratio.low > 1 and ratio.pairs >= enough,
    )

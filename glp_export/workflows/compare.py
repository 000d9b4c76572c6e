"""Two artifacts side by side: accuracy on the same examples, latency in interleaved rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from glp_export.artifact import OnnxFile, one_artifact, shipped_files
from glp_export.bench import Contender, Interval, measure, onnx_contender, shape_grid
from glp_export.bench.statistics import paired_ratio, summarise
from glp_export.bench.timing import Timing
from glp_export.config.files import resolve
from glp_export.config.run_config import RunConfig
from glp_export.core import numbers
from glp_export.core.checksums import staying
from glp_export.core.errors import UsageError
from glp_export.core.machine import provider_for, resolve_device, usable_cores
from glp_export.core.notebook import lines_html
from glp_export.core.progress import Progress
from glp_export.core.records import Record
from glp_export.core.sharing import SharingMonitor
from glp_export.encoder import task_of_model
from glp_export.gate.accuracy import DATA_SETTINGS, answers_of, read_test_rows
from glp_export.serve import OpenOptions, open_artifact
from glp_export.tasks import KINDS, same_task, truth_of
from glp_export.tasks.changes import LABELLED, wilson
from glp_export.tasks.scoring import BOOTSTRAP, judged, metric_of, resample
from glp_export.workflows.stages.export import readable

SECONDS = 2.0
"""Of each shape, where nobody says otherwise."""

_MACHINE = "the machine"
"""How a note begins that says that others used it."""


class ComparedFile(Record):
    """One of the two files."""

    artifact: str
    file: str = Field(description="name of the ONNX file that was run")
    precision: str
    bytes: int = Field(description="of the file, with its sidecar")


class ComparedScores(Record):
    """The metric of both on the same examples."""

    metric: str
    a: float
    b: float
    difference: float = Field(description="B less A")
    low: float = Field(description="lower end of its paired 95 % interval")
    high: float
    examples: int
    changed: float | None = Field(
        default=None, description="share of examples whose labels differ; null without labels"
    )


class ComparedLatency(Record):
    """Both at one shape; milliseconds a batch."""

    shape: str
    a_p50_ms: float
    b_p50_ms: float
    a_p95_ms: float
    b_p95_ms: float
    speedup: Interval = Field(description="of B over A, the median of paired ratios")


class Comparison(Record):
    """What sets two artifacts apart."""

    a: ComparedFile
    b: ComparedFile
    threads: int
    provider: str
    scores: ComparedScores | None = Field(default=None, description="null without data")
    latencies: tuple[ComparedLatency, ...]
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """One sentence for accuracy, each shape and size."""
        found = [f"A: {_named(self.a)}", f"B: {_named(self.b)}"]
        if self.scores:
            found.append(_scores_sentence(self.scores))
        found += [_latency_sentence(one) for one in self.latencies]
        sizes = (numbers.megabytes(one.bytes) for one in (self.a, self.b))
        found.append("size: A {} MB, B {} MB".format(*sizes))
        found += [f"! {note}" for note in self.notes]
        busy = any(note.startswith(_MACHINE) for note in self.notes)
        return [*found, f"verdict{', on a machine that others used' * busy}: {self.verdict()}"]

    def verdict(self) -> str:
        """Which of the two to take, by what is significant."""
        faster, better = self._faster(), self._better()
        names = {"A": f"{self.a.artifact} (A)", "B": f"{self.b.artifact} (B)"}
        ratios = [one.speedup.value for one in self.latencies]
        if faster is None:
            speed = "neither is faster at every shape"
        else:
            ratios = ratios if faster == "B" else [1 / one for one in ratios]
            low, high = numbers.ratio(min(ratios)), numbers.ratio(max(ratios))
            speed = f"{names[faster]} is {low if low == high else f'{low} to {high}'} as fast"
        if self.scores is None:
            return f"{speed}; accuracy was not compared"
        difference = numbers.metric(abs(self.scores.difference))
        accuracy = (
            f"{names[better]} is better by {difference} of {self.scores.metric}"
            if better
            else f"the {self.scores.metric} is not significantly different"
        )
        wins = {one for one in (faster, better) if one}
        if len(wins) == 2:
            return f"{speed}, but {accuracy}: choose by what counts"
        smaller = "A" if self.a.bytes <= self.b.bytes else "B"
        take = wins.pop() if wins else smaller
        why = "" if faster or better else ", the smaller one"
        return f"{speed}, and {accuracy}: take {names[take]}{why}"

    def _faster(self) -> Literal["A", "B"] | None:
        """The one that is significantly faster at every shape."""
        if all(one.speedup.low > 1 for one in self.latencies):
            return "B"
        return "A" if all(one.speedup.high < 1 for one in self.latencies) else None

    def _better(self) -> Literal["A", "B"] | None:
        """The one whose metric is significantly better."""
        if self.scores is None or self.scores.low <= 0 <= self.scores.high:
            return None
        return "B" if self.scores.low > 0 else "A"

    def __repr__(self) -> str:
        return f"Comparison({self.a.artifact}, {self.b.artifact}: {len(self.latencies)} shapes)"

    def _repr_html_(self) -> str:
        return lines_html(self.lines())


@dataclass(frozen=True)
class _Side:
    """One artifact, opened for a comparison."""

    path: Path
    file: OnnxFile
    contender: Contender


def compare(
    a: Path,
    b: Path,
    settings: Mapping[str, Any],
    progress: Progress,
    *,
    precision: str | None = None,
) -> Comparison:
    """Compare two artifacts on this machine.

    Args:
        a: an artifact.
        b: another, perhaps of another base model.
        settings: batch sizes, lengths, threads, device, and data with labels for the scores.
        progress: told where the job is.
        precision: of both files; None for what `load` opens of each.

    Raises:
        DataError: the data cannot be read, or has no labels.
        ModelError: one is no artifact, or a file was changed.
        UsageError: they are for different tasks, or have no file of that precision.
    """
    with staying(a, b):
        return _compare(a, b, settings, progress, precision)


def _compare(
    a: Path, b: Path, settings: Mapping[str, Any], progress: Progress, precision: str | None
) -> Comparison:
    given = {"bench_seconds": SECONDS, **settings}
    config = resolve(given)
    device = resolve_device(config.machine.device)
    provider, threads = provider_for(device), config.machine.threads or usable_cores()
    with progress.stage("open both"):
        sides = [_opened(path, precision, provider, threads) for path in (a, b)]
    scores = None
    if any(settings.get(name) for name in DATA_SETTINGS):
        with progress.stage("score both"):
            scores = _scores(sides, settings, provider, threads)
    lengths = config.benchmark.seq_lens
    if settings.get("seq_lens") is None:  # what was asked for is timed as it is, or refused
        lengths = tuple(readable([side.contender for side in sides], lengths))
    latencies, notes = _latencies(sides, config, lengths, progress)
    if scores is None:
        notes = [*notes, "accuracy was not compared: give data with labels, --dataset say"]
    first, second = (_file(side) for side in sides)
    return Comparison(
        a=first,
        b=second,
        threads=threads,
        provider=provider,
        scores=scores,
        latencies=tuple(latencies),
        notes=tuple(notes),
    )


def _opened(path: Path, precision: str | None, provider: str, threads: int) -> _Side:
    layout = one_artifact(path)
    model = open_artifact(path, OpenOptions(provider, threads, precision))
    (file,) = (one for one in shipped_files(layout) if one.path.name == model.path.name)
    auto_class = KINDS[task_of_model(layout.root).kind].auto_class
    contender = onnx_contender(
        "pruned", file, layout.root, provider, threads, auto_class=auto_class
    )
    return _Side(path, file, contender)


def _file(side: _Side) -> ComparedFile:
    return ComparedFile(
        artifact=str(side.path),
        file=side.file.variant,
        precision=side.contender.precision,
        bytes=side.file.bytes,
    )


def _latencies(
    sides: list[_Side], config: RunConfig, lengths: Sequence[int], progress: Progress
) -> tuple[list[ComparedLatency], list[str]]:
    """Both at every shape, in interleaved rounds, and what disturbed them."""
    contenders = [side.contender for side in sides]
    options = config.benchmark
    workloads = shape_grid(contenders, options.batch_sizes, lengths)
    timing = Timing.lasting(options.bench_seconds, options.bench_rounds, config.training.seed)
    with progress.stage("time both") as meter, progress.paused():
        monitor = SharingMonitor()
        samples = measure(
            contenders,
            workloads,
            timing=timing,
            progress=lambda stage, done, total: meter.update(done, total, stage),
        )
        notes = [f"{_MACHINE}: {note}" for note in monitor.notes()]
    found = []
    for first, second in zip(samples[::2], samples[1::2], strict=True):
        ratio = paired_ratio(first.round_medians, second.round_medians)
        ours, theirs = summarise(first.milliseconds), summarise(second.milliseconds)
        found.append(
            ComparedLatency(
                shape=first.shape.name,
                a_p50_ms=ours.p50_ms,
                b_p50_ms=theirs.p50_ms,
                a_p95_ms=ours.p95_ms,
                b_p95_ms=theirs.p95_ms,
                speedup=Interval(value=ratio.value, low=ratio.low, high=ratio.high),
            )
        )
    return found, notes


def _scores(
    sides: list[_Side], settings: Mapping[str, Any], provider: str, threads: int
) -> ComparedScores:
    """Both on the same rows, each by its own tokenizer; differences are paired by example."""
    _require_one_task(sides)
    read = [read_test_rows(side.path, settings, beside=sides[0].path) for side in sides]
    task = read[0].task
    metric = metric_of(task)
    (a, truth_a), (b, truth_b) = (
        judged(
            task,
            answers_of(rows, side.file, provider=provider, threads=threads),
            truth_of(task, rows.rows),
        )
        for side, rows in zip(sides, read, strict=True)
    )
    tallies = [metric.tally(a, truth_a), metric.tally(b, truth_b)]
    values = resample(metric, tallies, BOOTSTRAP)
    low, high = np.quantile(values[1] - values[0], (0.025, 0.975))
    value_a, value_b = float(metric.compute(a, truth_a)), float(metric.compute(b, truth_b))
    changed = None
    if task.kind in LABELLED:
        unlike = [bool(np.any(np.asarray(x) != np.asarray(y))) for x, y in zip(a, b, strict=True)]
        changed = wilson(sum(unlike), len(unlike)).value
    return ComparedScores(
        metric=task.metric,
        a=value_a,
        b=value_b,
        difference=value_b - value_a,
        low=float(low),
        high=float(high),
        examples=KINDS[task.kind].count(truth_of(task, read[0].rows)),
        changed=changed,
    )


def _require_one_task(sides: list[_Side]) -> None:
    first, second = (task_of_model(side.path) for side in sides)
    if not same_task(first, second):
        told = (f"{one.kind} ({numbers.few(one.labels) or 'no labels'})" for one in (first, second))
        raise UsageError(
            f"the artifacts are for different tasks: {' and '.join(told)}",
            where=" ".join(str(side.path) for side in sides),
            fix="compare artifacts of one task, or leave the data away to compare latency alone",
        )


def _named(file: ComparedFile) -> str:
    return f"{file.artifact}, {file.file}, {file.precision}"


def _scores_sentence(scores: ComparedScores) -> str:
    found = numbers.signed_with_span(scores.difference, scores.low, scores.high)
    meaning = "no significant difference"
    if scores.low > 0 or scores.high < 0:
        meaning = f"B is significantly {'better' if scores.low > 0 else 'worse'}"
    changed = "" if scores.changed is None else f"; {scores.changed:.1%} of labels differ"
    return (
        f"{scores.metric}: A {numbers.metric(scores.a)}, B {numbers.metric(scores.b)}; B less A "
        f"{found}, {meaning} on {scores.examples} examples{changed}"
    )


def _latency_sentence(one: ComparedLatency) -> str:
    span = numbers.ratio_span(one.speedup.low, one.speedup.high)
    sure = one.speedup.low > 1 or one.speedup.high < 1
    return (
        f"{one.shape.replace('x', '×')}: A {numbers.milliseconds(one.a_p50_ms)} ms, B "
        f"{numbers.milliseconds(one.b_p50_ms)} ms; B is {numbers.ratio(one.speedup.value)} "
        f"({span}) as fast as A{'' if sure else ', not significantly different'}"
    )

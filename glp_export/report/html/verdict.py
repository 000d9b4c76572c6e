"""The verdict: is it faster, is it still right, may I ship it?

Words follow intervals. "Faster" and "less accurate" are said where the whole interval says so;
what the data does not tell apart is called that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from glp_export.core import numbers
from glp_export.core.numbers import MISSING
from glp_export.core.text import capital
from glp_export.report.frontier import alike
from glp_export.report.measurements import (
    difference_of,
    headline_shape,
    metric_of,
    recommended_row,
    shape_words,
)
from glp_export.report.words import below_fp32, metric_name, significance, speedup_of

if TYPE_CHECKING:
    from glp_export.bench.benchmark_file import BenchmarkFile
    from glp_export.bench.benchmark_rows import DifferenceRow, Interval, Row
    from glp_export.report.html.report_data import ReportData

Answer = Literal["yes", "open", "no", "unknown"]
Answers = tuple[tuple[Answer, str], ...]
"""What is said where an interval lies around a line, above and below it."""


@dataclass(frozen=True)
class Tile:
    """The answer to one question.

    Attributes:
        question: as a person asks it.
        answer: what colours it.
        word: the answer in a word or two.
        figure: the number that it rests on.
        span: its interval.
        lines: what else belongs to it.
    """

    question: str
    answer: Answer
    word: str
    figure: str
    span: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What a report says first.

    Attributes:
        sentence: all of it in one sentence.
        about: which model and shape it speaks of.
        tiles: the three questions.
        parity_passed: whether every file computes what PyTorch computes.
        speedup: over the unpruned model in ONNX Runtime at the same precision.
        difference: of the metric, less the unpruned model's.
    """

    sentence: str
    about: str
    tiles: tuple[Tile, ...]
    parity_passed: bool
    speedup: Interval | None
    difference: DifferenceRow | None


def verdict(report_data: ReportData, warnings: int) -> Verdict:
    """Judge an artifact, or of a sweep the model that stands for it.

    Args:
        report_data: what was measured.
        warnings: how many there are.
    """
    benchmark = report_data.benchmark
    row = _row(report_data)
    difference = _difference(benchmark, row) if row else None
    speedup = row.speedup.vs_onnxruntime_unpruned if row else None
    faster = _faster(row)
    right = _right(benchmark, row, difference)
    passed = all(sweep_variant.parity.passed for sweep_variant in report_data.sweep_variants)
    counted = f"{warnings or 'no'} warning{'s' * (warnings != 1)}"
    answer, word, line = _ship(faster.answer, right.answer, passed, bool(benchmark.machine.notes))
    files = "every file computes what PyTorch computes" if passed else "failed, see below"
    sentence = (
        f"{_speed_words(speedup)}; {_metric_words(metric_name(benchmark.metric), difference)}; "
        f"parity {'passed' if passed else 'failed'}; {counted}."
    )
    ship = Tile(
        "May I ship it?", answer, word, counted, "to read first" * bool(warnings),
        (line, f"parity: {files}"),
    )  # fmt: skip
    about = _about(report_data, row)
    return Verdict(capital(sentence), about, (faster, right, ship), passed, speedup, difference)


def _row(report_data: ReportData) -> Row | None:
    """The file that the verdict speaks of, at the headline shape.

    Of one model the fastest; of a sweep the fastest that the test examples do not show to be
    less accurate than the unpruned model, or else the most accurate.
    """
    benchmark, shape = report_data.benchmark, headline_shape(report_data.benchmark)
    if report_data.frontier is None:
        return recommended_row(benchmark)
    ours = [point for point in report_data.frontier.points if point.directory]
    point = alike(report_data.frontier) or max(ours, key=lambda one: (one.value, -one.p50_ms))
    wanted = ("pruned", point.plan_id, point.precision, point.variant, shape, "onnxruntime")
    for row in benchmark.rows:
        own = row.contender, row.plan_id, row.precision, row.variant, row.shape, row.runtime
        if own == wanted and row.provider == benchmark.baseline.provider:
            return row
    return None


def _difference(benchmark: BenchmarkFile, row: Row) -> DifferenceRow | None:
    """The metric less the unpruned model's.

    A benchmark without paired differences has the two intervals alone; taken as independent they
    add up in squares (Newcombe 1998, method 10), which is wider than pairing would be.
    """
    from glp_export.bench.benchmark_rows import DifferenceRow, OfModel

    found = difference_of(benchmark, "unpruned", row.precision, row.plan_id)
    ours = metric_of(benchmark, "pruned", row.precision, row.plan_id)
    theirs = metric_of(benchmark, "unpruned", "fp32")
    if found is not None or ours is None or theirs is None:
        return found
    value = ours.value - theirs.value
    return DifferenceRow(
        **{name: getattr(row, name) for name in OfModel.model_fields},
        precision=row.precision,
        less="unpruned",
        value=value,
        low=value - math.hypot(ours.value - ours.low, theirs.high - theirs.value),
        high=value + math.hypot(ours.high - ours.value, theirs.value - theirs.low),
    )


def _unknown(question: str, line: str, word: str = "Not measured", figure: str = MISSING) -> Tile:
    return Tile(question, "unknown", word, figure, "", (line,))


def _faster(row: Row | None) -> Tile:
    question = "Is it faster?"
    found = row.speedup.vs_onnxruntime_unpruned if row else None
    if row is None or found is None:
        return _unknown(question, "Nothing was timed beside the unpruned model in ONNX Runtime.")
    sides: Answers = (("open", "Not shown"), ("yes", "Yes"), ("no", "No, slower"))
    lower = below_fp32(row.precision, " in ")
    others = (
        (row.speedup.vs_onnxruntime_fp32_unpruned if lower else None, "ONNX Runtime"),
        (row.speedup.vs_pytorch_unpruned, "PyTorch"),
    )
    lines = (
        f"the speed of the unpruned model in ONNX Runtime{lower}",
        *(
            f"{speedup_of(other)} that of the unpruned model in {name} in fp32"
            for other, name in others
            if other
        ),
        f"{numbers.milliseconds(row.p50_ms)} ms a batch, in the median",
    )
    span = f"95 % interval {numbers.ratio_span(found.low, found.high)}"
    return Tile(question, *sides[significance(found, 1)], numbers.ratio(found.value), span, lines)


def _right(benchmark: BenchmarkFile, row: Row | None, found: DifferenceRow | None) -> Tile:
    question, name = "Is it still right?", metric_name(benchmark.metric)
    if row is None or found is None:
        return _unknown(question, f"The {name} of the two models is not in the benchmark.")
    unpruned = metric_of(benchmark, "unpruned", "fp32")
    if unpruned is not None and unpruned.chance is not None and not unpruned.chance.significant:
        line = f"The unpruned model's {name} is not significantly better than chance."
        return _unknown(question, line, "Nothing to compare with", numbers.metric(unpruned.value))
    sides: Answers = (("yes", "No difference shown"), ("yes", "Yes, better"), ("no", "No, lower"))
    lines = [f"{name} less that of the unpruned model"]
    if found.low < 0 <= found.high:
        lines.append(f"it may have lost up to {numbers.metric(-found.low)}")
    pruned = metric_of(benchmark, "pruned", row.precision, row.plan_id)
    scores = [score for score in (pruned, unpruned) if score is not None]
    for score in scores:
        span = numbers.span(score.low, score.high)
        lines.append(f"{score.contender}: {numbers.metric(score.value)} ({span})")
    samples = scores[-1].samples if scores else 0
    lines.append(
        f"on {samples} test examples"
        + ", intervals not paired" * (found not in benchmark.differences)
    )
    span = f"95 % interval {numbers.signed(found.low)} to {numbers.signed(found.high)}"
    figure = numbers.signed(found.value)
    return Tile(question, *sides[significance(found)], figure, span, tuple(lines))


def _ship(faster: Answer, right: Answer, passed: bool, noisy: bool) -> tuple[Answer, str, str]:
    """The answer, its word and its reason: the first that holds."""
    slow = "Not for its speed"
    unknown = "Something that decides it was not measured, or there is nothing to compare with."
    slower = "It is slower than the unpruned model, whatever else it is."
    costs = "It is faster and it costs accuracy: whether that is worth it is yours to say."
    busy = "Faster, and no loss shown, but the machine was busy while that was measured."
    reasons: tuple[tuple[bool, Answer, str, str], ...] = (
        (not passed, "no", "No", "A file does not compute what the PyTorch model computes."),
        (faster == "no", "no", slow, slower),
        ("unknown" in (faster, right), "unknown", "Cannot be said", unknown),
        (faster == "open", "open", slow, "It was not shown to be faster than the unpruned model."),
        (right == "no", "open", "Your call", costs),
        (noisy, "open", "Measure again first", busy),
    )
    fine: Answer = "yes"
    found = (reason[1:] for reason in reasons if reason[0])
    evidence = "Faster, and no loss that these test examples could show."
    return next(found, (fine, "Yes, on this evidence", evidence))


def _speed_words(found: Interval | None) -> str:
    if found is None:
        return "speed was not compared with the unpruned model"
    times = f"{found.value:.2f} times ({numbers.ratio_span(found.low, found.high)})"
    return (
        f"not significantly faster than the unpruned model, at {times} its speed",
        f"{times} as fast as the unpruned model",
        f"slower than the unpruned model, at {times} its speed",
    )[significance(found, 1)]


def _metric_words(name: str, found: DifferenceRow | None) -> str:
    if found is None:
        return f"{name} was not compared"
    ends = f"({numbers.signed(found.low)} to {numbers.signed(found.high)})"
    shown = f"no difference in {name} that the test examples show, {numbers.signed(found.value)}"
    higher, lower = numbers.metric(found.value), numbers.metric(-found.value)
    words = shown, f"{name} is higher by {higher}", f"{name} is lower by {lower}"
    return f"{words[significance(found)]} {ends}"


def _about(report_data: ReportData, row: Row | None) -> str:
    if row is None:
        return "No file of the pruned model was timed in ONNX Runtime."
    shape = shape_words(report_data.benchmark, row.shape)
    if report_data.frontier is None:
        return f"Said of {row.variant}, the fastest file at {shape}."
    why = (
        "the fastest that the test examples do not show to be worse than the unpruned model"
        if alike(report_data.frontier)
        else "the most accurate: every model is significantly worse, or nothing was compared"
    )
    where = f"{row.label_beside(report_data.benchmark.baseline)}, {row.variant}"
    return f"Said of {where}, {why}; timed at {shape}."

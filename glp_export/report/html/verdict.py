"""The verdict: is it faster, is it still right, may I ship it?

Words follow intervals. "Faster" and "less accurate" are said where the whole interval says so;
what the data does not tell apart is called that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from glp_export.core import numbers
from glp_export.core.text import capital
from glp_export.report.frontier import alike
from glp_export.report.measurements import (
    difference_of,
    headline_shape,
    metric_of,
    model_label,
    ratio_words,
    recommended_row,
    shape_words,
)
from glp_export.report.warnings import metric_name

if TYPE_CHECKING:
    from glp_export.bench.benchmark_file import BenchmarkFile, DifferenceRow, Interval, Row
    from glp_export.report.html.report_data import ReportData

Answer = Literal["yes", "open", "no", "unknown"]


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
    difference, paired = _difference(benchmark, row) if row else (None, False)
    speedup = row.speedup.vs_onnxruntime_unpruned if row else None
    faster = _faster(row)
    right = _right(benchmark, row, difference, paired)
    passed = all(sweep_variant.parity.passed for sweep_variant in report_data.sweep_variants)
    noisy = bool(benchmark.machine.notes)
    ship = _ship(faster.answer, right.answer, passed, noisy, warnings)
    sentence = (
        f"{_speed_words(speedup)}; {_metric_words(benchmark, row, difference)}; "
        f"parity {'passed' if passed else 'failed'}; {_counted(warnings)}."
    )
    return Verdict(
        sentence=capital(sentence),
        about=_about(report_data, row),
        tiles=(faster, right, ship),
        parity_passed=passed,
        speedup=speedup,
        difference=difference,
    )


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
    wanted = ("pruned", point.plan_id, point.precision, point.variant, shape)
    for row in benchmark.rows:
        own = (row.contender, row.plan_id, row.precision, row.variant, row.shape)
        here = (row.runtime, row.provider) == ("onnxruntime", benchmark.baseline.provider)
        if own == wanted and here:
            return row
    return None


def _difference(benchmark: BenchmarkFile, row: Row) -> tuple[DifferenceRow | None, bool]:
    """The metric less the unpruned model's, and whether its interval is a paired one.

    A benchmark without paired differences has the two intervals alone; taken as independent they
    add up in squares (Newcombe 1998, method 10), which is wider than pairing would be.
    """
    found = difference_of(benchmark, "unpruned", row.precision, row.plan_id)
    if found is not None:
        return found, True
    ours = metric_of(benchmark, "pruned", row.precision, row.plan_id)
    theirs = metric_of(benchmark, "unpruned", "fp32")
    if ours is None or theirs is None:
        return None, False
    value = ours.value - theirs.value
    low = value - math.hypot(ours.value - ours.low, theirs.high - theirs.value)
    high = value + math.hypot(ours.high - ours.value, theirs.value - theirs.low)
    return _unpaired(row, value, low, high), False


def _unpaired(row: Row, value: float, low: float, high: float) -> DifferenceRow:
    from glp_export.bench.benchmark_file import DifferenceRow, OfModel

    model = {name: getattr(row, name) for name in OfModel.model_fields}
    return DifferenceRow(
        **model, precision=row.precision, less="unpruned", value=value, low=low, high=high
    )


def _faster(row: Row | None) -> Tile:
    question = "Is it faster?"
    interval = row.speedup.vs_onnxruntime_unpruned if row else None
    if row is None or interval is None:
        line = "Nothing was timed beside the unpruned model in ONNX Runtime."
        return Tile(question, "unknown", "Not measured", numbers.MISSING, "", (line,))
    answer, word = _side(interval.low - 1, interval.high - 1, "Yes", "Not shown", "No, slower")
    precision = "" if row.precision == "fp32" else f" in {row.precision}"
    lines = [f"the speed of the unpruned model in ONNX Runtime{precision}"]
    for other, name in (
        (row.speedup.vs_onnxruntime_fp32_unpruned if precision else None, "ONNX Runtime in fp32"),
        (row.speedup.vs_pytorch_unpruned, "PyTorch in fp32"),
    ):
        if other is not None:
            lines.append(f"{ratio_words(other)} that of the unpruned model in {name}")
    lines.append(f"{numbers.milliseconds(row.p50_ms)} ms a batch, in the median")
    span = f"95 % interval {numbers.ratio_span(interval.low, interval.high)}"
    return Tile(question, answer, word, numbers.ratio(interval.value), span, tuple(lines))


def _right(
    benchmark: BenchmarkFile, row: Row | None, found: DifferenceRow | None, paired: bool
) -> Tile:
    question, name = "Is it still right?", metric_name(benchmark.metric)
    if row is None or found is None:
        line = f"The {name} of the two models is not in the benchmark."
        return Tile(question, "unknown", "Not measured", numbers.MISSING, "", (line,))
    unpruned = metric_of(benchmark, "unpruned", "fp32")
    if unpruned is not None and unpruned.chance is not None and not unpruned.chance.significant:
        line = f"The unpruned model's {name} is not significantly better than chance."
        figure = numbers.metric(unpruned.value)
        return Tile(question, "unknown", "Nothing to compare with", figure, "", (line,))
    words = "Yes, better", "No difference shown", "No, lower"
    answer, word = _side(found.low, found.high, *words, zero="yes")
    lines = [f"{name} less that of the unpruned model"]
    if found.low < 0 <= found.high:
        lines.append(f"it may have lost up to {numbers.metric(-found.low)}")
    samples = 0
    for contender, plan_id, precision in (
        ("pruned", row.plan_id, row.precision),
        ("unpruned", None, "fp32"),
    ):
        score = metric_of(benchmark, contender, precision, plan_id)
        if score is not None:
            span = numbers.span(score.low, score.high)
            lines.append(f"{contender}: {numbers.metric(score.value)} ({span})")
            samples = score.samples
    lines.append(f"on {samples} test examples" + ("" if paired else ", intervals not paired"))
    span = f"95 % interval {numbers.signed(found.low)} to {numbers.signed(found.high)}"
    return Tile(question, answer, word, numbers.signed(found.value), span, tuple(lines))


def _ship(faster: Answer, right: Answer, passed: bool, noisy: bool, warnings: int) -> Tile:
    if not passed:
        answer: Answer = "no"
        word, line = "No", "A file does not compute what the PyTorch model computes."
    elif faster == "no":
        answer, word = "no", "Not for its speed"
        line = "It is slower than the unpruned model, whatever else it is."
    elif "unknown" in (faster, right):
        answer, word = "unknown", "Cannot be said"
        line = "Something that decides it was not measured, or there is nothing to compare with."
    elif faster == "open":
        answer, word = "open", "Not for its speed"
        line = "It was not shown to be faster than the unpruned model."
    elif right == "no":
        answer, word = "open", "Your call"
        line = "It is faster and it costs accuracy: whether that is worth it is yours to say."
    elif noisy:
        answer, word = "open", "Measure again first"
        line = "Faster, and no loss shown, but the machine was busy while that was measured."
    else:
        answer, word = "yes", "Yes, on this evidence"
        line = "Faster, and no loss that these test examples could show."
    files = "every file computes what PyTorch computes" if passed else "failed, see below"
    lines = (line, f"parity: {files}")
    first = "to read first" if warnings else ""
    return Tile("May I ship it?", answer, word, _counted(warnings), first, lines)


def _side(
    low: float, high: float, above: str, between: str, below: str, zero: Answer = "open"
) -> tuple[Answer, str]:
    """What an interval says, as it lies above zero, around it or below."""
    if low > 0:
        return "yes", above
    return ("no", below) if high < 0 else (zero, between)


def _speed_words(interval: Interval | None) -> str:
    if interval is None:
        return "speed was not compared with the unpruned model"
    span = f"({numbers.ratio_span(interval.low, interval.high)})"
    times = f"{interval.value:.2f} times"
    if interval.low > 1:
        return f"{times} {span} as fast as the unpruned model"
    if interval.high < 1:
        return f"slower than the unpruned model, at {times} {span} its speed"
    return f"not significantly faster than the unpruned model, at {times} {span} its speed"


def _metric_words(benchmark: BenchmarkFile, row: Row | None, found: DifferenceRow | None) -> str:
    name = metric_name(benchmark.metric)
    if row is None or found is None:
        return f"{name} was not compared"
    ends = f"({numbers.signed(found.low)} to {numbers.signed(found.high)})"
    if found.low > 0:
        return f"{name} is higher by {numbers.metric(found.value)} {ends}"
    if found.high < 0:
        return f"{name} is lower by {numbers.metric(-found.value)} {ends}"
    return (
        f"no difference in {name} that the test examples show, {numbers.signed(found.value)} {ends}"
    )


def _about(report_data: ReportData, row: Row | None) -> str:
    if row is None:
        return "No file of the pruned model was timed in ONNX Runtime."
    shape = shape_words(report_data.benchmark, row.shape)
    if not report_data.is_sweep:
        return f"Said of {row.variant}, the fastest file at {shape}."
    frontier = report_data.frontier
    why = (
        "the fastest that the test examples do not show to be worse than the unpruned model"
        if frontier and alike(frontier)
        else "the most accurate: every model is significantly worse, or nothing was compared"
    )
    where = f"{model_label(report_data.benchmark, row)}, {row.variant}"
    return f"Said of {where}, {why}; timed at {shape}."


def _counted(warnings: int) -> str:
    return f"{warnings or 'no'} warning{'s' * (warnings != 1)}"

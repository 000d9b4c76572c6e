"""What to know before relying on the numbers, in plain words and with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from glp_export.core import numbers
from glp_export.core.text import capital
from glp_export.precision.devices import not_in_hardware
from glp_export.report.warnings import benchmark_warnings

if TYPE_CHECKING:
    from glp_export.compress.plan import Plan
    from glp_export.precision.record import PrecisionEntry
    from glp_export.report.html.report_data import ReportData

SMALL_DEV = 300
"""Held out examples below which an accuracy of 0.9 is known to no better than ±0.035."""
CLOSE_CALL = 0.8
"""Probability below which a step of the search is called close."""


def report_warnings(report_data: ReportData) -> list[str]:
    """All warnings, those that could forbid shipping first."""
    return [
        *_parity(report_data),
        *(f"{capital(line)}." for line in benchmark_warnings(report_data.benchmark)),
        *_precisions(report_data),
        *_device(report_data),
        *_search(report_data.plan),
    ]


def _parity(report_data: ReportData) -> Iterator[str]:
    for sweep_variant in report_data.sweep_variants:
        for file in sweep_variant.parity.files:
            name = report_data.named(sweep_variant, file.label)
            if not file.passed:
                yield f"{name} does not compute what the PyTorch model computes: " + "; ".join(
                    file.failures
                )
            if file.disagreements:
                yield (
                    f"{name} gives another label than PyTorch for {len(file.disagreements)} of "
                    f"{file.samples} examples, where both are clear about theirs."
                )


def _precisions(report_data: ReportData) -> Iterator[str]:
    for sweep_variant in report_data.sweep_variants:
        for entry in sweep_variant.precisions:
            name = report_data.named(sweep_variant, entry.precision)
            if entry.file is None:
                yield f"No {name} file ships: {entry.reason or 'none was good enough'}."
            elif entry.on_test is not None and entry.on_test.low > 0:
                yield f"{name} costs {_cost(entry)} on the test examples, beyond chance."


def _cost(entry: PrecisionEntry) -> str:
    loss = entry.on_test
    if loss is None:
        return numbers.MISSING
    return f"{numbers.metric(loss.drop)} ({numbers.span(loss.low, loss.high)})"


def _device(report_data: ReportData) -> Iterator[str]:
    """What the device cannot do fast, and a GPU that was there and not used."""
    machine, rows = report_data.benchmark.machine, report_data.benchmark.rows
    on_cpu = {row.precision for row in rows if row.provider == "CPUExecutionProvider"}
    for precision in sorted(on_cpu & {"int8"}):
        why = not_in_hardware(precision, "cpu", machine.features)
        if why:
            yield (
                f"{precision} was measured on a processor that has no fast {precision}: {why}. "
                "Measure again where the model will run."
            )
    if machine.gpu and not any(row.provider == "CUDAExecutionProvider" for row in rows):
        yield (
            f"The machine has a GPU ({machine.gpu}), and everything was measured on its CPU. "
            "Say --device cuda if the model shall run there."
        )


def _search(plan: Plan) -> Iterator[str]:
    """Choices of the search that another sample could turn round."""
    if plan.source:
        yield (
            f"The layers were not searched here: {plan.source}. They may have been chosen on the "
            "test set."
        )
        return
    judged = [step.sample_size for step in plan.steps if step.candidates]
    if judged and min(judged) < SMALL_DEV:
        yield (
            f"Small dev split: candidates were compared on {min(judged)} held out examples, so "
            "what was taken is partly chance. More training examples or a larger "
            "--dev-fraction help."
        )
    close = [
        f"step {number} ({100 * step.probability:.0f} %)"
        for number, step in enumerate(plan.steps, 1)
        if step.probability is not None and step.probability < CLOSE_CALL
    ]
    if close:
        yield (
            f"Close calls in the search: {', '.join(close)}. The percentage is the chance that "
            "what was taken is the best choice; another sample may choose another."
        )

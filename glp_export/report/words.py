"""How metrics, precisions and intervals are written, and what an interval says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from glp_export.core.numbers import MISSING, ratio, ratio_span
from glp_export.tasks.own_metric import is_own

if TYPE_CHECKING:
    from glp_export.bench.benchmark_rows import DifferenceRow, Interval


def metric_name(metric: str) -> str:
    """A metric's name as a word."""
    plain = {"f1": "F1"}.get(metric, metric.replace("_", " "))
    return metric if is_own(metric) else plain  # one's own is named as it was asked for


def short_metric(metric: str) -> str:
    """A metric's name for the head of a narrow column."""
    metric = metric.rpartition(":")[2]
    return {"matthews_correlation": "Matthews"}.get(metric, metric_name(metric))


def significance(found: Interval | DifferenceRow, line: float = 0.0) -> int:
    """On which side of a line an interval lies: 1 above, -1 below, 0 around it."""
    return 1 if found.low > line else -1 if found.high < line else 0


def below_fp32(precision: str, joint: str = " ") -> str:
    """A precision after `joint`; nothing for fp32, which goes without saying."""
    return "" if precision == "fp32" else f"{joint}{precision}"


@dataclass(frozen=True)
class Speedup:
    """A speedup as it is written.

    Attributes:
        side: `faster`, `slower` or `unclear`, by its interval; `base` for the baseline itself,
            `none` for what was not measured.
        value: `2.31×`.
        span: its interval; empty for the baseline.
    """

    side: str
    value: str
    span: str

    def __str__(self) -> str:
        return f"{self.value} ({self.span})" if self.span else self.value

    @property
    def lines(self) -> str:
        """The interval below the value, for a narrow column."""
        return f"{self.value}\n{self.span}".strip()


def speedup_of(interval: Interval | None) -> Speedup:
    """What an interval says of a speedup."""
    if interval is None:
        return Speedup("none", MISSING, "")
    if interval.low == interval.high == 1:
        return Speedup("base", "1", "")
    side = ("unclear", "faster", "slower")[significance(interval, 1)]
    return Speedup(side, ratio(interval.value), ratio_span(interval.low, interval.high))

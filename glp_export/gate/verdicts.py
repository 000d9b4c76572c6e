"""The verdict on latency lines, from rounds of two contenders in turns."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from glp_export.gate.budget_line import BudgetLine
from glp_export.gate.noise import NoiseMonitor, slowdown
from glp_export.gate.results import LineResult, Outcome, measured_words
from glp_export.gate.sequential import Estimate, MedianTest, ShareTest, median_estimate
from glp_export.gate.side_by_side import Round

ALPHA = 0.005
"""Chance of a wrong "broken", and as much of a wrong "kept", of a whole gate, where the truth lies
just across its bound. Away from the bound it is far less. Lines share it (Bonferroni)."""

RESOLUTION = 0.01
"""Share by which a whole process may be off: where its memory happens to lie makes one of the two
models faster for as long as it lives, and no number of rounds averages that away. Between processes
the median of one and the same ratio had a standard deviation of 0.3 to 0.7 %. With this allowance
no gate whose bound was the truth came to a verdict (benchmarks/results/gate_error_rates.md);
without it 10 of 50 did."""

_TAIL_SHARE = 0.01
_LARGEST_TAIL_SHARE = 0.2
_TAIL_ALPHA = 0.02
"""Of the two sides of a tail line together: a tail needs hundreds of runs, so it is judged less
strictly."""

_LEAST_SECONDS = 2.0
"""Before any verdict: what disturbs a machine lasts, and a small model has taken a dozen rounds
within one such disturbance."""

_LEAST_SECOND_LOOK = 10.0  # seconds
_ESTIMATE_ROUNDS = 20

_SLOWER = (
    "the reference takes {:.1f} times what it took on such a machine when the artifact was made: "
    "a neighbour, or a throttled CPU"
)

Clock = Callable[[], float]


@dataclass(frozen=True)
class Measured:
    """What there is to judge a shape by.

    Attributes:
        table: of the budget, `cpu.fp32`.
        lines: latency lines, all of one shape.
        rounds: an endless stream.
        recorded_ms: median of the reference on this kind of machine when it had nothing else to
            do; None where that is not known.
    """

    table: str
    lines: Sequence[BudgetLine]
    rounds: Iterable[Round]
    recorded_ms: float | None = None


def judge_latency(
    measured: Measured,
    *,
    seconds: float,
    alpha: float = ALPHA,
    watch: NoiseMonitor | None = None,
    clock: Clock = time.perf_counter,
) -> tuple[list[LineResult], list[str]]:
    """Take rounds until every line is decided, or the time is up.

    Args:
        measured: the lines and their rounds.
        seconds: after which no further round is taken.
        alpha: of each line; see `ALPHA`.
        watch: looks at the machine meanwhile.
        clock: in seconds.

    Returns:
        A finding for each line, and what disturbed the measurement.
    """
    watch = watch or NoiseMonitor()
    tests = [_test(line, alpha) for line in measured.lines]
    reference: list[float] = []
    start = clock()
    for one in measured.rounds:
        reference.append(median(one.reference))
        spent = clock() - start
        look = spent >= min(_LEAST_SECONDS, seconds)
        decided = [test.add(one, look=look) for test in tests]
        if all(decided) or spent >= seconds:
            break
    noise = list(watch.results(reference))
    slower = slowdown(reference, measured.recorded_ms)
    if slower > 1:
        noise.append(_SLOWER.format(slower))
    taken = round(clock() - start, 2)
    found = [test.result(measured.table, taken, noise) for test in tests]
    return [_unless_slowed(one, slower) for one in found], noise


def confirmed(first: LineResult, second: LineResult) -> LineResult:
    """What two looks at a broken line say together, the second with both models opened anew.

    A neighbour on the machine or an unlucky place in memory can favour one of the two models for
    as long as it lasts, and no statistics of that time alone would tell. So what was broken once
    is broken only if it is again.
    """
    both = {"seconds": round(first.seconds + second.seconds, 2)}
    if second.outcome == "broken":
        words = f"as before both were opened anew: {measured_words(first)}"
        return second.model_copy(update={**both, "reason": words})
    words = f"broken at first, {measured_words(first)}, but not with both models opened anew"
    return second.model_copy(update={**both, "outcome": "undecided", "reason": words})


def estimate_speedup(
    rounds: Iterable[Round],
    *,
    seconds: float,
    precision: float,
    clock: Clock = time.perf_counter,
) -> Estimate:
    """Take rounds until the interval is narrow, or the time is up.

    Args:
        rounds: an endless stream.
        seconds: after which no further round is taken.
        precision: width of the interval over its middle at which it is narrow enough.
        clock: in seconds.
    """
    ratios: list[float] = []
    start = clock()
    for one in rounds:
        ratios.append(one.speedup)
        late = clock() - start >= seconds
        if late or len(ratios) % _ESTIMATE_ROUNDS == 0:
            found = median_estimate(ratios, ALPHA)
            if late or found.high - found.low <= precision * found.value:
                return found
    return median_estimate(ratios, ALPHA)


def second_look_seconds(first: float, longest: float) -> float:
    """How long a second look may take: three times the first, which may have been lucky."""
    return min(max(3 * first, _LEAST_SECOND_LOOK), longest)


def _unless_slowed(found: LineResult, slower: float) -> LineResult:
    """A finding, but a speedup is not broken by what a slowed machine could do to it."""
    if slower == 1 or found.outcome != "broken" or found.value is None or found.bound is None:
        return found
    if found.value * slower < found.bound:
        return found
    return found.model_copy(update={"outcome": "undecided", "reason": _SLOWER.format(slower)})


class _SpeedupLine:
    """A speedup, judged by the median of paired ratios."""

    def __init__(self, line: BudgetLine, alpha: float) -> None:
        self._line = line
        self._test = MedianTest(line.bound, alpha, RESOLUTION)

    def add(self, one: Round, *, look: bool) -> bool:
        """Take a round and, if asked to look, say whether the line is decided."""
        return self._test.add(one.speedup, look=look) != "undecided"

    def result(self, table: str, seconds: float, noise: Sequence[str]) -> LineResult:
        """What came of it."""
        found = self._test.estimate()
        has_interval = math.isfinite(found.high)
        return LineResult.of_line(
            table,
            self._line,
            self._test.verdict,
            value=found.value,
            low=found.low if has_interval else None,
            high=found.high if has_interval else None,
            rounds=found.rounds,
            seconds=seconds,
            reason=self._why(found, noise) if self._test.verdict == "undecided" else "",
        )

    def _why(self, found: Estimate, noise: Sequence[str]) -> str:
        if not math.isfinite(found.high):
            return f"{found.rounds} rounds in the time given are too few; raise --max-seconds"
        if noise:
            return f"too noisy for a verdict: {'; '.join(noise)}"
        return "the truth lies too near the bound to tell on which side"


class _TailLine:
    """The slowest percent of the runs, judged by how many lie beyond the bound."""

    def __init__(self, line: BudgetLine, alpha: float) -> None:
        self._line = line
        self._test = ShareTest(_TAIL_SHARE, _LARGEST_TAIL_SHARE, alpha)
        self._runs: list[float] = []
        self._rounds = 0
        self._outcome: Outcome = "undecided"

    def add(self, one: Round, *, look: bool) -> bool:
        """Take a round and, if asked to look, say whether the line is decided."""
        self._rounds += 1
        self._runs += one.own
        if look and self._outcome == "undecided":
            self._outcome = self._test.verdict(self._beyond(), len(self._runs))
        return self._outcome != "undecided"

    def result(self, table: str, seconds: float, noise: Sequence[str]) -> LineResult:
        """What came of it: a disturbed machine has long tails by itself, so it breaks nothing."""
        import numpy as np

        p50, p99 = np.percentile(self._runs, (50, 99))
        seen = f"{self._beyond()} of {len(self._runs)} runs beyond {self._line.bound:g} × median"
        outcome = self._outcome
        if outcome == "broken" and noise:
            outcome, seen = "undecided", f"{seen}, but {'; '.join(noise)}"
        elif outcome == "undecided":
            seen += "; a tail takes some 450 runs"
        return LineResult.of_line(
            table,
            self._line,
            outcome,
            value=float(p99 / p50),
            rounds=self._rounds,
            seconds=seconds,
            reason=seen,
        )

    def _beyond(self) -> int:
        limit = self._line.bound * median(self._runs)
        return sum(run > limit for run in self._runs)


def _test(line: BudgetLine, alpha: float) -> _SpeedupLine | _TailLine:
    if line.key == "p99_over_p50":
        return _TailLine(line, max(alpha, _TAIL_ALPHA))
    return _SpeedupLine(line, alpha)

"""Verdicts on rounds that are made up; real ones are in tests/end_to_end/test_gate.py."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from glp_export.bench.shapes import shape_grid
from glp_export.core.errors import AccuracyError, LatencyError, ParityError
from glp_export.gate.budget_line import BudgetLine, read_line
from glp_export.gate.noise import drift, throttled_seconds
from glp_export.gate.results import GateReport, LineResult, sentence
from glp_export.gate.side_by_side import Round, SideBySide
from glp_export.gate.verdicts import (
    Measured,
    confirmed,
    estimate_speedup,
    judge_latency,
    second_look_seconds,
)


class Quiet:
    """A machine that nothing disturbs, or what a test says disturbs it."""

    def __init__(self, *found: str) -> None:
        self._found = found

    def results(self, reference: object = ()) -> tuple[str, ...]:
        return self._found


def rounds(speedup: float, noise: float = 0.02, outliers: float = 0.0) -> Iterator[Round]:
    generator = np.random.default_rng(5)
    while True:
        own = 2.0 * np.exp(generator.normal(0, noise, 4))
        own[generator.random(4) < outliers] *= 5
        reference = 2.0 * speedup * np.exp(generator.normal(0, noise, 4))
        yield Round(tuple(map(float, reference)), tuple(map(float, own)))


def line(text: str) -> BudgetLine:
    return read_line(text, "budget.toml, line 3")


def judged(
    stream: Iterator[Round],
    *texts: str,
    watch: Quiet | None = None,
    recorded_ms: float | None = None,
) -> list[LineResult]:
    """The findings, a tenth of a second a round."""
    clock = itertools.count(0, 0.1).__next__
    measured = Measured("cpu.fp32", [line(text) for text in texts], stream, recorded_ms)
    found, _ = judge_latency(measured, seconds=60, watch=watch or Quiet(), clock=clock)  # type: ignore[arg-type]
    return found


SPEEDUP = "speedup_vs_unpruned >= 1.9 at 1x128"
TAIL = "p99_over_p50 <= 1.5 at 1x128"


@pytest.mark.parametrize(
    ("speedup", "outcome"), [(2.1, "kept"), (1.7, "broken"), (1.9, "undecided")]
)
def test_a_speedup(speedup, outcome):
    (found,) = judged(rounds(speedup), SPEEDUP)
    assert found.outcome == outcome
    assert found.low <= speedup <= found.high
    assert found.value == pytest.approx(speedup, rel=0.02)
    if outcome == "undecided":
        assert "too near the bound" in found.reason
    else:
        assert found.seconds < 10


def test_noise_is_named_where_it_prevents_a_verdict():
    (found,) = judged(rounds(1.9), SPEEDUP, watch=Quiet("other processes used 1.9 cores"))
    assert "too noisy for a verdict: other processes used 1.9 cores" in found.reason


def test_a_single_round_in_the_time_given_is_too_few():
    clock = itertools.count(0, 30.0).__next__
    measured = Measured("cpu.fp32", [line(SPEEDUP)], rounds(9.0))
    (found,), _ = judge_latency(measured, seconds=60, watch=Quiet(), clock=clock)  # type: ignore[arg-type]
    assert (found.outcome, found.low) == ("undecided", None)
    assert "raise --max-seconds" in found.reason


def test_a_tail():
    (short,) = judged(rounds(2.0), TAIL)
    (long,) = judged(rounds(2.0, outliers=0.05), TAIL)
    assert (short.outcome, long.outcome) == ("kept", "broken")
    assert "runs beyond 1.5 × median" in long.reason


def test_a_busy_machine_breaks_no_tail():
    (found,) = judged(rounds(2.0, outliers=0.05), TAIL, watch=Quiet("others used 1.9 cores"))
    assert found.outcome == "undecided"
    assert "others used 1.9 cores" in found.reason


@pytest.mark.parametrize(
    ("recorded_ms", "outcome"),
    [
        (3.4, "broken"),  # as fast as it was
        (2.9, "broken"),  # 1.17 times slower: that is any day
        (2.0, "undecided"),  # 1.7 times: the machine is not what it was
        (None, "broken"),
    ],
)
def test_a_machine_that_does_not_reach_its_own_speed(recorded_ms, outcome):
    (found,) = judged(rounds(1.7), SPEEDUP, recorded_ms=recorded_ms)
    assert found.outcome == outcome
    assert ("1.7 times what it took on such a machine" in found.reason) == (outcome == "undecided")


def test_no_slowed_machine_explains_everything():
    (found,) = judged(rounds(1.7), "speedup_vs_unpruned >= 5 at 1x128", recorded_ms=2.0)
    assert found.outcome == "broken"


def test_broken_is_what_two_looks_say():
    (first,), (again,), (fast,) = (judged(rounds(s), SPEEDUP) for s in (1.70, 1.72, 2.1))
    both = confirmed(first, again)
    assert (both.outcome, both.value) == ("broken", again.value)
    assert "as before both were opened anew: measured 1.6" in both.reason
    assert both.seconds == pytest.approx(first.seconds + again.seconds)
    once = confirmed(first, fast)
    assert (once.outcome, once.value) == ("undecided", fast.value)
    assert "broken at first, measured 1.6" in once.reason
    assert (second_look_seconds(2, 60), second_look_seconds(9, 60)) == (10, 27)
    assert (second_look_seconds(9, 20), second_look_seconds(2, 8)) == (20, 8)


def test_lines_of_one_shape_share_its_rounds():
    speedup, tail = judged(rounds(2.1), SPEEDUP, TAIL)
    assert speedup.rounds == tail.rounds
    assert {speedup.outcome, tail.outcome} == {"kept"}


def test_an_estimate_stops_when_it_is_narrow():
    clock = itertools.count(0, 0.1).__next__
    found = estimate_speedup(rounds(2.0, noise=0.01), seconds=60, precision=0.02, clock=clock)
    assert found.low <= 2.0 <= found.high
    assert found.high - found.low <= 0.02 * found.value
    assert found.rounds < 600


def test_real_models_in_turns(tiny_contenders):
    reference, own = [c for c in tiny_contenders if c.runtime == "onnxruntime"][:2]
    (workload,) = shape_grid([reference, own], [2], [8])
    stream = SideBySide(reference, own).rounds(workload, warm_up_seconds=0.2)
    taken = list(itertools.islice(stream, 3))
    assert all(one.reference and one.own and one.speedup > 0 for one in taken)
    # The same batch and as many runs for both, or the ratio would compare unlike things.
    assert all(len(one.reference) == len(one.own) for one in taken)


def report(*results: LineResult, undecided: str = "pass") -> GateReport:
    return GateReport(
        artifact="out/mine",
        reference="the unpruned model",
        budget="budget.toml",
        threads=1,
        undecided=undecided,  # type: ignore[arg-type]
        findings=results,
        seconds=1.0,
    )


def found(part: str, outcome: str) -> LineResult:
    return LineResult(part=part, check=f"{part} line", outcome=outcome, value=1.0)  # type: ignore[arg-type]


def test_exit_codes_by_severity():
    latency, accuracy = found("latency", "broken"), found("accuracy", "broken")
    integrity, undecided = found("integrity", "broken"), found("latency", "undecided")
    assert report(found("latency", "kept"), found("accuracy", "not asked")).exit_code == 0
    assert isinstance(report(latency).error(), LatencyError)
    assert isinstance(report(found("size", "broken")).error(), LatencyError)
    assert isinstance(report(latency, accuracy).error(), AccuracyError)
    assert isinstance(report(latency, accuracy, integrity).error(), ParityError)
    assert report(undecided).exit_code == 0
    assert report(undecided, undecided="fail").exit_code == 5
    assert (report(undecided).outcome, report(undecided, latency).outcome) == (
        "undecided",
        "broken",
    )


def test_a_sentence_says_what_was_asked_and_found():
    (one,) = judged(rounds(1.7), SPEEDUP)
    said = sentence(one)
    assert said.startswith(f"cpu.fp32: {SPEEDUP}: broken, measured 1.")
    assert "rounds" in said


def test_a_reference_that_drifts():
    assert drift([1.0] * 30) == ()
    assert "1.50 times slower" in drift([1.0] * 15 + [1.5] * 15)[0]
    assert "faster" in drift([2.0] * 15 + [1.0] * 15)[0]
    assert drift([1.0, 9.0]) == ()


def test_a_container_that_is_throttled(tmp_path):
    (tmp_path / "cpu.stat").write_text("usage_usec 5\nthrottled_usec 2500000\n")
    assert throttled_seconds(tmp_path / "cpu.stat") == 2.5
    assert throttled_seconds(tmp_path / "none") == 0.0

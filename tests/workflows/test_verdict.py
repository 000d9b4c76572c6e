"""The last line of a comparison: which artifact to take, by what is significant."""

from __future__ import annotations

import pytest

from glp_export.bench import Interval
from glp_export.workflows.compare import (
    ComparedFile,
    ComparedLatency,
    ComparedScores,
    Comparison,
)


def compared(speedups: list[tuple[float, float]], scores: tuple[float, float] | None) -> Comparison:
    """Two artifacts by the intervals of B's speedup at each shape, and of B less A."""
    files = [
        ComparedFile(artifact=name, file="model.onnx", precision="fp32", bytes=size)
        for name, size in (("old", 200), ("new", 100))
    ]
    return Comparison(
        a=files[0],
        b=files[1],
        threads=1,
        provider="CPUExecutionProvider",
        scores=None
        if scores is None
        else ComparedScores(
            metric="accuracy",
            a=0.9,
            b=0.9 + sum(scores) / 2,
            difference=sum(scores) / 2,
            low=scores[0],
            high=scores[1],
            examples=100,
        ),
        latencies=tuple(
            ComparedLatency(
                shape=f"{number}x32",
                a_p50_ms=1,
                b_p50_ms=1,
                a_p95_ms=1,
                b_p95_ms=1,
                speedup=Interval(value=(low + high) / 2, low=low, high=high),
            )
            for number, (low, high) in enumerate(speedups, 1)
        ),
    )


ALIKE, WORSE = (-0.01, 0.01), (-0.05, -0.01)
FASTER, SLOWER, SAME = (1.2, 1.4), (0.5, 0.7), (0.9, 1.1)


@pytest.mark.parametrize(
    ("speedups", "scores", "words"),
    [
        ([FASTER, FASTER], ALIKE, ["new (B) is 1.30× as fast", "take new (B)"]),
        ([SLOWER], ALIKE, ["old (A) is 1.67× as fast", "take old (A)"]),
        ([FASTER], WORSE, ["new (B) is 1.30×", "old (A) is better by 0.030", "choose"]),
        ([SAME], WORSE, ["neither is faster", "take old (A)"]),
        (
            [FASTER, SLOWER],
            ALIKE,
            ["neither is faster at every shape", "take new (B), the smaller"],
        ),
        ([FASTER], None, ["new (B) is 1.30×", "accuracy was not compared"]),
    ],
)
def test_the_verdict_follows_intervals(speedups, scores, words):
    last = compared(speedups, scores).lines()[-1]
    assert last.startswith("verdict: ")
    assert all(word in last for word in words), last


def test_a_verdict_from_a_busy_machine_says_so():
    busy = compared([FASTER], ALIKE).model_copy(update={"notes": ("the machine: others used it",)})
    assert busy.lines()[-1].startswith("verdict, on a machine that others used: ")

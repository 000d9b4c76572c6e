"""Successive elimination: files are timed only as long as they may still be the fastest.

For a choice, not for a report.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Collection, Sequence
from statistics import geometric_mean
from typing import TYPE_CHECKING

from glp_export.bench.runtimes import open_contender
from glp_export.bench.statistics import paired_ratio
from glp_export.bench.timing import Progress, Samples, Timing, Turns, runs_of_turn

if TYPE_CHECKING:
    from glp_export.bench.contenders import Contender
    from glp_export.bench.shapes import Workload

_PART = "compare the files"
_FIRST_LOOK = 3
"""Rounds before anyone can drop out: an interval needs three."""
_SURELY_LONG = 2.0
"""Times `Timing.long_run_s` that a larger shape must be expected to take to be left out unseen."""


def measure_by_elimination(
    contenders: Sequence[Contender],
    reference: Contender,
    workloads: Sequence[Workload],
    *,
    timing: Timing,
    confidence: float,
    required: Collection[str] = (),
    progress: Progress | None = None,
) -> list[list[Samples]]:
    """Run contenders in turns over all shapes, round by round, until who is left has enough.

    One that is slower than the reference or than the fastest so far, by the whole interval of their
    ratio over all shapes, drops out: more rounds would not make it the winner. Once the fastest is
    alone with the reference and ahead of it in every round, the timing ends, though not before so
    many rounds that one of two equals is ahead in all of them more seldom than the confidence
    allows: an interval that is looked at again and again would not keep it. A shape whose run takes
    longer than `timing.long_run_s` is left out where a shorter one is there: what sets graphs of
    the same weights apart shows at each, and those are what takes the time.

    Args:
        contenders: with the reference among them.
        reference: never drops out.
        workloads: what they run.
        timing: `min_rounds` for who is not yet told apart; past `seconds`, of all shapes
            together, no more.
        confidence: of the intervals.
        required: names of shapes that are not left out.
        progress: called with a stage, units done and units in all.

    Returns:
        For each contender one `Samples` for each shape that was run.

    Raises:
        DeviceError: a provider is missing or fell back.
        ModelError: a contender cannot be loaded.
    """
    report = progress or (lambda part, done, total: None)
    report("load the contenders", 0, len(contenders))
    runners = [open_contender(contender) for contender in contenders]
    timing = timing.for_contenders(contenders)
    prepared = [
        [
            Turns(runner, one.batches_of(contender.contender, contender.plan_id), timing)
            for contender, runner in zip(contenders, runners, strict=True)
        ]
        for one in workloads
    ]
    left = _short(workloads, prepared, timing, required)
    numbers = list(range(len(contenders)))
    place, alive = contenders.index(reference), list(numbers)
    order = random.Random(timing.seed)
    start, done = time.perf_counter(), 0
    while len(alive) > 1 and (
        done < timing.min_rounds
        or (done < timing.max_rounds and time.perf_counter() - start < timing.seconds)
    ):
        for _, turns, dropped, runs in left:
            for number in order.sample(alive, len(alive)):
                turns[number].take(done, dropped, runs)
        done += 1
        report(_PART, done, max(done, timing.min_rounds))
        if done >= _FIRST_LOOK:
            means = {n: means_of([turns[n] for _, turns, _, _ in left]) for n in alive}
            leader = min(alive, key=lambda n: geometric_mean(means[n]))
            alive = [
                n
                for n in alive
                if n in (place, leader)
                or not any(
                    paired_ratio(means[one], means[n], confidence=confidence).high < 1
                    for one in (place, leader)
                )
            ]
            ahead = all(a > b for a, b in zip(means[place], means[leader], strict=True))
            if len(alive) == 2 and ahead and done >= told_apart_after(confidence):
                break
    return [
        [
            Samples(contenders[number], one.shape, tuple(turns[number].blocks))
            for one, turns, _, _ in left
        ]
        for number in numbers
    ]


def told_apart_after(confidence: float) -> int:
    """The fewest rounds of which all favour one side by chance less often than 1 − confidence."""
    return math.ceil(math.log2(2 / (1 - confidence)))


_Left = tuple["Workload", Sequence[Turns], int, int]


def _short(
    workloads: Sequence[Workload],
    prepared: Sequence[Sequence[Turns]],
    timing: Timing,
    required: Collection[str],
) -> list[_Left]:
    """The shapes that are run, the smallest first, each with a turn's uncounted and counted runs.

    A larger shape than one that takes too long is not even warmed up, nor is one whose run must
    be expected to take far too long: at least in proportion to its tokens.
    """
    left: list[_Left] = []
    too_long = False
    per_token = 0.0
    size = [one.shape.batch_size * one.shape.sequence_length for one in workloads]
    for number in sorted(range(len(workloads)), key=size.__getitem__):
        one, turns = workloads[number], prepared[number]
        needed = not left or one.shape.name in required
        too_long = too_long or per_token * size[number] > _SURELY_LONG * timing.long_run_s
        if too_long and not needed:
            continue
        slowest = max(turn.warm_up() for turn in turns)
        per_token = slowest / size[number]
        too_long = too_long or slowest > timing.long_run_s
        if needed or not too_long:
            dropped, runs = runs_of_turn(slowest, timing)
            # In one run that fills the turn, cold caches cost little, and all of them the same.
            left.append((one, turns, dropped if runs > 1 else 0, runs))
    return left


def means_of(turns: Sequence[Turns | Samples]) -> list[float]:
    """Round by round the geometric mean over the shapes, so that each counts alike."""
    medians = [one.round_medians for one in turns]
    return [geometric_mean(values) for values in zip(*medians, strict=False)]

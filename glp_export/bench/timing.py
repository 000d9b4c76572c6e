"""Measuring contenders side by side: interleaved turns, random order, raw samples kept.

Everything that drifts (clock, temperature, a neighbour on the machine) hits all contenders of a
round alike, so it cancels in their ratio. What must not leak from one turn into the next is the
last contender's idle threads: after a run they spin, waiting for more work, and take cores from
whoever runs next. On a 2-core machine, an ONNX Runtime session's one worker spins about 40 ms after
a run and PyTorch's OpenMP worker (libgomp) about 9 ms, both measured as the CPU time that the
process uses while it sleeps; benchmarks/spinning_threads.py measures it anew. Hence `settle`.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

from glp_export.bench.contenders import PreparedRunner
from glp_export.bench.runtimes import open_contender
from glp_export.core.errors import UsageError

if TYPE_CHECKING:
    from glp_export.bench.contenders import Contender, Feeds, Runner
    from glp_export.bench.shapes import Shape, Workload

# Stage, units done, units in all as far as is known now.
Progress = Callable[[str, int, int], None]

_SPIN_WINDOW = 0.01  # seconds; a few of the kernel's ticks, which CPU time is counted in
_SPIN_SHARE = 0.5  # of one core: below it, what runs is bookkeeping and no spinning thread
# Runtimes whose one thread is the one that calls them.
_WITHOUT_WORKERS = ("onnxruntime", "pytorch")
_SPIN_LIMIT = 0.25  # seconds; after it something else in the process computes for good


@dataclass(frozen=True)
class Timing:
    """How long and how carefully to measure.

    Attributes:
        min_rounds: rounds for every shape, whatever they take; an interval needs three.
        max_rounds: rounds after which a shape is done.
        seconds: per shape; past `min_rounds` no round begins later than this.
        turn_seconds: what the counted runs of one turn of the slowest contender should take.
        max_runs: counted runs of one turn at most.
        dropped: runs at the start of a turn that are not counted: they warm the caches again.
            None where the slowest contender's run passes `long_run_s`.
        long_run_s: seconds; what a turn's start costs is lost in a run that long.
        warmup: uncounted runs of each contender on each shape before the first round.
        pause_s: least pause before a turn, in seconds; none where nothing could spin
            (`for_contenders`).
        seed: of the order of turns.
    """

    min_rounds: int = 10
    max_rounds: int = 40
    seconds: float = 5.0
    turn_seconds: float = 0.05
    max_runs: int = 8
    dropped: int = 1
    long_run_s: float = 0.25
    warmup: int = 2
    pause_s: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        if not 3 <= self.min_rounds <= self.max_rounds:
            raise UsageError(
                f"cannot measure in {self.min_rounds} to {self.max_rounds} rounds",
                fix="an interval needs at least 3 rounds",
            )

    @classmethod
    def lasting(cls, seconds: float, min_rounds: int, seed: int) -> Timing:
        """So many seconds a shape, with room for four times the least rounds."""
        return cls(min_rounds, max(4 * min_rounds, 40), seconds, seed=seed)

    def for_contenders(self, contenders: Sequence[Contender]) -> Timing:
        """The same, without the pause where no contender has a thread that could spin."""
        alone = all(one.threads == 1 and one.runtime in _WITHOUT_WORKERS for one in contenders)
        return replace(self, pause_s=0.0) if alone else self


@dataclass(frozen=True)
class Samples:
    """All counted runs of one contender on one shape.

    Attributes:
        contender: who ran.
        shape: on what.
        rounds: milliseconds of every counted run, one tuple a round; round `i` of every
            contender ran in the same stretch of time on the same batches.
    """

    contender: Contender
    shape: Shape
    rounds: tuple[tuple[float, ...], ...]

    @property
    def milliseconds(self) -> tuple[float, ...]:
        """Every counted run."""
        return tuple(run for block in self.rounds for run in block)

    @property
    def round_medians(self) -> tuple[float, ...]:
        """The median run of each round, in milliseconds: what ratios are paired by."""
        return tuple(median(block) for block in self.rounds)


def measure(
    contenders: Sequence[Contender],
    workloads: Sequence[Workload],
    *,
    timing: Timing | None = None,
    progress: Progress | None = None,
) -> list[Samples]:
    """Run every contender on every workload in alternating turns.

    All contenders are loaded at once and stay loaded. A turn is a pause, `dropped` uncounted runs
    and a few counted ones; a round is one turn of each contender, in a new random order.

    Returns:
        One `Samples` for each workload and contender, in that order.

    Raises:
        DeviceError: a provider is missing or fell back.
        ModelError: a contender cannot be loaded.
        UsageError: PyTorch contenders want different numbers of threads, which one process
            cannot give them.
    """
    _require_one_pool(contenders)
    timing = (timing or Timing()).for_contenders(contenders)
    progress = progress or _silent
    runners: list[Runner] = []
    for number, contender in enumerate(contenders):
        progress("load the contenders", number, len(contenders))
        runners.append(open_contender(contender))
    progress("load the contenders", len(contenders), len(contenders))
    measured = []
    for workload in workloads:
        rounds = _measure_shape(contenders, runners, workload, timing, progress)
        measured += [
            Samples(contender, workload.shape, tuple(blocks))
            for contender, blocks in zip(contenders, rounds, strict=True)
        ]
    return measured


def settle(pause_s: float) -> float:
    """Pause until no thread of this process spins any more; returns the seconds it took.

    Sleeps `pause_s`, then for as long as the process still uses CPU time while this thread
    sleeps, up to a quarter of a second more: how long threads spin depends on the machine. A
    pause of 0 asks for none of this.
    """
    start = time.perf_counter()
    time.sleep(pause_s)
    while pause_s and time.perf_counter() - start < pause_s + _SPIN_LIMIT:
        before = time.process_time()
        time.sleep(_SPIN_WINDOW)
        if time.process_time() - before < _SPIN_SHARE * _SPIN_WINDOW:
            break
    return time.perf_counter() - start


def _measure_shape(
    contenders: Sequence[Contender],
    runners: Sequence[Runner],
    workload: Workload,
    timing: Timing,
    progress: Progress,
) -> list[list[tuple[float, ...]]]:
    """The blocks of every contender on one workload, round by round."""
    stage = f"measure {workload.shape.name}"
    progress(stage, 0, timing.min_rounds)
    turns = [
        Turns(runner, workload.batches_of(contender.contender, contender.plan_id), timing)
        for contender, runner in zip(contenders, runners, strict=True)
    ]
    dropped, runs = warm_up(turns, timing)
    order = random.Random(f"{timing.seed} {workload.shape.name}")
    start, done = time.perf_counter(), 0
    while done < timing.min_rounds or (
        done < timing.max_rounds and time.perf_counter() - start < timing.seconds
    ):
        for turn in order.sample(turns, len(turns)):
            turn.take(done, dropped, runs)
        done += 1
        progress(stage, done, _expected(done, time.perf_counter() - start, timing))
    progress(stage, done, done)
    return [turn.blocks for turn in turns]


def warm_up(turns: Sequence[Turns], timing: Timing) -> tuple[int, int]:
    """Run every contender without counting; returns a turn's uncounted and counted runs."""
    return runs_of_turn(max(turn.warm_up() for turn in turns), timing)


def runs_of_turn(slowest: float, timing: Timing) -> tuple[int, int]:
    """A turn's uncounted and counted runs, by the seconds of the slowest contender's run."""
    runs = max(1, min(timing.max_runs, int(timing.turn_seconds / slowest)))
    return timing.dropped if slowest < timing.long_run_s else 0, runs


class Turns:
    """One contender's turns on one workload.

    Attributes:
        blocks: milliseconds of the counted runs, one tuple a turn.
    """

    def __init__(
        self,
        runner: Runner,
        batches: Sequence[Feeds],
        timing: Timing,
        *,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self.blocks: list[tuple[float, ...]] = []
        self._runner, self._clock = runner, clock or time.perf_counter_ns
        self._batches = batches
        self._timing = timing

    def warm_up(self) -> float:
        """Prepare, then run without counting; returns the quickest run's seconds."""
        if isinstance(self._runner, PreparedRunner):
            self._runner.prepare(self._batches)
        runs = max(1, self._timing.warmup)
        return min(self._run(number) for number in range(runs)) / 1e3

    @property
    def round_medians(self) -> tuple[float, ...]:
        """The median run of each turn, in milliseconds."""
        return tuple(median(block) for block in self.blocks)

    def take(self, round_number: int, dropped: int, runs: int) -> None:
        """One turn: let the others' threads rest, warm the caches, then count."""
        settle(self._timing.pause_s)
        first = round_number * runs
        with _no_garbage_collection():
            for _ in range(dropped):
                self._run(first)
            self.blocks.append(tuple(self._run(first + number) for number in range(runs)))

    def _run(self, number: int) -> float:
        """Milliseconds of one run on the batch of that number, counted round and round."""
        feeds = self._batches[number % len(self._batches)]
        start = self._clock()
        self._runner(feeds)
        return (self._clock() - start) / 1e6


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Keep the collector, which would stop a random run, out of the counted ones."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _expected(done: int, seconds: float, timing: Timing) -> int:
    """Rounds that there will be in all, at the pace so far."""
    affordable = int(timing.seconds / (seconds / done)) if seconds else timing.max_rounds
    return max(done, timing.min_rounds, min(timing.max_rounds, affordable))


def _require_one_pool(contenders: Sequence[Contender]) -> None:
    threads = {c.threads for c in contenders if c.runtime.startswith("pytorch")}
    if len(threads) > 1:
        raise UsageError(
            f"PyTorch has one thread pool for all its models, not pools of {sorted(threads)}",
            where="--threads",
        )


def _silent(stage: str, done: int, total: int) -> None:
    """The progress callback of a caller who wants none."""

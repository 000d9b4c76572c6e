"""Measuring a latency table: random models of many shapes, exported and run side by side."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.bench.timing import Timing, Turns, warm_up
from glp_export.compress.latency_fit import fit_table
from glp_export.compress.latency_probes import VOCABULARY, Make, plan_probes
from glp_export.compress.latency_table import Conditions, LatencyTable, WholeModel
from glp_export.core.machine import CPU
from glp_export.core.shape import ModelShape
from glp_export.core.sharing import SharingMonitor

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from glp_export.bench.contenders import Feeds

Progress = Callable[[str, int, int], None]
"""Called with a stage, units done and units in all."""

QUICK = Timing(min_rounds=7, max_rounds=15, seconds=10.0, turn_seconds=0.04, max_runs=4)
"""For a table: medians of a few rounds, since every time is fitted to many models."""


def measure_table(
    make: Make,
    base: ModelShape,
    conditions: Conditions,
    directory: Path,
    *,
    separate_top: bool,
    timing: Timing | None = None,
    progress: Progress | None = None,
) -> LatencyTable:
    """Measure a table on this machine.

    Args:
        make: writes the file of a shape.
        base: the unpruned model.
        conditions: what is measured; provider, threads and input shape are taken from it.
        directory: scratch for the files.
        separate_top: the form computes less of the topmost layer than of the others.
        timing: how long and how carefully.
        progress: called with a stage, units done and units in all.

    Raises:
        DeviceError: the provider is missing or fell back.
        ModelError: the family cannot be cut or exported.
    """
    probes = plan_probes(base, separate_top=separate_top)
    models = measure_whole(
        make, probes.shapes, conditions, directory, timing=timing, progress=progress
    )
    return fit_table(
        conditions,
        base,
        models,
        heads=probes.heads,
        neurons=probes.neurons,
        separate_top=separate_top,
    )


FASTEST_COUNTS = (
    "the fastest runs of each model count, which are less sure than medians; measure again on an "
    "idle machine"
)
"""What others on the machine do to the times of `measure_whole`."""


def measure_whole(
    make: Make,
    shapes: Sequence[ModelShape],
    conditions: Conditions,
    directory: Path,
    *,
    timing: Timing | None = None,
    progress: Progress | None = None,
) -> list[WholeModel]:
    """Export models of some shapes and run them interleaved; their times in milliseconds.

    What slows all of them in a round cancels: a model's time is the median over the rounds of its
    share in the round, times the median round. Where other processes used the machine, it is what
    its fastest runs take: see `times_of`.

    Raises:
        DeviceError: the provider is missing or fell back.
        ModelError: the family cannot be cut or exported.
    """
    from glp_export.artifact.session import open_session

    sessions = []
    for number, shape in enumerate(shapes):
        if progress:
            progress("export models for the latency table", number, len(shapes))
        own = directory / f"probe-{number}"
        own.mkdir(parents=True, exist_ok=True)
        path = make(shape, own)
        sessions.append(
            open_session(path, provider=conditions.provider, threads=conditions.threads)
        )
        for file in own.iterdir():  # loaded
            file.unlink()
    vocabulary = min(VOCABULARY, *(shape.vocabulary for shape in shapes))
    monitor, clock = SharingMonitor(), _clock(conditions)
    turns = _run(sessions, _feeds(conditions, vocabulary), clock, timing or QUICK, progress)
    blocks = [turn.blocks for turn in turns]
    times = times_of(blocks, shared=bool(monitor.notes()), fastest=_FASTEST[clock])
    return [
        WholeModel(shape=shape, milliseconds=float(time))
        for shape, time in zip(shapes, times, strict=True)
    ]


_FASTEST = {time.thread_time_ns: 0.1, time.perf_counter_ns: 0.0}
"""Share of the runs beside other processes that is faster than what counts, by the clock.

CPU time goes on by itself alone, but caches are lost to others; of the wall clock the fastest run
is the one that waited least. Beside one to four processes on the same core, speedups of five models
in fp32 and int8 were within 10 % of those on the idle core by CPU time, and up to 60 % too high by
the wall clock: a long run never ends before its turn on the core does, and a short one may."""


def _clock(conditions: Conditions) -> Callable[[], int]:
    """Of the calling thread alone where it is the one that computes.

    Windows counts a thread's time in steps of 16 ms.
    """
    alone = conditions.threads == 1 and conditions.provider == CPU
    return time.thread_time_ns if alone and os.name == "posix" else time.perf_counter_ns


def times_of(
    blocks: Sequence[Sequence[Sequence[float]]], *, shared: bool, fastest: float = 0.0
) -> NDArray[np.float64]:
    """What each model takes, in milliseconds, from its runs by round.

    Args:
        blocks: milliseconds of every model, every round, every run.
        shared: whether other processes used the machine meanwhile; they stretch medians by several
            times, and seldom each of some dozens of runs that take milliseconds.
        fastest: share of the runs that is faster than what counts then.
    """
    if shared:
        return np.array([np.quantile(np.concatenate(own), fastest) for own in blocks])
    rounds = np.array([[np.median(block) for block in own] for own in blocks])
    level = np.exp(np.log(rounds).mean(0, keepdims=True))
    times: NDArray[np.float64] = np.median(rounds / level, axis=1) * np.median(level)
    return times


def _run(
    sessions: Sequence[InferenceSession],
    feeds: Feeds,
    clock: Callable[[], int],
    timing: Timing,
    progress: Progress | None,
) -> list[Turns]:
    """The turns of every session, run interleaved."""
    import random

    turns = [Turns(_runner(session), [feeds], timing, clock=clock) for session in sessions]
    dropped, runs = warm_up(turns, timing)
    order = random.Random(timing.seed)
    start, done = time.perf_counter(), 0
    while done < timing.min_rounds or (
        done < timing.max_rounds and time.perf_counter() - start < timing.seconds
    ):
        if progress:
            progress("measure the latency table", done, timing.max_rounds)
        for turn in order.sample(turns, len(turns)):
            turn.take(done, dropped, runs)
        done += 1
    return turns


def _feeds(conditions: Conditions, vocabulary: int) -> Feeds:
    """Random tokens, none of them padding, whose id is a low one."""
    size = (conditions.batch_size, conditions.sequence_length)
    ids = np.random.default_rng(0).integers(vocabulary // 2, vocabulary, size)
    return {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }


def _runner(session: InferenceSession) -> Any:
    names = [node.name for node in session.get_inputs()]

    def run(feeds: Feeds) -> Any:
        return session.run(None, {name: feeds[name] for name in names})

    return run

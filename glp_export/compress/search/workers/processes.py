"""Trials side by side in processes of this machine, each with as many cores as a trial takes.

A small training gains little from a second core; two trainings on two cores take half the time.
joblib keeps the processes. The outcomes are those of the serial workers, bit for bit.
"""

from __future__ import annotations

import pickle
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from glp_export.compress.search.context import Outcome, TrialContext, portable, run_trial
from glp_export.compress.search.trial import Trial
from glp_export.compress.search.workers.base import RunTrials, Say, WorkerResources, Workers
from glp_export.core.errors import DeviceError
from glp_export.core.machine import usable_cores
from glp_export.core.scratch import scratch_directory


@contextmanager
def open_processes(
    context: TrialContext, resources: WorkerResources, say: Say
) -> Iterator[RunTrials]:
    """Start the processes with the first trials, and end them with the search.

    Each holds a copy of the unpruned model beside the candidate that it trains.

    Raises:
        DeviceError: a process was lost, mostly for want of memory.
    """
    count = _side_by_side(context, resources)
    if count == 1:
        fix = "; --worker-cpus 1 tries one on each core" if context.threads > 1 else ""
        say(
            "candidates are tried one after the other: each takes "
            f"{context.threads} of {usable_cores()} cores{fix}"
        )
    with scratch_directory("glp-export-") as directory:
        shared = directory / "context.pickle"

        def outcomes(trials: Sequence[Trial]) -> Generator[Outcome, None, None]:
            if not shared.exists():
                shared.write_bytes(pickle.dumps(portable(context)))
            return _outcomes(trials, shared, count, context.threads)

        try:
            yield outcomes
        finally:
            if shared.exists():
                _end_processes()


def _side_by_side(context: TrialContext, resources: WorkerResources) -> int:
    """Trials that the machine has room for, by its cores and by the share of a GPU of each."""
    room = max(1, usable_cores() // context.threads)
    return min(room, int(1 / resources.gpus)) if resources.gpus else room


def _outcomes(
    trials: Sequence[Trial], shared: Path, count: int, threads: int
) -> Generator[Outcome, None, None]:
    from joblib import Parallel, delayed, parallel_config
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    with parallel_config(backend="loky", inner_max_num_threads=threads):
        tasks = (delayed(_run)(shared, trial) for trial in trials)
        try:
            yield from Parallel(n_jobs=count, return_as="generator", batch_size=1)(tasks)
        except TerminatedWorkerError as error:
            raise DeviceError(
                "a process that tried a candidate was lost, mostly for want of memory",
                where="--workers processes",
                fix="try fewer side by side with a larger --worker-cpus; the same command goes on "
                "from the candidates that are known",
            ) from error


def _run(shared: Path, trial: Trial) -> Outcome:
    return run_trial(_context(shared), trial)


@lru_cache(maxsize=1)
def _context(shared: Path) -> TrialContext:
    """What all trials share, read once in each process."""
    context: TrialContext = pickle.loads(shared.read_bytes())
    return context


def _end_processes() -> None:
    """Joblib would keep them for later, where they hold memory and cores that timing needs.

    What else this program runs in joblib's processes meanwhile is given up.
    """
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True, kill_workers=True)


PROCESSES = Workers(
    "processes", "side by side in processes of this machine, a core or more each", open_processes
)

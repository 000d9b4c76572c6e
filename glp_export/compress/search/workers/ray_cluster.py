"""Trials side by side on a Ray cluster: this machine's cores, or many machines.

Ray places the trials, and carries a trial out again when its worker or its machine is lost.
Every machine of the cluster needs this package, in the versions of the machine that asks. The
outcomes are those of the serial workers, bit for bit where the processors are alike.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from functools import cache
from itertools import islice
from typing import Any

from glp_export.compress.search.context import Outcome, TrialContext, portable, run_trial
from glp_export.compress.search.trial import Trial
from glp_export.compress.search.workers.base import RunTrials, Say, WorkerResources, Workers
from glp_export.core.errors import DeviceError, UsageError
from glp_export.core.machine import usable_cores

RETRIES = 3
"""How often a trial is begun again after its worker or machine was lost."""

_OURS = {"ORT_DISABLE_TELEMETRY": "1", "OMP_WAIT_POLICY": "passive"}
"""Variables that ONNX Runtime and OpenMP read as they are loaded."""

CANCELS = 10
"""How often a trial that is given up is cancelled, a second apart, until it ends."""


def require_ray() -> None:
    """Check that Ray is installed.

    Raises:
        UsageError: it is not.
    """
    package = importlib.util.find_spec("ray")
    if package is None or package.origin is None:  # a directory of that name is no package
        raise UsageError(
            "Ray is not installed",
            where="--workers ray",
            fix='pip install "glp-export[ray]", or use --workers serial',
        )


@contextmanager
def open_cluster(
    context: TrialContext, resources: WorkerResources, say: Say
) -> Iterator[RunTrials]:
    """Connect when the first trial comes: a search whose candidates are all known needs no Ray.

    Raises:
        UsageError: Ray is not installed.
        DeviceError: RAY_ADDRESS names no cluster; no machine of the cluster is large enough for
            one trial; or trials are lost again and again.
    """
    require_ray()
    with ExitStack() as stack:

        @cache
        def cluster() -> _Cluster:
            stack.enter_context(_connected(say))
            return _Cluster(context, resources)

        def outcomes(trials: Sequence[Trial]) -> Generator[Outcome, None, None]:
            return cluster().outcomes(trials)

        yield outcomes
        cluster.cache_clear()


class _Cluster:
    """A ground that lies in the cluster's object store, and the trials on it."""

    def __init__(self, context: TrialContext, resources: WorkerResources) -> None:
        import ray

        self._cpus, self._gpus = context.threads, resources.gpus
        self._require_room()
        self._task = ray.remote(run_trial).options(
            num_cpus=self._cpus,
            num_gpus=self._gpus,
            max_retries=RETRIES,
            retry_exceptions=False,
            runtime_env={"env_vars": _environment(context.threads)},
        )
        self._ground = ray.put(portable(context))

    def outcomes(self, trials: Sequence[Trial]) -> Generator[Outcome, None, None]:
        """Keep the cluster busy; yield each outcome in its turn."""
        import ray

        # One trial waits behind each that runs, so no worker idles while an outcome travels.
        most = 2 * sum(self._slots())
        waiting = iter(trials)
        tasks: deque[Any] = deque()
        unfinished: list[Any] = []
        try:
            while True:
                for trial in islice(waiting, most - len(unfinished)):
                    tasks.append(self._task.remote(self._ground, trial))
                    unfinished.append(tasks[-1])
                if not tasks:
                    return
                _, unfinished = ray.wait(unfinished)
                while tasks and tasks[0] not in unfinished:
                    yield _outcome(tasks[0])
                    tasks.popleft()
        finally:
            _give_up(list(tasks))

    def _require_room(self) -> None:
        """Refuse what Ray would wait for without an end."""
        if any(self._slots()):
            return
        largest = max(_nodes(), key=lambda node: (node[1] >= self._gpus, node), default=(0, 0))
        raise DeviceError(
            f"a candidate needs {_amount(self._cpus, self._gpus)}, and the largest machine of the "
            f"Ray cluster has {_amount(*largest)}",
            where="--workers ray",
            fix="set --worker-cpus and --worker-gpus to what a machine has, or less",
        )

    def _slots(self) -> list[int]:
        """How many trials each machine has room for."""
        return [
            min(int(cpus / self._cpus), _on_gpus(gpus, self._gpus))
            if self._gpus
            else int(cpus / self._cpus)
            for cpus, gpus in _nodes()
        ]


def _environment(threads: int) -> dict[str, str]:
    """Variables of a worker; one of a cluster that was there before inherits none from here."""
    counts = {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "MKL")}
    return {**counts, **{name: os.environ.get(name, default) for name, default in _OURS.items()}}


def _nodes() -> list[tuple[float, float]]:
    """CPUs and GPUs of each machine that is alive."""
    import ray

    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [(node.get("CPU", 0.0), node.get("GPU", 0.0)) for node in alive]


def _on_gpus(gpus: float, resources: float) -> int:
    """Trials that fit on a machine's GPUs; one that shares a GPU is never split over two."""
    return int(gpus) * int(1 / resources)


def _amount(cpus: float, gpus: float) -> str:
    return f"{cpus:g} CPU{'' if cpus == 1 else 's'}" + (f" and {gpus:g} GPU" if gpus else "")


def _outcome(task: Any) -> Outcome:
    """What came of a trial; an error in it as itself, not in Ray's clothes."""
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        outcome: Outcome = ray.get(task)
    except RayTaskError as error:
        raise error.cause from error
    except RayError as error:
        reason = str(error).strip().splitlines()[0]
        raise DeviceError(
            f"the Ray cluster lost a candidate for good ({type(error).__name__}: {reason})",
            where="--workers ray",
            fix="see Ray's logs; the same command goes on from the candidates that are known",
        ) from error
    return outcome


def _give_up(tasks: list[Any]) -> None:
    """End trials, begun or not.

    By force, as a mere interrupt is lost on a worker that is still importing; and more than once,
    as Ray passes over a task that is on its way to its worker.
    """
    import ray

    for _ in range(CANCELS):
        if not tasks:
            return
        for task in tasks:
            ray.cancel(task, force=True)
        _, tasks = ray.wait(tasks, num_returns=len(tasks), timeout=1.0)


@contextmanager
def _connected(say: Say) -> Iterator[None]:
    """Use the cluster that there is, or one of this run's own, which ends with it."""
    import ray

    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS", "")
    quiet = {"log_to_driver": False, "logging_level": "warning"}
    try:
        try:
            _require_answer(address)
            ray.init(address="auto", **quiet)
        except ConnectionError as error:
            if address:
                raise _nobody_at(address) from error
            _start(say, quiet)
        with redirect_stdout(sys.stderr):  # Ray tells of lost workers where results belong
            yield
    finally:
        ray.shutdown()


def _require_answer(address: str) -> None:
    """Knock at host:port or ray://host:port; Ray itself would try for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except OSError as error:
        raise _nobody_at(address) from error


def _nobody_at(address: str) -> DeviceError:
    return DeviceError(
        f"there is no Ray cluster at {address}",
        where="RAY_ADDRESS",
        fix="start it, or unset RAY_ADDRESS to use this machine alone",
    )


def _start(say: Say, quiet: dict[str, Any]) -> None:
    import ray

    cores = usable_cores()
    say(f"no Ray cluster was found: one of {_amount(cores, 0)} is started here, for this run")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a run calls nobody
    ray.init(address="local", num_cpus=cores, include_dashboard=False, **quiet)


RAY = Workers(
    "ray", "side by side on a Ray cluster, or on this machine's cores", open_cluster, require_ray
)

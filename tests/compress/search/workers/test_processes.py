from __future__ import annotations

import os
import signal
from dataclasses import replace
from functools import partial

import psutil
import pytest

from glp_export.compress.search.workers import WORKERS, WorkerResources
from glp_export.core.errors import DeviceError, ModelError
from tests.compress.search.workers.trials import (
    TRIALS,
    outcomes_of,
    plain,
    trained_by,
    untrainable,
)


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr("glp_export.compress.search.workers.processes.usable_cores", lambda: 2)


def is_worker(process):
    return any("popen_loky" in part for part in process.cmdline())


def killed(student, inputs, progress):
    os.kill(os.getpid(), signal.SIGKILL)


def test_candidates_are_those_of_the_serial_workers_bit_for_bit(context):
    with WORKERS["processes"].open(context, WorkerResources(), pytest.fail) as run_trial:
        steps = [list(run_trial(TRIALS[:2])), list(run_trial(TRIALS[2:]))]
        workers = [one for one in psutil.Process().children() if is_worker(one)]
        assert len(workers) == 2
    assert plain([outcome for step in steps for outcome in step]) == plain(
        outcomes_of("serial", context)
    )
    assert not psutil.wait_procs(workers, timeout=10)[1]


@pytest.mark.slow
def test_an_error_in_a_trial_arrives_as_itself(context, tmp_path):
    with pytest.raises(ModelError, match="cannot be trained") as caught:
        outcomes_of("processes", trained_by(context, partial(untrainable, str(tmp_path))))
    assert (caught.value.where, caught.value.fix) == ("here", "take another")


@pytest.mark.slow
def test_a_process_that_is_lost_ends_the_search(context):
    with pytest.raises(DeviceError, match="was lost"):
        outcomes_of("processes", trained_by(context, killed))


@pytest.mark.parametrize("threads", [1, 2])
def test_one_process_is_said_and_fewer_threads_advised_where_there_are_some(
    context, monkeypatch, threads
):
    monkeypatch.setattr(
        "glp_export.compress.search.workers.processes.usable_cores", lambda: threads
    )
    said = []
    asked = replace(context, threads=threads)
    with WORKERS["processes"].open(asked, WorkerResources(), said.append):
        pass
    assert len(said) == 1
    assert ("--worker-cpus 1" in said[0]) == (threads > 1)

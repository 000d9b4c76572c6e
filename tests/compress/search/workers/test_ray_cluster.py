from __future__ import annotations

import os
import signal
import socket
import time
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path

import psutil
import pytest

from glp_export.compress.search.trial import Trial
from glp_export.compress.search.workers import WORKERS, WorkerResources
from glp_export.core.errors import DeviceError, ModelError
from glp_export.encoder import RECOVERIES
from tests.compress.search.workers.trials import (
    TRIALS,
    outcomes_of,
    plain,
    trained_by,
    untrainable,
)

ray = pytest.importorskip("ray", reason='Ray is not installed: pip install "glp-export[ray]"')

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two CPUs of this machine, and no more of them than that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            object_store_memory=100e6,
            log_to_driver=False,
            logging_level="warning",
        )
        yield
        ray.shutdown()


def killed_the_first_time(directory, student, inputs, progress):
    (Path(directory) / str(time.time_ns())).touch()
    if len(list(Path(directory).iterdir())) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return RECOVERIES["distill"].train(student, inputs, progress)


def endless(directory, student, inputs, progress):
    """Train a student of three layers not at all, and one of fewer for ever."""
    if student.config.num_hidden_layers < 3:
        (Path(directory) / str(os.getpid())).touch()
        time.sleep(3600)
    return student


def test_an_address_where_nobody_answers_is_told_at_once(context, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setenv("RAY_ADDRESS", address)  # before the cluster below: Ray has one at a time
    with (
        WORKERS["ray"].open(context, WorkerResources(), print) as run_trial,
        pytest.raises(DeviceError, match=f"no Ray cluster at {address}"),
    ):
        run_trial(TRIALS)


def test_candidates_are_those_of_the_serial_workers_bit_for_bit(cluster, context):
    assert plain(outcomes_of("ray", context)) == plain(outcomes_of("serial", context))


def test_trials_after_a_first_step_stand_on_the_same_ground(cluster, context):
    with WORKERS["ray"].open(context, WorkerResources(), lambda message: None) as run_trial:
        steps = [list(run_trial(TRIALS[:2])), list(run_trial(TRIALS[2:]))]
    assert [outcome.candidate.trial for step in steps for outcome in step] == TRIALS


def test_a_killed_worker_costs_time_and_nothing_else(cluster, context, tmp_path):
    shaky = trained_by(context, partial(killed_the_first_time, str(tmp_path)))
    outcomes = outcomes_of("ray", shaky, TRIALS[:2])
    assert len(list(tmp_path.iterdir())) == 3
    assert plain(outcomes) == plain(outcomes_of("serial", context, TRIALS[:2]))


def test_an_error_in_a_trial_arrives_as_itself_and_is_not_tried_again(cluster, context, tmp_path):
    with pytest.raises(ModelError, match="cannot be trained") as caught:
        outcomes_of("ray", trained_by(context, partial(untrainable, str(tmp_path))), TRIALS[:1])
    assert type(caught.value) is ModelError
    assert (caught.value.where, caught.value.fix) == ("here", "take another")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_search_that_stops_leaves_nothing_running(cluster, context, tmp_path):
    stuck = trained_by(context, partial(endless, str(tmp_path)))
    trials = [Trial((0,)), *(Trial(removed) for removed in combinations(range(4), 2))]
    with WORKERS["ray"].open(stuck, WorkerResources(), lambda message: None) as run_trial:
        outcomes = run_trial(trials)
        assert next(outcomes).candidate.removed == (0,)
        assert wait_for(lambda: any(tmp_path.iterdir()))
        outcomes.close()
        assert wait_for(lambda: ray.available_resources().get("CPU") == 2)
    begun = [int(path.name) for path in tmp_path.iterdir()]
    assert wait_for(lambda: not any(map(psutil.pid_exists, begun)))


def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.parametrize(
    ("threads", "share", "needs"),
    [(3, WorkerResources(), "3 CPUs"), (1, WorkerResources(gpus=0.5), "1 CPU and 0.5 GPU")],
)
def test_a_candidate_too_large_for_every_machine_is_refused(
    cluster, context, threads, share, needs
):
    with (
        WORKERS["ray"].open(replace(context, threads=threads), share, print) as run_trial,
        pytest.raises(DeviceError, match=f"needs {needs}, and the largest .* has 2 CPUs") as caught,
    ):
        run_trial(TRIALS)
    assert "--worker-cpus" in caught.value.fix

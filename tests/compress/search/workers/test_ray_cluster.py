from __future__ import annotations

import os
import signal
import socket
import sys
import time
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import psutil
import pytest
from datasets import load_from_disk

from glp_export.compress.search.ground import Ground, portable
from glp_export.compress.search.trial import Trial
from glp_export.compress.search.workers import WORKERS, Share
from glp_export.core.errors import DeviceError, ModelError, UsageError
from glp_export.encoder import (
    RECOVERIES,
    DistillSettings,
    Lesson,
    ModelSource,
    Recovery,
    TrainSettings,
    load_model,
    load_tokenizer,
    predict,
)
from glp_export.tasks import DataSpec, encode, load_task_data

ray = pytest.importorskip("ray", reason='Ray is not installed: pip install "glp-export[ray]"')

TRIALS = [Trial((layer,), 24) for layer in range(4)] + [Trial((0, 3), 24, repeat=1)]


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


@pytest.fixture(scope="module")
def ground(encoder, data, tmp_path_factory):
    """A tiny BERT that imitates itself; examples in memory-mapped files, as the hub's are."""
    loaded = load_task_data(DataSpec(dataset=str(data)))
    source = ModelSource(str(encoder))
    tokenizer, ancestor = load_tokenizer(source), load_model(source, loaded.task)
    fit, select = (
        on_disk(encode(part, loaded.task, tokenizer, 64), tmp_path_factory.mktemp("rows"))
        for part in (loaded.fit, loaded.select)
    )
    lesson = Lesson(
        examples=fit.select(range(48)),
        tokenizer=tokenizer,
        teacher_logits=predict(ancestor, fit.select(range(48)), tokenizer),
        settings=TrainSettings(epochs=1, learning_rate=1e-3, batch_size=8),
        distillation=DistillSettings(),
    )
    return Ground(ancestor, lesson, RECOVERIES["distill"], loaded.task, select, True, 1)


def on_disk(rows, directory):
    rows.save_to_disk(directory)
    return load_from_disk(str(directory))


def carried_out(name, ground, trials=TRIALS):
    with WORKERS[name].open(ground, Share(), lambda message: None) as carry_out:
        return list(carry_out(trials))


def plain(outcomes):
    """What outcomes say, the time they took excepted."""
    return [
        (
            outcome.candidate.model_copy(update={"seconds": 0.0}),
            outcome.logits.tobytes(),
            outcome.losses.tobytes(),
        )
        for outcome in outcomes
    ]


def taught_by(ground, teach):
    recovery = ground.recovery
    return replace(ground, recovery=Recovery(recovery.name, recovery.summary, True, teach))


def killed_the_first_time(directory, student, lesson, progress):
    (Path(directory) / str(time.time_ns())).touch()
    if len(list(Path(directory).iterdir())) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return RECOVERIES["distill"].teach(student, lesson, progress)


def unteachable(directory, student, lesson, progress):
    (Path(directory) / str(time.time_ns())).touch()
    raise ModelError("the model cannot be taught", where="here", fix="take another")


def endless(directory, student, lesson, progress):
    """Teach a student of three layers nothing, and one of fewer for ever."""
    if student.config.num_hidden_layers < 3:
        (Path(directory) / str(os.getpid())).touch()
        time.sleep(3600)
    return student


def test_an_address_where_nobody_answers_is_told_at_once(ground, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setenv("RAY_ADDRESS", address)  # before the cluster below: Ray has one at a time
    with (
        WORKERS["ray"].open(ground, Share(), print) as carry_out,
        pytest.raises(DeviceError, match=f"no Ray cluster at {address}"),
    ):
        carry_out(TRIALS)


def test_candidates_are_those_of_the_serial_workers_bit_for_bit(cluster, ground):
    assert plain(carried_out("ray", ground)) == plain(carried_out("serial", ground))


def test_trials_after_a_first_step_stand_on_the_same_ground(cluster, ground):
    with WORKERS["ray"].open(ground, Share(), lambda message: None) as carry_out:
        steps = [list(carry_out(TRIALS[:2])), list(carry_out(TRIALS[2:]))]
    assert [outcome.candidate.trial for step in steps for outcome in step] == TRIALS


def test_a_killed_worker_costs_time_and_nothing_else(cluster, ground, tmp_path):
    shaky = taught_by(ground, partial(killed_the_first_time, str(tmp_path)))
    outcomes = carried_out("ray", shaky, TRIALS[:2])
    assert len(list(tmp_path.iterdir())) == 3
    assert plain(outcomes) == plain(carried_out("serial", ground, TRIALS[:2]))


def test_an_error_in_a_trial_arrives_as_itself_and_is_not_tried_again(cluster, ground, tmp_path):
    with pytest.raises(ModelError, match="cannot be taught") as caught:
        carried_out("ray", taught_by(ground, partial(unteachable, str(tmp_path))), TRIALS[:1])
    assert type(caught.value) is ModelError
    assert (caught.value.where, caught.value.fix) == ("here", "take another")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_search_that_stops_leaves_nothing_running(cluster, ground, tmp_path):
    stuck = taught_by(ground, partial(endless, str(tmp_path)))
    trials = [Trial((0,)), *(Trial(removed) for removed in combinations(range(4), 2))]
    with WORKERS["ray"].open(stuck, Share(), lambda message: None) as carry_out:
        outcomes = carry_out(trials)
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
    [(3, Share(), "3 CPUs"), (1, Share(gpus=0.5), "1 CPU and 0.5 GPU")],
)
def test_a_candidate_too_large_for_every_machine_is_refused(cluster, ground, threads, share, needs):
    with (
        WORKERS["ray"].open(replace(ground, threads=threads), share, print) as carry_out,
        pytest.raises(DeviceError, match=f"needs {needs}, and the largest .* has 2 CPUs") as caught,
    ):
        carry_out(TRIALS)
    assert "--worker-cpus" in caught.value.fix


def test_a_search_that_asks_for_nothing_starts_no_cluster(ground):
    said = []
    with WORKERS["ray"].open(ground, Share(), said.append):
        pass
    assert said == []


def test_a_ground_that_travels_needs_no_file(ground):
    sent = portable(ground)
    assert ground.select.cache_files
    assert not sent.select.cache_files + sent.lesson.examples.cache_files
    assert sent.select.features == ground.select.features
    assert sent.lesson.examples[:] == ground.lesson.examples[:]
    assert np.array_equal(sent.select["labels"][:], ground.select["labels"][:])


def test_without_ray_the_user_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match="not installed") as caught:
        WORKERS["ray"].require()
    assert 'pip install "glp-export[ray]"' in caught.value.fix

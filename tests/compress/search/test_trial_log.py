from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glp_export.compress.plan import Candidate
from glp_export.compress.search.trial import Trial
from glp_export.compress.search.trial_log import TrialLog
from glp_export.core.errors import UsageError

SETTINGS = {"epochs": 1.0, "seed": 41}
SPAWN = multiprocessing.get_context("spawn")
PATIENCE = 60
LOGITS = np.zeros((3, 2), dtype=np.float32)


def test_candidates_are_there_after_reopening(tmp_path):
    trial_log = TrialLog(tmp_path / "journal.jsonl", SETTINGS)
    trial_log.add(Candidate(removed=(1, 4), score=0.75, seconds=2.0), LOGITS)
    again = TrialLog(tmp_path / "journal.jsonl", SETTINGS)
    assert again.get(Trial((1, 4))) == Candidate(removed=(1, 4), score=0.75, seconds=2.0)
    assert again.get(Trial((1,))) is None


def test_trials_of_one_set_of_layers_are_kept_apart_with_their_answers(tmp_path):
    trial_log = TrialLog(tmp_path / "journal.jsonl", SETTINGS)
    for number, trial in enumerate((Trial((1,)), Trial((1,), 256), Trial((1,), 256, 1))):
        candidate = Candidate(
            removed=trial.removed, examples=trial.examples, repeat=trial.repeat, score=number
        )
        trial_log.add(candidate, LOGITS + number, LOGITS[:, 0] - number)
    again = TrialLog(tmp_path / "journal.jsonl", SETTINGS)
    assert again.known(Trial((1,), 256)).score == 1
    assert again.logits(Trial((1,), 256, 1)).tolist() == (LOGITS + 2).tolist()
    assert again.losses(Trial((1,))).tolist() == LOGITS[:, 0].tolist()


@pytest.mark.parametrize("torn", [b'{"removed": [2], "sco', b"{", b"\xff\xfe"])
def test_a_line_torn_by_a_kill_is_forgotten_and_the_rest_kept(tmp_path, torn):
    path = tmp_path / "journal.jsonl"
    TrialLog(path, SETTINGS).add(Candidate(removed=(1,), score=0.5), LOGITS)
    with path.open("ab") as stream:
        stream.write(torn)
    again = TrialLog(path, SETTINGS)
    assert len(again) == 1
    again.add(Candidate(removed=(2,), score=0.6), LOGITS)
    assert len(TrialLog(path, SETTINGS)) == 2


def test_killed_before_the_first_line_was_whole(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"settings": {"ep')
    assert len(TrialLog(path, SETTINGS)) == 0
    assert len(TrialLog(path, SETTINGS)) == 0


def test_other_settings_are_named(tmp_path):
    TrialLog(tmp_path / "journal.jsonl", SETTINGS)
    with pytest.raises(UsageError, match="seed") as caught:
        TrialLog(tmp_path / "journal.jsonl", {**SETTINGS, "seed": 42})
    assert "epochs" not in caught.value.what


def add_many(path: Path, writer: int, count: int, ready: Any) -> None:
    """What another process does: score candidates of its own, the lines of many lengths."""
    trial_log = TrialLog(path, SETTINGS)
    ready.wait(PATIENCE)
    for number in range(count):
        trial_log.add(Candidate(removed=(writer, *range(100, 100 + 7 * number)), score=0.5), LOGITS)


def die_within_a_line(path: Path) -> None:
    trial_log = TrialLog(path, SETTINGS)
    trial_log.add(Candidate(removed=(7,), score=0.5), LOGITS)
    with trial_log._lock, path.open("ab", buffering=0) as stream:
        stream.write(b'{"removed": [8], "sco')
        os._exit(9)


def test_two_processes_lose_and_tear_no_line(tmp_path):
    path, ready, count = tmp_path / "journal.jsonl", SPAWN.Event(), 60
    writers = [SPAWN.Process(target=add_many, args=(path, w, count, ready)) for w in (1, 2)]
    for writer in writers:
        writer.start()
    ready.set()
    for writer in writers:
        writer.join(PATIENCE)
    assert [writer.exitcode for writer in writers] == [0, 0]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line for line in lines if "settings" in line] == [{"settings": SETTINGS}]
    assert len(TrialLog(path, SETTINGS)) == 2 * count == len(lines) - 1


def test_what_another_has_scored_is_known_at_the_next_question(tmp_path):
    first = TrialLog(tmp_path / "journal.jsonl", SETTINGS)
    second = TrialLog(tmp_path / "journal.jsonl", SETTINGS)
    assert first.get(Trial((3,))) is None
    second.add(Candidate(removed=(3,), score=0.25), LOGITS)
    assert first.get(Trial((3,))) == Candidate(removed=(3,), score=0.25)
    first.add(Candidate(removed=(4,), score=0.5), LOGITS)
    assert second.get(Trial((4,))) == Candidate(removed=(4,), score=0.5)


def test_a_line_torn_by_another_process_is_not_joined_to_the_next(tmp_path):
    path = tmp_path / "journal.jsonl"
    trial_log = TrialLog(path, SETTINGS)
    killed = SPAWN.Process(target=die_within_a_line, args=(path,))
    killed.start()
    killed.join(PATIENCE)
    assert killed.exitcode == 9
    assert trial_log.get(Trial((8,))) is None
    trial_log.add(Candidate(removed=(9,), score=0.75), LOGITS)
    again = TrialLog(path, SETTINGS)
    assert [bool(again.get(Trial((layer,)))) for layer in (7, 8, 9)] == [True, False, True]


def test_a_journal_that_was_deleted_is_begun_anew(tmp_path):
    path = tmp_path / "journal.jsonl"
    trial_log = TrialLog(path, SETTINGS)
    trial_log.add(Candidate(removed=(1,), score=0.5), LOGITS)
    path.unlink()
    trial_log.add(Candidate(removed=(2,), score=0.5), LOGITS)
    assert trial_log.get(Trial((1,))) is not None
    again = TrialLog(path, SETTINGS)
    assert len(again) == 1
    assert again.get(Trial((2,))) is not None

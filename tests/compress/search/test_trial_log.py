from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glp_export.compress.plan import Candidate
from glp_export.compress.search.trial import Trial
from glp_export.compress.search.trial_log import TrialLog
from glp_export.core.errors import OutputError

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


def test_what_another_search_has_scored_is_not_used(tmp_path, caplog):
    path = tmp_path / "journal.jsonl"
    TrialLog(path, SETTINGS).add(Candidate(removed=(1,), score=0.5), LOGITS)
    other = TrialLog(path, {**SETTINGS, "seed": 42})
    assert other.get(Trial((1,))) is None
    assert "other settings" in caplog.text
    other.add(Candidate(removed=(1,), score=0.25), LOGITS)
    assert TrialLog(path, {**SETTINGS, "seed": 42}).get(Trial((1,))).score == 0.25


def edited(line: str) -> str:
    return line.replace('"score": 0.5', '"score": 0.9')


def garbage(line: str) -> str:
    return "\x00garbage"


def nested(line: str) -> str:
    return "[" * 5000


def number(line: str) -> str:
    return "7"


@pytest.mark.parametrize("change", [edited, garbage, nested, number])
@pytest.mark.parametrize("place", [0, 1])
def test_a_damaged_line_is_passed_over_with_a_warning(tmp_path, caplog, change, place):
    path = tmp_path / "journal.jsonl"
    trial_log = TrialLog(path, SETTINGS)
    for layer in (1, 2):
        trial_log.add(Candidate(removed=(layer,), score=0.5), LOGITS)
    lines = path.read_text().splitlines()
    if change is edited and place == 0:
        lines[0] = lines[0].replace("41", "42")
    else:
        lines[place] = change(lines[place])
    path.write_text("\n".join(lines) + "\n")
    again = TrialLog(path, SETTINGS)
    assert "anew" in caplog.text
    assert (again.get(Trial((1,))) is None) == (place == 1)
    assert again.get(Trial((2,))) == Candidate(removed=(2,), score=0.5)
    again.add(Candidate(removed=(1,), score=0.5), LOGITS)
    assert TrialLog(path, SETTINGS).get(Trial((1,))).score == 0.5


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(b"NUMPY") + 150] ^= 1
    path.write_bytes(content)


def replace_by_another(path: Path) -> None:
    others = [other for other in path.parent.glob("*.npz") if other != path]
    path.write_bytes(others[0].read_bytes())


@pytest.mark.parametrize("harm", [truncate, flip, replace_by_another, Path.unlink])
def test_damaged_arrays_make_a_trial_unknown(tmp_path, caplog, harm):
    path = tmp_path / "journal.jsonl"
    trial_log = TrialLog(path, SETTINGS)
    for layer in (1, 2):
        trial_log.add(Candidate(removed=(layer,), score=0.5), LOGITS + layer, LOGITS[:, 0])
    harm(trial_log._answers(Trial((1,))))
    again = TrialLog(path, SETTINGS)
    assert again.get(Trial((1,))) is None
    assert "anew" in caplog.text
    assert again.get(Trial((2,))) is not None
    again.add(Candidate(removed=(1,), score=0.5), LOGITS + 1)
    assert TrialLog(path, SETTINGS).get(Trial((1,))) is not None


def test_a_journal_without_checksums_is_still_read(tmp_path):
    path = tmp_path / "journal.jsonl"
    trial_log = TrialLog(path, SETTINGS)
    trial_log.add(Candidate(removed=(1,), score=0.5), LOGITS)
    answers = trial_log._answers(Trial((1,)))
    np.savez(answers, logits=LOGITS)  # as version 0.1 wrote both
    line = {"removed": [1], "score": 0.5, "examples": None, "repeat": 0, "loss": None}
    path.write_text(f"{json.dumps({'settings': SETTINGS})}\n{json.dumps(line)}\n")
    again = TrialLog(path, SETTINGS)
    assert again.get(Trial((1,))) == Candidate(removed=(1,), score=0.5)
    assert again.logits(Trial((1,))).tolist() == LOGITS.tolist()
    truncate(answers)
    assert TrialLog(path, SETTINGS).get(Trial((1,))) is None


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


def test_a_cache_that_is_emptied_meanwhile_is_filled_again(tmp_path):
    log = TrialLog(tmp_path / "candidates" / "journal.jsonl", SETTINGS)
    shutil.rmtree(tmp_path / "candidates")
    assert log.get(Trial((0,))) is None
    log.add(Candidate(removed=(0,), score=0.5, seconds=1.0), np.zeros((2, 2), np.float32))
    again = TrialLog(tmp_path / "candidates" / "journal.jsonl", SETTINGS)
    assert again.get(Trial((0,))).score == 0.5
    shutil.rmtree(tmp_path / "candidates")
    with pytest.raises(OutputError):
        log.logits(Trial((0,)))

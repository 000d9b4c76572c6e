from __future__ import annotations

import pytest

from glp_export.errors import UsageError
from glp_export.search import Candidate, Journal

SETTINGS = {"epochs": 1.0, "seed": 41}


def test_candidates_are_there_after_reopening(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl", SETTINGS)
    journal.add(Candidate(removed=(1, 4), score=0.75, seconds=2.0))
    again = Journal(tmp_path / "journal.jsonl", SETTINGS)
    assert again.get((1, 4)) == Candidate(removed=(1, 4), score=0.75, seconds=2.0)
    assert again.get((1,)) is None


@pytest.mark.parametrize("torn", [b'{"removed": [2], "sco', b"{", b"\xff\xfe"])
def test_a_line_torn_by_a_kill_is_forgotten_and_the_rest_kept(tmp_path, torn):
    path = tmp_path / "journal.jsonl"
    Journal(path, SETTINGS).add(Candidate(removed=(1,), score=0.5))
    with path.open("ab") as stream:
        stream.write(torn)
    again = Journal(path, SETTINGS)
    assert len(again) == 1
    again.add(Candidate(removed=(2,), score=0.6))
    assert len(Journal(path, SETTINGS)) == 2


def test_killed_before_the_first_line_was_whole(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"settings": {"ep')
    assert len(Journal(path, SETTINGS)) == 0
    assert len(Journal(path, SETTINGS)) == 0


def test_other_settings_are_named(tmp_path):
    Journal(tmp_path / "journal.jsonl", SETTINGS)
    with pytest.raises(UsageError, match="seed") as caught:
        Journal(tmp_path / "journal.jsonl", {**SETTINGS, "seed": 42})
    assert "epochs" not in caught.value.what

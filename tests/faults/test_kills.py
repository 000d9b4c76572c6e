"""kill -9 at random changes of the file system: complete or absent, and the same plan after."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np

from glp_export.cache.store import Cache
from glp_export.compress.plan import Candidate
from glp_export.compress.search.trial import Trial
from glp_export.compress.search.trial_log import TrialLog
from tests.faults.conftest import TinyRun, is_absent_or_whole, left_beside, plan_of
from tests.faults.processes import carry_out, command, counted, killed_at, points


def test_a_run_killed_anywhere_resumes_to_the_same_plan(
    tiny_run: TinyRun, tmp_path: Path, tally: Any
) -> None:
    log = tmp_path / "log"
    total = counted(tmp_path / "count", tiny_run.to(tmp_path / "count" / "out"), log)
    for number in points(total, few=5, seed=1):
        place = tmp_path / f"at{number}"
        output = place / "out"
        ended = carry_out(killed_at(number, place, tiny_run.to(output)), log)
        assert ended.code == -signal.SIGKILL, (number, ended)
        state = is_absent_or_whole(output)
        again = (
            tiny_run.resumed(output, log)
            if (place / "out.partial" / "work" / "run.yaml").exists()
            or (place / ".out.glp-work").exists()
            else carry_out(tiny_run.to(output, "none", "--overwrite"), log)
        )
        if state == "absent":
            assert again.code == 0, (number, again)
        assert is_absent_or_whole(output) == "whole", (number, again)
        assert plan_of(output) == tiny_run.plan, number
        assert left_beside(output) == set(), number
        tally.add("kill -9 of a run", f"{state}, then the same plan")
        shutil.rmtree(place)


def test_an_export_killed_anywhere_is_made_again(
    classifier: Path, tmp_path: Path, tally: Any
) -> None:
    log = tmp_path / "log"
    flags = ("--optimize", "none", "--seq-lens", "8", "--threads", "1", "--device", "cpu", "-q")

    def export(output: Path, *more: str) -> Any:
        return command("export", classifier, "-o", output, *flags, *more)

    total = counted(tmp_path / "count", export(tmp_path / "count" / "out"), log)
    for number in points(total, few=5, seed=2):
        place = tmp_path / f"at{number}"
        output = place / "out"
        ended = carry_out(killed_at(number, place, export(output)), log)
        assert ended.code == -signal.SIGKILL, (number, ended)
        state = is_absent_or_whole(output)
        if state == "absent":
            again = carry_out(export(output, "--overwrite"), log)
            assert again.code == 0, (number, again)
        assert is_absent_or_whole(output) == "whole"
        tally.add("kill -9 of an export", f"{state}, then whole")
        shutil.rmtree(place)


def test_a_report_killed_anywhere_leaves_the_artifact_whole(
    whole: Path, tmp_path: Path, tally: Any
) -> None:
    log = tmp_path / "log"
    first = shutil.copytree(whole, tmp_path / "count" / "out")
    for number in points(counted(first, command("report", first), log), few=6, seed=4):
        output = shutil.copytree(whole, tmp_path / f"at{number}" / "out")
        ended = carry_out(killed_at(number, output, command("report", output)), log)
        assert ended.code == -signal.SIGKILL, (number, ended)
        assert is_absent_or_whole(output) == "whole", number
        again = carry_out(command("report", output), log)
        assert again.code == 0, (number, again)
        assert is_absent_or_whole(output) == "whole", number
        assert not list((output / "glp").glob(".*")), number
        tally.add("kill -9 of a report", "whole")


FACTS = {"of": "a test"}
SETTINGS = {"seed": 1}
LOGITS = np.arange(6, dtype=np.float32).reshape(3, 2)


def fill_cache(root: Path) -> None:
    """Make an entry, take it, open a growing one and score four candidates in it."""
    cache = Cache(root)

    def make(directory: Path) -> None:
        for name in ("a", "b", "c"):
            (directory / name).write_text(name * 1000)

    cache.get_or_make("teacher", FACTS, make)
    trial_log = TrialLog(cache.open("candidates", FACTS) / "journal.jsonl", SETTINGS)
    for layer in range(4):
        if trial_log.get(Trial((layer,))) is None:
            trial_log.add(Candidate(removed=(layer,), score=layer / 8), LOGITS + layer, LOGITS[0])


def test_a_cache_killed_at_any_write_is_whole_afterwards(tmp_path: Path, tally: Any) -> None:
    log = tmp_path / "log"
    total = counted(tmp_path / "count", lambda: fill_cache(tmp_path / "count"), log)
    for number in points(total, few=50, seed=3):
        root = tmp_path / f"at{number}"
        ended = carry_out(killed_at(number, root, lambda at=root: fill_cache(at)), log)
        assert ended.code == -signal.SIGKILL, (number, ended)
        ended = carry_out(lambda at=root: fill_cache(at), log)
        assert (ended.code, ended.said) == (0, ""), (number, ended)
        cache = Cache(root)
        entry = cache.find("teacher", FACTS)
        assert entry is not None
        assert (entry / "c").read_text() == "c" * 1000
        trial_log = TrialLog(cache.open("candidates", FACTS) / "journal.jsonl", SETTINGS)
        for layer in range(4):
            assert trial_log.get(Trial((layer,))) == Candidate(removed=(layer,), score=layer / 8)
            np.testing.assert_array_equal(trial_log.logits(Trial((layer,))), LOGITS + layer)
        cache.prune()
        assert not list(root.glob("*/.making*")), number
        tally.add("kill -9 of a cache write", "whole at the next use")

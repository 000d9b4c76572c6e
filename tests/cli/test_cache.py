"""`glp-export cache`: what is kept, and what goes."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from glp_export.cache.store import Cache, Entry
from glp_export.cli.app import run
from glp_export.report.cache_table import cache_table
from tests.cache.test_store import PATIENCE, SPAWN, start, teacher, use_until_told


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GLP_EXPORT_CACHE", str(tmp_path))
    teacher(tmp_path, "bert-base-uncased", size=300_000, days_ago=40)
    teacher(tmp_path, "minilm", size=200_000, days_ago=2)
    Cache(tmp_path).open("journal", {"model": "minilm", "task": "rte"})
    return tmp_path


def test_list(root, capsys):
    assert run(["cache", "list"]) == 0
    said = capsys.readouterr().out
    assert said.index("bert-base-uncased") < said.index("minilm")
    assert "40 d ago" in said
    assert "300.3 kB" in said
    assert "3 entries" in said


def test_list_as_json_of_one_kind_in_a_named_cache(root, monkeypatch, capsys):
    monkeypatch.delenv("GLP_EXPORT_CACHE")
    assert run(["cache", "list", "--json", "--kind", "journal", "--cache", str(root)]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["root"] == str(root)
    (entry,) = content["entries"]
    assert entry["facts"] == {"model": "minilm", "task": "rte"}
    assert datetime.fromisoformat(entry["last_used"]) <= datetime.now(UTC)


def test_list_of_nothing(tmp_path, capsys):
    assert run(["cache", "list", "--cache", str(tmp_path / "none")]) == 0
    assert "nothing is kept" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("flags", "left"),
    [
        (["--older-than", "30d"], ["minilm", "minilm"]),
        (["--older-than", "720 H"], ["minilm", "minilm"]),
        (["--older-than", "8w"], ["bert-base-uncased", "minilm", "minilm"]),
        (["--max-size", "0.25MB"], ["minilm", "minilm"]),
        (["--max-size", "100KiB"], ["minilm"]),
        (["--older-than", "90d", "--max-size", "1GB"], ["bert-base-uncased", "minilm", "minilm"]),
        (["--all", "--kind", "journal"], ["bert-base-uncased", "minilm"]),
        (["--all", "--kind", "journal", "--kind", "teacher"], []),
        (["--all"], []),
    ],
)
def test_prune(root, capsys, flags, left):
    assert run(["cache", "prune", *flags, "-y"]) == 0
    assert [entry.facts["model"] for entry in Cache(root).entries()] == left
    said = capsys.readouterr().out
    assert ("removed" in said) == (len(left) < 3)


def test_a_dry_run_says_what_would_go_and_removes_nothing(root, capsys):
    assert run(["cache", "prune", "--older-than", "30d", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "bert-base-uncased" in said
    assert "would remove 1 entry, 300.3 kB" in said
    assert len(Cache(root).entries()) == 3


@pytest.mark.parametrize(("answer", "left"), [("y", 2), ("n", 3)])
def test_it_asks_first(root, monkeypatch, capsys, answer, left):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda question, err: answer == "y")
    assert run(["cache", "prune", "--older-than", "30d"]) == 0
    assert len(Cache(root).entries()) == left


def test_without_a_terminal_it_asks_for_yes(root, capsys):
    assert run(["cache", "prune", "--all"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert len(Cache(root).entries()) == 3


def test_what_a_running_process_uses_stays_and_is_told(root, capsys):
    teacher(root, "a")
    using, go_on = SPAWN.Event(), SPAWN.Event()
    user = start(use_until_told, root, using, go_on)
    assert using.wait(PATIENCE)
    assert run(["cache", "prune", "--all", "-y"]) == 0
    go_on.set()
    user.join(PATIENCE)
    assert "in use" in capsys.readouterr().err
    assert [entry.facts["model"] for entry in Cache(root).entries()] == ["a"]


@pytest.mark.parametrize(
    ("flags", "where"),
    [
        (["--older-than", "30"], "--older-than"),
        (["--older-than", "soon"], "--older-than"),
        (["--older-than", "5GB"], "--older-than"),
        (["--older-than", "99999999999999w"], "--older-than"),
        (["--max-size", "-1GB"], "--max-size"),
        (["--max-size", "5 parsecs"], "--max-size"),
        (["--all", "--max-size", "5GB"], "--all"),
        ([], "--older-than 30d"),
    ],
)
def test_flags_that_cannot_be_read(root, capsys, flags, where):
    assert run(["cache", "prune", *flags, "-y"]) == 2
    assert where in capsys.readouterr().err
    assert len(Cache(root).entries()) == 3


def test_what_was_removed_as_json(root, capsys):
    assert run(["cache", "prune", "--all", "--dry-run", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["dry_run"], len(content["removed"])) == (True, 3)
    assert run(["cache", "prune", "--all", "-y", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["dry_run"], len(content["removed"])) == (False, 3)
    assert {entry["kind"] for entry in content["removed"]} == {"teacher", "journal"}
    assert Cache(root).entries() == []


def test_without_a_command_it_shows_help(capsys):
    assert run(["cache"]) == 0
    said = capsys.readouterr()
    assert "prune" in said.out
    assert not said.err


@pytest.mark.parametrize("command", ["list", "prune"])
def test_help_has_an_example(command, capsys):
    assert run(["cache", command, "--help"]) == 0
    assert f"glp-export cache {command}" in " ".join(capsys.readouterr().out.split())


def test_the_table_is_no_wider_than_a_terminal():
    now = datetime(2025, 3, 1, tzinfo=UTC)
    entries = [
        Entry(
            kind="a-kind-with-a-very-long-name",
            key="0" * 32,
            facts={"model": {"name": "/models/" + "long-name-" * 9}, "task": "t" * 60},
            bytes=45_200_000_000,
            created=now,
            last_used=now - timedelta(days=999),
            path=Path("/x"),
        ),
        Entry("teacher", "1" * 32, {}, 5, now, now, Path("/y")),
    ]
    written = io.StringIO()
    Console(width=200, file=written).print(cache_table(entries, "cache", now))
    said = written.getvalue()
    assert max(len(line.rstrip()) for line in said.splitlines()) <= 79
    assert "999 d ago" in said
    assert "just now" in said
    assert "11111111" in said

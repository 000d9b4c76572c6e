"""A run that is told nothing about epochs: trained once, ended by dev, announced beforehand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from glp_export.artifact import ArtifactLayout
from glp_export.cli.app import run
from glp_export.encoder import schedule
from tests.end_to_end.conftest import MEASURING, ONE_SHAPE

FLAGS = ("--batch-size", "16", "--max-length", "32", *ONE_SHAPE, *MEASURING)


@pytest.fixture(autouse=True)
def _fewer_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "LEAST_UPDATES", 10)
    monkeypatch.setattr(schedule, "UPDATES_A_CLASS", 2)


def arguments(encoder: Path, data: Path, *flags: str) -> list[str]:
    given = ("prune-and-export", "-m", str(encoder), "--dataset", str(data), "--depth", "2")
    return [*given, *FLAGS, *flags, "-q"]


def test_the_teacher_is_trained_once_and_the_card_says_how_long(
    encoder: Path, data: Path, tmp_path: Path
) -> None:
    flags = ("--cache", str(tmp_path / "cache"), "--distilled", "none", "--search", "fast-greedy")
    output = tmp_path / "out"
    assert run(arguments(encoder, data, *flags, "-o", str(output))) == 0
    made = [path for path in (tmp_path / "cache" / "teacher").iterdir() if path.is_dir()]
    assert len(made) == 1
    card = ArtifactLayout(output).card.read_text()
    assert "best on dev" in card


def test_a_dry_run_tells_the_longest_time(
    encoder: Path, data: Path, tmp_path: Path, capsys: Any
) -> None:
    output = ("-o", str(tmp_path / "out"))
    assert run([*arguments(encoder, data, "--dry-run", *output), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["at_most"]
    assert found["seconds_least"] < found["seconds"]
    assert run([*arguments(encoder, data, "--dry-run", "--epochs", "3", *output), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert not found["at_most"]
    assert found["smaller"]["seconds"] < found["seconds"]


@pytest.mark.parametrize("epochs", ["0", "-1", "inf", "nan", "long"])
def test_epochs_that_are_none(
    encoder: Path, data: Path, tmp_path: Path, capsys: Any, epochs: str
) -> None:
    given = arguments(encoder, data, "--epochs", epochs, "-o", str(tmp_path / "out"))
    assert run(given) == 2
    assert "--epochs" in capsys.readouterr().err

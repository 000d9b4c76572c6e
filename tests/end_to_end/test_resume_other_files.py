"""A resumed run whose files on disk are not those that it began with."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from glp_export.cli.app import run
from glp_export.compress.plan import Plan
from tests.end_to_end.conftest import SMALL
from tests.tiny import make_checkpoint, make_data, rows, tagged_rows, text_rows, write_jsonl

TINY = ("--size-budget", "20kB")
"""A size that no file keeps: the run ends before its trainings, and can be resumed."""

EXACT = ("--atol", "0", "--rtol", "0")
"""Parity that no file has: the run ends after its trainings, and can be resumed."""

LOOSE = ("--atol", "1e-3", "--rtol", "1e-3")


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a model, data, texts and a plan, and a run of them that ended early."""
    place = made_in(tmp_path_factory.mktemp("begun"))
    assert run(arguments(place, *TINY)) == 5
    return place


def made_in(place: Path) -> Path:
    make_checkpoint(place / "model", initializer_range=0.3)
    make_checkpoint(place / "rival", layers=1, initializer_range=0.3)
    make_data(place / "data", train=48, validation=24)
    write_jsonl(place / "texts.jsonl", text_rows(8, seed=3))
    write_jsonl(place / "tags.jsonl", tagged_rows(16))
    (place / "plan.txt").write_text("2\n0\n")
    return place


def arguments(place: Path, *flags: str) -> list[str]:
    given = {
        "-m": "model",
        "--dataset": "data",
        "--unlabeled": "texts.jsonl",
        "--plan": "plan.txt",
        "--auxiliary": "tags.jsonl",
        "--distilled": "rival",
        "--cache": "cache",
        "-o": "out",
    }
    files = [word for flag, name in given.items() for word in (flag, str(place / name))]
    return ["prune-and-export", *files, "--transfer", "recovery", *SMALL, *flags, "-q"]


def another_model(place: Path) -> None:
    make_checkpoint(place / "model", initializer_range=0.3, seed=1)


def another_tokenizer(place: Path) -> None:
    path = place / "model" / "tokenizer.json"
    content = json.loads(path.read_text())
    vocabulary = content["model"]["vocab"]
    vocabulary["good"], vocabulary["bad"] = vocabulary["bad"], vocabulary["good"]
    path.write_text(json.dumps(content))


def another_rival(place: Path) -> None:
    make_checkpoint(place / "rival", layers=1, initializer_range=0.3, seed=1)


def another_train_file(place: Path) -> None:
    write_jsonl(place / "data" / "train.jsonl", rows(48, seed=9))


def other_texts(place: Path) -> None:
    write_jsonl(place / "texts.jsonl", text_rows(8, seed=4))


def other_auxiliary_rows(place: Path) -> None:
    write_jsonl(place / "tags.jsonl", tagged_rows(12))


def another_plan(place: Path) -> None:
    (place / "plan.txt").write_text("3\n1\n")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (another_model, "--model"),
        (another_tokenizer, "--model"),
        (another_rival, "--distilled"),
        (another_train_file, "--dataset"),
        (other_texts, "--unlabeled"),
        (other_auxiliary_rows, "--auxiliary"),
        (another_plan, "--plan"),
    ],
)
def test_a_run_is_not_resumed_with_other_files(
    change: Callable[[Path], None],
    word: str,
    begun: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("model", "data", "rival"):
        shutil.copytree(begun / name, tmp_path / name)
    for name in ("texts.jsonl", "tags.jsonl", "plan.txt"):
        shutil.copy(begun / name, tmp_path / name)
    try:
        change(begun)
        assert run(arguments(begun, *TINY, "--resume")) == 2
        told = capsys.readouterr().err
        assert word in told
        assert "--overwrite" in told
    finally:
        shutil.copytree(tmp_path, begun, dirs_exist_ok=True)


def test_with_the_same_files_it_goes_on(begun: Path) -> None:
    assert run(arguments(begun, *TINY, "--resume")) == 5


@pytest.mark.slow  # a whole run
def test_what_was_trained_is_taken(tmp_path: Path) -> None:
    place = made_in(tmp_path)
    assert run(arguments(place, *EXACT)) == 3
    (trained,) = (place / "out.partial" / "work").glob("pruned-*/model.safetensors")
    when = trained.stat().st_mtime_ns
    assert run(arguments(place, *LOOSE, "--resume")) == 0
    assert (place / "out" / "model.safetensors").stat().st_mtime_ns == when
    assert Plan.load(place / "out" / "glp" / "plan.json").order == (2, 0)

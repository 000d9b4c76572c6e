"""What a user can get wrong: each has its exit code and a sentence that says what to do."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from glp_export.cli.app import run
from tests.tiny import make_checkpoint, rows, write_jsonl


def attempt(capsys, *arguments: object) -> tuple[int, str]:
    """The exit code of a run, and what it said on stderr."""
    code = run(["prune-and-export", "-q", *map(str, arguments)])
    return code, " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--no-such-flag"], 2, "No such option"),
        (["--depth", "three"], 2, "--depth"),
        (["--depth", "2", "--prune", "2"], 2, "give one"),
        (["--depth", "4"], 2, "a model of 4 layers cannot be pruned to 4"),
        (["--prune", "4"], 2, "remove 1 to 3"),
        (["--prune", "40"], 2, "remove 1 to 3"),
        (["--search", "random"], 2, "choose from fast-greedy"),
        (["--recover", "hope"], 2, "choose from distill"),
        (["--optimize", "O7"], 2, "--optimize"),
        (["--exporter", "paper"], 2, "optimum"),
        (["--device", "cuda"], 6, "cuda"),
        (["--push-to-hub", "me/mine"], 2, "--offline forbids"),
        (["--private"], 2, "go with --push-to-hub"),
        (["--plan", "nowhere.json"], 7, "nowhere.json"),
        (["--plan", "paper:bert/none"], 7, "no published plan"),
        (["--plan", "paper:bert-base-uncased/rte"], 2, "this one has 4"),
        (["--config", "nowhere.yaml"], 2, "nowhere.yaml"),
        (["--text-columns", "sentence"], 7, "sentence"),
        (["--label-column", "gold"], 7, "gold"),
        (["--max-train-samples", "10", "--batch-size", "16"], 7, "batch"),
        (["--model", "./not/there"], 7, "no such model directory"),
        (["--model", "nobody/nothing"], 7, "nobody/nothing"),
        (["--distilled", "./not/there", "--search", "top", "--epochs", "0.1"], 7, "not/there"),
    ],
)
def test_flags(arguments, code, message, encoder, data, tmp_path, capsys):
    if torch.cuda.is_available() and "cuda" in arguments:
        pytest.skip("there is a GPU here")
    given = ["-m", encoder, "--dataset", data, "-o", tmp_path / "out", "--offline"]
    found, said = attempt(capsys, *given, *arguments)
    assert (found, message in said) == (code, True), said
    assert not (tmp_path / "out").exists()


def test_no_model_and_no_output(data, tmp_path, capsys):
    assert attempt(capsys, "--dataset", data, "-o", tmp_path / "out")[0] == 2
    code, said = attempt(capsys, "--dataset", data, "-m", "demo")
    assert code == 2
    assert "-o out/mine" in said


def broken(directory: Path, train: list[dict], validation: list[dict]) -> Path:
    write_jsonl(directory / "train.jsonl", train)
    write_jsonl(directory / "validation.jsonl", validation)
    return directory


GOOD = rows(60)
NUMBERS = [{"text": 0.5 + index, "label": "a" if index % 2 else "b"} for index in range(60)]
SCORES = [{"text": "the cat", "score": 0.5 + index} for index in range(60)]


@pytest.mark.parametrize(
    ("train", "validation", "flags", "message"),
    [
        ([], GOOD, [], "has no rows"),
        (GOOD, [], [], "has no rows"),
        (GOOD, [{"text": "the cat", "label": "ugly"}], [], "ugly"),
        ([{**row, "label": "good"} for row in GOOD], GOOD, [], "nothing to tell apart"),
        (NUMBERS, NUMBERS, ["--text-columns", "text"], "not text"),
        ([*SCORES, {"text": "the dog", "score": float("nan")}], SCORES, [], "row 61"),
        ([*GOOD, {"text": None, "label": "good"}], GOOD, [], "row 61"),
        ([*GOOD, {"text": "the dog", "label": None}], GOOD, [], "row 61"),
    ],
)
def test_data(train, validation, flags, message, encoder, tmp_path, capsys):
    data = broken(tmp_path / "data", train, validation)
    given = ["-m", encoder, "--dataset", data, "-o", tmp_path / "out", "--offline"]
    code, said = attempt(capsys, *given, *flags)
    assert (code, message in said) == (7, True), said
    assert not (tmp_path / "out").exists()


def test_data_that_is_not_there(encoder, tmp_path, capsys):
    given = ["-m", encoder, "-o", tmp_path / "out", "--offline"]
    assert attempt(capsys, *given, "--dataset", tmp_path / "none")[0] == 7
    assert attempt(capsys, *given, "--task", "rte")[0] == 7
    assert attempt(capsys, *given, "--task", "ret")[0] == 2
    assert attempt(capsys, *given, "--train-file", "train.jsonl")[0] == 2


@pytest.mark.parametrize(
    ("family", "message"), [("albert", "shared layer"), ("gpt2", "is a decoder")]
)
def test_models_that_cannot_be_pruned(family, message, data, tmp_path, capsys):
    model = make_checkpoint(tmp_path / family, family)
    code, said = attempt(capsys, "-m", model, "--dataset", data, "-o", tmp_path / "out")
    assert (code, message in said) == (7, True), said


def test_pickled_weights(encoder, data, tmp_path, capsys):
    model = shutil.copytree(encoder, tmp_path / "model")
    (model / "model.safetensors").unlink()
    torch.save({}, model / "pytorch_model.bin")
    code, said = attempt(capsys, "-m", model, "--dataset", data, "-o", tmp_path / "out")
    assert code == 7
    assert "save_pretrained" in said


def test_no_tokenizer(encoder, data, tmp_path, capsys):
    (tmp_path / "model").mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(encoder / name, tmp_path / "model")
    given = ["-m", tmp_path / "model", "--dataset", data, "-o", tmp_path / "out"]
    code, said = attempt(capsys, *given)
    assert code == 7
    assert "tokenizer" in said


@pytest.mark.parametrize("in_the_way", ["file", "directory"])
def test_something_in_the_way(in_the_way, encoder, data, tmp_path, capsys):
    output = tmp_path / "out"
    kept = output if in_the_way == "file" else output / "mine.txt"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("mine")
    for flag in ([], ["--overwrite"]):
        code, _ = attempt(capsys, "-m", encoder, "--dataset", data, "-o", output, *flag)
        assert code == 8
    assert kept.read_text() == "mine"


def test_a_long_search_asks_first(encoder, data, tmp_path, capsys):
    model = make_checkpoint(tmp_path / "deep", layers=10)
    given = ["-m", model, "--dataset", data, "-o", tmp_path / "out", "--search", "optimal"]
    code, said = attempt(capsys, *given, "--prune", "5")
    assert code == 2
    assert "252" in said
    assert "--yes" in said


def test_no_space_on_the_disk_leaves_nothing_half_written(encoder, data, tmp_path, capsys):
    """Files of 64 KiB at most stand for a full disk; Python ignores the signal about it."""
    import resource

    output = tmp_path / "out"
    arguments = ["--search", "top", "--prune", "2", "--epochs", "0.2", "-o", output]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, before[1]))
    try:
        code, told = attempt(capsys, "-m", encoder, "--dataset", data, *arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert code == 8, told
    assert "No space left" in told
    assert not output.exists()


@pytest.mark.parametrize(
    ("flags", "code", "word"),
    [
        (("--shape", "1x1000", "-o", "table.json"), 2, "--shape 1x"),
        (("--shape", "1x8", "-o", "."), 8, "-o table.json"),
    ],
)
def test_a_latency_table_that_cannot_be_made_is_refused_before_it_is_measured(
    flags: Any, code: int, word: str, encoder: Path, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["latency-table", str(encoder), *flags, "-q"]) == code
    assert word in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_batch_that_no_machine_holds_is_refused_before_anything_is_read(capsys: Any) -> None:
    flags = ("-m", "nothing", "--dataset", "nothing", "--batch-sizes", "1", "99999999")
    assert run(["prune-and-export", *flags, "-o", "nothing", "-q"]) == 2
    said = capsys.readouterr().err
    assert "too large to be timed" in said
    assert "--batch-sizes" in said


def test_texts_for_calibration_that_are_not_there_are_told_before_any_training(
    encoder: Path, data: Path, tmp_path: Path, capsys: Any
) -> None:
    given = ["-m", encoder, "--dataset", data, "--depth", 2, "-o", tmp_path / "out", "--offline"]
    texts = ["--int8", "minmax", "--precision", "int8", "--calibration-texts", "nowhere.txt", "-q"]
    for more in ([], ["--dry-run"]):
        assert run(["prune-and-export", *map(str, given), *texts, *more]) == 7
        assert "nowhere.txt" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_too_few_texts_for_calibration_are_told_before_any_training(
    encoder: Path, data: Path, tmp_path: Path, capsys: Any
) -> None:
    few = tmp_path / "few.txt"
    few.write_text("the cat is good\n" * 40)
    given = ["-m", encoder, "--dataset", data, "--depth", 2, "-o", tmp_path / "out", "--offline"]
    texts = ["--precision", "int8", "--int8-scope", "full", "--calibration-texts", few, "-q"]
    for more in ([], ["--dry-run"]):
        assert run(["prune-and-export", *map(str, [*given, *texts, *more])]) == 7
        assert "different texts" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [few]


@pytest.mark.slow
def test_an_export_that_needs_other_flags_leaves_nothing_behind(
    served: Path, tmp_path: Path
) -> None:
    flags = ("--precision", "int8", "--int8", "minmax", "--optimize", "none", "--threads", "1")
    assert run(["export", str(served), "-o", str(tmp_path / "out"), *flags, "-q"]) == 2
    assert not list(tmp_path.iterdir())

"""Auxiliary tasks in a run: what is used, what is said of it, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from glp_export.artifact.transfer_record import read_transfer
from glp_export.cli.app import run
from glp_export.compress.compressors.base import Found
from glp_export.compress.plan import Plan
from glp_export.config.files import resolve
from glp_export.core.progress import Progress
from glp_export.encoder import RECOVERIES, TrainingInputs
from glp_export.workflows.context import RunContext, make_context
from glp_export.workflows.stages import transfer
from glp_export.workflows.stages.calibration import calibrator_of
from glp_export.workflows.stages.run_evaluator import RunEvaluator
from glp_export.workflows.stages.transfer import with_transfer
from tests.end_to_end.conftest import SMALL, TRAINING
from tests.tiny import make_data_of, rows, tagged_rows, text_rows, write_jsonl

NEW = (("tokens", "very"), ("ner_tags", "O"))
"""Begins a sentence as none of the run's own data does."""


@pytest.fixture(scope="module")
def tags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An auxiliary task of another kind: the words of other such sentences."""

    def make(count: int, seed: int) -> list[dict[str, Any]]:
        return [{name: [first, *row[name]] for name, first in NEW} for row in tagged_rows(count)]

    return make_data_of(tmp_path_factory.mktemp("tags"), make, 48, 1)


def context_of(
    encoder: Path, data: Path, auxiliary: Path | str, use: str = "auto", **settings: Any
) -> RunContext:
    given = {"model": str(encoder), "dataset": str(data), "depth": 2, "batch_size": 16}
    given |= {
        "auxiliary": str(auxiliary).split(","),
        "transfer": [use],
        "threads": 1,
        "offline": True,
    }
    return make_context(resolve({**given, **settings}))


def search(encoder: Path, data: Path, output: Path, *flags: object) -> int:
    given = ["-m", encoder, "--dataset", data, "--depth", 2, "--search", "top", "-o", output]
    training = (*TRAINING, "--threads", "1", "--offline", "-q")
    return run(["search", *map(str, given), *training, *map(str, flags)])


USES = ("before", "joint", "structure", "recovery")


def test_what_is_asked_for_is_done_and_recorded(
    encoder: Path, data: Path, tags: Path, tmp_path: Path
) -> None:
    flags = ("--auxiliary", tags, "--transfer", *USES)
    assert search(encoder, data, tmp_path / "out", *flags) == 0
    record = read_transfer(tmp_path / "out")
    assert record is not None
    assert record.uses == USES
    (task,) = record.kept
    assert (task.kind, task.rows) == ("token-classification", 48)
    assert Plan.load(tmp_path / "out" / "glp" / "plan.json").auxiliary == (task.checksum,)


@pytest.mark.slow
@pytest.mark.parametrize("recover", ["distill", "finetune"])
def test_the_card_tells_of_a_whole_run(
    recover: str, encoder: Path, data: Path, tags: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    given = ["-m", encoder, "--dataset", data, "--depth", 2, "--search", "top", "-o", output]
    uses = ["--auxiliary", tags, "--transfer", *USES, "--recover", recover]
    flags = (*SMALL, "--distilled", "none", "-q")
    assert run(["prune-and-export", *map(str, (*given, *uses)), *flags]) == 0
    assert "token-classification, 48 rows" in (output / "README.md").read_text().replace("\\", "")


def test_auto_decides_by_rows_of_train_and_says_so(
    encoder: Path, data: Path, tags: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "MOST_UPDATES", 4)
    context = context_of(encoder, data, tags, cache=str(tmp_path / "cache"))
    record = with_transfer(context, tmp_path, Progress()).transfer
    assert record is not None
    (task,) = record.tasks
    assert task.low is not None
    assert task.high is not None
    assert task.kept == (task.high < 0) == bool(record.uses)
    assert "120 train rows" in record.decided
    kept = [path for path in (tmp_path / "cache" / "transfer").iterdir() if path.is_dir()]
    assert len(kept) == 2  # without, and with the task


def test_with_many_rows_auto_takes_none_and_says_so(
    encoder: Path, data: Path, tags: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "MOST_ROWS", 100)
    record = with_transfer(context_of(encoder, data, tags), tmp_path, Progress()).transfer
    assert record is not None
    assert (record.uses, record.alone, record.kept) == ((), None, ())
    assert "100" in record.decided


def test_auto_does_not_take_the_task_itself_for_a_task_that_helps(
    encoder: Path, data: Path, tmp_path: Path
) -> None:
    """An encoder that learned the very rows that are held out in turns would always win."""
    context = context_of(encoder, data, data)
    (own,) = context.auxiliary
    texts = {text for rows in (context.data.select, context.data.test) for text in rows["text"][:]}
    assert texts.isdisjoint(own.rows["text"][:])
    record = with_transfer(context, tmp_path, Progress()).transfer
    assert record is not None
    assert (record.uses, record.alone, record.kept) == ((), None, ())
    assert "--transfer" in record.decided


def test_rows_of_two_names_are_one_task(encoder: Path, data: Path, tags: Path) -> None:
    names = f"{tags},{tags / 'train.jsonl'},{tags / '..' / tags.name}"
    assert len(context_of(encoder, data, names, "recovery").auxiliary) == 1


@pytest.mark.parametrize("samples", [60, 140, 512])
def test_texts_of_auxiliary_tasks_fill_up_what_calibration_lacks(
    samples: int, encoder: Path, data: Path, tags: Path, tmp_path: Path
) -> None:
    context = context_of(encoder, data, tags, "structure")
    context = with_transfer(context, tmp_path, Progress())
    found = calibrator_of(context, context.pretrained(), samples)
    rows = sum(len(batch["labels"]) for batch in found.batches)
    assert rows == min(samples, len(context.fit) + 48)


def test_a_task_is_kept_where_its_interval_is_below_zero_alone() -> None:
    import numpy as np

    generator = np.random.default_rng(0)
    better = generator.normal(-0.5, 1.0, 200)
    assert transfer._interval(better, 0.05)[2] < 0
    assert transfer._interval(better - better.mean(), 0.05)[2] > 0


def test_a_dry_run_counts_auxiliary_examples(
    encoder: Path, data: Path, tags: Path, tmp_path: Path, capsys: Any
) -> None:
    flags = ("--auxiliary", tags, "--transfer", "before", "recovery", "--dry-run", "--json")
    given = ["-m", encoder, "--dataset", data, "--depth", 2, "-o", tmp_path / "out"]
    assert run(["prune-and-export", *map(str, (*given, *flags)), *TRAINING]) == 0
    found = json.loads(capsys.readouterr().out)
    assert 2 * 48 < found["auxiliary_samples"] < found["samples"]
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(
    ("content", "flags", "code", "word"),
    [
        ([], (), 7, "no rows"),
        ([{"text": row["text"]} for row in rows(30)], (), 7, "no labels"),
        ([*rows(30), {"text": "a", "label": None}], (), 7, "row 31"),
        (None, (), 7, "other.jsonl"),
        (rows(30), ("--transfer", "later"), 2, "choose from auto"),
        (rows(30), ("--transfer", "auto", "before"), 2, "stands alone"),
    ],
)
def test_what_cannot_be_used_leaves_nothing_behind(
    content: Any, flags: Any, code: int, word: str, encoder, data, tmp_path, capsys
) -> None:
    file = tmp_path / "other.jsonl"
    if content is not None:
        write_jsonl(file, content)
    assert search(encoder, data, tmp_path / "out", "--auxiliary", file, *flags) == code
    assert word in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.glob("*out*"))


def test_transfer_without_a_task_and_with_a_model_that_learns_nothing_more(
    encoder: Path, data: Path, tags: Path, served: Path, tmp_path: Path, capsys: Any
) -> None:
    assert search(encoder, data, tmp_path / "out", "--transfer", "before") == 2
    assert "--auxiliary" in capsys.readouterr().err
    flags = ("--auxiliary", tags, "--transfer", "before")
    assert search(served, data, tmp_path / "out", *flags) == 2
    assert "--teacher finetune" in capsys.readouterr().err
    texts = write_jsonl(tmp_path / "texts.jsonl", text_rows(60))
    assert search(served, texts, tmp_path / "out", *flags) == 2
    assert "--teacher" not in capsys.readouterr().err  # there are no labels


def test_texts_that_nothing_would_calibrate_with_are_refused_before_any_training(
    encoder: Path, data: Path, tags: Path, tmp_path: Path, capsys: Any
) -> None:
    flags = ("--auxiliary", tags, "--transfer", "structure")
    assert search(encoder, data, tmp_path / "out", *flags) == 2
    assert "--compress structure" in capsys.readouterr().err
    assert not list(tmp_path.glob("*out*"))


def test_a_bad_plan_is_refused_before_auxiliary_tasks_are_learned(
    encoder: Path, data: Path, tags: Path, tmp_path: Path
) -> None:
    output, plan = tmp_path / "out", tmp_path / "nowhere.json"
    given = ["-m", encoder, "--dataset", data, "--plan", plan, "-o", output, *TRAINING]
    auxiliary = ("--auxiliary", str(tags), "--transfer", "before", "--offline", "-q")
    assert run(["prune-and-export", *map(str, given), *auxiliary]) == 7
    assert not list(tmp_path.glob("*out*"))


def test_a_recovery_that_an_accuracy_is_judged_by_learns_what_the_final_one_does(
    encoder: Path, data: Path, tags: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "texts.txt").write_text("red green\nblue\n")
    settings = {"unlabeled": str(tmp_path / "texts.txt"), "cache": str(tmp_path / "cache")}
    context = context_of(encoder, data, tags, "recovery", epochs=1, **settings)
    context = with_transfer(context, tmp_path, Progress())
    evaluator = RunEvaluator(context, tmp_path, Progress())
    trained: list[TrainingInputs] = []

    def train(model: Any, inputs: TrainingInputs, report: Any) -> Any:
        trained.append(inputs)
        return model

    monkeypatch.setitem(RECOVERIES, "distill", replace(RECOVERIES["distill"], train=train))
    plan = Plan.of_layers((0,), **evaluator.facts, strategy="bottom")
    evaluator.recovered(Found(plan), lambda done, total: None)
    (inputs,) = trained
    assert len(inputs.examples) == len(inputs.teacher_logits) == len(context.fit) + 2
    assert inputs.joint is not None

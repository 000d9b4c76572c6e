"""One finished artifact, made by the command, that the tests here look at."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pytest
import torch

from glp_export.cli.app import run
from glp_export.compress.latency_table import LatencyTable, SublayerTimes
from glp_export.encoder import ModelSource, TrainSettings, finetune, load_model, load_tokenizer
from glp_export.tasks import DataSpec, encode, load_task_data
from tests.tiny import make_checkpoint
from tests.workers import made_once

TRAINING = (
    "--epochs", "1", "--learning-rate", "1e-3", "--batch-size", "16", "--max-length", "32",
)  # fmt: skip
MEASURING = (
    "--bench-seconds", "0.2", "--bench-rounds", "3", "--device", "cpu", "--threads", "1",
    "--offline", "--skip-memory", "--runtime", "onnxruntime", "--precision", "fp32",
)  # fmt: skip
ONE_SHAPE = ("--seq-lens", "16", "--batch-sizes", "1", "--optimize", "none")
BRIEFLY = ("--seq-lens", "8", "--batch-sizes", "1", "--bench-seconds", "0.1")
"""Flags of an export that is timed for the sake of its words alone."""
ALL_SHAPES = ("--seq-lens", "8", "16", "--batch-sizes", "1", "4")

SMALL = (*TRAINING, *ONE_SHAPE, *MEASURING)
"""Flags that make a run of a tiny encoder take seconds."""


def command(encoder: Path, data: Path, *flags: str) -> tuple[str, ...]:
    """The arguments of a run to two layers, all but `--output`."""
    given = ("prune-and-export", "-m", str(encoder), "--dataset", str(data), "--depth", "2")
    return (*given, *flags)


@pytest.fixture(scope="session")
def small_run(encoder: Path, data: Path) -> tuple[str, ...]:
    """The arguments of a small run, all but `--output`."""
    return command(encoder, data, *SMALL)


@pytest.fixture(scope="session")
def artifact(encoder: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run with every shape and every graph optimisation leaves."""

    def make(output: Path) -> None:
        flags = (*TRAINING, *ALL_SHAPES, *MEASURING)
        assert run([*command(encoder, data, *flags), "-o", str(output), "-q"]) == 0

    return made_once(tmp_path_factory, "artifact", make)


def slow_table(measured: LatencyTable, path: Path) -> Path:
    """A table of a machine so slow that what ships is surely fast enough on any other."""
    heads, neurons = (SublayerTimes(counts=(0, n), milliseconds=(1.0, 100.0)) for n in (4, 64))
    times = {"attention": heads, "feed_forward": neurons, "base_ms": 10.0}
    topmost = {"topmost_attention": heads, "topmost_feed_forward": neurons}
    return measured.model_copy(update={**times, **topmost, "measured": ()}).save(path)


EASY = """\
[cpu.fp32]
keep = [
  "speedup_vs_unpruned >= 0.1 at 1x16",
  "speedup_vs_reference >= 0.1 at 1x16",
  "size_mb <= 5",
  "metric_drop <= 0.9",
]
"""
"""A budget that nothing on a busy machine can break: the truth is far from every bound."""


@pytest.fixture(scope="session")
def gated_artifact(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifact with a budget that it keeps by far."""
    copy = shutil.copytree(artifact, tmp_path_factory.mktemp("gated") / "artifact")
    (copy / "glp" / "budget.toml").write_text(EASY)
    return copy


@pytest.fixture(scope="session")
def served(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained classifier whose labels stand in another order and letter case than the data's."""
    return made_once(tmp_path_factory, "served", partial(_make_served, data)) / "model"


def _make_served(data: Path, place: Path) -> None:
    source = ModelSource(str(make_checkpoint(place / "bare", layers=3, initializer_range=0.1)))
    tokenizer, loaded = load_tokenizer(source), load_task_data(DataSpec(dataset=str(data)))
    torch.manual_seed(0)
    model = load_model(source, loaded.task)
    examples = encode(loaded.train, loaded.task, tokenizer, 32)
    settings = TrainSettings(epochs=8, learning_rate=3e-3, batch_size=16)
    model = finetune(model, examples, tokenizer, settings)
    with torch.no_grad():  # good becomes the first row
        for parameter in (model.classifier.weight, model.classifier.bias):
            parameter.copy_(parameter[[1, 0]].clone())
    model.config.id2label, model.config.label2id = {0: "Good", 1: "Bad"}, {"Good": 0, "Bad": 1}
    model.config.finetuning_task = None
    model.save_pretrained(place / "model")
    tokenizer.save_pretrained(place / "model")

"""Tiny checkpoints exported once a session, and graphs broken on purpose."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from glp_export.artifact import OnnxFile, describe, export_onnx
from glp_export.artifact.onnx_file import read_graph, write_graph
from tests.tiny import make_checkpoint, make_tokenizer, rows
from tests.workers import made_once

THREADS = 1  # idle sessions spin, and machines that run tests are often busy
MAX_LENGTH = 64
AUTO_CLASS = "AutoModelForSequenceClassification"
EXPORT_TASK = "text-classification"

SPREAD = {"initializer_range": 0.3}
"""Weights as large as trained ones: with transformers' 0.02 every row gets nearly the same logits,
and a wrong graph would differ from a right one by less than any tolerance."""


@dataclass(frozen=True)
class Exported:
    checkpoint: Path
    file: OnnxFile


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return make_tokenizer(MAX_LENGTH)


@pytest.fixture(scope="session")
def encoded(tokenizer: Any) -> Any:
    """Forty sentences of 6 to 16 tokens, as `tasks.encode` gives them: not padded."""
    from datasets import Dataset

    columns = tokenizer([row["text"] for row in rows(40)], truncation=True, max_length=MAX_LENGTH)
    lengths = [len(ids) for ids in columns["input_ids"]]
    return Dataset.from_dict({**columns, "labels": [0] * 40, "length": lengths})


@pytest.fixture(scope="session")
def export(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Exported]:
    """Export a family, once for every test that asks for the same."""

    @cache
    def make(family: str, num_labels: int = 2, **extra: Any) -> Exported:
        def exported(directory: Path) -> None:
            checkpoint = make_checkpoint(
                directory / "checkpoint", family, num_labels=num_labels, **SPREAD, **extra
            )
            export_onnx(checkpoint, directory / "onnx" / "model.onnx", export_task=EXPORT_TASK)

        name = "-".join(map(str, ("exported", family, num_labels, *sorted(extra.items()))))
        directory = made_once(tmp_path_factory, re.sub(r"[^\w-]+", "_", name), exported)
        return Exported(directory / "checkpoint", describe(directory / "onnx" / "model.onnx"))

    return make


@pytest.fixture(scope="session")
def bert(export: Callable[..., Exported]) -> Exported:
    return export("bert")


Edit = Callable[[Any], Any]


@pytest.fixture
def edited(bert: Exported, tmp_path: Path) -> Callable[[Mapping[str, Edit]], OnnxFile]:
    """A copy of BERT's file whose initializers have been changed, each by a function."""
    from onnx import numpy_helper

    def make(edits: Mapping[str, Edit]) -> OnnxFile:
        model = read_graph(bert.file.path)
        tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        for name, edit in edits.items():
            changed = edit(numpy_helper.to_array(tensors[name]).copy())
            tensors[name].CopyFrom(numpy_helper.from_array(changed, name))
        return describe(write_graph(model, tmp_path / "model_edited.onnx"))

    return make

"""Every family through the files: exported, the same numbers, fused, in int8, by every exporter."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glp_export.artifact import (
    EXPORTERS,
    OnnxFile,
    describe_fusions,
    export_onnx,
    open_session,
    optimise,
    resolve_exporter,
)
from glp_export.artifact.fusions import PATTERNS, missed_fusions
from glp_export.artifact.graph_passes import PASSES
from glp_export.artifact.modules import config_of
from glp_export.artifact.onnx_file import read_graph, write_graph
from glp_export.artifact.session import run_batch
from glp_export.artifact.tolerance import tolerance_for
from glp_export.core.errors import GlpError
from glp_export.precision.int8 import quantise
from tests.families import TESTED, batch

LAYERS = 4
MAXIMUM = 77
"""The longest input that all of them take: RoBERTa and MPNet lose a few of their 80 positions."""

BATCHES = (batch(7), batch(9, 4, 6), batch(8, 1, 8), batch(MAXIMUM), batch(16, 16))

Make = Callable[..., tuple[Path, OnnxFile]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A family's checkpoint and its file, once for every test; skips where no exporter is."""

    @cache
    def checkpoint(row: str) -> Path:
        return TESTED[row].make(tmp_path_factory.mktemp("checkpoint"))

    @cache
    def make(row: str, exporter: str = "auto") -> tuple[Path, OnnxFile]:
        source, task = checkpoint(row), TESTED[row].export_task
        try:
            resolve_exporter(exporter, config_of(source), task)
        except GlpError as error:
            pytest.skip(error.what)
        path = tmp_path_factory.mktemp("onnx") / "model.onnx"
        return source, export_onnx(source, path, export_task=task, exporter=exporter)

    return make


def logits(file: OnnxFile | Path) -> list[Any]:
    session = open_session(file if isinstance(file, Path) else file.path, threads=1)
    return [run_batch(session, feeds) for feeds in BATCHES]


def wanted(row: str, checkpoint: Path) -> list[Any]:
    import torch

    model = TESTED[row].load(checkpoint)
    with torch.inference_mode():
        return [
            model(**{name: torch.from_numpy(v) for name, v in feeds.items()}).logits.numpy()
            for feeds in BATCHES
        ]


def assert_same(found: list[Any], expected: list[Any]) -> None:
    tolerance = tolerance_for("fp32")
    assert tolerance is not None
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=tolerance.atol, rtol=tolerance.rtol)


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("row", TESTED)
def test_exported_it_computes_the_same_in_onnx_runtime(
    row: str, exporter: str, made: Make, record_support: Any
) -> None:
    record_support("families", row, f"exported by {exporter}, parity")
    checkpoint, file = made(row, exporter)
    assert_same(logits(file), wanted(row, checkpoint))
    session = open_session(file.path, threads=1)
    for node in session.get_inputs():
        assert node.shape == ["batch_size", "sequence_length"]
    assert [node.name for node in session.get_outputs()] == ["logits"]
    assert session.get_outputs()[0].shape[0] == "batch_size"


@pytest.mark.parametrize("row", TESTED)
def test_optimised_it_still_does(row: str, made: Make, tmp_path: Path, record_support: Any) -> None:
    record_support("families", row, "fused at O2")
    checkpoint, plain = made(row)
    file = optimise(plain, "O2", tmp_path / "model.onnx", checkpoint)
    assert_same(logits(file), wanted(row, checkpoint))
    missed = missed_fusions(file, LAYERS)
    fused = ", ".join(name for name in PATTERNS if name not in missed)
    assert fused or not any(name in describe_fusions(file) for name in ("Attention", "Skip"))
    record_support("families", row, "fused at O2", says=fused or "nothing")


@pytest.mark.parametrize("row", TESTED)
def test_the_last_layer_for_one_token(
    row: str,
    made: Make,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    record_support: Any,
) -> None:
    record_support("families", row, "last layer for one token")
    checkpoint, plain = made(row)
    model = read_graph(plain.path)
    with caplog.at_level(logging.INFO):
        PASSES["first-token"](model)
    path = write_graph(model, tmp_path / "model.onnx")
    assert_same(logits(path), wanted(row, checkpoint))
    whole = [record.message for record in caplog.records if "computed whole" in record.message]
    says = f"no: {whole[0].partition(':')[0]}" if whole else "yes"
    record_support("families", row, "last layer for one token", says=says)


@pytest.mark.parametrize("row", TESTED)
def test_in_int8_it_stays_close(row: str, made: Make, tmp_path: Path, record_support: Any) -> None:
    record_support("families", row, "int8")
    checkpoint, plain = made(row)
    file = quantise(plain, tmp_path / "model.onnx", checkpoint)
    found, expected = (np.concatenate([a.ravel() for a in logits(f)]) for f in (file, plain))
    assert np.isfinite(found).all()
    # 256 steps of values that random weights spread widely; a wrong product leaves no relation.
    assert np.corrcoef(found, expected)[0, 1] > 0.9

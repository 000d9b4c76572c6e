from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glp_export.artifact import (
    LEVELS,
    candidates,
    check_parity,
    export_onnx,
    open_session,
    optimise,
)
from glp_export.artifact.export import require_standard
from glp_export.artifact.modules import load_fp32
from glp_export.artifact.onnx_file import read_graph, sidecar
from glp_export.compress.edits import PruneHeads
from glp_export.core.errors import ModelError, UsageError
from glp_export.precision.int8 import quantise
from tests.exported import AUTO_CLASS, EXPORT_TASK, MAX_LENGTH, SPREAD, THREADS, Exported
from tests.tiny import make_checkpoint

LAYERS = 4


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
def test_every_layer_is_fused_and_still_right(
    export: Callable[..., Exported], family: str, tmp_path: Path, encoded: Any, tokenizer: Any
) -> None:
    made = export(family)
    built = candidates(made.file, list(LEVELS), tmp_path, made.checkpoint)
    assert [file.optimisation for file in built] == ["first-token", "O1", "O2", "O3"]
    assert [file.variant for file in built] == [
        "model_first-token.onnx",
        "model_O1.onnx",
        "model_O2.onnx",
        "model_O3.onnx",
    ]
    less, basic, fused, approximate = built
    require_standard(read_graph(less.path), less.path)
    assert "Attention" not in basic.fusions
    assert basic.nodes < made.file.nodes
    assert fused.fusions["Attention"] == LAYERS
    assert fused.fusions["SkipLayerNormalization"] == 2 * LAYERS
    assert fused.fusions["BiasGelu"] == LAYERS
    assert approximate.fusions["FastGelu"] == LAYERS
    report = check_parity(
        [less, basic, fused],
        made.checkpoint,
        encoded,
        tokenizer,
        auto_class=AUTO_CLASS,
        max_length=MAX_LENGTH,
        threads=THREADS,
    )
    report.require()


@pytest.mark.parametrize("family", ["bert", "electra"])
def test_attention_that_lost_heads_is_fused_with_those_it_has_or_not_at_all(
    family: str, tmp_path: Path, encoded: Any, tokenizer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    directory = make_checkpoint(tmp_path / "dense", family, num_labels=2, **SPREAD)
    dense = load_fp32(directory, AUTO_CLASS)
    heads = ((3,), (0, 1), (), (0, 1, 2, 3))
    small = PruneHeads(heads=heads).compact(dense)
    plain = export_onnx(small, tmp_path / "model.onnx", export_task=EXPORT_TASK)
    fused = optimise(plain, "O2", tmp_path / "model_O2.onnx", small)
    report = check_parity(
        [plain, fused],
        small,
        encoded,
        tokenizer,
        auto_class=AUTO_CLASS,
        max_length=MAX_LENGTH,
        threads=THREADS,
    )
    report.require()
    quantise(plain, tmp_path / "model_int8.onnx", small)
    assert "names of matmuls" not in caplog.text


def test_inputs_stay_as_they_were(bert: Exported, tmp_path: Path) -> None:
    file = optimise(bert.file, "O2", tmp_path / "model.onnx", bert.checkpoint)
    before, after = (open_session(path, threads=1) for path in (bert.file.path, file.path))
    assert [(i.name, i.type, i.shape) for i in after.get_inputs()] == [
        (i.name, i.type, i.shape) for i in before.get_inputs()
    ]


def test_family_without_patterns_gets_general_optimisations(
    export: Callable[..., Exported], tmp_path: Path, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from glp_export.artifact.optimise import PATTERNS

    monkeypatch.delitem(PATTERNS, "bert")
    made = export("bert")
    caplog.set_level(logging.INFO)
    built = candidates(made.file, ["O2", "O3"], tmp_path, made.checkpoint)
    assert [file.optimisation for file in built] == ["O2"]
    assert "Attention" not in built[0].fusions
    assert "no fusion patterns for bert" in caplog.text
    assert "O3 is left out: same graph as O2" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["model_O2.onnx"]


def test_level_that_cannot_be_built_is_left_out_with_its_reason(
    bert: Exported, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "config.json").write_text('{"model_type": "nothing-known"}')
    with pytest.raises(ModelError, match="cannot optimise"):
        optimise(bert.file, "O2", tmp_path / "model.onnx", tmp_path / "checkpoint")
    assert candidates(bert.file, ["O2"], tmp_path, tmp_path / "checkpoint") == []
    assert "optimisation O2 is left out" in caplog.text


def test_none_is_no_candidate_but_the_file_itself(bert: Exported, tmp_path: Path) -> None:
    assert candidates(bert.file, ["none"], tmp_path, bert.checkpoint) == []


def test_unknown_level_lists_those_there_are(bert: Exported, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none, first-token, O1, O2, O3") as caught:
        optimise(bert.file, "O9", tmp_path / "model.onnx", bert.checkpoint)
    assert caught.value.where == "--optimize"


def test_optimised_file_is_not_optimised_again(bert: Exported, tmp_path: Path) -> None:
    once = optimise(bert.file, "O1", tmp_path / "once.onnx", bert.checkpoint)
    with pytest.raises(UsageError, match="optimised already"):
        optimise(once, "O2", tmp_path / "twice.onnx", bert.checkpoint)


def test_sidecar_in_and_out(bert: Exported, tmp_path: Path) -> None:
    big = export_onnx(
        bert.checkpoint,
        tmp_path / "model.onnx",
        export_task=EXPORT_TASK,
        sidecar_threshold=10_000,
    )
    output = tmp_path / "work" / "model_O2.onnx"
    file = optimise(big, "O2", output, bert.checkpoint, sidecar_threshold=10_000)
    assert sorted(path.name for path in output.parent.iterdir()) == [
        output.name,
        sidecar(output).name,
    ]
    assert file.fusions["Attention"] == LAYERS
    open_session(output, threads=1)


def test_optimising_prints_nothing(
    bert: Exported, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    optimise(bert.file, "O2", tmp_path / "model.onnx", bert.checkpoint)
    assert capfd.readouterr() == ("", "")

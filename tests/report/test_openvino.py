"""What card, tables and page say of rows in OpenVINO."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from glp_export.bench.benchmark_rows import Winner
from glp_export.report import benchmark_table
from glp_export.report.card import card_text
from glp_export.report.measurements import headline_shape
from tests.report.helpers import (
    SHAPES,
    interval,
    make_benchmark,
    make_facts,
    make_parity,
    make_plan,
    make_row,
)


def with_openvino():
    plain = make_benchmark()
    added = [make_row("pruned", "openvino", "model.onnx", 3, 0.05, shape) for shape in SHAPES]
    half = {"precision": "bf16", "hints": {"INFERENCE_PRECISION_HINT": "bf16"}}
    added += [row.model_copy(update=half) for row in added]
    first = next(row for row in added if row.shape == headline_shape(plain))
    winner = Winner(
        **{name: getattr(first, name) for name in ("contender", "plan_id", "layers", "provider")},
        shape=first.shape,
        runtime="openvino",
        precision="fp32",
        variant="model.onnx",
        p50_ms=first.p50_ms,
        runner_up="model_optimized.onnx",
        lead=interval(1.8),
        over_onnxruntime=interval(1.8),
    )
    return plain.model_copy(update={"rows": (*plain.rows, *added), "winners": (winner,)})


def test_the_card_says_what_opens_it():
    found = card_text(make_plan(), with_openvino(), make_parity(), make_facts())
    assert "`model.onnx` in OpenVINO, significantly" in found
    assert "pip install" in found.split("How to load it")[1].split("ONNX Runtime and tokenizers")[0]
    plain = card_text(make_plan(), make_benchmark(), make_parity(), make_facts())
    assert "OpenVINO" not in plain


def test_the_terminal_names_each_row():
    shown = Console(file=StringIO(), width=160)
    shown.print(benchmark_table(with_openvino()))
    text = shown.file.getvalue()
    assert "OpenVINO bf16" in text
    assert text.count("OpenVINO") > text.count("OpenVINO bf16")

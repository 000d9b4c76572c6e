"""int8 files as ONNX Runtime's own quantiser makes them, for scripts that compare ways to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from glp_export.artifact.batches import by_length, pad_rows
from glp_export.core.quiet import quiet

OPERATORS = ("MatMul", "Gemm")


def calibration_batches(
    examples: Any, tokenizer: Any, rows: int, *, size: int = 16
) -> list[dict[str, Any]]:
    """The first rows in padded batches."""
    first = examples.select(range(min(rows, len(examples)) // size * size))
    return [pad_rows(first, order, tokenizer) for order in by_length(first, size)]


def dynamic_int8(source: Path, output: Path) -> Path:
    """Weights in s8 by output channel; inputs in u8, ranges taken batch by batch."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with quiet():
        quantize_dynamic(
            str(source),
            str(output),
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            weight_type=QuantType.QInt8,
        )
    return output


def static_int8(source: Path, output: Path, batches: Iterable[dict[str, Any]]) -> Path:
    """Weights in s8 by output channel; inputs and outputs of products in u8, ranges min to max."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    with quiet():
        quantize_static(
            str(source),
            str(output),
            _Reader(iter(batches)),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(OPERATORS),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    return output


class _Reader:
    """Batches as ONNX Runtime's calibrators ask for them."""

    def __init__(self, batches: Iterator[dict[str, Any]]) -> None:
        self._batches = batches

    def get_next(self) -> dict[str, Any] | None:
        return next(self._batches, None)

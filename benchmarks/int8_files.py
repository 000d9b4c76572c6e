"""int8 files as ONNX Runtime's own quantiser makes them, for scripts that compare ways to them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from glp_export.artifact.batches import by_length, pad, pad_rows, read_rows
from glp_export.artifact.onnx_file import read_graph
from glp_export.artifact.quiet import quiet

CALIBRATIONS = {"minmax": "MinMax", "percentile": "Percentile", "entropy": "Entropy"}

OPERATORS = ("MatMul", "Gemm")


def products_of(path: Path, operators: Collection[str] = OPERATORS) -> dict[str, int]:
    """Multiply-adds a token of every product with a constant matrix, by the name of its node."""
    graph = read_graph(path).graph
    sizes = {
        tensor.name: tensor.dims[0] * tensor.dims[1]
        for tensor in graph.initializer
        if len(tensor.dims) == 2
    }
    return {
        node.name: sizes[node.input[1]]
        for node in graph.node
        if node.op_type in operators and node.input[1] in sizes
    }


def calibration_batches(
    examples: Any, tokenizer: Any, rows: int, *, alike: bool = False, size: int = 16
) -> list[dict[str, Any]]:
    """The first rows in padded batches; all of one shape if `alike`.

    ONNX Runtime's entropy and percentile calibrators stack the batches, so these must be alike.
    """
    first = examples.select(range(min(rows, len(examples)) // size * size))
    if not alike:
        return [pad_rows(first, order, tokenizer) for order in by_length(first, size)]
    longest = max(first["length"][:])
    starts = range(0, len(first), size)
    return [
        pad(read_rows(first, range(start, start + size)), tokenizer, length=longest)
        for start in starts
    ]


def dynamic_int8(source: Path, output: Path, keep_float: Collection[str] = ()) -> Path:
    """Weights in s8 by output channel; inputs in u8, ranges taken batch by batch."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with quiet():
        quantize_dynamic(
            str(source),
            str(output),
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=sorted(keep_float),
        )
    return output


def static_int8(
    source: Path,
    output: Path,
    batches: Iterable[dict[str, Any]],
    calibration: str = "minmax",
    keep_float: Collection[str] = (),
    *,
    round_outputs: bool = False,
) -> Path:
    """Weights in s8 by output channel; inputs in u8, one range for each tensor for good.

    Products read int8 and give floats, unless `round_outputs` has their results rounded as well.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    with quiet():
        quantize_static(
            str(source),
            str(output),
            _Reader(iter(batches)),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(OPERATORS),
            nodes_to_quantize=sorted(set(products_of(source)) - set(keep_float)),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=getattr(CalibrationMethod, CALIBRATIONS[calibration]),
            extra_options={
                "OpTypesToExcludeOutputQuantization": [] if round_outputs else list(OPERATORS)
            },
        )
    return output


class _Reader:
    """Batches as ONNX Runtime's calibrators ask for them."""

    def __init__(self, batches: Iterator[dict[str, Any]]) -> None:
        self._batches = batches

    def get_next(self) -> dict[str, Any] | None:
        return next(self._batches, None)

"""The ranges of activations on rows of the task, for static quantisation."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from glp_export.artifact.onnx_file import sidecar, write_graph
from glp_export.artifact.session import feeds_for, open_session
from glp_export.core.errors import DataError, UsageError
from glp_export.core.quiet import quiet
from glp_export.precision.int8.recipe import DYNAMIC, FULL, RECIPES
from glp_export.tasks import drawn

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from datasets import Dataset
    from onnx import ModelProto

    Array = np.ndarray[Any, Any]
    Batch = Mapping[str, Array]

MINIMUM_ROWS = 16
"""Fewer different rows say little about the range that other rows will have."""

CALIBRATION_ROWS = 256
"""Rows that the range of a tensor is taken from."""

_BINS = {"entropy": 128, "percentile": 2048}
"""Bins of the histograms, as ONNX Runtime's own calibrators have them."""

_PERCENTILE = 99.99


def activation_ranges(
    model: ModelProto,
    tensors: Sequence[str],
    batches: Sequence[Batch],
    calibration: str,
    scratch: Path,
    *,
    threads: int,
) -> dict[str, tuple[float, float]]:
    """Run a float graph on padded batches and note the range of some of its tensors.

    Args:
        model: the float graph.
        tensors: names of float tensors in it.
        batches: model inputs by name, each `(batch, length) int64`.
        calibration: "minmax", "entropy" or "percentile".
        scratch: where the graph is written for the session; it is removed afterwards.
        threads: of the session.

    Raises:
        DataError: too few different rows.
    """
    _require_enough(batches)
    values = _values(model, tensors, batches, scratch, threads)
    return _extremes(values) if calibration == "minmax" else _histograms(values, calibration)


def require_texts(rows: Dataset | None, recipes: Sequence[str], scope: str) -> None:
    """Refuse static ranges without enough texts before there is anything to quantise.

    Args:
        rows: encoded, those that ranges will be taken from; None where there are none.
        recipes: keys of `RECIPES`, those that are asked for.
        scope: of int8, "matmuls" or "full".

    Raises:
        DataError: too few different rows.
        UsageError: none at all.
    """
    if all(RECIPES[name].mode == DYNAMIC for name in recipes):
        return
    if rows is None:
        raise without_texts(scope)
    taken = drawn(rows, CALIBRATION_ROWS)["input_ids"][:]
    _require_different({tuple(ids) for ids in taken}, len(taken))


def without_texts(scope: str) -> UsageError:
    """What is said where static ranges are asked for and there are no texts."""
    full = scope == FULL
    return UsageError(
        "ranges cannot be taken without data",
        where="--int8-scope full" if full else "--int8",
        fix="give texts with --calibration-texts FILE, or use "
        + ("--int8-scope matmuls" if full else f"--int8 {DYNAMIC}"),
    )


def _require_enough(batches: Sequence[Batch]) -> None:
    texts = {
        tuple(ids[mask == 1])
        for batch in batches
        for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)
    }
    _require_different(texts, sum(len(batch["input_ids"]) for batch in batches))


def _require_different(texts: Collection[object], rows: int) -> None:
    if len(texts) >= MINIMUM_ROWS:
        return
    told = f"got {rows}" if len(texts) == rows else f"{len(texts)} of the {rows} given differ"
    raise DataError(
        f"Static quantisation needs at least {MINIMUM_ROWS} different texts to calibrate on, "
        f"and {told}.",
        fix="Give more texts of the training data, or use dynamic ranges (--int8 dynamic, which "
        "--int8-scope matmuls has by default).",
    )


def _values(
    model: ModelProto,
    tensors: Sequence[str],
    batches: Sequence[Batch],
    scratch: Path,
    threads: int,
) -> Iterable[dict[str, Array]]:
    """The tensors' values, batch by batch."""
    import onnx
    from onnx import TensorProto, helper

    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    del exposed.graph.output[:]
    exposed.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in tensors
    )
    path = write_graph(exposed, scratch)
    try:
        session = open_session(path, threads=threads)
        for batch in batches:
            values = session.run(list(tensors), feeds_for(session, batch))
            yield dict(zip(tensors, values, strict=True))
    finally:
        path.unlink(missing_ok=True)
        sidecar(path).unlink(missing_ok=True)


def _extremes(batches: Iterable[dict[str, Array]]) -> dict[str, tuple[float, float]]:
    ranges: dict[str, tuple[float, float]] = {}
    for values in batches:
        for name, value in values.items():
            low, high = ranges.get(name, (float("inf"), float("-inf")))
            ranges[name] = (min(low, float(value.min())), max(high, float(value.max())))
    return ranges


def _histograms(
    batches: Iterable[dict[str, Array]], calibration: str
) -> dict[str, tuple[float, float]]:
    """Ranges that leave outliers away, by ONNX Runtime's own collector."""
    from onnxruntime.quantization.calibrate import HistogramCollector

    collector = HistogramCollector(
        method=calibration,
        symmetric=False,
        num_bins=_BINS[calibration],
        num_quantized_bins=128,
        percentile=_PERCENTILE,
        scenario="same",
    )
    with quiet():
        for values in batches:
            collector.collect(values)
        found = collector.compute_collection_result()
    return {name: (float(low), float(high)) for name, (low, high, *_) in found.items()}

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from glp_export.artifact import open_session, predict_onnx
from glp_export.artifact.session import feeds_for
from glp_export.core.errors import DataError, ModelError
from tests.exported import THREADS, Exported


@pytest.mark.parametrize("family", ["bert", "distilbert"])
def test_logits_come_back_in_the_order_of_the_rows(
    export: Callable[..., Exported], family: str, encoded: Any, tokenizer: Any
) -> None:
    session = open_session(export(family).file.path, threads=THREADS)
    batched = predict_onnx(session, encoded, tokenizer, batch_size=7)
    single = [
        predict_onnx(session, encoded.select([row]), tokenizer) for row in range(len(encoded))
    ]
    assert batched.shape == (40, 2)
    assert batched.dtype == np.float32
    assert batched.std(axis=0).min() > 0.1  # else any order would do
    # The same sums, blocked another way: a few roundings of 1e-7 each.
    np.testing.assert_allclose(batched, np.concatenate(single), atol=2e-5)


def test_no_rows(bert: Exported, encoded: Any, tokenizer: Any) -> None:
    session = open_session(bert.file.path, threads=1)
    with pytest.raises(DataError, match="no rows"):
        predict_onnx(session, encoded.select([]), tokenizer)


def test_missing_segments_are_zeros_and_other_inputs_are_named(bert: Exported) -> None:
    session = open_session(bert.file.path, threads=1)
    ids = np.array([[2, 5, 3]])
    feeds = feeds_for(session, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
    assert feeds["token_type_ids"].tolist() == [[0, 0, 0]]
    with pytest.raises(ModelError, match="attention_mask"):
        feeds_for(session, {"input_ids": ids})

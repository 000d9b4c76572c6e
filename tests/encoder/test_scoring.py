from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glp_export.artifact.session import predict_onnx
from glp_export.encoder import predict
from tests.families import SPREAD
from tests.tiny import make_checkpoint, make_tokenizer


class Graph:
    """A session of ONNX Runtime that PyTorch answers for."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def get_inputs(self) -> list[Any]:
        names = ("input_ids", "attention_mask", "token_type_ids")
        return [type("Input", (), {"name": name, "type": "tensor(int64)"}) for name in names]

    def get_outputs(self) -> list[Any]:
        return [type("Output", (), {"name": "logits"})]

    def run(self, _: Any, feeds: dict[str, Any]) -> list[Any]:
        import torch

        with torch.inference_mode():
            batch = {name: torch.from_numpy(values) for name, values in feeds.items()}
            return [self.model(**batch).logits.numpy()]


@pytest.mark.parametrize("answer", [predict, lambda model, *a: predict_onnx(Graph(model), *a)])
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_row_is_answered_as_it_is_answered_alone(tmp_path: Path, answer: Any, side: str) -> None:
    """Padding on the left would move its tokens to other positions."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification

    checkpoint = make_checkpoint(tmp_path, layers=1, num_labels=2, **SPREAD)
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint).eval()
    tokenizer = make_tokenizer()
    tokenizer.padding_side = side
    texts = ["the cat is good", "good", "the dog and the cat is bad", "the bird is fine"]
    encoded = tokenizer(texts)
    lengths = [len(ids) for ids in encoded["input_ids"]]
    with torch.inference_mode():
        alone = [model(**tokenizer(text, return_tensors="pt")).logits[0] for text in texts]
    found = answer(model, Dataset.from_dict({**encoded, "length": lengths}), tokenizer)
    # Rounding of other batches; other positions change 0.1 and more.
    np.testing.assert_allclose(found, np.stack(alone), atol=1e-4)

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glp_export.artifact.session import predict_onnx
from glp_export.encoder import predict
from glp_export.encoder.padding import padding_matters
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


def conv(directory: Path) -> Any:
    """A model whose convolutions over tokens read padding on either side."""
    from transformers import ConvBertConfig, ConvBertForSequenceClassification, set_seed

    set_seed(0)
    sizes = {"hidden_size": 16, "embedding_size": 16, "intermediate_size": 32}
    config = ConvBertConfig(
        vocab_size=200, num_hidden_layers=1, num_attention_heads=4, initializer_range=1.0, **sizes
    )
    return ConvBertForSequenceClassification(config).eval()


def bert(directory: Path, labels: int = 2) -> Any:
    from transformers import AutoModelForSequenceClassification

    checkpoint = make_checkpoint(directory, layers=1, num_labels=labels, **SPREAD)
    return AutoModelForSequenceClassification.from_pretrained(checkpoint).eval()


@pytest.mark.parametrize(
    ("make", "side", "apart"),
    [(bert, "right", False), (bert, "left", True), (conv, "right", True), (conv, "left", True)],
)
def test_a_row_is_answered_as_it_is_answered_alone(
    tmp_path: Path, make: Any, side: str, apart: bool
) -> None:
    """Padding on the left would move its tokens to other positions."""
    import torch
    from datasets import Dataset

    model, tokenizer = make(tmp_path), make_tokenizer()
    tokenizer.padding_side = side
    texts = ["the cat is good", "good", "the dog and the cat is bad", "the bird is fine"]
    encoded = tokenizer(texts)
    lengths = [len(ids) for ids in encoded["input_ids"]]
    with torch.inference_mode():
        alone = [model(**tokenizer(text, return_tensors="pt")).logits[0] for text in texts]
    rows = Dataset.from_dict({**encoded, "length": lengths})
    assert padding_matters(model, rows, tokenizer) is apart
    found = (
        predict(model, rows, tokenizer),
        predict_onnx(Graph(model), rows, tokenizer, apart=apart),
    )
    for answers in found:
        # Rounding of other batches; other positions change 0.1 and more.
        np.testing.assert_allclose(answers, np.stack(alone), atol=1e-4)


@pytest.mark.parametrize("labels", [3, 11])
def test_as_many_labels_as_tokens_are_no_answers_to_tokens(tmp_path: Path, labels: int) -> None:
    from datasets import Dataset

    model, tokenizer = bert(tmp_path, labels), make_tokenizer()
    encoded = tokenizer(["good", "good " * 20])
    rows = Dataset.from_dict({**encoded, "length": [len(ids) for ids in encoded["input_ids"]]})
    assert rows["length"][0] == 3  # 11 with padding
    assert not padding_matters(model, rows, tokenizer)


def test_in_bf16_too_it_is_told_by_exact_answers(tmp_path: Path) -> None:
    import torch
    from datasets import Dataset

    model, tokenizer = bert(tmp_path), make_tokenizer()
    encoded = tokenizer(["good", "the dog and the cat is bad"])
    rows = Dataset.from_dict({**encoded, "length": [len(ids) for ids in encoded["input_ids"]]})
    with torch.autocast("cpu", torch.bfloat16):
        assert not padding_matters(model, rows, tokenizer)

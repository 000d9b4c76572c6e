"""Load an artifact with optimum, as a user would who knows only the directory."""

from __future__ import annotations

import logging

import torch
from answers import answer, given
from optimum.onnxruntime import ORTModelForSequenceClassification
from transformers import AutoTokenizer, pipeline


class Heard(logging.Handler):
    """Keeps what was warned of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


artifact, cases, _ = given()
heard = Heard()
logging.getLogger("optimum").addHandler(heard)
model = ORTModelForSequenceClassification.from_pretrained(artifact)
tokenizer = AutoTokenizer.from_pretrained(artifact)
classify = pipeline("text-classification", model=model, tokenizer=tokenizer, top_k=None)


def logits(*columns: list[str]) -> list[list[float]]:
    inputs = tokenizer(*columns, padding=True, truncation=True, return_tensors="pt")
    with torch.inference_mode():
        return model(**inputs).logits.tolist()


answer(
    "optimum-onnx",
    "optimum",
    "transformers",
    "onnxruntime",
    "torch",
    file=str(model.session._model_path),
    warnings=heard.messages,
    scores=classify(cases["texts"], truncation=True),
    logits=logits(cases["texts"]),
    pairs=logits(*map(list, zip(*cases["pairs"], strict=True))),
)

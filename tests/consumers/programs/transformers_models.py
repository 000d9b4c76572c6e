"""Load an artifact's PyTorch weights with transformers alone."""

from __future__ import annotations

from answers import answer, given
from transformers import pipeline

artifact, cases, _ = given()
classify = pipeline("text-classification", model=str(artifact), top_k=None, device="cpu")
answer(
    "transformers",
    "torch",
    "tokenizers",
    scores=classify(cases["texts"], truncation=True),
)

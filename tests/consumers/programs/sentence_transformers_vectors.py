"""Embed texts with sentence-transformers on its ONNX backend; the directory says how to pool."""

from __future__ import annotations

from answers import answer, given
from sentence_transformers import SentenceTransformer

artifact, cases, _ = given()
model = SentenceTransformer(str(artifact), backend="onnx", local_files_only=True, device="cpu")
answer(
    "sentence-transformers",
    "transformers",
    "optimum-onnx",
    "onnxruntime",
    "torch",
    vectors=model.encode(cases["texts"]).tolist(),
    longest=model.max_seq_length,
)

"""Load an artifact with sentence-transformers on its ONNX backend."""

from __future__ import annotations

import torch
from answers import answer, given
from sentence_transformers import CrossEncoder

artifact, cases, _ = given()
model = CrossEncoder(str(artifact), backend="onnx", local_files_only=True)
scores = model.predict(cases["pairs"], activation_fn=torch.nn.Identity(), convert_to_numpy=True)
answer(
    "sentence-transformers",
    "transformers",
    "optimum-onnx",
    "onnxruntime",
    "torch",
    pairs=scores.tolist(),
    longest=model.max_length,
)

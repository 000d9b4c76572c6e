"""Embed texts with fastembed, as a custom model: the mean over the tokens, of length 1."""

from __future__ import annotations

from answers import answer, given
from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType

artifact, cases, (width,) = given()
TextEmbedding.add_custom_model(
    model="artifact-embedder",
    pooling=PoolingType.MEAN,
    normalization=True,
    sources=ModelSource(hf="glp-export/artifact"),
    dim=int(width),
    model_file="onnx/model.onnx",
)
model = TextEmbedding("artifact-embedder", specific_model_path=str(artifact), threads=1)
answer(
    "fastembed",
    "onnxruntime",
    "tokenizers",
    vectors=[vector.tolist() for vector in model.embed(cases["texts"])],
)

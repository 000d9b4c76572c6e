"""Load an artifact with fastembed as custom models, from the local directory."""

from __future__ import annotations

from answers import answer, given
from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType
from fastembed.rerank.cross_encoder import TextCrossEncoder

artifact, cases, (labels,) = given()
source = ModelSource(hf="glp-export/artifact")
TextCrossEncoder.add_custom_model(
    model="artifact-scorer", sources=source, model_file="onnx/model.onnx"
)
scorer = TextCrossEncoder("artifact-scorer", specific_model_path=str(artifact), threads=1)
# Whatever stands in the first output: here the logits, one vector a text.
TextEmbedding.add_custom_model(
    model="artifact-vectors",
    pooling=PoolingType.DISABLED,
    normalization=False,
    sources=source,
    dim=int(labels),
    model_file="onnx/model.onnx",
)
vectors = TextEmbedding("artifact-vectors", specific_model_path=str(artifact), threads=1)
answer(
    "fastembed",
    "onnxruntime",
    "tokenizers",
    pairs=[float(score) for score in scorer.rerank_pairs(map(tuple, cases["pairs"]))],
    logits=[vector.tolist() for vector in vectors.embed(cases["texts"])],
)

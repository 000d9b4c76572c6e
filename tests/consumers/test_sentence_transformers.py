from __future__ import annotations

import numpy as np
import pytest

from tests.consumers.conftest import EMBEDDED
from tests.consumers.environments import run_python

pytestmark = pytest.mark.consumers


def cross_encoder(case):
    return run_python(
        "sentence-transformers", "sentence_transformers_models.py", case.root, case.cases
    )


def test_embedder(embedder, ran):
    """`SentenceTransformer(directory, backend="onnx")`, pooled and cut as the directory says: \
    PyTorch's vectors, of empty and of very long texts too."""
    given = embedder.root, embedder.cases
    found = run_python("sentence-transformers", "sentence_transformers_vectors.py", *given)
    # fp32 sums in another order.
    np.testing.assert_allclose(found["vectors"], embedder.vectors, atol=1e-4)
    assert found["longest"] == EMBEDDED
    ran("sentence-transformers", found["versions"])


def test_scorer(scorer, ran):
    """`CrossEncoder(directory, backend="onnx")` with one output: PyTorch's scores of pairs."""
    found = cross_encoder(scorer)
    # fp32 sums in another order.
    np.testing.assert_allclose(found["pairs"], scorer.pairs[:, 0], atol=1e-4)
    assert found["longest"] == 80  # of the position table: the tokenizer named no limit
    ran("sentence-transformers", found["versions"])


def test_classifier(classifier, ran):
    """`CrossEncoder(directory, backend="onnx")` with several labels, `onnx/model.onnx` of several \
    files: PyTorch's logits of pairs."""
    found = cross_encoder(classifier)
    # fp32 sums in another order.
    np.testing.assert_allclose(found["pairs"], classifier.pairs, atol=1e-4)
    ran("sentence-transformers", found["versions"])

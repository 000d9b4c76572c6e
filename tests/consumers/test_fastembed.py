from __future__ import annotations

import numpy as np
import pytest

from tests.consumers.conftest import SHORT
from tests.consumers.environments import run_python

pytestmark = pytest.mark.consumers


def fastembed(case):
    return run_python("fastembed", "fastembed_models.py", case.root, case.cases, len(case.labels))


def test_scorer(scorer, ran):
    """`TextCrossEncoder.add_custom_model` with `specific_model_path=directory`, offline: \
    PyTorch's scores of pairs."""
    found = fastembed(scorer)
    # fp32 sums in another order.
    np.testing.assert_allclose(found["pairs"], scorer.pairs[:, 0], atol=1e-4)
    ran("fastembed", found["versions"])


def test_embedder(embedder, ran):
    """`TextEmbedding` with mean pooling and normalisation on an artifact for sentence embeddings: \
    PyTorch's vectors; texts past the length that it was trained for are read further."""
    given = embedder.root, embedder.cases, embedder.vectors.shape[1]
    found = run_python("fastembed", "fastembed_vectors.py", *given)
    # fp32 sums in another order. Of lengths it knows the tokenizer's own only, here 80.
    np.testing.assert_allclose(found["vectors"][SHORT], embedder.vectors[SHORT], atol=1e-4)
    ran("fastembed", found["versions"])


def test_vectors(classifier, ran):
    """`TextEmbedding.add_custom_model` with `specific_model_path=directory`, offline: the first \
    output is PyTorch's, for texts past the longest input too."""
    found = fastembed(classifier)
    # fp32 sums in another order.
    np.testing.assert_allclose(found["logits"], classifier.logits, atol=1e-4)
    ran("fastembed", found["versions"])

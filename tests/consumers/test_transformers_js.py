from __future__ import annotations

import numpy as np
import pytest

from tests.consumers.environments import run_node

pytestmark = pytest.mark.consumers


def test_fp32(classifier, ran):
    """`pipeline('text-classification', …, { dtype: 'fp32' })` with local models only: PyTorch's \
    labels and scores, and logits of texts and of pairs."""
    found = run_node(classifier.root, classifier.cases, "fp32")
    for scores, expected in zip(found["scores"], classifier.probabilities, strict=True):
        by_label = {score["label"]: score["score"] for score in scores}
        assert [by_label[classifier.labels[key]] for key in sorted(classifier.labels)] == (
            pytest.approx(expected, abs=1e-4)  # fp32 sums in another order
        )
    np.testing.assert_allclose(found["logits"], classifier.logits, atol=1e-4)
    np.testing.assert_allclose(found["pairs"], classifier.pairs, atol=1e-4)
    ran("transformers.js", found["versions"])


def test_q8(classifier, ran):
    """`{ dtype: 'q8' }`, the default in a browser, takes `onnx/model_quantized.onnx`: what ONNX \
    Runtime computes of that file."""
    found = run_node(classifier.root, classifier.cases, "q8")
    expected = classifier.run("model_quantized.onnx")
    np.testing.assert_allclose(found["logits"], expected, atol=1e-4)
    assert np.abs(expected - classifier.logits).max() > 1e-4  # it was not the fp32 file
    ran("transformers.js", found["versions"])


def test_scorer(scorer, ran):
    """A pair scorer with one output: PyTorch's numbers."""
    found = run_node(scorer.root, scorer.cases, "fp32")
    # fp32 sums in another order.
    np.testing.assert_allclose(found["pairs"], scorer.pairs, atol=1e-4)
    ran("transformers.js", found["versions"])

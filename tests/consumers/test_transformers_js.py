from __future__ import annotations

import numpy as np
import pytest

from tests.consumers.conftest import SHORT
from tests.consumers.environments import run_node

pytestmark = pytest.mark.consumers


def test_fp32(classifier, ran):
    """`pipeline('text-classification', …, { dtype: 'fp32' })` with local models only: PyTorch's \
    labels and scores; the logits of pairs with `return_token_type_ids`."""
    found = run_node(classifier.root, classifier.short, "fp32")
    for scores, expected in zip(found["scores"], classifier.probabilities[SHORT], strict=True):
        by_label = {score["label"]: score["score"] for score in scores}
        assert [by_label[classifier.labels[key]] for key in sorted(classifier.labels)] == (
            pytest.approx(expected.tolist(), abs=1e-4)  # fp32 sums in another order
        )
    np.testing.assert_allclose(found["logits"], classifier.logits[SHORT], atol=1e-4)
    np.testing.assert_allclose(found["pairs"], classifier.pairs, atol=1e-4)
    ran("transformers.js", found["versions"])


def test_q8(classifier, ran):
    """`{ dtype: 'q8' }`, the default in a browser, takes `onnx/model_quantized.onnx`: what ONNX \
    Runtime computes of that file."""
    found = run_node(classifier.root, classifier.short, "q8")
    expected = classifier.run("model_quantized.onnx")
    # A number that lies on the border of two integers may be rounded to either.
    np.testing.assert_allclose(found["logits"], expected, atol=5e-3)
    fp32 = classifier.logits[SHORT]
    assert np.abs(found["logits"] - expected).max() < np.abs(found["logits"] - fp32).max()
    ran("transformers.js", found["versions"])


def test_scorer(scorer, ran):
    """A pair scorer with one output, with `return_token_type_ids`: PyTorch's numbers."""
    found = run_node(scorer.root, scorer.short, "fp32")
    # fp32 sums in another order.
    np.testing.assert_allclose(found["pairs"], scorer.pairs, atol=1e-4)
    ran("transformers.js", found["versions"])

from __future__ import annotations

import numpy as np
import pytest

from tests.consumers.environments import run_python

pytestmark = pytest.mark.consumers


@pytest.fixture(scope="module")
def found(classifier):
    return run_python("optimum", "optimum_models.py", classifier.root, classifier.cases)


def test_directory(classifier, found, ran):
    """`ORTModelForSequenceClassification.from_pretrained(directory)` takes `onnx/model.onnx` of \
    several files, without a warning: PyTorch's logits of texts and of pairs."""
    assert found["file"] == str(classifier.root / "onnx" / "model.onnx")
    assert found["warnings"] == []
    # fp32 sums in another order.
    np.testing.assert_allclose(found["logits"], classifier.logits, atol=1e-4)
    np.testing.assert_allclose(found["pairs"], classifier.pairs, atol=1e-4)
    ran("optimum", found["versions"])


def test_pipeline(classifier, found, ran):
    """`transformers.pipeline` with that model: PyTorch's labels and scores."""
    for scores, expected in zip(found["scores"], classifier.probabilities, strict=True):
        by_label = {score["label"]: score["score"] for score in scores}
        assert scores[0]["label"] == classifier.labels[int(expected.argmax())]
        assert by_label.keys() == set(classifier.labels.values())
        assert [by_label[classifier.labels[key]] for key in sorted(classifier.labels)] == (
            pytest.approx(expected.tolist(), abs=1e-4)  # fp32 sums in another order
        )
    ran("optimum", found["versions"])


def test_regression(scorer, ran):
    """A pair scorer with one output: PyTorch's numbers."""
    found = run_python("optimum", "optimum_models.py", scorer.root, scorer.cases)
    # fp32 sums in another order.
    np.testing.assert_allclose(found["pairs"], scorer.pairs, atol=1e-4)
    ran("optimum", found["versions"])

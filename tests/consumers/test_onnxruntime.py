from __future__ import annotations

import numpy as np
import pytest

from tests.consumers.environments import run_python

pytestmark = pytest.mark.consumers


def test_model_card(classifier, ran):
    """The code of the model card, with neither torch nor transformers: PyTorch's logits."""
    found = run_python("onnxruntime", "onnxruntime_alone.py", classifier.root, classifier.cases)
    assert found["absent"] == ["torch", "transformers", "optimum", "onnx"]
    # The card cuts at the length of the training, so texts past it are not the same to PyTorch.
    short = slice(0, 4)
    # fp32 sums in another order.
    np.testing.assert_allclose(found["logits"][short], classifier.logits[short], atol=1e-4)
    ran("ONNX Runtime alone", found["versions"])

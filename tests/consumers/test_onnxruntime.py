from __future__ import annotations

import numpy as np
import pytest

from tests.consumers.conftest import SHORT
from tests.consumers.environments import run_python

pytestmark = pytest.mark.consumers


def test_model_card(classifier, ran):
    """The code of the model card, with neither torch nor transformers: PyTorch's logits."""
    found = run_python("onnxruntime", "onnxruntime_alone.py", classifier.root, classifier.short)
    assert found["absent"] == ["torch", "transformers", "optimum", "onnx"]
    # fp32 sums in another order.
    np.testing.assert_allclose(found["logits"], classifier.logits[SHORT], atol=1e-4)
    ran("ONNX Runtime alone", found["versions"])

from __future__ import annotations

import numpy as np
import pytest

from tests.consumers.environments import run_python

pytestmark = pytest.mark.consumers


@pytest.mark.parametrize("kind", ["classifier", "scorer"])
def test_fp32_file(kind, request, ran):
    """`onnx/model.onnx` read and run on the CPU in fp32: PyTorch's logits of texts and of pairs."""
    case = request.getfixturevalue(kind)
    found = run_python("openvino", "openvino_model.py", case.root, case.cases)
    # fp32 sums in another order.
    np.testing.assert_allclose(found["logits"], case.logits, atol=1e-4)
    np.testing.assert_allclose(found["pairs"], case.pairs, atol=1e-4)
    ran("OpenVINO", found["versions"])

from __future__ import annotations

import numpy as np
import pytest

from tests.consumers.conftest import PAIRS
from tests.consumers.text_embeddings_inference import SOURCE, start

pytestmark = pytest.mark.consumers


@pytest.mark.parametrize(("kind", "served"), [("classifier", "classifier"), ("scorer", "reranker")])
def test_rules(kind, served, request, ran):
    """By its rules the directory starts as a classifier or, with one output, as a reranker, and \
    answers as PyTorch does."""
    case = request.getfixturevalue(kind)
    model = start(case.root)
    assert model.kind == served
    assert model.longest == 80
    model.warm_up()
    # fp32 sums in another order.
    np.testing.assert_allclose(model.predict(PAIRS), case.pairs, atol=1e-4)
    ran("text-embeddings-inference", {"rules": SOURCE})

from __future__ import annotations

import pytest

from tests.consumers.environments import run_python

pytestmark = pytest.mark.consumers


def test_next_major(classifier, ran):
    """`pipeline('text-classification', model=directory)` of transformers 5 on the PyTorch \
    weights: the labels and scores of the transformers that made the artifact."""
    found = run_python(
        "transformers-5", "transformers_models.py", classifier.root, classifier.cases
    )
    for scores, expected in zip(found["scores"], classifier.probabilities, strict=True):
        by_label = {score["label"]: score["score"] for score in scores}
        assert [by_label[classifier.labels[key]] for key in sorted(classifier.labels)] == (
            pytest.approx(expected.tolist(), abs=1e-4)  # another version sums in another order
        )
    ran("transformers", found["versions"])

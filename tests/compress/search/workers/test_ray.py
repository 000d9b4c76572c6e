"""What the Ray workers do without a cluster."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from glp_export.compress.search.context import portable
from glp_export.compress.search.workers import WORKERS, WorkerResources
from glp_export.core.errors import UsageError


def test_a_search_that_asks_for_nothing_starts_no_cluster(context):
    said = []
    with WORKERS["ray"].open(context, WorkerResources(), said.append):
        pass
    assert said == []


def test_a_ground_that_travels_needs_no_file(context):
    sent = portable(context)
    assert context.select.cache_files
    assert not sent.select.cache_files + sent.inputs.examples.cache_files
    assert sent.select.features == context.select.features
    assert sent.inputs.examples[:] == context.inputs.examples[:]
    assert np.array_equal(sent.select["labels"][:], context.select["labels"][:])


def test_without_ray_the_user_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match="not installed") as caught:
        WORKERS["ray"].require()
    assert 'pip install "glp-export[ray]"' in caught.value.fix

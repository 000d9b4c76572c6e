from __future__ import annotations

import numpy as np
import pytest

from glp_export.compress.search.confidence import probability_smaller


def test_it_agrees_with_a_bootstrap_over_the_same_pairs():
    generator = np.random.default_rng(0)
    hard = generator.exponential(1.0, 300)
    a, b = hard + generator.normal(0, 0.3, 300), hard + 0.03 + generator.normal(0, 0.3, 300)
    drawn = generator.integers(0, 300, (4000, 300))
    bootstrap = ((b - a)[drawn].mean(axis=1) > 0).mean()
    # Four thousand resamples know a share to 0.01; the normal approximation is as near.
    assert probability_smaller(a, b) == pytest.approx(bootstrap, abs=0.03)


def test_pairs_tell_apart_what_two_separate_means_would_not():
    generator = np.random.default_rng(1)
    hard = generator.exponential(5.0, 200).astype(np.float32)
    assert probability_smaller(hard, hard + 0.1 + generator.normal(0, 0.1, 200)) > 0.999


def test_the_same_losses_say_nothing():
    losses = np.ones(10, dtype=np.float32)
    assert probability_smaller(losses, losses) == 0.5
    assert probability_smaller(losses, losses + 1) == 1.0

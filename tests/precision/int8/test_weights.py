"""Weights in integers: their steps, and sums that do not overflow on any CPU."""

from __future__ import annotations

import numpy as np
import pytest

from glp_export.core.machine import multiplies_int8
from glp_export.precision.int8 import weights
from glp_export.precision.int8.weights import LARGEST, SEVEN_BITS, steps_here, to_int8


def test_sums_of_pairs_fit_into_16_bits_where_the_cpu_has_no_integer_products(monkeypatch):
    monkeypatch.setattr(weights, "cpu_features", lambda: ("avx", "avx2", "fma"))
    assert steps_here() == SEVEN_BITS
    assert 2 * 255 * SEVEN_BITS < 2**15  # u8 x s8, two at a time, in a signed word
    rounded, _ = to_int8(np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32), 0)
    assert np.abs(rounded).max() == SEVEN_BITS


@pytest.mark.parametrize("feature", ["avx512_vnni", "avx_vnni", "amx_int8", "asimddp"])
def test_integer_products_take_all_8_bits(monkeypatch, feature):
    monkeypatch.setattr(weights, "cpu_features", lambda: ("avx2", feature))
    assert multiplies_int8((feature,))
    assert steps_here() == LARGEST


@pytest.mark.parametrize("axis", [0, 1, None])
@pytest.mark.parametrize("steps", [LARGEST, SEVEN_BITS])
def test_integers_times_scale_are_the_weight_again(axis, steps):
    weight = np.random.default_rng(1).normal(size=(32, 16)).astype(np.float32)
    rounded, scale = to_int8(weight, axis, steps)
    again = rounded * (scale[:, None] if axis == 1 else scale)
    step = np.broadcast_to(scale[:, None] if axis == 1 else scale, weight.shape)
    assert (np.abs(again - weight) <= step / 2 * 1.001).all()

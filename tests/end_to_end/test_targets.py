"""Runs that are given what to reach instead of how many layers to keep."""

from __future__ import annotations

import pytest

from glp_export.artifact import ArtifactLayout
from glp_export.cli import run
from glp_export.search import Plan

from .conftest import SMALL


@pytest.fixture
def wish(encoder, data, tmp_path):
    """Run with a wish; the exit code and the plan that was left, if any."""

    def ask(*flags: str):
        output = tmp_path / "out"
        command = ("search", "-m", str(encoder), "--dataset", str(data), "--device", "cpu")
        trained = (*SMALL[: SMALL.index("--seq-lens")], "--threads", "1")
        code = run([*command, *trained, *flags, "-o", str(output), "-q"])
        path = ArtifactLayout(output).plan
        return code, Plan.load(path) if path.is_file() else None

    return ask


def test_every_layer_but_one_goes_if_any_drop_is_allowed(wish):
    code, plan = wish("--max-drop", "1")
    assert code == 0
    assert plan.depth == 1


def test_a_drop_that_no_depth_can_keep_to_is_exit_4_with_the_best_that_was_reached(
    wish, monkeypatch, capsys
):
    from glp_export import search_stage

    # Tiny encoders lose nothing: a model that is right everywhere stands in for the unpruned one.
    monkeypatch.setattr(search_stage, "paired_difference_interval", lambda *_: (0.2, 0.1, 0.3))
    code, plan = wish("--max-drop", "0.01")
    assert (code, plan) == (4, None)
    assert "lose 0.200" in capsys.readouterr().err


def test_a_speed_that_no_depth_reaches_is_exit_5_before_any_training(wish, capsys):
    code, plan = wish("--target-speedup", "1000@1x16")
    assert (code, plan) == (5, None)
    error = capsys.readouterr().err
    assert "1 layer" in error
    assert "1000" in error


def test_both_together_keep_what_is_fast_enough_and_accurate(wish):
    code, plan = wish("--latency-budget", "10s@1x16", "--max-drop", "1")
    assert code == 0
    assert plan.depth == 1


def test_speed_alone_keeps_the_deepest_that_is_fast_enough(wish):
    code, plan = wish("--latency-budget", "10s@1x16")
    assert code == 0
    assert plan.depth == 3

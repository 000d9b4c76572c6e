"""Runs that are given what to reach instead of how many layers to keep."""

from __future__ import annotations

import pytest

from glp_export.artifact import ArtifactLayout
from glp_export.cli.app import run
from glp_export.compress.plan import Plan
from glp_export.workflows.stages import depth_choice
from tests.tiny import make_checkpoint, make_data

from .conftest import SMALL

LAYERS = ("--compress", "layers")


@pytest.fixture
def wish(encoder, data, tmp_path, monkeypatch):
    """Run with a wish; the exit code and the plan that was left, if any."""

    # The scheduler interrupts long runs more than short ones: room for what tests do to another.
    monkeypatch.setattr(depth_choice, "CACHED", 10.0)

    def ask(*flags: str, progress: bool = False):
        output = tmp_path / "out"
        command = ("search", "-m", str(encoder), "--dataset", str(data), "--device", "cpu")
        trained = (*SMALL[: SMALL.index("--seq-lens")], "--threads", "1")
        code = run([*command, *trained, *flags, "-o", str(output), *([] if progress else ["-q"])])
        path = ArtifactLayout(output).plan
        return code, Plan.load(path) if path.is_file() else None

    return ask


def test_every_layer_but_one_goes_if_any_drop_is_allowed(wish):
    code, plan = wish("--max-drop", "1", *LAYERS)
    assert code == 0
    assert plan.depth == 1


def test_a_drop_that_no_depth_can_keep_to_is_exit_4_with_the_best_that_was_reached(
    tmp_path, capsys
):
    # Layers that start large do much, and so slow a recovery cannot make up for one that is gone.
    encoder = make_checkpoint(tmp_path / "encoder", initializer_range=0.3)
    data = make_data(tmp_path / "data", train=300)
    command = ("search", "-m", str(encoder), "--dataset", str(data), "--threads", "1")
    training = (*SMALL[: SMALL.index("--seq-lens")], "--epochs", "10", "--distill-rate", "1e-6")
    training = (*training, *LAYERS, "--training-precision", "fp32")
    output = tmp_path / "out"
    code = run([*command, *training, "--device", "cpu", "--max-drop", "0.01", "-o", str(output)])
    assert (code, output.exists()) == (4, False)
    error = capsys.readouterr().err
    assert "no depth loses 0.01 or less: the best of 2 tried, 3 layers, loses 0.0" in error


def test_a_speed_that_no_depth_reaches_is_exit_5_before_any_training(wish, capsys):
    code, plan = wish("--target-speedup", "1000@1x16", "--compress", "layers")
    assert (code, plan) == (5, None)
    error = capsys.readouterr().err
    assert "1 layer" in error
    assert "1000" in error


def test_both_together_keep_what_is_fast_enough_and_accurate(wish):
    code, plan = wish("--latency-budget", "10s@1x16", "--max-drop", "1", *LAYERS)
    assert code == 0
    assert plan.depth == 1


def test_speed_alone_keeps_the_deepest_that_is_fast_enough(wish):
    code, plan = wish("--latency-budget", "10s@1x16", "--compress", "layers")
    assert code == 0
    assert plan.depth == 3


def test_a_search_is_for_one_speed(wish, capsys):
    assert wish("--target-speedup", "2,3@1x16") == (2, None)
    assert "--target-speedup 2,3@1x16" in capsys.readouterr().err


def test_a_drop_is_never_left_out_of_account(wish, capsys):
    """No drop at all is a budget, and what cannot keep to one is refused before any work."""
    code, plan = wish("--max-drop", "0", "--compress", "vocabulary")
    assert (code, plan) == (2, None)
    assert "--max-drop" in capsys.readouterr().err


def test_a_target_that_is_met_already_is_told_before_the_search(wish, capsys):
    assert wish("--latency-budget", "10s@1x16", "--compress", "layers", progress=True)[0] == 0
    error = capsys.readouterr().err
    assert "already meets --latency-budget" in error
    assert "glp-export export" in error

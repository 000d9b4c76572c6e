"""A run with a metric of the user's own, whose trainings a tracker of the user's own is told of."""

from __future__ import annotations

import json
import sys
from typing import ClassVar

import pytest
from transformers import TrainerCallback
from transformers.integrations import integration_utils

import glp_export
from glp_export.cli.app import run
from tests.end_to_end.conftest import SMALL, command

MODULE = """
def share_right(predictions, labels):
    return float((predictions == labels).mean())
"""


class Tracker(TrainerCallback):
    """As the callbacks for MLflow and the like: made without arguments, told by Trainer."""

    told: ClassVar[list[tuple[str, str]]] = []

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.told.append((args.run_name, next(iter(logs))))


def test_it_scores_everything_and_nothing_needs_it_to_serve(
    encoder, data, tmp_path, monkeypatch, capsys
):
    (tmp_path / "ours_for_tests.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(integration_utils.INTEGRATION_TO_CALLBACK, "tiny", Tracker)
    name, output = "ours_for_tests:share_right", tmp_path / "out"
    flags = ("--search", "top", "--distilled", "none", "--metric", name, "--report-to", "tiny")
    assert run([*command(encoder, data, *SMALL), *flags, "-o", str(output), "-q"]) == 0
    assert json.loads((output / "glp" / "benchmark.json").read_text())["metric"] == name
    assert name in (output / "README.md").read_text()
    names = {run_name for run_name, _ in Tracker.told}
    assert len(names) == 2  # the unpruned and the pruned, each by its own name
    assert "loss" in {logged for _, logged in Tracker.told}

    budget = tmp_path / "budget.toml"
    budget.write_text('[cpu.fp32]\nkeep = ["metric_drop <= 1.0"]\n')
    gate = ["gate", str(output), "--budget", str(budget), "--dataset", str(data)]
    capsys.readouterr()
    assert run([*gate, "--metric", name]) == 0
    assert run(gate) == 2  # no code of an artifact runs unless it is named
    assert name in capsys.readouterr().err

    monkeypatch.delitem(sys.modules, "ours_for_tests")
    (tmp_path / "ours_for_tests.py").unlink()
    assert len(glp_export.load(output)(["the cat is good"]).labels) == 1


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (("--metric", "nowhere_at_all:f1"), "nowhere_at_all"),
        (("--report-to", "tinyy"), "tinyy"),
        (("--report-to", "neptune"), "neptune"),
    ],
)
def test_what_is_not_there_is_told_before_anything_is_trained(
    encoder, data, tmp_path, flags, word, capsys
):
    assert run([*command(encoder, data, *SMALL), *flags, "-o", str(tmp_path / "out"), "-q"]) == 2
    assert word in capsys.readouterr().err

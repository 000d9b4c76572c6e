"""Plans from strangers: 7 and few words, and soon."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from glp_export.cli.app import run

GOOD: dict[str, Any] = {
    "schema_version": 1,
    "base_model": "bert",
    "num_layers": 4,
    "task": "t",
    "metric": "accuracy",
    "strategy": "fast-greedy",
    "order": [2, 0],
}

HOSTILE: dict[str, str] = {
    "3000 deep": json.dumps(GOOD)[:-1] + ', "settings": {"a": ' + "[" * 3000 + "]" * 3000 + "}}",
    "100000 deep": "[" * 100_000,
    "ten million layers": json.dumps({**GOOD, "num_layers": 10**7}),
    "a number of 5000 digits": json.dumps(GOOD).replace('"num_layers": 4', f'"seed": {"9" * 5000}'),
    "an infinite seed": json.dumps(GOOD).replace("[2, 0]", "[Infinity]"),
    "another schema": json.dumps({**GOOD, "schema_version": 99}),
    "a schema that is no number": json.dumps({**GOOD, "schema_version": {"x" * 10**6: 1}}),
    "a long name": json.dumps({**GOOD, "x" * 10**6: 1}),
    "a list": "[]",
    "nothing": "",
    "no UTF-8": "\udcff\udcfe",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_plan_is_refused_in_few_words(tmp_path: Path, capsys, name: str) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(HOSTILE[name].encode("utf-8", "surrogateescape"))
    assert run(["inspect", str(path)]) == 7
    said = capsys.readouterr().err
    assert "plan" in said
    assert len(said) < 1000


@pytest.mark.parametrize("text", ["²\n", "9" * 5000, "x" * 10**6, "\x00", "-1", "1e3"])
def test_a_hostile_layer_file_is_refused_in_few_words(tmp_path: Path, capsys, text: str) -> None:
    path = tmp_path / "layers.txt"
    path.write_text(text)
    assert run(["inspect", str(path)]) == 7
    assert len(capsys.readouterr().err) < 1000


def test_a_dry_run_reads_its_plan(encoder, data, tmp_path: Path, capsys) -> None:
    asked = ["prune-and-export", "-m", str(encoder), "--dataset", str(data), "--dry-run", "-q"]
    flags = ["-o", str(tmp_path / "out"), "--epochs", "1", "--device", "cpu", "--threads", "1"]
    assert run([*asked, *flags, "--plan", str(tmp_path / "absent.json")]) == 7
    layers = tmp_path / "layers.txt"
    layers.write_text("9\n")
    assert run([*asked, *flags, "--plan", str(layers)]) == 2
    layers.write_text("2\n0\n")
    capsys.readouterr()
    assert run([*asked, *flags, "--plan", str(layers)]) == 0
    assert "4 layers to 2" in capsys.readouterr().out

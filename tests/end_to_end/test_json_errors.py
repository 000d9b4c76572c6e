"""`--json` is one document on stdout, whatever becomes of the command."""

from __future__ import annotations

import json

import pytest

from glp_export.cli.app import run


def error_of(capsys, *arguments: str) -> tuple[int, dict]:
    code = run([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)["error"]


@pytest.mark.parametrize(
    ("arguments", "code", "name"),
    [
        (("verify", "nowhere"), 7, "ModelError"),
        (("prune-and-export", "--dataset", "x"), 2, "UsageError"),
        (("prune-and-export", "-m", "x", "--depth", "0"), 2, "UsageError"),
        (("env", "--no-such-flag"), 2, "UsageError"),
    ],
)
def test_an_error_is_a_document_too(arguments, code, name, capsys):
    found = error_of(capsys, *arguments)
    assert (found[0], found[1]["type"], found[1]["exit_code"]) == (code, name, code)
    assert found[1]["what"]


def test_an_error_says_where_and_what_to_do(capsys):
    _, error = error_of(capsys, "prune-and-export", "-m", "nowhere", "--dataset", "x", "--depths=1")
    assert set(error) == {"type", "what", "where", "fix", "exit_code"}


def test_a_verdict_is_one_document(gated_artifact, tmp_path, capsys):
    budget = tmp_path / "budget.toml"
    budget.write_text('[cpu.fp32]\nkeep = ["size_mb <= 0.001", "metric_drop <= 0.9"]\n')
    arguments = ["gate", str(gated_artifact), "--quick", "--budget", str(budget)]
    assert run([*arguments, "--json"]) == 5
    report = json.loads(capsys.readouterr().out)
    assert report["files"]["cpu.fp32"].startswith("model")
    assert run(arguments) == 5
    told = capsys.readouterr().out
    assert "metric_drop" not in told
    assert "1 line was not asked" in told
    assert report["files"]["cpu.fp32"] in told
    assert run([*arguments, "-v"]) == 5
    assert "metric_drop" in capsys.readouterr().out

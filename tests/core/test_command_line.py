from __future__ import annotations

import shlex

import pytest

from glp_export.core.command_line import command_line


def test_a_shell_takes_it_as_it_was_given() -> None:
    given = ["prune-and-export", "-m", "a model", "--dataset", "it's"]
    assert shlex.split(command_line(given)) == ["glp-export", *given]


@pytest.mark.parametrize("given", [["--token", "hf_secret"], ["--token=hf_secret"]])
def test_a_token_is_nobody_elses_business(given: list[str]) -> None:
    shown = command_line(["search", *given, "--depth", "3"])
    assert "hf_secret" not in shown
    assert shown.endswith("--depth 3")

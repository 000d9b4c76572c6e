"""Which runtimes a run measures in beside ONNX Runtime."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from glp_export.cli.app import run
from glp_export.core.errors import DeviceError, UsageError
from glp_export.workflows.checks import wanted_runtimes


@pytest.fixture
def openvino_there(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Says whether openvino is installed."""

    def say(there: bool) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: name if there else None)

    return say


def test_auto_takes_what_is_there_and_runs_on_the_device(openvino_there):
    openvino_there(True)
    assert wanted_runtimes(("auto",), "cpu") == (("openvino",), False)
    assert wanted_runtimes(("auto",), "cuda") == ((), False)
    openvino_there(False)
    assert wanted_runtimes(("auto",), "cpu") == ((), False)


def test_what_is_named_has_to_be_there(openvino_there):
    openvino_there(True)
    assert wanted_runtimes(("onnxruntime",), "cpu") == ((), True)
    assert wanted_runtimes(("onnxruntime", "openvino"), "cpu") == (("openvino",), True)
    with pytest.raises(UsageError, match="cuda"):
        wanted_runtimes(("openvino",), "cuda")
    for wrong in (("openvin",), ("auto", "openvino")):
        with pytest.raises(UsageError):
            wanted_runtimes(wrong, "cpu")
    openvino_there(False)
    with pytest.raises(DeviceError) as caught:
        wanted_runtimes(("openvino",), "cpu")
    assert caught.value.exit_code == 6
    assert "pip install" in str(caught.value.fix)


def test_the_command_ends_with_exit_6(openvino_there, classifier, capsys):
    openvino_there(False)
    assert run(["benchmark", str(classifier), "--runtime", "openvino", "-q"]) == 6
    assert "pip install" in capsys.readouterr().err

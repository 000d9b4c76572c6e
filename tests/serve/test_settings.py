from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from glp_export.core.errors import ModelError
from glp_export.serve.settings import SETTINGS, Settings, read_settings

GOOD: dict[str, Any] = {
    "schema_version": 1,
    "provider": "CPUExecutionProvider",
    "threads": 2,
    "graph_level": "all",
    "session_config": {"session.intra_op.allow_spinning": "0"},
    "shapes": {"max_length": 128, "pad_to_multiple_of": None},
    "files": [{"name": "model.onnx", "variant": "fp32", "precision": "fp32"}],
    "providers": {},
}


def write(root: Path, content: Any) -> Path:
    (root / SETTINGS).write_text(json.dumps(content))
    return root


def test_what_is_not_said_is_the_default(tmp_path: Path) -> None:
    assert read_settings(tmp_path) == Settings()
    assert read_settings(write(tmp_path, {"opset": 14})) == Settings()  # optimum's own


def test_what_is_said_and_more(tmp_path: Path) -> None:
    settings = read_settings(write(tmp_path, {"serving": {**GOOD, "kind": "text-classification"}}))
    assert (settings.threads, settings.max_length) == (2, 128)
    assert settings.session_config == {"session.intra_op.allow_spinning": "0"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema_version": 2}, "version 2"),
        ({"shapes": {}}, "max_length"),
        ({"files": [{"name": "../model.onnx", "variant": "a", "precision": "b"}]}, "no name"),
        ({"providers": []}, "cannot be read"),
        ({"provider": None}, "provider is None"),
        ({"threads": "2"}, "threads is '2'"),
        ({"threads": 0}, "less than 1"),
        ({"graph_level": []}, "no str"),
        ({"session_config": {"a": 1}}, "a is 1"),
        ({"shapes": {"max_length": True, "pad_to_multiple_of": None}}, "max_length is True"),
        ({"shapes": {"max_length": 0, "pad_to_multiple_of": None}}, "less than 1"),
        ({"shapes": {"max_length": 8, "pad_to_multiple_of": "8"}}, "pad_to_multiple_of is"),
        ({"kind": ["regression"]}, "no str"),
        ({"text_pair": "yes"}, "no bool"),
        ({"shapes": {**GOOD["shapes"], "pads": "no"}}, "no bool"),
        ({"runtime": 3}, "runtime is 3"),
    ],
)
def test_broken_settings_are_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        read_settings(write(tmp_path, {"serving": {**GOOD, "kind": "regression", **changes}}))
    assert SETTINGS in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 5000 + "]" * 5000])
def test_no_json(tmp_path: Path, text: str) -> None:
    (tmp_path / SETTINGS).write_text(text)
    with pytest.raises(ModelError, match="cannot be read"):
        read_settings(tmp_path)

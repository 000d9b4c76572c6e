"""Every setting is a typed keyword argument of the functions that take it."""

from __future__ import annotations

import inspect

import pytest

import glp_export
from glp_export.config import make_keywords
from glp_export.config.run_config import fields
from glp_export.core.errors import UsageError


def test_the_file_is_what_the_settings_make():
    text = make_keywords.FILE.read_text(encoding="utf-8")
    assert text == make_keywords.keywords_text(), "python -m glp_export.config.make_keywords"


def test_a_run_has_an_argument_for_every_setting():
    known = inspect.signature(glp_export.prune_and_export).parameters
    for name, _, _ in fields():
        assert known[name].kind is inspect.Parameter.KEYWORD_ONLY
        assert known[name].annotation.endswith("| None")


@pytest.mark.parametrize("name", ["compress", "gate", "report"])
def test_a_function_that_is_called_like_a_room_can_be_called_and_completed(name):
    __import__(f"glp_export.{name}")
    function = getattr(glp_export, name)
    assert callable(function)
    assert inspect.signature(function).parameters
    assert name in dir(glp_export)


def test_a_misspelt_setting_is_named():
    with pytest.raises(UsageError, match="depht"):
        glp_export.prune_and_export(model="m", dataset="d", depht=3, output="out")
    with pytest.raises(AttributeError):
        glp_export.no_such_function  # noqa: B018

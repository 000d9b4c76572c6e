"""The record of consumers, its page and the tests agree. Runs without any consumer."""

from __future__ import annotations

import re
from pathlib import Path

from tests.consumers.record import PAGE, Consumers, Passed

HERE = Path(__file__).parent
NO_CONSUMER = (Path(__file__).name, "test_wheel.py")
"""The record's own tests, and those of the package as it is installed."""


def written() -> set[str]:
    """Every test of a consumer, without its parameters."""
    return {
        f"tests/consumers/{path.name}::{name}"
        for path in HERE.glob("test_*.py")
        if path.name not in NO_CONSUMER
        for name in re.findall(r"^def (test_\w+)", path.read_text(), flags=re.MULTILINE)
    }


def test_the_page_is_made_of_the_record():
    assert PAGE.read_text(encoding="utf-8") == Consumers.load().page()


def test_every_test_of_a_consumer_has_passed_and_is_still_there():
    assert {one.test.partition("[")[0] for one in Consumers.load().passed} == written()


def test_what_fails_leaves_the_record_and_what_was_not_run_stays():
    first, second = (
        Passed(test=name, consumer="it", check="it loads", versions={"it": "1.0"})
        for name in ("a::test_one", "b::test_two")
    )
    kept = Consumers(passed=(first, second)).updated([], ["a::test_one"])
    assert kept.passed == (second,)
    newer = second.model_copy(update={"versions": {"it": "2.0"}})
    (row,) = kept.updated([newer], []).passed
    assert row.versions == {"it": "2.0"}
    assert "| it | it 2.0 | it loads |" in kept.updated([newer], []).page()

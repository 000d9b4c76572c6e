"""Which consumers passed which test with which versions: `docs/consumers.json`, and its table."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from glp_export.core.records import Record

DOCS = Path(__file__).parents[2] / "docs"
RECORD, PAGE = DOCS / "consumers.json", DOCS / "consumers.md"

_HEAD = """\
# What loads an artifact

Each line is a test in [tests/consumers/](../tests/consumers) that ran the consumer itself, in an
environment of its own, on an artifact that `glp-export prune-and-export` had made. `make
test-consumers` runs them and writes this page from [consumers.json](consumers.json); nothing in it
is written by hand. Where the version is one of *rules*, the consumer was not run: the rules by
which it loads a directory are the test, and the version names their source.

| consumer | passed with | what was checked |
|---|---|---|
"""


class Passed(Record):
    """A test that a consumer passed.

    Attributes:
        test: file and name.
        consumer: as its users call it.
        check: what was seen to hold.
        versions: by package.
    """

    test: str
    consumer: str
    check: str
    versions: dict[str, str]


class Consumers(Record):
    """Everything that passed when it was last run."""

    schema_version: Literal[1] = 1
    passed: tuple[Passed, ...] = ()

    @classmethod
    def load(cls, path: Path = RECORD) -> Consumers:
        """What was recorded so far."""
        if not path.is_file():
            return cls()
        return cls.read(path, what="the record of consumers", fix="run make test-consumers")

    def updated(self, passed: Iterable[Passed], failed: Iterable[str]) -> Consumers:
        """With what passed now, and without the tests that failed; others stay as they were."""
        gone = set(failed)
        rows = {one.test: one for one in (*self.passed, *passed) if one.test not in gone}
        return Consumers(passed=tuple(rows[test] for test in sorted(rows)))

    def save(self) -> None:
        """Write the record and its page."""
        DOCS.mkdir(exist_ok=True)
        RECORD.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        PAGE.write_text(self.page(), encoding="utf-8")

    def page(self) -> str:
        """The record as a page for readers."""
        rows: dict[tuple[str, str], list[str]] = {}
        for one in sorted(self.passed, key=lambda one: (one.consumer.lower(), one.test)):
            versions = ", ".join(f"{name} {version}" for name, version in one.versions.items())
            rows.setdefault((one.consumer, versions), []).append(one.check)
        return _HEAD + "".join(
            f"| {consumer} | {versions} | {'<br>'.join(dict.fromkeys(checks))} |\n"
            for (consumer, versions), checks in rows.items()
        )

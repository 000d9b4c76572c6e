"""What the pytest plug-in collects and runs; imported only where a gate was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from glp_export.core.errors import DeviceError, GlpError
from glp_export.core.progress import Progress
from glp_export.gate.budget import Budget, BudgetTable
from glp_export.gate.budget_line import BudgetLine
from glp_export.gate.jobs import check_accuracy, check_integrity, check_size
from glp_export.gate.latency import check_latency, confirm_latency
from glp_export.gate.results import LineResult, measured_words, sentence
from glp_export.gate.sequential import Estimate
from glp_export.gate.session import GateSession, GateSettings
from glp_export.gate.verdicts import estimate_speedup

_PRECISION = 0.02


MARKER = "glp_gate"
"""As in the plug-in: the property of a test that its summary is made from."""


class NotKeptError(Exception):
    """A line of a budget is broken."""


class BudgetFile(pytest.File):
    """A budget, whose lines are tests."""

    artifact: Path

    @classmethod
    def of(cls, parent: pytest.Collector, path: Path, artifact: Path) -> BudgetFile:
        """The budget of an artifact."""
        made: BudgetFile = cls.from_parent(parent, path=path)
        made.artifact = artifact
        return made

    def collect(self) -> Iterator[pytest.Item]:
        """First whether the files are those that were verified, then one test a line."""
        try:
            budget = Budget.load(self.path)
        except GlpError as error:
            raise self.CollectError(str(error)) from error
        yield IntegrityItem.from_parent(self, name="integrity")
        seen: set[str] = set()
        for table in budget.tables:
            for line in table.lines:
                name = f"{table.name}::{line.text}"
                if name not in seen:
                    seen.add(name)
                    yield LineItem.of(self, name, table, line)

    def session_of_gate(self) -> GateSession:
        """The artifact, opened once in this process."""
        opened = self.session.config.stash.setdefault(_SESSIONS, {})
        if self.path not in opened:
            option = self.config.getoption
            against, data = option("--glp-against"), option("--glp-dataset")
            settings = GateSettings(
                budget=self.path,
                against=Path(against) if against else None,
                max_seconds=option("--glp-max-seconds"),
                threads=option("--glp-threads"),
                data={"dataset": data} if data else {},
            )
            session = GateSession(self.artifact, settings, Progress())
            self.session.config.add_cleanup(lambda: session.__exit__(None, None, None))
            opened[self.path] = session
        return opened[self.path]


_SESSIONS = pytest.StashKey[dict[Path, GateSession]]()


class _GateItem(pytest.Item):
    """A test of this plug-in."""

    takes_time = False
    budget: BudgetFile

    def __init__(self, *, parent: BudgetFile, **given: Any) -> None:
        super().__init__(parent=parent, **given)
        self.budget = parent
        self.add_marker("glp_gate")

    def judge(self, session: GateSession) -> list[LineResult]:
        """What is found."""
        raise NotImplementedError

    def runtest(self) -> None:
        """Judge, and fail, skip or pass."""
        with skip_without_provider():
            results = self.judge(self.budget.session_of_gate())
        for result in results:
            self.user_properties.append((MARKER, summary_of(self.budget.artifact.name, result)))
        fails = {"broken"}
        if self.config.getoption("--glp-undecided") == "fail":
            fails.add("undecided")
        said = [sentence(result) for result in results if result.outcome in fails]
        if said:
            raise NotKeptError("\n".join(said))
        for result in results:
            self.user_properties.append(("measured", result.value))
            if result.outcome != "kept":
                pytest.skip(f"{result.outcome}: {result.reason}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The sentence alone: no line of ours would help."""
        if isinstance(excinfo.value, NotKeptError | GlpError):
            return f"{excinfo.value}\n  budget: {self.reportinfo()[2]}"
        return super().repr_failure(excinfo, style)


class IntegrityItem(_GateItem):
    """Whether the files are those that were verified."""

    def judge(self, session: GateSession) -> list[LineResult]:
        """Checksums and parity."""
        return check_integrity(session)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the artifact is."""
        return self.path, 0, f"{self.budget.artifact}: integrity"


class LineItem(_GateItem):
    """One line of a budget."""

    table: BudgetTable
    line: BudgetLine

    @classmethod
    def of(cls, parent: BudgetFile, name: str, table: BudgetTable, line: BudgetLine) -> LineItem:
        """The test of a line."""
        made: LineItem = cls.from_parent(parent, name=name)
        made.table, made.line = table, line
        made.takes_time = line.kind == "latency"
        return made

    def judge(self, session: GateSession) -> list[LineResult]:
        """As the command judges it, each line with a time of its own."""
        reason = session.left_out(self.table, self.line)
        if reason:
            pytest.skip(f"not asked: {reason}")
        if self.line.kind == "size":
            return [check_size(session, self.table, self.line)]
        if self.line.kind == "accuracy":
            return [check_accuracy(session, self.table, self.line)]
        session.side_by_side(self.table)  # building a reference is not measuring
        given: dict[str, Any] = {
            "seconds": session.settings.max_seconds,
            "shared_by": sum(1 for _ in session.lines("latency")),
        }
        found, _ = check_latency(session, self.table, [self.line], **given)
        found, _ = confirm_latency(session, self.table, [self.line], found, **given)
        return found

    def reportinfo(self) -> tuple[Path, int, str]:
        """The line in the budget."""
        number = int(self.line.where.rpartition(" ")[2])
        return self.path, number - 1, f"{self.path.parent.parent.name}: {self.name}"


def summary_of(artifact: str, result: LineResult) -> str:
    """A finding in one line for the end of the session, its outcome first."""
    measured = measured_words(result)
    return f"{result.outcome}: {artifact}: {result.name}{f', {measured}' if measured else ''}"


def measure_ratio(
    artifact: Path,
    against: Path | None,
    *,
    batch_size: int = 1,
    sequence_length: int = 128,
    precision: str = "fp32",
    device: str = "cpu",
    max_seconds: float = 30.0,
    threads: int | None = None,
) -> Estimate:
    """How many times faster an artifact is than another, until it is known to two percent.

    Args:
        artifact: what is asked about.
        against: another artifact; None for the unpruned model, rebuilt.
        batch_size: of the shape.
        sequence_length: in tokens.
        precision: of both files.
        device: `cpu`, `cuda` or `openvino`.
        max_seconds: after which the interval is as wide as it is.
        threads: None for those of the run that made the artifact.

    Raises:
        DeviceError: the provider is not there.
        UsageError: the two cannot be compared.
    """
    settings = GateSettings(against=against, threads=threads)
    with GateSession(artifact, settings, Progress()) as session:
        known = session.tables if session.layout.budget.is_file() else ()
        same = [table for table in known if table.name == f"{device}.{precision}"]
        table = same[0] if same else BudgetTable(device, precision, ())
        shape = (batch_size, sequence_length)
        workload = session.workload(table, shape, "latency_ratio")
        rounds = session.side_by_side(table).rounds(
            workload, warm_up_seconds=min(5.0, 0.2 * max_seconds)
        )
        return estimate_speedup(rounds, seconds=max_seconds, precision=_PRECISION)


@contextmanager
def skip_without_provider() -> Iterator[None]:
    """Skip the test, with the reason, where its execution provider is not there."""
    try:
        yield
    except DeviceError as error:
        pytest.skip(error.what)

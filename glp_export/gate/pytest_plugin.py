"""`pytest --glp-artifact out/trec`: every line of a budget as a test, and a fixture for your own.

pytest loads this file whenever it starts, so nothing of ours is imported before it is needed.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from glp_export.gate.pytest_items import BudgetFile
    from glp_export.gate.sequential import Estimate

Value = TypeVar("Value")

MARKER = "glp_gate"
FIXTURE = "latency_ratio"
_SECONDS = 60.0
_SEVERITY = ("broken", "undecided", "not asked", "kept")
_ANY_TIMING = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the gate."""
    group = parser.getgroup("glp-export", "gate an artifact of glp-export")
    group.addoption(
        "--glp-artifact",
        action="append",
        default=[],
        metavar="DIR",
        help="collect the budget lines of this artifact as tests; may be repeated",
    )
    group.addoption("--glp-against", metavar="DIR", help="compare with this artifact")
    group.addoption("--glp-budget", metavar="FILE", help="read this budget instead")
    group.addoption("--glp-dataset", metavar="DATA", help="judge the accuracy lines on this data")
    group.addoption("--glp-threads", type=_threads, metavar="N", help="threads of ONNX Runtime")
    group.addoption(
        "--glp-max-seconds",
        type=_seconds,
        default=_SECONDS,
        metavar="S",
        help=f"longest time for one latency line (default: {_SECONDS:g})",
    )
    group.addoption(
        "--glp-undecided",
        choices=("skip", "fail"),
        default="skip",
        help="what becomes of a line that could not be decided (default: skip)",
    )


def _threads(given: str) -> int | None:
    from glp_export.core.arguments import threads_of

    return _read(lambda: threads_of(int(given)))


def _seconds(given: str) -> float:
    from glp_export.core.arguments import seconds_of

    return _read(lambda: seconds_of(float(given), "--glp-max-seconds"))


def _read(value: Callable[[], Value]) -> Value:
    """The value of an option, as argparse refuses it.

    Raises:
        ArgumentTypeError: it is none.
    """
    from glp_export.core.errors import UsageError

    try:
        return value()
    except (UsageError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def pytest_configure(config: pytest.Config) -> None:
    """Say what the marker means, and have the budgets collected."""
    config.addinivalue_line(
        "markers", f"{MARKER}: a line of an artifact's budget, from --glp-artifact"
    )
    for path in _budgets(config):
        if str(path) not in config.args:
            config.args.append(str(path))


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> BudgetFile | None:
    """Collect a budget that an artifact was named for."""
    for path, artifact in _budgets(parent.config).items():
        if path == file_path:
            from glp_export.gate.pytest_items import BudgetFile

            return BudgetFile.of(parent, path, artifact)
    return None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep everything that takes time in one worker of pytest-xdist, where it groups tests."""
    timing = [item for item in items if takes_time(item)]
    config.stash[_ANY_TIMING] = bool(timing)
    if config.pluginmanager.hasplugin("xdist"):
        for item in timing:
            item.add_marker(pytest.mark.xdist_group("glp-gate"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Under pytest-xdist, run a timing test while no other test runs in any worker."""
    with _turn(item):
        return (yield)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """End with a line for each line of a budget: kept, broken or undecided, and by how much."""
    lines = [
        str(value)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, value in report.user_properties
        if name == MARKER
    ]
    if not lines:
        return
    found = [line.partition(":")[0] for line in lines]
    counted = ", ".join(f"{found.count(one)} {one}" for one in dict.fromkeys(found))
    terminalreporter.section(f"glp-export gate: {counted}")
    for line in sorted(lines, key=lambda line: _SEVERITY.index(line.partition(":")[0])):
        terminalreporter.line(line)


@pytest.fixture
def latency_ratio(request: pytest.FixtureRequest) -> Callable[..., Estimate]:
    """How many times faster one artifact is than another, measured side by side.

    Call it with `artifact`, `against` (a directory, or None for the unpruned model, rebuilt),
    `batch_size`, `sequence_length` and perhaps `precision`, `device` and `max_seconds`. It gives
    an estimate with `value`, `low`, `high` and `rounds`; its interval is valid at every look.
    """

    def measure(artifact: str | Path, against: str | Path | None = None, **asked: Any) -> Estimate:
        from glp_export.gate.pytest_items import measure_ratio, skip_without_provider

        with skip_without_provider():
            return measure_ratio(
                Path(artifact),
                Path(against) if against else None,
                threads=request.config.getoption("--glp-threads"),
                **asked,
            )

    return measure


def takes_time(item: pytest.Item) -> bool:
    """Whether a test measures latency."""
    return bool(getattr(item, "takes_time", FIXTURE in getattr(item, "fixturenames", ())))


def _budgets(config: pytest.Config) -> dict[Path, Path]:
    """The budgets that are collected, each with its artifact."""
    named = config.getoption("--glp-budget", None)
    start = config.invocation_params.dir
    return {
        (start / (named or Path(artifact) / "glp" / "budget.toml")).resolve(): start / artifact
        for artifact in config.getoption("--glp-artifact", [])
    }


@contextlib.contextmanager
def _turn(item: pytest.Item) -> Iterator[None]:
    """Under xdist: a timing test alone, the others together; elsewhere tests are alone anyway.

    The lock is shared by ordinary tests and held alone by timing ones. Without any timing test,
    and where the system has no such lock, nothing is locked.
    """
    worker = getattr(item.config, "workerinput", None)
    if worker is None or not item.config.stash.get(_ANY_TIMING, False):
        yield
        return
    try:
        import fcntl
    except ImportError:  # Windows: xdist_group with --dist loadgroup is what is left
        yield
        return
    import tempfile

    path = Path(tempfile.gettempdir()) / f"glp-gate-{worker['testrunuid']}.lock"
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX if takes_time(item) else fcntl.LOCK_SH)
        yield

"""The functions and classes of Python, from their signatures and docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import glp_export
from generate.markdown import attributes_of, code, sections_of, summary_of, table
from glp_export.artifact.exporters.base import Exporter
from glp_export.artifact.parity_report import ParityReport
from glp_export.bench.benchmark_file import BenchmarkFile
from glp_export.bench.frontier import Frontier
from glp_export.bench.target_outcome import TargetOutcome
from glp_export.compress.budget import Budget
from glp_export.compress.compressors.base import CompressionEvaluator, Compressor, Found
from glp_export.compress.compressors.layers.strategies.base import Choice, Problem, Strategy
from glp_export.compress.criteria.base import Criterion
from glp_export.compress.plan import Plan
from glp_export.encoder import Family
from glp_export.gate.pytest_plugin import latency_ratio
from glp_export.gate.results import GateReport
from glp_export.gate.sequential import Estimate
from glp_export.serve.answers import Answers
from glp_export.serve.model import ServedModel
from glp_export.tasks.kinds import TaskKind
from glp_export.tasks.metrics import Metric
from glp_export.workflows import python_api as jobs
from glp_export.workflows.compare import Comparison
from glp_export.workflows.compress import Compressed
from glp_export.workflows.export import ExportResult
from glp_export.workflows.prune_and_export import RunResult

JOBS: tuple[Callable[..., Any], ...] = (
    jobs.prune_and_export,
    jobs.export,
    jobs.verify,
    jobs.benchmark,
    jobs.compare,
    jobs.gate,
    jobs.report,
    jobs.compress,
    glp_export.load,
    glp_export.load_torch,
    jobs.progress,
)
RESULTS = (
    RunResult,
    Compressed,
    ExportResult,
    Comparison,
    BenchmarkFile,
    TargetOutcome,
    Frontier,
    Plan,
    ParityReport,
    GateReport,
)
SERVED = (ServedModel, Answers)
EXTENDED = (
    Compressor,
    CompressionEvaluator,
    Found,
    Budget,
    Criterion,
    Strategy,
    Problem,
    Choice,
    TaskKind,
    Metric,
    Exporter,
    Family,
)
_ITEM = re.compile(r"^(\w+): (.*)$")


def functions() -> str:
    """One section a job."""
    return "\n".join(_function(f"glp_export.{one.__name__}", one) for one in JOBS)


def results() -> str:
    """What the jobs return."""
    return "\n".join(_class(one) for one in RESULTS)


def served() -> str:
    """What `load` returns."""
    return "\n".join(_class(one) for one in SERVED)


def gate_fixture() -> str:
    """The fixture of the pytest plug-in, and its result."""
    text = summary_of(latency_ratio)
    return f"### latency_ratio\n\n{text}\n\n{_class(Estimate)}"


def extended() -> str:
    """What a new part implements."""
    return "\n".join(_class(one) for one in EXTENDED)


def _function(name: str, function: Callable[..., Any], level: str = "##") -> str:
    parts = [f"{level} {name}", summary_of(function), f"```python\n{_call(name, function)}\n```"]
    sections = sections_of(function)
    if example := sections.get("Example"):
        parts.append(f"```python\n{_plain(example)}\n```")
    if arguments := dict(_items(sections.get("Args", ""))):
        parts.append(table(("argument", "is"), _rows(arguments)))
    if returns := sections.get("Returns"):
        parts.append(f"Returns: {' '.join(returns.split())}")
    raises = dict(_items(sections.get("Raises", "")))
    if set(raises) - {"GlpError"}:
        parts.append(table(("raises", "where"), _rows(raises)))
    return "\n\n".join(parts) + "\n"


def _call(name: str, function: Callable[..., Any]) -> str:
    """The signature with its own parameters; settings are told by their page."""
    documented = dict(_items(sections_of(function).get("Args", "")))
    own, more = [], ""
    for one in inspect.signature(function).parameters.values():
        if one.name in documented or one.kind is inspect.Parameter.VAR_POSITIONAL:
            own.append(one)
        else:
            more = ", **settings"
    shown = inspect.Signature([one.replace(annotation=inspect.Parameter.empty) for one in own])
    return f"{name}{str(shown)[:-1]}{more})"


def _class(one: type) -> str:
    parts = [f"### {one.__name__}", summary_of(one)]
    if attributes := attributes_of(one):
        parts.append(table(("attribute", "is"), _rows(attributes)))
    elif fields := getattr(one, "model_fields", None):
        rows = [(code(name), field.description or "") for name, field in fields.items()]
        parts.append(table(("field", "is"), rows))
    if members := list(_members(one)):
        parts.append(table(("member", "does"), members))
    return "\n\n".join(part for part in parts if part) + "\n"


def _members(one: type) -> Iterator[tuple[str, str]]:
    for name, value in vars(one).items():
        member = getattr(value, "__func__", value)
        hidden = name.startswith("_") and name != "__call__"
        if hidden or not (inspect.isfunction(member) or isinstance(member, property)):
            continue
        text = summary_of(member).split("\n\n")[0]
        if text:
            yield code(name if isinstance(member, property) else f"{name}()"), text


def _items(section: str) -> Iterator[tuple[str, str]]:
    """Names and texts of a section in Google's style."""
    name, text = "", ""
    for line in inspect.cleandoc(section).splitlines():
        if match := _ITEM.match(line):
            if name:
                yield name, text
            name, text = match[1], match[2]
        elif name:
            text += f" {line.strip()}"
    if name:
        yield name, text


def _rows(items: dict[str, str]) -> list[tuple[str, str]]:
    return [(code(name), text.replace("``", "`")) for name, text in items.items()]


def _plain(example: str) -> str:
    """The program of a session; what it answers is a comment."""
    lines = inspect.cleandoc(example).splitlines()
    return "\n".join(
        line[4:] if line.startswith((">>>", "...")) else f"# {line}" for line in lines if line
    )

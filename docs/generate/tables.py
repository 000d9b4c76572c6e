"""Tables of the package that grow by a row: tasks, metrics, strategies, families."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from dataclasses import fields
from types import ModuleType
from typing import Any

from generate.markdown import attributes_of, code, table
from glp_export.compress.compressors.layers.strategies import STRATEGIES
from glp_export.encoder.families import FAMILIES, REFUSED
from glp_export.tasks import kinds
from glp_export.tasks.glue import GLUE_TASKS
from glp_export.tasks.kinds import KINDS


def tasks() -> str:
    """A section a kind with every plain fact that its row holds, then the tasks of GLUE."""
    parts = [_kind(kind) for kind in KINDS.values()]
    rows = (
        (code(name), task.kind, ", ".join(map(code, task.text_columns)), code(task.metric))
        for name, task in GLUE_TASKS.items()
    )
    head = ("`--task`", "kind", "text columns", "metric")
    return "\n".join([*parts, f"## GLUE\n\n{table(head, rows)}"])


def _kind(kind: Any) -> str:
    meanings = attributes_of(type(kind))
    fitting = [metric.name for metric in kind.metrics if not metric.of_model]
    rows = [
        (code(field.name), code(value), meanings.get(field.name, "").replace("``", "`"))
        for field in fields(kind)
        if isinstance(value := getattr(kind, field.name), str) and field.name != "name"
    ]
    rows.append(("metrics that fit", ", ".join(map(code, fitting)), "for `--metric`"))
    return f"## {kind.name}\n\n{_words_of(kind)}\n\n{table(('', 'value', 'is'), rows)}"


def _words_of(kind: object) -> str:
    """What the file that makes a kind says of it."""
    for found in pkgutil.iter_modules(kinds.__path__, f"{kinds.__name__}."):
        module = importlib.import_module(found.name)
        if any(value is kind for value in vars(module).values()):
            return _first_paragraph(module)
    return ""


def _first_paragraph(module: ModuleType) -> str:
    return (inspect.getdoc(module) or "").split("\n\n")[0]


def metrics() -> str:
    """The metrics, with the kinds of task that they score."""
    found: dict[str, list[str]] = {}
    for kind in KINDS.values():
        for metric in (one for one in kind.metrics if not one.of_model):
            words = f"{kind.name}, two classes" if metric.two_classes else kind.name
            found.setdefault(metric.name, []).append(words)
    rows = ((code(name), "; ".join(sorted(set(whose)))) for name, whose in sorted(found.items()))
    return table(("`--metric`", "kind of task"), rows)


def strategies() -> str:
    """The ways to choose layers."""
    rows = ((code(name), strategy.summary) for name, strategy in STRATEGIES.items())
    return table(("`--search`", "how it chooses"), rows)


def families() -> str:
    """The families whose layers are known by name, and those that are refused."""
    meanings = attributes_of(type(next(iter(FAMILIES.values()))))
    rows = [
        (code(name), code(family.path), ", ".join(map(str, family.pinned)), family.reason)
        for name, family in FAMILIES.items()
    ]
    refused = "".join(f"- `{name}`: {why}.\n" for name, why in REFUSED.items())
    head = ("`model_type`", meanings["path"], meanings["pinned"], "why")
    return f"{table(head, rows)}\n{refused}"

"""The kind of task that the files beside a model's weights name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from glp_export.encoder.model_source import ModelSource, find_file
from glp_export.serve.answers import Head
from glp_export.tasks import KINDS, Task


def kind_of_files(directory: Path) -> str | None:
    """The kind of task that the files beside a model's weights tell; None where none does."""

    def find(name: str) -> Path | None:
        path = directory / name
        return path if path.is_file() else None

    found = (own(find) for kind in KINDS.values() if (own := kind.kind_from_files) is not None)
    return next((name for name in found if name is not None), None)


def mark_kind(config: Path, task: Task) -> None:
    """Let a model's `config.json` say the kind of task, where it does not yet.

    Whether labels exclude one another is read off `problem_type`, which a model may lack.
    """
    content = json.loads(config.read_text(encoding="utf-8"))
    said = {"finetuning_task": task.kind}
    problem = KINDS[task.kind].problem_type
    if problem not in (None, Head.of(content).problem) and not content.get("problem_type"):
        said["problem_type"] = problem
    if any(content.get(name) != value for name, value in said.items()):
        content.update(said)
        config.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def infer_kind(task: Task, source: ModelSource) -> Task:
    """The task as a model answers it, where the model's own files say more than was asked for.

    Raises:
        ModelError: they ask for what cannot be done here.
    """
    kind = KINDS[task.kind]
    if kind.kind_from_files is None:
        return task
    found = kind.kind_from_files(lambda name: find_file(source, name))
    return replace(task, kind=found or task.kind)

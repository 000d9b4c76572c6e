"""Files of a model beside its weights, and what they say of the kind of task."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from glp_export.encoder.checkpoint import ModelSource, explained
from glp_export.tasks import KINDS, Task


def find_file(source: ModelSource, name: str) -> Path | None:
    """Where a file of a model lies, fetched if need be; None where it has none of that name.

    Raises:
        ModelError: it cannot be fetched.
    """
    from transformers.utils import cached_file

    arguments = source.arguments()
    arguments.pop("trust_remote_code")
    with explained(source, name):
        found = cached_file(
            source.location,
            name,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=not source.offline,
            **arguments,
        )
    return None if found is None else Path(found)


def settle_kind(task: Task, source: ModelSource) -> Task:
    """The task as a model answers it, where the model's own files say more than was asked for.

    Raises:
        ModelError: they ask for what cannot be done here.
    """
    settle = KINDS[task.kind].settle
    return task if settle is None else replace(task, kind=settle(lambda n: find_file(source, n)))

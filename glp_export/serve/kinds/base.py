"""What serving has to know of a kind of task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glp_export.serve.model import ServedModel


@dataclass(frozen=True)
class ServedKind:
    """How a kind of task is asked and what it answers.

    Attributes:
        head: how the names of its models' classes end, `ForSequenceClassification`.
        outputs: of the graph that its answers are made of.
        of_texts: whether the graph gives one row of numbers for a whole text.
        answer: from an opened model, what it is asked and perhaps second texts, to its answers.
    """

    head: str
    outputs: tuple[str, ...]
    answer: Callable[[ServedModel, Any, Any], Any]
    of_texts: bool = False

"""What training leaves of a contender, for export, benchmark and report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.bench import ContenderName
from glp_export.core.numbers import layers_in_words
from glp_export.encoder.structure import Structure, read_structure
from glp_export.tasks import encode
from glp_export.workflows.context import RunContext

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Trained:
    """A contender after its final training.

    Attributes:
        contender: `unpruned`, `pruned` or `distilled`.
        origin: the model that it comes from, for people.
        test: the test set, encoded by its own tokenizer.
        other_tests: further test sets, likewise, by name.
    """

    contender: ContenderName
    origin: str
    checkpoint: Path
    tokenizer: PreTrainedTokenizerBase
    test: Dataset
    other_tests: Mapping[str, Dataset] = field(default_factory=dict)

    @cached_property
    def structure(self) -> Structure | None:
        """What its checkpoint says of its heads and neurons; None without a record."""
        return read_structure(self.checkpoint)

    @cached_property
    def layers(self) -> int:
        """How many it has; read from its checkpoint."""
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(self.checkpoint, local_files_only=True)
        return int(config.num_hidden_layers)

    @property
    def named(self) -> dict[str, Any]:
        """What tells it from other models in the rows of benchmark.json."""
        if self.structure is None:
            return {"layers": self.layers}
        return {
            "layers": self.layers,
            "plan_id": self.structure.plan_id,
            "rival_of": self.structure.rival_of,
            "model_shape": self.structure.model_shape,
        }

    @property
    def label(self) -> str:
        """What tells it from the others: `pruned, 6 layers`."""
        shape = self.structure and self.structure.model_shape
        model = shape.label() if shape else layers_in_words(self.layers)
        return f"{self.contender}, {model}"


def trained_contender(
    context: RunContext,
    contender: ContenderName,
    origin: str,
    checkpoint: Path,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> Trained:
    """A contender with the test sets as its tokenizer cuts them; by default as the run's does."""
    own = tokenizer or context.tokenizer
    length = min(context.config.data.max_length, own.model_max_length)

    def encoded(rows: Dataset) -> Dataset:
        return encode(rows, context.data.task, own, length)

    others = {name: encoded(rows) for name, rows in context.data.other_tests.items()}
    test = context.test if own is context.tokenizer else encoded(context.data.test)
    return Trained(contender, origin, checkpoint, own, test, others)

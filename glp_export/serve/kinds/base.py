"""What serving has to know of a kind of task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from tokenizers import Encoding

    from glp_export.serve.answers import Head
    from glp_export.serve.text import TextEncoder


class Opened(Protocol):
    """What a kind asks an opened model for; `ServedModel` has it."""

    @property
    def head(self) -> Head:
        """What its outputs stand for."""

    @property
    def encoder(self) -> TextEncoder:
        """Makes batches of texts."""

    @property
    def width(self) -> int:
        """Of the hidden states, 0 where the configuration does not tell it."""

    def logits(
        self, texts: Any, text_pairs: str | Iterable[str] | None = None
    ) -> NDArray[np.float32]:
        """Logits ``(texts, outputs)`` float32 in the order of the texts."""

    def of_tokens(self, encoded: Sequence[Encoding]) -> list[list[NDArray[np.float32]]]:
        """Every output for the tokens of each row, without padding, in the order of the rows."""


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
    answer: Callable[[Opened, Any, Any], Any]
    of_texts: bool = False

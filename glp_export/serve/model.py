"""An artifact opened for use: texts in, answers out, without PyTorch and without transformers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.core.errors import DataError, UsageError
from glp_export.core.notebook import facts_html
from glp_export.serve.answers import Head
from glp_export.serve.graph import Graph, batches_of
from glp_export.serve.kinds import ServedKind
from glp_export.serve.rows import Row, as_rows
from glp_export.serve.settings import ONNX_RUNTIME
from glp_export.serve.text import TextEncoder

if TYPE_CHECKING:
    from tokenizers import Encoding

CPU_BATCH_TOKENS = 512
"""Tokens of a batch on a CPU. More rows gain nothing there and are padded more: 64 texts of 4 to 40
words take 1.3 to 1.7 times as long in batches of 4096 tokens (benchmarks/serving_overhead.py)."""

BATCH_TOKENS = 8192
"""Tokens of a batch elsewhere, where many rows are needed to keep the device busy."""

_WINDOW = 4096
"""Rows that are cut into tokens together, so that a long list needs no more memory."""

Texts = str | Iterable[str] | Iterable[tuple[str, str]]


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A model, ready to answer. Threads may share it.

    Attributes:
        path: the ONNX file that it runs.
        variant: its variant.
        precision: of its arithmetic.
        provider: full name of the execution provider that it runs on.
        threads: intra-op threads.
        kind: how it is asked and what it answers.
        head: what its outputs stand for.
        encoder: makes batches of texts.
        graph: the opened file.
        batch_tokens: tokens of a batch at most, padding included.
        reopen: opens the same file in the same way.
        width: of the hidden states, where the configuration tells it.
        reads_pairs: whether it was trained on pairs of texts; None where nothing says it.
        runtime: that runs it, `onnxruntime` or `openvino`.
        pads: whether rows of several lengths are padded to one; some models answer otherwise then.
    """

    path: Path
    variant: str
    precision: str
    provider: str
    threads: int
    kind: ServedKind
    head: Head
    encoder: TextEncoder
    graph: Graph
    batch_tokens: int
    reopen: Callable[[], ServedModel]
    width: int = 0
    reads_pairs: bool | None = None
    runtime: str = ONNX_RUNTIME
    pads: bool = True

    def __repr__(self) -> str:
        threads = f"{self.threads} thread{'s' * (self.threads != 1)}"
        return (
            f"ServedModel({self.path.parent.parent}: {self.path.name}, {self.precision}, "
            f"{self._place}, {threads})"
        )

    @property
    def _place(self) -> str:
        """What runs it, where that is not ONNX Runtime, and on which provider."""
        return self.provider if self.runtime == ONNX_RUNTIME else f"{self.runtime}, {self.provider}"

    def _repr_html_(self) -> str:
        facts = {
            "artifact": self.path.parent.parent,
            "file": self.path.name,
            "precision": self.precision,
            "labels": ", ".join(self.head.names[:8]),
            "provider": self._place,
            "threads": self.threads,
        }
        return facts_html("served model", facts)

    def __reduce__(self) -> tuple[Any, ...]:
        """A pickle, and a copy, is the artifact's path and how it was opened: it is opened anew.

        A session does not travel; the files have to be where it arrives.
        """
        return self.reopen, ()

    def __call__(self, texts: Any, text_pairs: str | Iterable[str] | None = None) -> Any:
        """Answer a text, texts, or pairs of texts.

        Args:
            texts: a text; or several; or pairs of them. Longer ones are truncated to the length
                that the model was trained with. A model that labels words takes lists of words
                as well.
            text_pairs: the second text of each row, where `texts` are the first ones.

        Returns:
            `Answers` of a model that labels or scores texts, `TaggedWords` of one that labels
            words, `FoundAnswers` of one that is asked questions on documents; of one that makes
            embeddings a float32 array ``(texts, width)`` of vectors of length 1.

        Raises:
            DataError: a row that is no text and no pair of texts.
        """
        return self.kind.answer(self, texts, text_pairs)

    def logits(
        self, texts: Texts, text_pairs: str | Iterable[str] | None = None
    ) -> NDArray[np.float32]:
        """Logits ``(texts, outputs)`` float32 in the order of the texts; see `__call__`.

        Raises:
            DataError: as of `__call__`.
            UsageError: the model has none of whole texts.
        """
        if not self.kind.of_texts:
            raise UsageError(
                "this model does not answer with logits of whole texts",
                fix="call the model itself: model(texts)",
            )
        rows = as_rows(texts, text_pairs)
        self._require_pairs(rows)
        if not rows:
            return np.empty((0, self.head.outputs), dtype=np.float32)
        windows = range(0, len(rows), _WINDOW)
        return np.concatenate([self._window(rows[start : start + _WINDOW]) for start in windows])

    def _require_pairs(self, rows: Sequence[Row]) -> None:
        """Refuse single texts where the model was trained on pairs, and pairs where it was not.

        It would answer anything; and two texts in a list of their own are seldom meant as a pair.
        """
        if self.reads_pairs is None:
            return
        for number, row in enumerate(rows):
            if isinstance(row, str) is not self.reads_pairs:
                continue
            raise DataError(
                f"this model reads pairs of texts, and one text came alone: {row!r:.80}"
                if self.reads_pairs
                else f"this model reads single texts, and a pair came: {row!r:.80}",
                where=f"row {number}, counted from 0",
                fix="model(first_texts, second_texts), or model([(first, second), …])"
                if self.reads_pairs
                else "give a flat list: model([first, second]) answers for each",
            )

    def of_tokens(self, encoded: Sequence[Encoding]) -> list[list[NDArray[np.float32]]]:
        """Every output for the tokens of each row, without padding, in the order of the rows."""
        found: list[list[NDArray[np.float32]]] = [[] for _ in encoded]
        for batch in self._batches(encoded):
            padded = self.encoder.pad([encoded[row] for row in batch])
            outputs = self.graph.run_all(padded)
            for place, row in enumerate(batch):
                there = padded["attention_mask"][place].astype(bool)
                found[row] = [output[place][there] for output in outputs]
        return found

    def _batches(self, encoded: Sequence[Encoding]) -> list[NDArray[Any]]:
        return batches_of([len(one) for one in encoded], self.batch_tokens, padded=self.pads)

    def _window(self, rows: Sequence[Row]) -> NDArray[np.float32]:
        encoded = self.encoder.encode(rows)
        order = self._batches(encoded)
        logits = [
            self.graph.run(self.encoder.pad([encoded[row] for row in batch])) for batch in order
        ]
        gathered = np.concatenate(logits)
        restored = np.empty_like(gathered)
        restored[np.concatenate(order)] = gathered
        return restored

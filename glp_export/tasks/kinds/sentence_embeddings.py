"""A vector for a text, so that texts of like meaning have vectors of like direction.

The model that is given is the teacher: a student learns to make its vectors, from texts alone.
Pairs of texts with a similarity are there to score with. A text is one encoded row, so a pair is
two of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.core.errors import ModelError
from glp_export.serve.pooling import FIRST, MEAN, POOLINGS, said_pooling, unit
from glp_export.tasks.kinds.base import (
    Batch,
    FindFile,
    Outputs,
    TaskKind,
    encode_text,
    standardise,
    value_type,
)
from glp_export.tasks.kinds.regression import read_numbers, tenths
from glp_export.tasks.kinds.sentence_transformers import write_files
from glp_export.tasks.metrics import NUMBER_METRICS

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

NAMES = {MEAN: "sentence-embeddings", FIRST: "sentence-embeddings-cls"}
"""By pooling: what vectors are made of is the kind's, since everything that reads them asks it."""


@dataclass(frozen=True)
class Pairs:
    """Encoded texts of which some are pairs with a similarity.

    Attributes:
        rows: how many texts there are.
        firsts: (pairs,): the first text of each pair.
        seconds: (pairs,): its second.
        similarities: (pairs,): how much alike they are, on a scale of any kind.
    """

    rows: int
    firsts: NDArray[np.int64]
    seconds: NDArray[np.int64]
    similarities: NDArray[np.float64]

    def __len__(self) -> int:
        return self.rows


def _encode(
    batch: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> dict[str, Any]:
    """Every text alone; a row without a second text is one encoded row."""
    seconds = batch.get("text_pair") or [None] * len(batch["text"])
    columns = zip(batch["row"], batch["label"], batch["text"], seconds, strict=True)
    texts = [
        (row, label, text) for row, label, *pair in columns for text in pair if text is not None
    ]
    rows, labels, alone = zip(*texts, strict=True)
    encoding = encode_text({"text": list(alone)}, tokenizer, max_length)
    return {**encoding, "row": list(rows), "similarity": np.asarray(labels, dtype=np.float64)}


def _truth(rows: Dataset, labels: Sequence[str]) -> Pairs:
    """Which texts are pairs: those that came of one row of the data."""
    examples = np.asarray(rows["row"][:], dtype=np.int64)
    order = np.argsort(examples, kind="stable")
    same = np.flatnonzero(examples[order][1:] == examples[order][:-1])
    firsts, seconds = order[same], order[same + 1]
    similarities = np.asarray(rows["similarity"][:], dtype=np.float64)
    return Pairs(len(rows), firsts, seconds, similarities[firsts])


def _judge(answers: NDArray[Any], truth: Pairs) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """The cosine of every pair, to the digits that float32 knows.

    Pairs of equal texts have a cosine of 1 but for rounding, which must not put them in an order.
    """
    vectors = np.asarray(answers, dtype=np.float64)
    cosines = (vectors[truth.firsts] * vectors[truth.seconds]).sum(axis=1)
    return np.round(cosines, 6), truth.similarities


def _scaled(answers: NDArray[Any]) -> NDArray[Any]:
    """Vectors whose numbers are of size 1, as tolerances are made for."""
    return answers * np.float32(np.sqrt(answers.shape[-1]))


def _refit(seen: Any, known: Any, new: Any, wanted: Any) -> NDArray[np.float32]:
    """Squared distance to the teacher's vectors after a ridge regression onto them."""
    from sklearn.linear_model import Ridge

    (_, before), (_, after) = known, wanted
    seen, new = standardise(seen, new)
    head = Ridge(alpha=seen.shape[1]).fit(seen, before)
    return np.asarray(((head.predict(new) - after) ** 2).sum(axis=1), dtype=np.float32)


def _mean_of(states: Tensor, mask: Tensor) -> Tensor:
    there = mask.unsqueeze(-1).to(states.dtype)
    return (states * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)


def _first_of(states: Tensor, mask: Tensor) -> Tensor:
    import torch

    return states[torch.arange(len(states), device=states.device), mask.long().argmax(dim=1)]


def _imitation(
    pool: Callable[[Tensor, Tensor], Tensor],
) -> Callable[[Any, Tensor, Mapping[str, Any], float], Tensor]:
    def imitate(
        outputs: Any, teacher: Tensor, batch: Mapping[str, Any], temperature: float
    ) -> Tensor:
        """Mean squared distance of unit vectors: twice one less the cosine. No temperature."""
        from torch.nn.functional import normalize

        own = normalize(pool(outputs.last_hidden_state, batch["attention_mask"]), dim=-1)
        if own.shape != teacher.shape:
            raise ModelError(
                f"The student's embeddings are {own.shape[-1]} wide, the teacher's "
                f"{teacher.shape[-1]}.",
                fix="give a student that is as wide as the model that it imitates",
            )
        return ((own - teacher) ** 2).sum(dim=-1).mean()

    return imitate


def _reading(pooling: str) -> Callable[[Outputs, Batch], NDArray[np.float32]]:
    pool = POOLINGS[pooling]

    def read(outputs: Outputs, batch: Batch) -> NDArray[np.float32]:
        """The unit vector of every text, (batch, width)."""
        return unit(pool(outputs["last_hidden_state"], np.asarray(batch["attention_mask"])))

    return read


def _kind_from_files(find: FindFile) -> str | None:
    """By the pooling that the model's sentence-transformers files ask for."""
    pooling = said_pooling(find)
    return None if pooling is None else NAMES[pooling]


_MEAN = TaskKind(
    name=NAMES[MEAN],
    auto_class="AutoModel",
    export_task="feature-extraction",
    ort_class="ORTModelForFeatureExtraction",
    hub_task="sentence-similarity",
    problem_type=None,
    metrics=tuple(replace(metric, kind=NAMES[MEAN]) for metric in reversed(NUMBER_METRICS)),
    default_metric="spearman",
    label_feature=lambda: value_type("float64"),
    recognises=lambda column: False,
    reader=read_numbers,
    strata=tenths,
    pairs=True,
    encode=_encode,
    targets=(),
    outputs=("last_hidden_state",),
    read=_reading(MEAN),
    truth=_truth,
    count=lambda truth: len(truth.similarities),
    judge=_judge,
    loss=None,
    imitation=_imitation(_mean_of),
    refit=_refit,
    refit_to_teacher=True,
    numbers=_scaled,
    kind_from_files=_kind_from_files,
    extra_files=lambda directory, max_length, find: write_files(directory, MEAN, max_length, find),
    named=False,
    fits_head=False,
    asked=True,
    blank=True,
    lone=True,
)

MEAN_EMBEDDINGS = _MEAN
FIRST_EMBEDDINGS = replace(
    _MEAN,
    name=NAMES[FIRST],
    metrics=tuple(replace(metric, kind=NAMES[FIRST]) for metric in _MEAN.metrics),
    read=_reading(FIRST),
    imitation=_imitation(_first_of),
    kind_from_files=None,
    extra_files=lambda directory, max_length, find: write_files(directory, FIRST, max_length, find),
)

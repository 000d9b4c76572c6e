"""Tokens that are hidden in a text: what an encoder is pretrained on, before it has any task.

A vocabulary is wide, so of every token's distribution the likeliest few are kept: they say what
the model would fill in, and they are what a student imitates (with all others as one more
outcome). That is as much memory as a tagger of sixteen tags needs.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.core.errors import DataError, ModelError
from glp_export.tasks.kinds.base import (
    NO_LABEL,
    Batch,
    Choices,
    Columns,
    LabelColumn,
    Outputs,
    TaskKind,
    standardise,
    value_type,
)
from glp_export.tasks.kinds.filling_metrics import FILLING_METRICS, NAME
from glp_export.tasks.kinds.units import labelled_tokens, of_tokens

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from glp_export.tasks.raw import RawSplit

KEPT = 8
"""Likeliest tokens of a place, whose log-probabilities and ids are an answer."""

MASKED = 0.15
"""Share of a text's tokens that are hidden (Devlin et al. 2019, section 3.1)."""

_SKETCH = 64
"""Numbers that stand for a distribution over the vocabulary when evidence is weighed."""


@dataclass(frozen=True)
class NoReader:
    """Texts have no labels: what is hidden is of the text itself."""

    labels: tuple[str, ...] = ()

    def targets(self, column: LabelColumn) -> NDArray[np.int64]:
        """Zeros ``(rows,)``."""
        return np.zeros(len(column.values), dtype=np.int64)


@dataclass(frozen=True)
class Hidden:
    """What is hidden in every text.

    Attributes:
        labels: of every token of each text its own id where it is hidden, else `NO_LABEL`.
    """

    labels: list[NDArray[np.int64]]

    def __len__(self) -> int:
        return len(self.labels)

    def of(self, answers: NDArray[Any]) -> list[NDArray[Any]]:
        """Of each text the answers (hidden, width) to its hidden tokens."""
        return [
            own[: len(labels)][labels != NO_LABEL]
            for own, labels in zip(answers, self.labels, strict=True)
        ]

    @property
    def golds(self) -> list[NDArray[np.int64]]:
        """Of each text the ids (hidden,)."""
        return [labels[labels != NO_LABEL] for labels in self.labels]


def _find_text(split: RawSplit, text: Sequence[str], label: str | None) -> Columns | None:
    """The column that is named, the one called ``text``, or the only one that holds text.

    Raises:
        DataError: several are named.
    """
    if len(text) > 1:
        raise DataError(
            f"{NAME} reads one column of text, not {' and '.join(text)}.",
            where=split.source,
            fix="name one with --text-columns",
        )
    features = split.rows.features
    strings = ("string", "large_string")
    texts = [name for name in features if getattr(features[name], "dtype", "") in strings]
    wanted = [name for name in text or ("text",) if name in texts]
    if not wanted and (text or len(texts) != 1):
        return None
    return Columns(((wanted or texts)[0],), "")


def _prepare(tokenizer: PreTrainedTokenizerBase) -> None:
    if tokenizer.mask_token_id is None:
        raise ModelError(
            "The tokenizer has no token that hides others.",
            fix=f"give a model that was pretrained with one; set mask_token to use it for {NAME}",
        )


def _encode(
    batch: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> dict[str, Any]:
    """Every text once, with the same tokens hidden in it always; one without tokens is left out.

    All of them are replaced by the mask, so that a score is of what cannot be read off.
    """
    encoding = tokenizer(
        batch["text"],
        truncation=True,
        max_length=max_length,
        padding=False,
        return_special_tokens_mask=True,
    )
    special = encoding.pop("special_tokens_mask")
    kept = [row for row, own in enumerate(special) if 0 in own]
    made: dict[str, Any] = {
        name: [values[row] for row in kept] for name, values in encoding.items()
    }
    made["labels"] = []
    for row, ids in enumerate(made["input_ids"]):
        labels = [NO_LABEL] * len(ids)
        for place in _hidden(ids, special[kept[row]]):
            labels[place], ids[place] = ids[place], tokenizer.mask_token_id
        made["labels"].append(labels)
    return {**made, "length": [len(ids) for ids in made["input_ids"]]}


def _hidden(ids: Sequence[int], special: Sequence[int]) -> list[int]:
    """Which tokens are hidden: drawn by the text alone, so that every model is asked the same."""
    places = np.flatnonzero(np.asarray(special) == 0)
    generator = np.random.default_rng(zlib.crc32(np.asarray(ids, dtype=np.int64).tobytes()))
    count = max(1, round(MASKED * len(places)))
    return [int(place) for place in np.sort(generator.permutation(places)[:count])]


def _read(outputs: Outputs, batch: Batch) -> NDArray[np.float32]:
    """Of every token the likeliest ids: their log-probabilities, then themselves.

    (batch, length, 2 x kept), the likeliest first. A float32 holds every id below 2**24.
    """
    logits = outputs["logits"]
    kept = min(KEPT, logits.shape[-1])
    made = np.empty((*logits.shape[:2], 2 * kept), dtype=np.float32)
    for row, own in enumerate(logits):  # one row at a time: a copy of all would be large
        ids = np.argpartition(own, -kept, axis=-1)[:, -kept:]
        values = np.take_along_axis(own, ids, axis=-1)
        order = np.argsort(-values, axis=-1, kind="stable")
        highest = values.max(axis=-1, keepdims=True)
        sums = np.exp(own - highest).sum(axis=-1, keepdims=True)
        made[row, :, :kept] = np.take_along_axis(values - highest - np.log(sums), order, axis=-1)
        made[row, :, kept:] = np.take_along_axis(ids, order, axis=-1)
    return of_tokens(made, batch)


def _log_probabilities(answers: NDArray[Any]) -> NDArray[Any]:
    """Sorted, they move no further than the logits did, whichever ids change places."""
    return answers[..., : answers.shape[-1] // 2]


def _ids(answers: NDArray[Any]) -> NDArray[np.int64]:
    return answers[..., answers.shape[-1] // 2 :].astype(np.int64)


def _choices(answers: NDArray[Any], mask: NDArray[Any]) -> Choices:
    """What stands in the place of every token."""
    there = np.arange(answers.shape[1]) < mask.sum(axis=1)[:, None]
    own = answers[there]
    return Choices(_log_probabilities(own), np.nonzero(there)[0], _ids(own))


def _truth(rows: Dataset, labels: Sequence[str]) -> Hidden:
    return Hidden([np.asarray(own, dtype=np.int64) for own in rows["labels"][:]])


def _judge(
    answers: NDArray[Any], truth: Hidden
) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    """Of every text the likeliest ids (hidden, kept), and the right ones."""
    return [_ids(own) for own in truth.of(answers)], truth.golds


def _imitate(outputs: Any, teacher: Tensor, batch: Mapping[str, Any], temperature: float) -> Tensor:
    """Divergence from the teacher's likeliest tokens and the rest as one; no temperature.

    Hidden tokens and the others, which are many and easy, weigh alike (Sanh et al. 2019 train
    DistilBERT on all tokens).
    """
    import torch

    kept = teacher.shape[-1] // 2
    student = torch.log_softmax(outputs.logits, dim=-1)
    own = _with_rest(student.gather(-1, teacher[..., kept:].long()))
    wanted = _with_rest(teacher[..., :kept])
    divergence = (wanted.exp() * (wanted - own)).sum(dim=-1)
    hidden = batch["labels"] != NO_LABEL
    seen = batch["attention_mask"].bool() & ~hidden
    return _mean_over(divergence, hidden) + _mean_over(divergence, seen)


def _with_rest(log_probabilities: Tensor) -> Tensor:
    """With the chance of all other tokens beside them, (…, kept + 1)."""
    import torch

    rest = (1 - log_probabilities.exp().sum(dim=-1, keepdim=True)).clamp(min=1e-6).log()
    return torch.cat([log_probabilities, rest], dim=-1)


def _mean_over(values: Tensor, places: Tensor) -> Tensor:
    counts = places.to(values.dtype)
    return (values * counts).sum() / counts.sum().clamp(min=1)


def _refit(seen: Any, known: Any, new: Any, wanted: Any) -> NDArray[np.float32]:
    """Squared error of a ridge regression onto the teacher's distributions, as sketches.

    A row's loss is the sum over its hidden tokens, over the mean number of them a row.
    """
    from sklearn.linear_model import Ridge

    before, after = (np.concatenate([_sketch(own) for own in t.of(a)]) for t, a in (known, wanted))
    counts = [len(own) for own in new]
    first, second = standardise(np.concatenate(seen), np.concatenate(new))
    head = Ridge(alpha=first.shape[1]).fit(first, before)
    errors = ((head.predict(second) - after) ** 2).sum(axis=1)
    owners = np.repeat(np.arange(len(new)), counts)
    sums = np.bincount(owners, weights=errors, minlength=len(new))
    return np.asarray(sums / np.mean(counts), dtype=np.float32)


def _sketch(answers: NDArray[Any]) -> NDArray[np.float32]:
    """The mean (…, _SKETCH) of random codes of the likeliest tokens, by their probabilities."""
    ids = _ids(answers)
    codes = np.stack([_code(int(one)) for one in ids.reshape(-1)]).reshape(*ids.shape, _SKETCH)
    return np.asarray(
        (np.exp(_log_probabilities(answers))[..., None] * codes).sum(axis=-2), dtype=np.float32
    )


def _code(token: int) -> NDArray[np.float32]:
    return np.random.default_rng(token).standard_normal(_SKETCH, dtype=np.float32) / _SKETCH**0.5


MASKED_LANGUAGE_MODEL = TaskKind(
    name=NAME,
    auto_class="AutoModelForMaskedLM",
    export_task="fill-mask",
    ort_class="ORTModelForMaskedLM",
    hub_task="fill-mask",
    problem_type=None,
    metrics=FILLING_METRICS,
    default_metric="accuracy",
    label_feature=lambda: value_type("int64"),
    columns=_find_text,
    needs="one column of text",
    recognises=lambda column: False,
    reader=lambda column, known: NoReader(),
    strata=lambda targets: np.zeros(len(targets), dtype=np.int64),
    prepare=_prepare,
    encode=_encode,
    read=_read,
    numbers=_log_probabilities,
    batch_size=16,
    truth=_truth,
    judge=_judge,
    choices=_choices,
    imitation=_imitate,
    features=labelled_tokens,
    refit=_refit,
    refit_to_teacher=True,
    named=False,
    fits_head=False,
    asked=True,
    blank=True,
    of_tokens=True,
)

"""How well a passage answers a query: one score a pair, by which passages are put in order.

Rows are a query, a passage and how relevant it is: 0 or 1, or grades. Rows with the same query are
one example, and stay together wherever data is split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.core.errors import DataError
from glp_export.tasks.kinds.base import LabelColumn, TaskKind, encode_with_numbers, value_type
from glp_export.tasks.kinds.learning import imitate_scores
from glp_export.tasks.kinds.ranking_metrics import RANKING_METRICS
from glp_export.tasks.kinds.regression import NumberReader, read_numbers, refit_numbers

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

NAME = "reranking"

_SAID = {"true": 1, "false": 0}
"""Whether a passage is relevant, in the words of JSON and, in another letter case, of Python."""


@dataclass(frozen=True)
class RelevanceReader:
    """Relevances as shares of the highest grade, so that each is a chance of being relevant.

    Attributes:
        highest: grade of the training examples.
    """

    highest: float
    labels: tuple[str, ...] = ()

    def targets(self, column: LabelColumn) -> NDArray[np.float64]:
        """``(rows,) float64``, 0 for a passage that is not relevant at all.

        Raises:
            DataError: a relevance that is missing, no number, or below 0.
        """
        grades = NumberReader().targets(_in_numbers(column))
        if (grades < 0).any():
            row = int((grades < 0).argmax())
            raise DataError(
                f"A relevance is 0 or more; this one is {column.values[row]}.",
                where=column.place(row),
                fix="write 0 for what is not relevant, and larger numbers for what is more so",
            )
        return grades / self.highest


def _in_numbers(column: LabelColumn) -> LabelColumn:
    """1 and 0 for true and false."""
    return replace(column, values=[_SAID.get(str(one).lower(), one) for one in column.values])


def _read_relevances(column: LabelColumn, known: Sequence[str] = ()) -> RelevanceReader:
    """Find the highest grade of the training examples.

    Raises:
        DataError: see `RelevanceReader.targets`, or one relevance for all rows.
    """
    read_numbers(_in_numbers(column))
    reader = RelevanceReader(1.0)
    return RelevanceReader(float(reader.targets(column).max()))


@dataclass(frozen=True)
class Ranking:
    """Passages with what they are ranked by.

    Attributes:
        queries: (rows,): the query of each, as a number from 0.
        relevances: (rows,).
    """

    queries: NDArray[np.int64]
    relevances: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.queries)

    @property
    def lists(self) -> list[NDArray[np.int64]]:
        """The rows of every query that tells a good order from a bad one.

        It takes passages of different relevance: the others score the same in any order.
        """
        stops = np.cumsum(np.bincount(self.queries))[:-1]
        rows = np.split(np.argsort(self.queries, kind="stable"), stops)
        return [own for own in rows if np.ptp(self.relevances[own]) > 0]


def _query_numbers(rows: Dataset) -> NDArray[np.int64]:
    """Rows of one query have one number."""
    _, numbers = np.unique(np.asarray(rows["text"][:], dtype=object), return_inverse=True)
    return np.asarray(numbers, dtype=np.int64)


def _strata(targets: NDArray[Any]) -> NDArray[np.int64]:
    """Of every query, whether its passages differ; where they do not, it only trains."""
    return np.asarray([0 if np.ptp(own) > 0 else -1 for own in targets], dtype=np.int64)


def _encode(
    batch: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> dict[str, Any]:
    return {**encode_with_numbers(batch, tokenizer, max_length), "query": batch["text"]}


def _truth(rows: Dataset, labels: Sequence[str]) -> Ranking:
    _, queries = np.unique(np.asarray(rows["query"][:], dtype=object), return_inverse=True)
    relevances = np.asarray(rows["labels"][:], dtype=np.float64)
    return Ranking(np.asarray(queries, dtype=np.int64), relevances)


def _judge(
    answers: NDArray[Any], truth: Ranking
) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
    """Scores and relevances of every query's passages."""
    scores = np.asarray(answers, dtype=np.float64).reshape(len(answers))
    lists = truth.lists
    return [scores[rows] for rows in lists], [truth.relevances[rows] for rows in lists]


def _loss(outputs: Any, batch: Mapping[str, Any]) -> Tensor:
    """Binary cross-entropy; a grade between is a chance between."""
    from torch.nn.functional import binary_cross_entropy_with_logits

    logits = outputs.logits.squeeze(-1)
    return binary_cross_entropy_with_logits(logits, batch["labels"].to(logits.dtype))


def _refit(seen: Any, known: Ranking, new: Any, wanted: Ranking) -> NDArray[np.float32]:
    return refit_numbers(seen, known.relevances, new, wanted.relevances)


def _require_lists(split: Any, text: Sequence[str], label: str) -> None:
    """Check that passages can be ranked.

    Raises:
        DataError: no query has passages of different relevance.
    """
    queries = split.rows[text[0]][:]
    grades: dict[Any, set[Any]] = {}
    for query, grade in zip(queries, split.rows[label][:], strict=True):
        grades.setdefault(query, set()).add(grade)
    if any(len(own) > 1 for own in grades.values()):
        return
    alone = "has several passages" if len(grades) == len(queries) else "tells passages apart"
    raise DataError(
        f"None of the {len(grades)} queries {alone}, so there is no order to be right or wrong.",
        where=f"{split.source}, columns '{text[0]}' and '{label}'",
        fix="give every query a row for each of several passages, relevant ones and others; the "
        f"query is the first text column: --text-columns QUERY PASSAGE, here {' '.join(text)}",
    )


RERANKING = TaskKind(
    name=NAME,
    auto_class="AutoModelForSequenceClassification",
    export_task="text-classification",
    ort_class="ORTModelForSequenceClassification",
    hub_task="text-ranking",
    problem_type="regression",
    metrics=RANKING_METRICS,
    default_metric="ndcg_at_10",
    label_feature=lambda: value_type("float64"),
    recognises=lambda column: False,
    reader=_read_relevances,
    strata=_strata,
    groups=_query_numbers,
    pairs=True,
    check=_require_lists,
    encode=_encode,
    truth=_truth,
    count=lambda truth: len(truth.lists),
    judge=_judge,
    loss=_loss,
    imitation=imitate_scores,
    refit=_refit,
    named=False,
    asked=True,
)

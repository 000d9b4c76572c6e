"""What a card tells beside plan, benchmark and parity: how the model was made, how it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glp_export.artifact.vocabulary_record import VocabularyRecord
    from glp_export.compress.latency_table import LatencyTable
    from glp_export.encoder.block_sparse_file import BlockSparseRecord
    from glp_export.precision.record import PrecisionEntry
    from glp_export.tasks.task import HubData

UNCHANGED = "unchanged"
"""In place of a way to recover: the pruned model has the weights of the unpruned one."""


@dataclass(frozen=True)
class OtherScore:
    """A model's score on a further test set, such as MNLI's mismatched one.

    Attributes:
        split: the set's name.
        contender: `unpruned`, `pruned` or `distilled`.
        value: the task's metric.
        low: lower end of its 95 % bootstrap interval.
        high: its upper end.
        samples: examples in the set.
        metric: by its name; empty for the task's.
    """

    split: str
    contender: str
    value: float
    low: float
    high: float
    samples: int
    metric: str = ""


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """How the artifact was made and how it is loaded.

    Attributes:
        kind: kind of task, `text-classification` or `regression`.
        labels: in the order of their ids; () for regression.
        max_length: longest input in tokens.
        data: hub id or path of the data.
        data_notes: what makes scores on it doubtful.
        recover: `distill` or `finetune`, of the pruned model; `unchanged` where nothing was to
            be recovered.
        as_is: whether the unpruned model is the one that was given, unchanged.
        epochs: of the final training of every model.
        learning_rate: highest, of that training.
        rates: that were tried for a short time instead, where dev ended the training too.
        bf16: whether training steps were computed in bf16.
        train_examples: that every model was trained on.
        labelled: whether they have labels; else the unpruned model's answers stand for those.
        unlabeled: texts that the others learned its answers to besides.
        origins: contender to what it was made from, in words.
        precisions: the lower ones that were to be made.
        other_scores: on further test sets, where the task has them.
        command: the command line that made the artifact.
        exporter: that wrote the ONNX files.
        opset: of the plain one.
        text_pair: whether the model reads two texts at a time.
        mask_token: what hides a token from the model, empty where nothing is hidden.
        license: identifier for the card's metadata, None if it is not known.
        language: codes likewise.
        hub_data: the data set on the hub that `data` is; None for data of one's own.
        latency_table: that the plan was chosen by; None where none was.
        vocabulary: where tokens went, how many and what that does; None where all are left.
        block_sparse: what a block-sparse file of the weights holds; None without one.
        transfer: what auxiliary tasks were used for, a line each; () where none was named.
    """

    kind: str
    labels: tuple[str, ...]
    max_length: int
    data: str
    recover: str
    epochs: float
    learning_rate: float
    train_examples: int
    labelled: bool = True
    unlabeled: int = 0
    as_is: bool = False
    rates: tuple[float, ...] = ()
    bf16: bool = False
    origins: Mapping[str, str] = field(default_factory=dict)
    precisions: tuple[PrecisionEntry, ...] = ()
    other_scores: tuple[OtherScore, ...] = ()
    command: str = ""
    exporter: str = ""
    opset: int = 0
    text_pair: bool = False
    data_notes: tuple[str, ...] = ()
    mask_token: str = ""
    license: str | None = None
    language: str | list[str] | None = None
    hub_data: HubData | None = None
    latency_table: LatencyTable | None = None
    vocabulary: VocabularyRecord | None = None
    block_sparse: BlockSparseRecord | None = None
    transfer: tuple[str, ...] = ()

"""The nine GLUE tasks: their columns, labels, metrics and splits, as facts.

Columns, label order and split names are those of the hub data set ``nyu-mll/glue``. The metric is
the one that the Greedy-layer Pruning paper (arXiv 2105.14839) reports: F1 where the task has one,
else accuracy, Spearman for STS-B, Matthews for CoLA.
"""

from __future__ import annotations

from dataclasses import dataclass

GLUE_DATASET = "nyu-mll/glue"


@dataclass(frozen=True)
class GlueTask:
    """One GLUE task.

    Attributes:
        config: its configuration in the hub data set.
        text_columns: one or two.
        labels: in the order of their ids, so that F1 scores the class that GLUE calls positive.
        metric: key of ``METRICS``.
        kind: key of ``KINDS``.
        test_splits: names of the split that tests; GLUE's own ``test`` has no labels.
        other_splits: further test sets.
    """

    config: str
    text_columns: tuple[str, ...]
    labels: tuple[str, ...]
    metric: str = "accuracy"
    kind: str = "text-classification"
    test_splits: tuple[str, ...] = ("validation", "dev", "valid")
    other_splits: tuple[str, ...] = ()
    label_column: str = "label"


_ENTAILMENT = ("entailment", "not_entailment")
_SENTENCES = ("sentence1", "sentence2")

GLUE_TASKS: dict[str, GlueTask] = {
    task.config: task
    for task in (
        GlueTask("cola", ("sentence",), ("unacceptable", "acceptable"), "matthews_correlation"),
        GlueTask("sst2", ("sentence",), ("negative", "positive")),
        GlueTask("mrpc", _SENTENCES, ("not_equivalent", "equivalent"), "f1"),
        GlueTask("stsb", _SENTENCES, (), "spearman", "regression"),
        GlueTask("qqp", ("question1", "question2"), ("not_duplicate", "duplicate"), "f1"),
        GlueTask(
            "mnli",
            ("premise", "hypothesis"),
            ("entailment", "neutral", "contradiction"),
            test_splits=("validation_matched", "dev_matched"),
            other_splits=("validation_mismatched", "dev_mismatched"),
        ),
        GlueTask("qnli", ("question", "sentence"), _ENTAILMENT),
        GlueTask("rte", _SENTENCES, _ENTAILMENT),
        GlueTask("wnli", _SENTENCES, ("not_entailment", "entailment")),
    )
}

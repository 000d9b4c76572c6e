"""What a run is given: the model, the task with its rows, and other tasks to learn from."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import model_validator

from glp_export.core.options import NO_LIMIT, Length, Names, Options, Paths, option


class ModelOptions(Options):
    """The model to prune, and where it is fetched from."""

    panel: ClassVar[str] = "Model"

    model: str | None = option(
        None, "Directory or hub id of the encoder; `demo` is the embedded one.", "-m"
    )
    revision: str | None = option(None, "Branch, tag or commit of the model on the hub.")
    cache_dir: str | None = option(None, "Where downloads are kept.")
    token: str | None = option(None, "Token for private models and data on the hub.")
    trust_remote_code: bool = option(False, "Run code that comes with the model.")
    offline: bool = option(False, "No network access.")


class DataOptions(Options):
    """The task, its rows and how they are split."""

    panel: ClassVar[str] = "Task and data"

    task: str | None = option(
        None, "GLUE task (cola, mnli, mrpc, qnli, qqp, rte, sst2, stsb, wnli) or `demo`."
    )
    dataset: str | None = option(None, "Hub id, or directory with train and validation files.")
    dataset_config: str | None = option(None, "Configuration of a hub dataset.")
    train_file: Path | None = option(None, "Training rows: jsonl, csv, tsv or parquet.")
    validation_file: Path | None = option(None, "Validation rows: read once, for the report.")
    unlabeled: Path | None = option(
        None, "More texts, without labels, to distill on: a table, or .txt lines."
    )
    text_columns: Names | None = option(None, "One or two text columns.")
    label_column: str | None = option(None, "The label's column.")
    kind: str | None = option(None, "Kind of task, where it does not follow from the data.")
    metric: str | None = option(
        None,
        "Metric, or your own as module:function (docs/howto/own-metric.md). Default: the task's.",
    )
    max_length: Length = option(
        NO_LIMIT,
        "Longest input in tokens, longer ones are cut; auto: what tokenizer and model take.",
        words=("auto",),
        gt=2,
    )
    dev_fraction: float = option(
        0.15,
        "Share of the training rows that is held out as dev, on which choices are made.",
        former=("select_fraction",),
        gt=0,
        lt=1,
    )
    max_train_samples: int | None = option(None, "Use at most this many training rows.", gt=0)
    max_dev_samples: int | None = option(
        None, "Score candidates on at most this many rows.", former=("max_select_samples",), gt=0
    )
    max_test_samples: int | None = option(None, "Test on at most this many rows.", gt=0)


TRANSFERS = ("before", "joint", "structure", "recovery")
"""What auxiliary tasks are used for; `auto` decides about the first."""


class AuxiliaryOptions(Options):
    """Other tasks to learn from where the task has little data of its own."""

    panel: ClassVar[str] = "Auxiliary tasks"

    auxiliary: Paths | None = option(
        None,
        "Another task to learn from, of any kind: a directory with a train file, a file of rows "
        "with labels, or a hub id.",
    )
    transfer: Names = option(
        ("auto",),
        "What it is used for: before (the unpruned model learns it first), joint (beside its "
        "training), structure (its texts are calibration texts), recovery (beside that of pruned "
        "models), or auto: before, where cross-validation on train favours it.",
    )
    auxiliary_weight: float = option(0.3, "Weight of auxiliary losses in joint and recovery.", gt=0)
    max_auxiliary_samples: int = option(
        5000, "Use at most this many rows of each auxiliary task.", gt=1
    )

    @model_validator(mode="after")
    def _has_tasks(self) -> AuxiliaryOptions:
        unknown = [name for name in self.transfer if name not in ("auto", *TRANSFERS)]
        if unknown or not self.transfer:
            named = f"there is no --transfer {unknown[0]}" if unknown else "--transfer needs a name"
            raise ValueError(f"{named}; choose from auto, {', '.join(TRANSFERS)}")
        if "auto" in self.transfer and len(self.transfer) > 1:
            raise ValueError("--transfer auto stands alone")
        if self.auxiliary is None and self.transfer != ("auto",):
            raise ValueError("--transfer goes with --auxiliary")
        for name in ("auxiliary_weight", "max_auxiliary_samples"):
            default = type(self).model_fields[name].default
            if self.auxiliary is None and getattr(self, name) != default:
                raise ValueError(f"--{name.replace('_', '-')} goes with --auxiliary")
        return self

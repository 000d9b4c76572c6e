"""The sections of the configuration: one model a stage.

Every field is a command-line flag, a key of `--config run.yaml` and an argument of
`glp_export.prune_and_export`, with the same name, meaning and default.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import PlainValidator, ValidationInfo, field_validator, model_validator

from glp_export.config.targets import Targets
from glp_export.core.errors import UsageError
from glp_export.core.machine import MOST_THREADS
from glp_export.core.options import (
    NO_LIMIT,
    Length,
    Names,
    Numbers,
    Options,
    Paths,
    Written,
    option,
)

COUNTS = ("depth", "prune", "depths", "sweep")
"""The ways to say how many layers are left; one run takes one."""

STUDENT, NO_RIVAL = "student", "none"
"""The distilled rival that is made here, and the word for none."""

WRITTEN = ("target_speedup", "latency_budget", "size_budget")
"""The targets that have a notation of their own."""


def _epochs(value: Any) -> float | Literal["auto"]:
    if value == "auto":
        return "auto"
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0.0
    if not (0 < number < math.inf):
        raise ValueError("should be a number above 0, or auto")
    return number


Epochs = Annotated[float | Literal["auto"], PlainValidator(_epochs)]


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


class CompressOptions(Options):
    """How much is removed, and how the search for it goes."""

    panel: ClassVar[str] = "Search"

    depth: int | None = option(None, "Number of layers to keep.", gt=0)
    prune: int | None = option(None, "Number of layers to remove.", gt=0)
    depths: Numbers | None = option(None, "Make a model of each of these depths from one search.")
    sweep: bool = option(
        False,
        "As --depths: two layers fewer each time, down to a quarter of them.",
        former=("ladder",),
    )
    target_speedup: Written | None = option(
        None,
        "Speedup over the unpruned model in ONNX Runtime: 2.0, 2.0@8x128 (batch size x length), or "
        "several: 2,3,4@1x128.",
    )
    latency_budget: Written | None = option(
        None,
        "Largest median latency of a batch in ONNX Runtime: 10ms, or 10ms@1x128; of another "
        "percentile: 'p95 10ms@1x128'.",
    )
    size_budget: Written | None = option(
        None, "Largest size of ONNX file and tokenizer.json together: 8MB."
    )
    max_drop: float | None = option(None, "Largest loss of the metric on dev: 0.01.", ge=0)
    compress: str = option(
        "auto",
        "What is removed: layers; structure (heads, neurons and layers); the name of a --criterion "
        "(structure, by that criterion); kronecker (matrices become factors); block-sparse (zeros "
        "in matrices, for storage); vocabulary (tokens); several in turn (layers,vocabulary); or "
        "auto: structure for a target of speed or accuracy, vocabulary for a size, otherwise "
        "layers.",
    )
    plan: str | None = option(
        None, "Skip the search: plan.json, a layer file, or paper:bert-base-uncased/rte."
    )
    search_epochs: float | None = option(
        None, "Passes over the data for each candidate. Default: as --epochs.", gt=0
    )
    max_search_samples: int | None = option(
        None, "Train candidates on at most this many rows.", gt=0
    )
    workers: str = option("serial", "Where candidates are tried: serial, processes or ray.")
    worker_cpus: int | None = option(
        None,
        "CPUs and PyTorch threads of each candidate. Default: as --threads.",
        gt=0,
        le=MOST_THREADS,
    )
    worker_gpus: float | None = option(
        None, "Share of a GPU for each candidate with --workers processes or ray: 0.25.", gt=0, le=1
    )
    cache: str | None = option(
        None,
        "Directory of the cache of trained teachers and scored candidates; `none`: no cache.",
    )

    @field_validator(*WRITTEN)
    @classmethod
    def _can_be_read(cls, value: str | None, field: ValidationInfo) -> str | None:
        try:
            speedup, latency, size = (
                value if field.field_name == name else None for name in WRITTEN
            )
            Targets.parse(speedup, latency, None, size)
        except UsageError as error:
            raise ValueError(f"{error.what}: {error.fix}") from error
        return value

    @model_validator(mode="after")
    def _one_way_to_say_how_much(self) -> CompressOptions:
        counts = [name for name in COUNTS if getattr(self, name) not in (None, False)]
        flags = " and ".join(f"--{name}" for name in counts)
        if len(counts) > 1:
            raise ValueError(f"{flags} say in more than one way how much goes; give one")
        if self.targets.any and counts:
            raise ValueError(f"targets find the depth by themselves; leave {flags} out")
        return self

    @property
    def targets(self) -> Targets:
        """What the pruned model shall reach, where no number of layers is asked for.

        Raises:
            UsageError: a target is not written as it should be.
        """
        return Targets.parse(
            self.target_speedup, self.latency_budget, self.max_drop, self.size_budget
        )


class TrainingOptions(Options):
    """How all contenders are trained."""

    panel: ClassVar[str] = "Training"

    teacher: Literal["auto", "as-is", "finetune"] = option(
        "auto",
        "The unpruned model, which is the teacher and the baseline: as-is (the given one, "
        "unchanged), finetune (trained first), or auto: as-is where its head fits the labels.",
    )
    recover: str = option(
        "distill",
        "How a pruned model recovers: distill (from the unpruned model) or finetune (as in the "
        "paper).",
    )
    distilled: str = option(
        "student",
        "The distilled model to compare with: a model, `student` (every other layer of the "
        "unpruned one), or `none`.",
    )
    epochs: Epochs = option(
        "auto",
        "Passes over the data, or auto: the number of updates follows from rows and classes; dev "
        "decides when training ends and which of three learning rates is used.",
    )
    learning_rate: float | None = option(
        None, "Highest learning rate. Default: from the model's width.", gt=0
    )
    batch_size: int = option(32, "Examples in a training step.", gt=0)
    temperature: float = option(2.0, "Softmax temperature of distillation.", gt=0)
    distill_weight: float = option(
        0.5, "Weight of the teacher's answers in the loss; labels have the rest.", ge=0, le=1
    )
    hidden_weight: float | None = option(
        None,
        "Weight of the teacher's hidden states in distillation. Default: 1 where heads, neurons or "
        "matrices are changed, otherwise 0.",
        ge=0,
    )
    distill_rate: float = option(
        4.0, "Learning rate of distillation, as a multiple of that of fine-tuning.", gt=0
    )
    seed: int = option(41, "Seed of splits, heads, data order and dropout.", ge=0)
    report_to: Names = option(
        ("none",),
        "Trackers that the final trainings report to, by Trainer's names: mlflow, wandb, …, or "
        "none.",
    )

    def weight_of_hidden_states(self, *, changed: bool) -> float:
        """What was asked for, or what suits models that were changed inside their layers or not.

        Beside as many whole layers hidden states teach nothing that the answers do not
        (docs/method/structure.md).
        """
        return float(changed) if self.hidden_weight is None else self.hidden_weight

    @property
    def reporters(self) -> tuple[str, ...]:
        """The trackers that trainings are reported to."""
        return () if self.report_to == ("none",) else self.report_to

    @property
    def named_rival(self) -> str | None:
        """The model that was named as the distilled rival; None where it is made here, or none."""
        return None if self.distilled in (STUDENT, NO_RIVAL) else self.distilled


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


class ExportOptions(Options):
    """How the ONNX file is written, optimised and checked."""

    panel: ClassVar[str] = "Export"

    exporter: str = option("auto", "Which exporter writes the ONNX file.")
    opset: int | None = option(None, "ONNX opset. Default: the exporter's.", gt=0)
    optimize: Literal["auto", "none", "first-token", "O1", "O2", "O3"] = option(
        "auto",
        "Graph optimisation: a level, `none`, or auto: the fastest that passes the parity check.",
    )
    require_fusion: bool = option(
        False, "Fail if attention, LayerNorm or Gelu of a layer is not fused."
    )
    triton: bool = option(False, "Also write a model repository for Triton.")
    atol: float | None = option(None, "Absolute tolerance of the logits in the parity check.", ge=0)
    rtol: float | None = option(None, "Relative tolerance of the logits in the parity check.", ge=0)


class PrecisionOptions(Options):
    """Which files of lower precision are made."""

    panel: ClassVar[str] = "Precision"

    precision: Names = option(
        ("auto",),
        "auto (what is faster on the device), or any of fp32, int8, fp16, bf16; fp32 is "
        "always made.",
    )
    int8: Names = option(
        ("dynamic",),
        "How the int8 ranges of activations are found: dynamic, minmax, entropy or percentile. Of "
        "several the fastest that is accurate enough is used.",
    )
    int8_scope: Literal["matmuls", "full"] = option(
        "matmuls",
        "What int8 covers: matmuls with a weight, or full: attention's products and all embeddings "
        "too, in standard operators, with static ranges (minmax unless --int8 says otherwise).",
    )
    calibration_texts: Path | None = option(
        None,
        "Texts that static ranges are taken from: a table, or .txt lines. Default: the training "
        "rows.",
    )
    int8_drop: float = option(
        0.005,
        "Largest loss of the metric on dev by int8; with --max-drop what pruning left of that.",
        ge=0,
    )

    @model_validator(mode="before")
    @classmethod
    def _static_where_full(cls, given: Any) -> Any:
        """Full int8 has static ranges: of the extremes, where none are named."""
        if isinstance(given, Mapping) and given.get("int8_scope") == "full" and "int8" not in given:
            return {**given, "int8": ("minmax",)}
        return given

    @model_validator(mode="after")
    def _full_of_int8(self) -> PrecisionOptions:
        if self.int8_scope != "full":
            return self
        if not {"auto", "int8"}.intersection(self.precision):
            raise ValueError("--int8-scope full is about int8: add --precision int8")
        if "dynamic" in self.int8:
            raise ValueError(
                "--int8-scope full has static ranges: give --int8 minmax, entropy or percentile"
            )
        return self


class MachineOptions(Options):
    """What the run may use of this machine."""

    panel: ClassVar[str] = "Machine"

    device: str = option("auto", "cpu, cuda or auto.")
    threads: int | None = option(
        None, "Threads. Default: the cores that may be used.", gt=0, le=MOST_THREADS
    )


class BenchmarkOptions(Options):
    """What is timed, and for how long."""

    panel: ClassVar[str] = "Benchmark"

    pytorch: Names = option(
        ("eager",), "How PyTorch runs the unpruned model: eager, compiled, bf16, fp16."
    )
    runtime: Names = option(
        ("auto",),
        "What runs the ONNX files beside ONNX Runtime: auto (OpenVINO, where it is installed), "
        "openvino, or onnxruntime alone.",
    )
    batch_sizes: Numbers = option((1, 8), "Batch sizes to time.")
    seq_lens: Numbers = option((32, 128), "Sequence lengths to time.")
    bench_seconds: float = option(
        5.0, "Time each shape for at least this many seconds, all models together.", gt=0
    )
    bench_rounds: int = option(10, "Time each shape in at least this many rounds.", gt=2)
    skip_memory: bool = option(
        False, "Do not measure peak memory, which takes a process for each model."
    )


class OutputOptions(Options):
    """Where the artifact goes, and how the run is started."""

    panel: ClassVar[str] = "Output"

    output: Path | None = option(None, "Directory of the artifact.", "-o")
    overwrite: bool = option(False, "Replace what is at --output.")
    resume: bool = option(False, "Continue an interrupted run.")
    dry_run: bool = option(False, "Estimate the cost; write nothing.")
    yes: bool = option(False, "Answer yes to every question.", "-y")

    @field_validator("output")
    @classmethod
    def _is_one_place(cls, value: Path | None) -> Path | None:
        """Without `~`, which no shell reads after `=`, and without `..`.

        What is beside the output would else be beside another place, where a link or a directory
        that is not there yet stands before the `..`.
        """
        if value is None:
            return None
        try:
            value = value.expanduser()
        except RuntimeError as error:
            raise ValueError("there is no home directory for ~") from error
        if value.name == "..":
            return Path(os.path.realpath(value))
        return Path(os.path.realpath(value.parent), value.name) if ".." in value.parts else value

    @model_validator(mode="after")
    def _one_way_to_start(self) -> OutputOptions:
        if self.overwrite and self.resume:
            raise ValueError("--overwrite starts anew and --resume goes on; give one")
        return self


class HubOptions(Options):
    """Where the artifact is uploaded to."""

    panel: ClassVar[str] = "Hub"

    push_to_hub: str | None = option(
        None, "Upload the artifact to this repository of the hub, NAME or OWNER/NAME."
    )
    private: bool = option(False, "Make that repository private if it is new.")
    hub_revision: str | None = option(None, "Its branch. Default: main.")
    commit_message: str | None = option(None, "The first line of its commit.")

    @model_validator(mode="after")
    def _has_a_repository(self) -> HubOptions:
        if self.push_to_hub is None and (self.private or self.hub_revision or self.commit_message):
            raise ValueError("--private, --hub-revision and --commit-message go with --push-to-hub")
        return self


RUN_SECTIONS = (
    ModelOptions,
    DataOptions,
    CompressOptions,
    TrainingOptions,
    AuxiliaryOptions,
    ExportOptions,
    PrecisionOptions,
    MachineOptions,
    BenchmarkOptions,
    OutputOptions,
    HubOptions,
)
"""What the whole job asks for, in the order of its help."""

SEARCH_SECTIONS = tuple(
    section for section in RUN_SECTIONS if section not in (ExportOptions, HubOptions)
)
"""What a search alone asks for."""

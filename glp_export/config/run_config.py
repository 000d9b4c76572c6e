"""What a run is asked to do: flags over a file over defaults, validated once.

Every field is a command-line flag, a key of `--config run.yaml` and an argument of
`glp_export.prune_and_export`, with the same name, meaning and default.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from glp_export.config.targets import Targets

MODEL, DATA, SEARCH, TRAINING = "Model", "Task and data", "Search", "Training"
EXPORT, BENCHMARK, OUTPUT, HUB = "Export", "Benchmark", "Output", "Hub"

NOT_RECORDED = frozenset(
    {
        *("token", "resume", "overwrite", "dry_run", "yes"),
        *("push_to_hub", "private", "hub_revision", "commit_message"),
    }
)
"""How a run was started, not what it was asked to do: left out of `glp/run.yaml`."""

COUNTS = ("depth", "prune", "depths", "ladder")
"""The ways to say how many layers are left; one run takes one."""


def _option(default: Any, text: str, panel: str, short: str | None = None, **limits: Any) -> Any:
    """A field with its help text, the panel of `--help` it stands in and its short flag."""
    extra: Any = {"panel": panel, "short": short}
    return Field(default, description=text, json_schema_extra=extra, **limits)


def _split(value: Any) -> Any:
    """Accept `1,8`, `1 8`, [1, 8] and ["1,8"] alike."""
    parts = value if isinstance(value, list | tuple) else [value]
    return [piece for part in parts for piece in str(part).replace(",", " ").split()]


def _written(value: Any) -> Any:
    """Take the number 2.0, as YAML and Python have it, for the text."""
    return str(value) if isinstance(value, int | float) else value


Written = Annotated[str, BeforeValidator(_written)]
Numbers = Annotated[tuple[Annotated[int, Field(gt=0)], ...], BeforeValidator(_split)]
AUTO_LENGTH = "auto"
Length = Annotated[int, Field(gt=2)] | Literal["auto"]
Names = Annotated[tuple[str, ...], BeforeValidator(_split)]


class RunConfig(BaseModel):
    """One run of the main job."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=False)

    model: str | None = _option(
        None, "Directory or hub id of the encoder; `demo` is the embedded one.", MODEL, "-m"
    )
    revision: str | None = _option(None, "Branch, tag or commit of the model on the hub.", MODEL)
    cache_dir: str | None = _option(None, "Where downloads are kept.", MODEL)
    token: str | None = _option(None, "Token for private models and data on the hub.", MODEL)
    trust_remote_code: bool = _option(False, "Run code that comes with the model.", MODEL)
    offline: bool = _option(False, "Never touch the network.", MODEL)

    task: str | None = _option(
        None, "GLUE task (cola, mnli, mrpc, qnli, qqp, rte, sst2, stsb, wnli) or `demo`.", DATA
    )
    dataset: str | None = _option(
        None, "Hub id, or directory with train and validation files.", DATA
    )
    dataset_config: str | None = _option(None, "Configuration of a hub dataset.", DATA)
    train_file: Path | None = _option(None, "Training rows: jsonl, csv, tsv or parquet.", DATA)
    validation_file: Path | None = _option(None, "Rows that the report is made on.", DATA)
    unlabeled: Path | None = _option(
        None, "More texts, without labels, to distill on: a table, or .txt lines.", DATA
    )
    text_columns: Names | None = _option(None, "One or two text columns.", DATA)
    label_column: str | None = _option(None, "The label's column.", DATA)
    kind: str | None = _option(None, "Kind of task, if the data does not tell it.", DATA)
    metric: str | None = _option(None, "Metric that is kept; else the task's own.", DATA)
    max_length: Length = _option(
        AUTO_LENGTH,
        "Longest input in tokens, longer ones are cut; auto: what tokenizer and model take.",
        DATA,
    )
    select_fraction: float = _option(
        0.15, "Share of train that layers are chosen on.", DATA, gt=0, lt=1
    )
    max_train_samples: int | None = _option(None, "Use so many training rows only.", DATA, gt=0)
    max_select_samples: int | None = _option(
        None, "Score candidates on so many rows only.", DATA, gt=0
    )
    max_test_samples: int | None = _option(None, "Test on so many rows only.", DATA, gt=0)

    depth: int | None = _option(None, "Keep so many layers.", SEARCH, gt=0)
    prune: int | None = _option(None, "Remove so many layers.", SEARCH, gt=0)
    depths: Numbers | None = _option(
        None, "Make a model of each of these depths from one search.", SEARCH
    )
    ladder: bool = _option(
        False, "As --depths: two layers fewer each time, down to a quarter of them.", SEARCH
    )
    target_speedup: Written | None = _option(
        None, "Be so much faster than unpruned in ONNX Runtime: 2.0, or 2.0@8x128.", SEARCH
    )
    latency_budget: Written | None = _option(
        None, "Longest median batch in ONNX Runtime: 10ms, or 10ms@1x128.", SEARCH
    )
    max_drop: float | None = _option(
        None, "Lose so many metric points on select at most: 0.01.", SEARCH, ge=0
    )
    search: str = _option(
        "fast-greedy",
        "fast-greedy, greedy (the paper), top, bottom, alternate, symmetric, optimal.",
        SEARCH,
    )
    plan: str | None = _option(
        None, "Skip the search: plan.json, a layer file, or paper:bert-base-uncased/rte.", SEARCH
    )
    search_epochs: float | None = _option(
        None, "Passes over the data for each candidate; else as --epochs.", SEARCH, gt=0
    )
    max_search_samples: int | None = _option(
        None, "Train candidates on so many rows only.", SEARCH, gt=0
    )
    seeds: int = _option(1, "Seeds that the search's play-off is averaged over.", SEARCH, gt=0)
    workers: str = _option("serial", "Where candidates are tried: serial or ray.", SEARCH)
    worker_cpus: int | None = _option(
        None, "CPUs and PyTorch threads of each candidate; else as --threads.", SEARCH, gt=0
    )
    worker_gpus: float | None = _option(
        None, "Share of a GPU for each candidate with --workers ray: 0.25.", SEARCH, gt=0, le=1
    )
    cache: str | None = _option(
        None,
        "Where trained teachers and scored candidates are kept; `none` keeps nothing.",
        SEARCH,
    )

    recover: str = _option(
        "distill", "distill (from the unpruned model) or finetune (the paper).", TRAINING
    )
    distilled: str = _option(
        "student",
        "The distilled rival: a model, `student` (made here), or `none`.",
        TRAINING,
    )
    epochs: float = _option(3.0, "Passes over the data.", TRAINING, gt=0)
    learning_rate: float | None = _option(
        None, "Highest learning rate; else chosen by the model's width.", TRAINING, gt=0
    )
    batch_size: int = _option(32, "Examples a training step.", TRAINING, gt=0)
    temperature: float = _option(2.0, "Softening of the teacher's answers.", TRAINING, gt=0)
    distill_weight: float = _option(
        0.5, "Share of the teacher's answers in the loss.", TRAINING, ge=0, le=1
    )
    distill_rate: float = _option(
        4.0, "Learning rate of distilling over that of fine-tuning.", TRAINING, gt=0
    )
    seed: int = _option(41, "Seed of splits, heads, data order and dropout.", TRAINING, ge=0)

    exporter: str = _option("auto", "Which exporter writes the ONNX file.", EXPORT)
    opset: int | None = _option(None, "ONNX opset; else the exporter's default.", EXPORT, gt=0)
    optimize: Literal["auto", "none", "first-token", "O1", "O2", "O3"] = _option(
        "auto", "Graph optimisation: a level, `none`, or the fastest that passes.", EXPORT
    )
    precision: Names = _option(
        ("auto",),
        "auto (what pays on the device), or any of fp32, int8, fp16, bf16; fp32 always ships.",
        EXPORT,
    )
    int8: Names = _option(
        ("dynamic",),
        "Ranges of activations in int8: dynamic, minmax, entropy, percentile; of several the "
        "fastest that is accurate.",
        EXPORT,
    )
    int8_drop: float = _option(
        0.005,
        "Metric points that int8 may cost on select; with --max-drop what pruning left of it.",
        EXPORT,
        ge=0,
    )
    require_fusion: bool = _option(
        False, "Fail where the fused file lacks a fusion in a layer.", EXPORT
    )
    triton: bool = _option(False, "Write a model repository for Triton too.", EXPORT)
    atol: float | None = _option(None, "Absolute tolerance of the logits.", EXPORT, ge=0)
    rtol: float | None = _option(None, "Relative tolerance of the logits.", EXPORT, ge=0)

    device: str = _option("auto", "cpu, cuda or auto.", BENCHMARK)
    threads: int | None = _option(
        None, "Threads; else the cores that may be used.", BENCHMARK, gt=0
    )
    pytorch: Names = _option(
        ("eager",), "How PyTorch runs the unpruned model: eager, compiled, bf16, fp16.", BENCHMARK
    )
    batch_sizes: Numbers = _option((1, 8), "Batch sizes to time.", BENCHMARK)
    seq_lens: Numbers = _option((32, 128), "Sequence lengths to time.", BENCHMARK)
    bench_seconds: float = _option(
        5.0, "Least seconds for each shape, shared by all contenders.", BENCHMARK, gt=0
    )

    bench_rounds: int = _option(10, "Least rounds for each shape.", BENCHMARK, gt=2)
    skip_memory: bool = _option(
        False, "Do not measure peak memory, a process for each contender.", BENCHMARK
    )

    output: Path | None = _option(None, "Directory of the artifact.", OUTPUT, "-o")
    overwrite: bool = _option(False, "Replace what is at --output.", OUTPUT)
    resume: bool = _option(False, "Go on with an interrupted run.", OUTPUT)
    dry_run: bool = _option(False, "Say what would be done and what it costs.", OUTPUT)
    yes: bool = _option(False, "Do not ask.", OUTPUT, "-y")

    push_to_hub: str | None = _option(
        None, "Upload the artifact to this repository of the hub, NAME or OWNER/NAME.", HUB
    )
    private: bool = _option(False, "Make that repository private if it is new.", HUB)
    hub_revision: str | None = _option(None, "Its branch; else main.", HUB)
    commit_message: str | None = _option(None, "The first line of its commit.", HUB)

    @model_validator(mode="after")
    def _fits_together(self) -> RunConfig:
        counts = [name for name in COUNTS if getattr(self, name) not in (None, False)]
        flags = " and ".join(f"--{name}" for name in counts)
        if len(counts) > 1:
            raise ValueError(f"{flags} say in more than one way how much goes; give one")
        if self.targets.any and counts:
            raise ValueError(f"targets find the depth by themselves; leave {flags} out")
        if self.unlabeled is not None and self.recover == "finetune":
            raise ValueError("--unlabeled needs a teacher's answers: leave out --recover finetune")
        if self.overwrite and self.resume:
            raise ValueError("--overwrite starts anew and --resume goes on; give one")
        self._can_be_pushed()
        return self

    def _can_be_pushed(self) -> None:
        if self.push_to_hub is None:
            if self.private or self.hub_revision or self.commit_message:
                raise ValueError(
                    "--private, --hub-revision and --commit-message go with --push-to-hub"
                )
            return
        if self.offline:
            raise ValueError("--offline forbids --push-to-hub")
        if self.ladder or len(self.depths or ()) > 1:
            raise ValueError(
                "several depths are several models: leave out --push-to-hub, and give each its "
                "repository with glp-export push"
            )

    @property
    def targets(self) -> Targets:
        """What the pruned model shall reach, where no number of layers is asked for.

        Raises:
            UsageError: a target is not written as it should be.
        """
        return Targets.parse(self.target_speedup, self.latency_budget, self.max_drop)

    def recorded(self) -> dict[str, Any]:
        """The fields that `glp/run.yaml` keeps, as plain values."""
        return self.model_dump(mode="json", exclude=set(NOT_RECORDED))

    def save(self, path: Path) -> Path:
        """Write the resolved configuration as YAML, readable by `--config`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(self.recorded(), sort_keys=False))
        return path


NOT_THE_MODEL = frozenset(
    name
    for name, field in RunConfig.model_fields.items()
    if isinstance(field.json_schema_extra, dict)
    and (
        field.json_schema_extra["panel"] in (EXPORT, BENCHMARK, OUTPUT)
        or name in ("workers", "worker_gpus")
    )
)
"""Settings that a resumed run may change: no trained weight depends on them."""

"""The settings as keyword arguments, for editors and type checkers.

Made by `python -m glp_export.config.make_keywords` from the sections of the configuration.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypedDict


class ModelSettings(TypedDict, total=False):
    """Settings; None is not given."""

    model: str | Path | None
    """Directory or hub id of the encoder; `demo` is the embedded one."""
    revision: str | None
    """Branch, tag or commit of the model on the hub."""
    cache_dir: str | Path | None
    """Where downloads are kept."""
    token: str | None
    """Token for private models and data on the hub."""
    trust_remote_code: bool | None
    """Run code that comes with the model."""
    offline: bool | None
    """No network access."""


class DataSettings(TypedDict, total=False):
    """Settings; None is not given."""

    task: str | None
    """GLUE task (cola, mnli, mrpc, qnli, qqp, rte, sst2, stsb, wnli) or `demo`."""
    dataset: str | Path | None
    """Hub id, or directory with train and validation files."""
    dataset_config: str | None
    """Configuration of a hub dataset."""
    train_file: str | Path | None
    """Training rows: jsonl, csv, tsv or parquet."""
    validation_file: str | Path | None
    """Validation rows: read once, for the report."""
    unlabeled: str | Path | None
    """More texts, without labels, to distill on: a table, or .txt lines."""
    text_columns: Sequence[str] | str | None
    """One or two text columns."""
    label_column: str | None
    """The label's column."""
    kind: str | None
    """Kind of task, if the data does not tell it."""
    metric: str | None
    """Metric, or your own as module:function (docs/howto/own-metric.md); else the task's own."""
    max_length: float | str | None
    """Longest input in tokens, longer ones are cut; auto: what tokenizer and model take."""
    dev_fraction: float | None
    """Share of train that choices are made on."""
    max_train_samples: int | None
    """Most training rows to use."""
    max_dev_samples: int | None
    """Most rows to score candidates on."""
    max_test_samples: int | None
    """Most rows to test on."""


class CompressSettings(TypedDict, total=False):
    """Settings; None is not given."""

    depth: int | None
    """Number of layers to keep."""
    prune: int | None
    """Number of layers to remove."""
    depths: Sequence[int] | str | None
    """Make a model of each of these depths from one search."""
    sweep: bool | None
    """As --depths: two layers fewer each time, down to a quarter of them."""
    target_speedup: str | float | None
    """Speedup over unpruned in ONNX Runtime: 2.0, 2.0@8x128, or 2,3,4@1x128."""
    latency_budget: str | float | None
    """Longest median batch in ONNX Runtime: 10ms, or 10ms@1x128; another percentile: 'p95
    10ms@1x128'."""
    size_budget: str | float | None
    """Most that ONNX file and tokenizer.json may take together: 8MB."""
    max_drop: float | None
    """Most metric points that may be lost on dev: 0.01."""
    compress: str | None
    """What is removed: layers, structure (heads, neurons and layers), a --criterion for structure
    by it, kronecker (factors of matrices), block-sparse (zeros in matrices, for storage),
    vocabulary (tokens), one after another (layers,vocabulary), or auto: structure for a target of
    speed or accuracy, vocabulary for a size, layers else."""
    plan: str | Path | None
    """Skip the search: plan.json, a layer file, or paper:bert-base-uncased/rte."""
    search_epochs: float | None
    """Passes over the data for each candidate; else as --epochs."""
    max_search_samples: int | None
    """Most rows to train candidates on."""
    workers: str | None
    """Where candidates are tried: serial, processes or ray."""
    worker_cpus: int | None
    """CPUs and PyTorch threads of each candidate; else as --threads."""
    worker_gpus: float | None
    """Share of a GPU for each candidate with --workers processes or ray: 0.25."""
    cache: str | Path | None
    """Directory of the cache of trained teachers and scored candidates; `none`: no cache."""


class TrainingSettings(TypedDict, total=False):
    """Settings; None is not given."""

    teacher: Literal["auto", "as-is", "finetune"] | None
    """The unpruned model that others imitate and are compared with: as-is (the given one,
    unchanged), finetune (trained first), or auto: as it is where its head fits the labels."""
    recover: str | None
    """distill (from the unpruned model) or finetune (the paper)."""
    distilled: str | Path | None
    """The distilled rival: a model, `student` (made here), or `none`."""
    epochs: float | str | None
    """Passes over the data, or auto: as many updates as the task needs, the best weights and the
    best of a few learning rates by dev."""
    learning_rate: float | None
    """Highest learning rate; else chosen by the model's width."""
    batch_size: int | None
    """Examples a training step."""
    temperature: float | None
    """Softening of the teacher's answers."""
    distill_weight: float | None
    """Share of the teacher's answers in the loss."""
    hidden_weight: float | None
    """Weight of the teacher's hidden states in distillation; else 1 where heads or neurons went or
    matrices became factors, and 0 where whole layers alone did."""
    distill_rate: float | None
    """Learning rate of distilling over that of fine-tuning."""
    seed: int | None
    """Seed of splits, heads, data order and dropout."""
    report_to: Sequence[str] | str | None
    """Trackers of the final trainings, by Trainer's names: mlflow, wandb, …, or none."""


class AuxiliarySettings(TypedDict, total=False):
    """Settings; None is not given."""

    auxiliary: Sequence[str] | str | None
    """Another task to learn from, of any kind: a directory with a train file, a file of rows with
    labels, or a hub id."""
    transfer: Sequence[str] | str | None
    """What it is used for: before (the unpruned model learns it first), joint (beside its
    training), structure (its texts calibrate), recovery (beside that of pruned models), or auto:
    before, where cross-validation on train favours it."""
    auxiliary_weight: float | None
    """Weight of auxiliary losses in joint and recovery."""
    max_auxiliary_samples: int | None
    """Most rows of each auxiliary task."""


class ExportSettings(TypedDict, total=False):
    """Settings; None is not given."""

    exporter: str | None
    """Which exporter writes the ONNX file."""
    opset: int | None
    """ONNX opset; else the exporter's default."""
    optimize: Literal["auto", "none", "first-token", "O1", "O2", "O3"] | None
    """Graph optimisation: a level, `none`, or the fastest that passes."""
    require_fusion: bool | None
    """Fail if the fused file lacks a fusion in a layer."""
    triton: bool | None
    """Write a model repository for Triton too."""
    atol: float | None
    """Absolute tolerance of the logits."""
    rtol: float | None
    """Relative tolerance of the logits."""


class PrecisionSettings(TypedDict, total=False):
    """Settings; None is not given."""

    precision: Sequence[str] | str | None
    """auto (what pays on the device), or any of fp32, int8, fp16, bf16; fp32 always ships."""
    int8: Sequence[str] | str | None
    """Ranges of activations in int8: dynamic, minmax, entropy, percentile; of several the fastest
    that is accurate."""
    int8_scope: Literal["matmuls", "full"] | None
    """What int8 covers: matmuls with a weight, or full: attention's products and all tables too,
    in standard operators, with static ranges (minmax where --int8 names none)."""
    calibration_texts: str | Path | None
    """Texts that static ranges are taken from: a table, or .txt lines; else the training rows."""
    int8_drop: float | None
    """Metric points that int8 may cost on dev; with --max-drop what pruning left of it."""


class MachineSettings(TypedDict, total=False):
    """Settings; None is not given."""

    device: str | None
    """cpu, cuda or auto."""
    threads: int | None
    """Threads; else the cores that may be used."""


class BenchmarkSettings(TypedDict, total=False):
    """Settings; None is not given."""

    pytorch: Sequence[str] | str | None
    """How PyTorch runs the unpruned model: eager, compiled, bf16, fp16."""
    runtime: Sequence[str] | str | None
    """What runs the ONNX files beside ONNX Runtime: auto (OpenVINO, where it is installed),
    openvino, or onnxruntime alone."""
    batch_sizes: Sequence[int] | str | None
    """Batch sizes to time."""
    seq_lens: Sequence[int] | str | None
    """Sequence lengths to time."""
    bench_seconds: float | None
    """Least seconds for each shape, for all models together."""
    bench_rounds: int | None
    """Least rounds for each shape."""
    skip_memory: bool | None
    """Do not measure peak memory, a process for each contender."""


class OutputSettings(TypedDict, total=False):
    """Settings; None is not given."""

    output: str | Path | None
    """Directory of the artifact."""
    overwrite: bool | None
    """Replace what is at --output."""
    resume: bool | None
    """Continue an interrupted run."""
    dry_run: bool | None
    """Estimate the cost; write nothing."""
    yes: bool | None
    """Do not ask."""


class HubSettings(TypedDict, total=False):
    """Settings; None is not given."""

    push_to_hub: str | None
    """Upload the artifact to this repository of the hub, NAME or OWNER/NAME."""
    private: bool | None
    """Make that repository private if it is new."""
    hub_revision: str | None
    """Its branch; else main."""
    commit_message: str | None
    """The first line of its commit."""


class LayersSettings(TypedDict, total=False):
    """Settings; None is not given."""

    search: str | None
    """fast-greedy, greedy (the paper), top, bottom, alternate, symmetric, optimal."""
    seeds: int | None
    """Seeds that the search's play-off is averaged over."""


class StructureSettings(TypedDict, total=False):
    """Settings; None is not given."""

    criterion: str | None
    """What heads and neurons are ranked by: obs, fisher, magnitude, silent-neurons, or by a
    training: pdp, group-lasso, movement."""
    calibration_samples: int | None
    """Training texts that heads and neurons are ranked on."""
    criterion_epochs: float | None
    """Passes over the training rows of a criterion that trains."""
    block: str | None
    """Blocks of attention that movement prunes: rows along a head x columns along the hidden
    states."""
    neuron_step: int | None
    """Feed-forward widths are multiples of this; 8 or 64 suit a GPU."""
    mutations: int | None
    """Choices that are scored on dev before one is taken."""
    final_round: int | None
    """Training examples for each finalist of the last comparison; 0 for none."""
    latency_table: str | Path | None
    """A table that `glp-export latency-table` wrote on the machine that will serve."""


class KroneckerSettings(TypedDict, total=False):
    """Settings; None is not given."""

    kronecker_ratio: Literal["x5", "x8", "x21"] | None
    """Sizes of the factors, named by how much smaller they make bert-base: x5, x8 or x21; else x8,
    or the mildest that keep --size-budget."""
    kronecker_terms: int | None
    """Products in the sum of a layer's matrix; else as many as the ratio says."""
    dense_embeddings: bool | None
    """Word embeddings stay as they are."""
    general_epochs: float | None
    """Passes over the --unlabeled texts before the training on the task."""


class BlockSparseSettings(TypedDict, total=False):
    """Settings; None is not given."""

    sparse_keep: float | None
    """Share of the entries of the layers' matrices that stays."""
    sparse_block: str | None
    """Rows x columns of the blocks whose rows and columns go, each by itself."""
    lasso_epochs: float | None
    """Passes over the training rows in which a reweighted group lasso shrinks rows and columns,
    before the weakest go and the rest recovers; 0 for none."""


class VocabularySettings(TypedDict, total=False):
    """Settings; None is not given."""

    vocabulary_size: int | None
    """Keep so many tokens, at least those that the texts use; else a quarter of them, or as many
    as --size-budget lets stay."""


class RunKeywords(
    ModelSettings,
    DataSettings,
    CompressSettings,
    TrainingSettings,
    AuxiliarySettings,
    ExportSettings,
    PrecisionSettings,
    MachineSettings,
    BenchmarkSettings,
    OutputSettings,
    HubSettings,
    LayersSettings,
    StructureSettings,
    KroneckerSettings,
    BlockSparseSettings,
    VocabularySettings,
    total=False,
):
    """Settings; None is not given."""


class ExportKeywords(
    ExportSettings,
    PrecisionSettings,
    MachineSettings,
    BenchmarkSettings,
    OutputSettings,
    total=False,
):
    """Settings; None is not given."""

    kind: str | None
    """Kind of task, if the data does not tell it."""
    max_length: float | str | None
    """Longest input in tokens, longer ones are cut; auto: what tokenizer and model take."""


class VerifyKeywords(
    DataSettings,
    ExportSettings,
    PrecisionSettings,
    MachineSettings,
    BenchmarkSettings,
    total=False,
):
    """Settings; None is not given."""


class BenchmarkKeywords(DataSettings, MachineSettings, BenchmarkSettings, total=False):
    """Settings; None is not given."""

    target_speedup: str | float | None
    """Speedup over unpruned in ONNX Runtime: 2.0, 2.0@8x128, or 2,3,4@1x128."""
    latency_budget: str | float | None
    """Longest median batch in ONNX Runtime: 10ms, or 10ms@1x128; another percentile: 'p95
    10ms@1x128'."""
    precision: Sequence[str] | str | None
    """auto (what pays on the device), or any of fp32, int8, fp16, bf16; fp32 always ships."""


class DataKeywords(DataSettings, total=False):
    """Settings; None is not given."""


class CompareKeywords(DataSettings, total=False):
    """Settings; None is not given."""

    device: str | None
    """cpu, cuda or auto."""
    threads: int | None
    """Threads; else the cores that may be used."""
    batch_sizes: Sequence[int] | str | None
    """Batch sizes to time."""
    seq_lens: Sequence[int] | str | None
    """Sequence lengths to time."""
    bench_seconds: float | None
    """Least seconds for each shape, for all models together."""
    bench_rounds: int | None
    """Least rounds for each shape."""


class CompressKeywords(
    DataSettings,
    CompressSettings,
    TrainingSettings,
    PrecisionSettings,
    MachineSettings,
    LayersSettings,
    StructureSettings,
    KroneckerSettings,
    BlockSparseSettings,
    VocabularySettings,
    total=False,
):
    """Settings; None is not given."""

    trust_remote_code: bool | None
    """Run code that comes with the model."""
    exporter: str | None
    """Which exporter writes the ONNX file."""

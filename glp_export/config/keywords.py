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
    """Kind of task, where it does not follow from the data."""
    metric: str | None
    """Metric, or your own as module:function (docs/howto/own-metric.md). Default: the task's."""
    max_length: float | str | None
    """Longest input in tokens, longer ones are cut; auto: what tokenizer and model take."""
    dev_fraction: float | None
    """Share of the training rows that is held out as dev, on which choices are made."""
    max_train_samples: int | None
    """Use at most this many training rows."""
    max_dev_samples: int | None
    """Score candidates on at most this many rows."""
    max_test_samples: int | None
    """Test on at most this many rows."""


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
    """Speedup over the unpruned model in ONNX Runtime: 2.0, 2.0@8x128 (batch size x length), or
    several: 2,3,4@1x128."""
    latency_budget: str | float | None
    """Largest median latency of a batch in ONNX Runtime: 10ms, or 10ms@1x128; of another
    percentile: 'p95 10ms@1x128'."""
    size_budget: str | float | None
    """Largest size of ONNX file and tokenizer.json together: 8MB."""
    max_drop: float | None
    """Largest loss of the metric on dev: 0.01."""
    compress: str | None
    """What is removed: layers; structure (heads, neurons and layers); the name of a --criterion
    (structure, by that criterion); kronecker (matrices become factors); block-sparse (zeros in
    matrices, for storage); vocabulary (tokens); several in turn (layers,vocabulary); or auto:
    structure for a target of speed or accuracy, vocabulary for a size, otherwise layers."""
    plan: str | Path | None
    """Skip the search: plan.json, a layer file, or paper:bert-base-uncased/rte."""
    search_epochs: float | None
    """Passes over the data for each candidate. Default: as --epochs."""
    max_search_samples: int | None
    """Train candidates on at most this many rows."""
    workers: str | None
    """Where candidates are tried: serial, processes or ray."""
    worker_cpus: int | None
    """CPUs and PyTorch threads of each candidate. Default: as --threads."""
    worker_gpus: float | None
    """Share of a GPU for each candidate with --workers processes or ray: 0.25."""
    cache: str | Path | None
    """Directory of the cache of trained teachers and scored candidates; `none`: no cache."""


class TrainingSettings(TypedDict, total=False):
    """Settings; None is not given."""

    teacher: Literal["auto", "as-is", "finetune"] | None
    """The unpruned model, which is the teacher and the baseline: as-is (the given one, unchanged),
    finetune (trained first), or auto: as-is where its head fits the labels."""
    recover: str | None
    """How a pruned model recovers: distill (from the unpruned model) or finetune (as in the
    paper)."""
    distilled: str | Path | None
    """The distilled model to compare with: a model, `student` (every other layer of the unpruned
    one), or `none`."""
    epochs: float | str | None
    """Passes over the data, or auto: the number of updates follows from rows and classes; dev
    decides when training ends and, by short trainings at up to three, its learning rate."""
    learning_rate: float | None
    """Highest learning rate. Default: from the model's width."""
    batch_size: int | None
    """Examples in a training step."""
    training_precision: Literal["auto", "fp32", "bf16"] | None
    """What a training step is computed in: fp32, bf16 (weights and losses stay in fp32), or auto:
    bf16 where the device multiplies it in hardware."""
    temperature: float | None
    """Softmax temperature of distillation."""
    distill_weight: float | None
    """Weight of the teacher's answers in the loss; labels have the rest."""
    hidden_weight: float | None
    """Weight of the teacher's hidden states in distillation. Default: 1 where heads, neurons or
    matrices are changed, otherwise 0."""
    distill_rate: float | None
    """Learning rate of distillation, as a multiple of that of fine-tuning."""
    seed: int | None
    """Seed of splits, heads, data order and dropout."""
    report_to: Sequence[str] | str | None
    """Trackers that the final trainings report to, by Trainer's names: mlflow, wandb, …, or
    none."""


class AuxiliarySettings(TypedDict, total=False):
    """Settings; None is not given."""

    auxiliary: Sequence[str] | str | None
    """Another task to learn from, of any kind: a directory with a train file, a file of rows with
    labels, or a hub id."""
    transfer: Sequence[str] | str | None
    """What it is used for: before (the unpruned model learns it first), joint (beside its
    training), structure (its texts are calibration texts), recovery (beside that of pruned
    models), or auto: before, where cross-validation on train favours it."""
    auxiliary_weight: float | None
    """Weight of auxiliary losses in joint and recovery."""
    max_auxiliary_samples: int | None
    """Use at most this many rows of each auxiliary task."""


class ExportSettings(TypedDict, total=False):
    """Settings; None is not given."""

    exporter: str | None
    """Which exporter writes the ONNX file."""
    opset: int | None
    """ONNX opset. Default: the exporter's."""
    optimize: Literal["auto", "none", "first-token", "O1", "O2", "O3"] | None
    """Graph optimisation: a level, `none`, or auto: the fastest that passes the parity check."""
    require_fusion: bool | None
    """Fail if attention, LayerNorm or Gelu of a layer is not fused."""
    triton: bool | None
    """Also write a model repository for Triton."""
    atol: float | None
    """Absolute tolerance of the logits in the parity check."""
    rtol: float | None
    """Relative tolerance of the logits in the parity check."""


class PrecisionSettings(TypedDict, total=False):
    """Settings; None is not given."""

    precision: Sequence[str] | str | None
    """auto (what is faster on the device), or any of fp32, int8, fp16, bf16; fp32 is always
    made."""
    int8: Sequence[str] | str | None
    """How the int8 ranges of activations are found: dynamic, minmax, entropy or percentile. Of
    several the fastest that is accurate enough is used."""
    int8_scope: Literal["matmuls", "full"] | None
    """What int8 covers: matmuls with a weight, or full: attention's products and all embeddings
    too, in standard operators, with static ranges (minmax unless --int8 says otherwise)."""
    calibration_texts: str | Path | None
    """Texts that static ranges are taken from: a table, or .txt lines. Default: the training
    rows."""
    int8_drop: float | None
    """Largest loss of the metric on dev by int8; with --max-drop what pruning left of that."""


class MachineSettings(TypedDict, total=False):
    """Settings; None is not given."""

    device: str | None
    """cpu, cuda or auto."""
    threads: int | None
    """Threads. Default: the cores that may be used."""


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
    """Time each shape for at least this many seconds, all models together."""
    bench_rounds: int | None
    """Time each shape in at least this many rounds."""
    skip_memory: bool | None
    """Do not measure peak memory, which takes a process for each model."""


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
    """Answer yes to every question."""


class HubSettings(TypedDict, total=False):
    """Settings; None is not given."""

    push_to_hub: str | None
    """Upload the artifact to this repository of the hub, NAME or OWNER/NAME."""
    private: bool | None
    """Make that repository private if it is new."""
    hub_revision: str | None
    """Its branch. Default: main."""
    commit_message: str | None
    """The first line of its commit."""


class LayersSettings(TypedDict, total=False):
    """Settings; None is not given."""

    search: str | None
    """How layers are chosen: fast-greedy, greedy (as in the paper), top, bottom, alternate,
    symmetric or optimal."""
    seeds: int | None
    """Seeds that the final comparison of the search is averaged over."""


class StructureSettings(TypedDict, total=False):
    """Settings; None is not given."""

    criterion: str | None
    """What heads and neurons are ranked by: obs, fisher, magnitude, silent-neurons; or a training:
    pdp, group-lasso, movement."""
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
    """Variations of the choice that are scored on dev; the best is kept."""
    final_round: int | None
    """Training examples for each model of the final comparison; 0 skips it."""
    latency_table: str | Path | None
    """A table that `glp-export latency-table` wrote on the machine that will serve."""


class KroneckerSettings(TypedDict, total=False):
    """Settings; None is not given."""

    kronecker_ratio: Literal["x5", "x8", "x21"] | None
    """Sizes of the factors, named by how much smaller they make bert-base: x5, x8 or x21. Default:
    x8, or the mildest that keeps --size-budget."""
    kronecker_terms: int | None
    """Products in the sum of a layer's matrix. Default: by the ratio."""
    dense_embeddings: bool | None
    """Leave the word embeddings as they are."""
    general_epochs: float | None
    """Passes over the --unlabeled texts before the training on the task."""


class BlockSparseSettings(TypedDict, total=False):
    """Settings; None is not given."""

    sparse_keep: float | None
    """Share of the entries of the layers' matrices that stays."""
    sparse_block: str | None
    """Size of a block, rows x columns; single rows and columns of it are removed."""
    lasso_epochs: float | None
    """Passes over the training rows in which a reweighted group lasso shrinks rows and columns
    before the weakest are removed; 0 for none."""


class VocabularySettings(TypedDict, total=False):
    """Settings; None is not given."""

    vocabulary_size: int | None
    """Keep this many tokens, at least those that the texts use. Default: a quarter of them, or as
    many as --size-budget has room for."""


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
    """Kind of task, where it does not follow from the data."""
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
    """Speedup over the unpruned model in ONNX Runtime: 2.0, 2.0@8x128 (batch size x length), or
    several: 2,3,4@1x128."""
    latency_budget: str | float | None
    """Largest median latency of a batch in ONNX Runtime: 10ms, or 10ms@1x128; of another
    percentile: 'p95 10ms@1x128'."""
    precision: Sequence[str] | str | None
    """auto (what is faster on the device), or any of fp32, int8, fp16, bf16; fp32 is always
    made."""


class DataKeywords(DataSettings, total=False):
    """Settings; None is not given."""


class CompareKeywords(DataSettings, total=False):
    """Settings; None is not given."""

    device: str | None
    """cpu, cuda or auto."""
    threads: int | None
    """Threads. Default: the cores that may be used."""
    batch_sizes: Sequence[int] | str | None
    """Batch sizes to time."""
    seq_lens: Sequence[int] | str | None
    """Sequence lengths to time."""
    bench_seconds: float | None
    """Time each shape for at least this many seconds, all models together."""
    bench_rounds: int | None
    """Time each shape in at least this many rounds."""


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

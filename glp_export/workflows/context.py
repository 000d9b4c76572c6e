"""What a run stands on: its data, its model and its machine, read and checked before any work."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from glp_export.artifact.exporters import ExporterChoice, resolve_exporter
from glp_export.compress.compressors.layers.strategies import Problem
from glp_export.config.run_config import AUTO_LENGTH, RunConfig
from glp_export.core.machine import provider_for, resolve_device, usable_cores
from glp_export.encoder import (
    DistillSettings,
    LayerStack,
    ModelSource,
    TrainSettings,
    checksum,
    find_layer_stack,
    infer_kind,
    load_model,
    load_tokenizer,
    match_inputs,
    require_removable,
)
from glp_export.encoder.positions import UNLIMITED
from glp_export.precision.selection import Wanted, wanted_precisions
from glp_export.tasks import (
    KINDS,
    DataSpec,
    Task,
    TaskData,
    TaskKind,
    encode,
    load_task_data,
    read_unlabeled,
    require_enough,
)
from glp_export.workflows.checks import require_choices, require_labels
from glp_export.workflows.depths import judged_cuts, most_cuts, wanted_depths

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


CUSTOMARY_LENGTH = 512


@dataclass(frozen=True)
class ExecutionContext:
    """What exporting and measuring need to know: the wishes, the task and the machine.

    Attributes:
        device: `cpu` or `cuda`.
        threads: of PyTorch and of ONNX Runtime.
        precisions: that are made beside fp32.
    """

    config: RunConfig
    task: Task
    device: str
    threads: int
    precisions: Wanted

    @property
    def kind(self) -> TaskKind:
        """What the task's kind knows."""
        return KINDS[self.task.kind]

    @property
    def provider(self) -> str:
        """The execution provider of the device.

        Raises:
            DeviceError: ONNX Runtime here does not have it.
        """
        return provider_for(self.device)


@dataclass(frozen=True)
class RunContext:
    """Everything that is known before the first training.

    Attributes:
        execution: the wishes, the task and the machine.
        source: the model to prune.
        stack: its layers.
        depths: layers of each model that is made, deepest first; () where a
            plan or a target says it.
        problem: which layers may go, and how many shall at most.
        fit: encoded; trains the candidates.
        select: encoded; chooses between them.
        train: encoded; both of them, for the final training.
        test: encoded; read once, for the report.
        unlabeled: texts that students imitate their teacher on besides, None for none.
        final: how every contender is trained in the end.
        candidate: how a candidate of the search is trained.
        model_checksum: of a local model, None for one on the hub.
        exporter: the one that is used.
        deepest: the most layers that may stay, where a target of speed says so.
    """

    execution: ExecutionContext
    data: TaskData
    source: ModelSource
    tokenizer: PreTrainedTokenizerBase
    stack: LayerStack
    depths: tuple[int, ...]
    problem: Problem
    fit: Dataset
    select: Dataset
    train: Dataset
    test: Dataset
    unlabeled: Dataset | None
    final: TrainSettings
    candidate: TrainSettings
    distillation: DistillSettings
    model_checksum: str | None
    exporter: ExporterChoice
    deepest: int | None = None

    @property
    def config(self) -> RunConfig:
        """What the run is asked to do."""
        return self.execution.config

    @property
    def max_length(self) -> int:
        """The longest input in tokens that this model and run take."""
        return length_of(self.config, self.tokenizer)

    def pretrained(self) -> PreTrainedModel:
        """Load the unpruned encoder; a new head is the same every time."""
        return load_seeded(self.source, self.data, self.config.seed)


def make_context(config: RunConfig) -> RunContext:
    """Read and check everything that a run needs.

    Raises:
        UsageError: settings that cannot be carried out.
        DeviceError: the device asked for is not there.
        DataError: the data cannot be read or used.
        ModelError: the model cannot be read, pruned or exported.
    """
    from datasets import concatenate_datasets

    require_choices(config)
    device = resolve_device(config.device)
    wanted_precisions(config.precision, device)  # refused before anything is read
    data = load_task_data(data_spec(config))
    require_enough(data, config.batch_size)
    source = model_source(config, str(config.model))
    data = replace(data, task=infer_kind(data.task, source))
    require_labels(config, data.task)
    tokenizer = load_tokenizer(source)
    model = load_seeded(source, data, config.seed)
    match_inputs(tokenizer, model, where=source.name)
    if config.plan is None:
        require_removable(model)
    stack = find_layer_stack(model)
    exporter = resolve_exporter(config.exporter, model.config, KINDS[data.task.kind].export_task)
    final = _train_settings(config, model, device)
    fit, select = (_encode(config, data, tokenizer, part) for part in (data.fit, data.select))
    return RunContext(
        execution=execution_without_data(with_exporter(config, exporter), data.task),
        data=data,
        source=source,
        tokenizer=tokenizer,
        stack=stack,
        depths=wanted_depths(config, stack),
        problem=_problem(config, stack),
        fit=_first(fit, config.max_search_samples),
        select=select,
        train=concatenate_datasets([fit, select]),
        test=_encode(config, data, tokenizer, data.test),
        unlabeled=read_unlabeled(config.unlabeled, data.task) if config.unlabeled else None,
        final=final,
        candidate=replace(final, epochs=config.search_epochs or config.epochs),
        distillation=DistillSettings(
            config.temperature, config.distill_weight, config.distill_rate
        ),
        model_checksum=checksum(source),
        exporter=exporter,
    )


def _problem(config: RunConfig, stack: LayerStack) -> Problem:
    return Problem(
        layers=stack.removable,
        cuts=most_cuts(config, stack),
        seeds=config.seeds,
        judged=judged_cuts(config, stack),
    )


def execution_without_data(config: RunConfig, task: Task) -> ExecutionContext:
    """Take a place on this machine: its device, and as many threads as may be used.

    Libraries size their thread pools by the host, not by what the process may use, so they are
    told.

    Raises:
        DeviceError: the device asked for is not there.
    """
    import torch

    threads = config.threads or usable_cores()
    torch.set_num_threads(threads)
    device = resolve_device(config.device)
    return ExecutionContext(
        config, task, device, threads, wanted_precisions(config.precision, device)
    )


def with_exporter(config: RunConfig, choice: ExporterChoice) -> RunConfig:
    """The configuration with the exporter that is used, so that `run.yaml` has its name."""
    return config.model_copy(update={"exporter": choice.exporter.name})


def load_seeded(source: ModelSource, data: TaskData, seed: int) -> PreTrainedModel:
    """Load a model whose new head depends on the seed alone."""
    from transformers import set_seed

    set_seed(seed)
    return load_model(source, data.task)


def model_source(config: RunConfig, name: str) -> ModelSource:
    """Where a model of that name is fetched from, in this run."""
    return ModelSource(
        name=name,
        revision=config.revision if name == config.model else None,
        cache_dir=config.cache_dir,
        token=config.token,
        offline=config.offline,
        trust_remote_code=config.trust_remote_code,
    )


def data_spec(config: RunConfig) -> DataSpec:
    """The data that a configuration names."""
    return DataSpec(
        task=config.task,
        dataset=config.dataset,
        dataset_config=config.dataset_config,
        train_file=_text(config.train_file),
        validation_file=_text(config.validation_file),
        text_columns=config.text_columns,
        label_column=config.label_column,
        metric=config.metric,
        kind=config.kind,
        select_fraction=config.select_fraction,
        max_train_samples=config.max_train_samples,
        max_select_samples=config.max_select_samples,
        max_test_samples=config.max_test_samples,
        seed=config.seed,
        offline=config.offline,
        cache_dir=config.cache_dir,
        token=config.token,
        trust_remote_code=config.trust_remote_code,
    )


def length_of(config: RunConfig, tokenizer: PreTrainedTokenizerBase) -> int:
    """The longest input in tokens: what a tokenizer that is matched to its model takes, or less.

    A tokenizer and a model that both know no limit get the customary 512.
    """
    own = int(tokenizer.model_max_length)
    if config.max_length != AUTO_LENGTH:
        return min(int(config.max_length), own)
    return own if own < UNLIMITED else CUSTOMARY_LENGTH


def _train_settings(config: RunConfig, model: PreTrainedModel, device: str) -> TrainSettings:
    return TrainSettings(
        epochs=config.epochs,
        learning_rate=config.learning_rate or learning_rate_for(model.config.hidden_size),
        batch_size=config.batch_size,
        seed=config.seed,
        device=device,
    )


def learning_rate_for(hidden_size: int) -> float:
    """The paper's 2e-5 at 768 wide, more for narrower encoders, which it would leave untrained.

    It grows as the square of the width shrinks and stops at 5e-4.
    """
    return float(f"{min(5e-4, 2e-5 * max(1.0, 768 / hidden_size) ** 2):.1g}")


def _encode(
    config: RunConfig, data: TaskData, tokenizer: PreTrainedTokenizerBase, part: Dataset
) -> Dataset:
    return encode(part, data.task, tokenizer, length_of(config, tokenizer))


def _first(examples: Dataset, count: int | None) -> Dataset:
    """A part of the training examples; they are already in random order."""
    return examples if count is None else examples.select(range(min(count, len(examples))))


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)

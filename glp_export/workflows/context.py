"""What a run stands on: its data and its model, read and checked before any work."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glp_export.artifact.exporters import ExporterChoice, resolve_exporter
from glp_export.artifact.transfer_record import TransferRecord
from glp_export.config.run_config import RunConfig
from glp_export.config.sections import TrainingOptions
from glp_export.core.shape import ModelShape
from glp_export.encoder import (
    DistillSettings,
    LayerStack,
    Loaded,
    ModelSource,
    Schedule,
    TrainSettings,
    Watch,
    checksum,
    commit_of,
    find_layer_stack,
    infer_kind,
    load_checkpoint,
    load_tokenizer,
    match_inputs,
    own_task,
    require_model,
    require_removable,
    tokenizer_checksum,
)
from glp_export.encoder.reporting import require_reporters
from glp_export.encoder.sublayers import find_sublayers, shape_of
from glp_export.tasks import (
    KINDS,
    AuxiliaryData,
    DataSpec,
    TaskData,
    drawn,
    encode,
    load_task_data,
    read_unlabeled,
    require_data,
    require_enough,
)
from glp_export.tasks.duplicates import imitated_in_words
from glp_export.workflows.answers import Answers
from glp_export.workflows.auxiliary_data import read_auxiliary
from glp_export.workflows.checks import require_choices, require_labels
from glp_export.workflows.depths import most_cuts, wanted_depths
from glp_export.workflows.execution import (
    ExecutionContext,
    execution_context,
    on_device,
    with_length,
)
from glp_export.workflows.final_training import schedule_of, train_settings, watch_on_dev
from glp_export.workflows.sources import data_spec, model_source
from glp_export.workflows.teacher import taken_as_is, with_answers

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


ENCODER_WEIGHTS = "encoder.safetensors"
"""The name of a file with the weights of an encoder without its head."""


@dataclass(frozen=True)
class RunContext:
    """Everything that is known before the first training.

    Attributes:
        config: what the run is asked to do.
        execution: what exporting and measuring need.
        source: the model to prune.
        stack: its layers.
        depths: layers of each model that is made, deepest first; () where a
            plan or a target says it.
        cuts: whole layers that go at most; 0 with a plan that is taken whole.
        fit: encoded; trains the candidates.
        select: encoded; chooses between them.
        train: encoded; both of them, for the final training; `fit` alone where dev ends it.
        test: encoded; read once, for the report.
        unlabeled: texts that students imitate their teacher on besides, None for none.
        final: how every contender is trained in the end.
        candidate: how a candidate of the search is trained.
        model_checksum: of a local model, None for one on the hub.
        base_shape: the heads, neurons and vocabulary of the model to prune.
        exporter: the one that is used.
        schedule: of every contender's training where dev ends it, on `fit`; None for the epochs
            of `final`.
        as_is: whether the given model is the teacher and the unpruned baseline unchanged; else it
            is fine-tuned first.
        auxiliary: other tasks to learn from.
        transfer: what they are used for; None until that is decided.
        encoder_weights: of an encoder that learned them first; None for those that were given.
        answers: that models have given in this run.
    """

    config: RunConfig
    execution: ExecutionContext
    data: TaskData
    source: ModelSource
    tokenizer: PreTrainedTokenizerBase
    stack: LayerStack
    depths: tuple[int, ...]
    cuts: int
    fit: Dataset
    select: Dataset
    train: Dataset
    test: Dataset
    unlabeled: Dataset | None
    final: TrainSettings
    candidate: TrainSettings
    distillation: DistillSettings
    model_checksum: str | None
    base_shape: ModelShape
    exporter: ExporterChoice
    schedule: Schedule | None = None
    as_is: bool = False
    auxiliary: tuple[AuxiliaryData, ...] = ()
    transfer: TransferRecord | None = None
    encoder_weights: Path | None = None
    answers: Answers = field(default_factory=Answers, compare=False)

    @property
    def max_length(self) -> int:
        """The longest input in tokens that this model and run take."""
        return min(self.config.data.max_length, self.tokenizer.model_max_length)

    @property
    def train_rows(self) -> Dataset:
        """The rows that `train` was encoded from."""
        return self.data.fit if self.schedule else self.data.train

    @property
    def train_and_dev(self) -> Dataset:
        """All rows that are not for the report, not encoded."""
        return self.data.train

    def watch(self, teacher_answers: NDArray[np.float32] | None = None) -> Watch | None:
        """What a final training is looked at with; None where epochs are given.

        Args:
            teacher_answers: on dev, where they are imitated.
        """
        if self.schedule is None:
            return None
        return watch_on_dev(
            self.schedule,
            self.data.task,
            self.select,
            self.tokenizer,
            self.execution.device,
            teacher_answers,
        )

    def answers_of(self, model: PreTrainedModel, rows: Dataset) -> NDArray[np.float32]:
        """What a model says of encoded rows, asked once."""
        return self.answers.of(model, rows, self.tokenizer, self.execution.device)

    def reported(self, settings: TrainSettings, title: str) -> TrainSettings:
        """The settings of a training that the trackers are told of, by its title."""
        name = f"{self.data.task.name}: {title}"
        return replace(settings, report_to=self.config.training.reporters, run_name=name)

    @cached_property
    def commit(self) -> str | None:
        """Of a model on the hub, whose branch may have other weights the next time."""
        return commit_of(self.source)

    @cached_property
    def tokenizer_checksum(self) -> str:
        """Of the tokenizer: the same rows cut otherwise train another model."""
        return tokenizer_checksum(self.tokenizer)

    @cached_property
    def has_sublayers(self) -> bool:
        """Whether it is known where the model's heads and neurons are."""
        return bool(find_sublayers(self.pretrained()))

    def pretrained(self) -> PreTrainedModel:
        """Load the unpruned encoder; a new head is the same every time."""
        training = self.config.training
        model = load_seeded(
            self.source, self.data, training.seed, doubtful=training.teacher != "finetune"
        ).model
        if self.encoder_weights is not None:
            from safetensors.torch import load_file

            model.base_model.load_state_dict(load_file(self.encoder_weights))
        return model


def make_context(config: RunConfig) -> RunContext:
    """Read and check everything that a run needs.

    Raises:
        UsageError: settings that cannot be met.
        DeviceError: the device asked for is not there.
        DataError: the data cannot be read or used.
        ModelError: the model cannot be read, pruned or exported.
    """
    require_choices(config)
    training = config.training
    source, spec = _named(config)
    device, precisions = on_device(config.machine, config.precision)
    require_reporters(training.reporters)
    tokenizer = load_tokenizer(source)
    data = _task_data(config, source, spec)
    model, own_head = load_seeded(
        source, data, training.seed, doubtful=training.teacher != "finetune"
    )
    teacher = training.teacher if data.labelled else "as-is"
    as_is = taken_as_is(teacher, KINDS[data.task.kind], data.task, own_head, source.name)
    match_inputs(tokenizer, model, where=source.name)
    config = with_length(config, tokenizer)
    stack = find_layer_stack(model)
    if config.compress.plan is None:
        require_removable(model)
    exporter = resolve_exporter(
        config.export.exporter, model.config, KINDS[data.task.kind].export_task
    )
    config = config.updated(exporter=exporter.exporter.name)
    schedule = schedule_of(training, model, data)
    final = train_settings(training, model, device, schedule, len(data.fit))
    execution = execution_context(config, data.task, device, precisions)
    if not data.labelled:
        data = with_answers(data, model, tokenizer, config.data.max_length, device)
    unlabeled = None
    if config.data.unlabeled:
        unlabeled = read_unlabeled(config.data.unlabeled, data.task)
        held = {"dev": data.select, "test": data.test, **data.other_tests}
        data = replace(data, notes=(*data.notes, *imitated_in_words(unlabeled, held)))
    auxiliary = read_auxiliary(config, spec, data, model, as_is)
    fit, select, test = (
        encode(part, data.task, tokenizer, config.data.max_length)
        for part in (data.fit, data.select, data.test)
    )
    return RunContext(
        config=config,
        execution=execution,
        data=data,
        source=source,
        tokenizer=tokenizer,
        stack=stack,
        depths=wanted_depths(config, stack),
        cuts=most_cuts(config, stack),
        fit=drawn(fit, config.compress.max_search_samples, training.seed),
        select=select,
        train=fit if schedule else _joined(fit, select),
        test=test,
        unlabeled=unlabeled,
        final=final,
        candidate=replace(final, epochs=config.compress.search_epochs or final.epochs),
        distillation=_distillation(training, data),
        model_checksum=checksum(source),
        base_shape=shape_of(model),
        exporter=exporter,
        schedule=schedule,
        as_is=as_is,
        auxiliary=auxiliary,
    )


def _named(config: RunConfig) -> tuple[ModelSource, DataSpec]:
    """The model and the data that a run names, which are there; libraries take seconds to import.

    Raises:
        DataError, ModelError, UsageError: one is not, or flags contradict each other.
    """
    source = model_source(config.model, str(config.model.model))
    spec = data_spec(config.data, config.model, config.training.seed)
    require_model(source)
    if config.training.named_rival:
        require_model(model_source(config.model, config.training.named_rival))
    require_data(spec)
    return source, spec


def _task_data(config: RunConfig, source: ModelSource, spec: DataSpec) -> TaskData:
    """The data of a run, with enough rows and the labels that its training needs.

    Raises:
        DataError, UsageError: it cannot be read or used.
    """
    training = config.training
    own = None if training.teacher == "finetune" else own_task(source, config.data.kind)
    data = load_task_data(spec, own)
    require_enough(data, training.batch_size)
    data = replace(data, task=infer_kind(data.task, source))
    require_labels(training.recover, data)
    return data


def _distillation(training: TrainingOptions, data: TaskData) -> DistillSettings:
    """How a student imitates; labels that are the teacher's own add nothing to its answers."""
    weight = training.distill_weight if data.labelled else 1.0
    return DistillSettings(training.temperature, weight, training.distill_rate)


def _joined(*parts: Dataset) -> Dataset:
    from datasets import concatenate_datasets

    return concatenate_datasets(list(parts))


def load_seeded(source: ModelSource, data: TaskData, seed: int, *, doubtful: bool = True) -> Loaded:
    """Load a model whose new head depends on the seed alone; see `load_checkpoint`."""
    from transformers import set_seed

    set_seed(seed)
    return load_checkpoint(source, data.task, doubtful=doubtful)

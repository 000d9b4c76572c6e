"""What a compressor is given: the budget of a run, and what it chooses with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.cache.store import Cache
from glp_export.compress.budget import Budget, TimeBudget
from glp_export.compress.compressors import AUTO, COMPRESSORS, names_of
from glp_export.compress.compressors.base import Calibrator, Divergence, Found, TrainBriefly
from glp_export.compress.compressors.layers.options import LayerOptions
from glp_export.compress.compressors.vocabulary import trimmed
from glp_export.compress.criteria.moments import run
from glp_export.compress.plan import Cost, Plan
from glp_export.compress.search.context import TrialContext, judge
from glp_export.compress.search.evaluator import TrialEvaluator
from glp_export.compress.search_cost import SearchCost
from glp_export.config.targets import DEFAULT_SHAPE
from glp_export.core.errors import ModelError
from glp_export.core.machine import describe
from glp_export.core.progress import Progress
from glp_export.encoder import RECOVERIES, Regulariser, TrainingInputs, distill, predict
from glp_export.encoder.positions import longest_of_model
from glp_export.tasks import truth_of
from glp_export.workflows.auxiliary import kept_tasks
from glp_export.workflows.context import RunContext
from glp_export.workflows.latency_table import Deployment, Tables
from glp_export.workflows.stages.calibration import (
    batches_of,
    calibrator_of,
    encoded_unlabeled,
    tokens_in,
)
from glp_export.workflows.stages.depth import fast_enough_depth
from glp_export.workflows.stages.evaluator import (
    Teacher,
    open_cache,
    open_evaluator,
    train_teacher,
    training_facts,
)
from glp_export.workflows.stages.recovery_start import ancestor_of, hidden_states_of, start_of
from glp_export.workflows.stages.size import Sizes

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from glp_export.compress.criteria import Teach
    from glp_export.tasks import TaskKind

LAYERS, STRUCTURE, VOCABULARY = "layers", "structure", "vocabulary"

DEV_SAMPLES = 384
"""Rows of dev that choices are scored on."""

ANSWERS = "dev.npy"

JUDGED = 8
"""Rows of dev that have one loss in a final round, which is the mean of many."""


def compressors_of(context: RunContext) -> tuple[str, ...]:
    """The keys of `COMPRESSORS` that a run uses, in order.

    Without a wish, a target of speed is met by structure where the family allows it, a number of
    layers by whole layers, as in the paper, and a size by the vocabulary, where the tokenizer
    allows it: that costs the least.
    """
    asked = names_of(context.config.compress.compress)
    if asked != (AUTO,):
        return asked
    targets = context.config.targets
    if targets.size is not None and not context.config.compress.plan and _can_be_trimmed(context):
        alone = not context.depths and not targets.any
        return (VOCABULARY,) if alone else (_of_layers(context), VOCABULARY)
    return (_of_layers(context),)


def _can_be_trimmed(context: RunContext) -> bool:
    if context.execution.kind.of_tokens:
        return False
    try:
        COMPRESSORS[VOCABULARY].load().require(context.pretrained(), context.tokenizer)
    except ModelError:
        return False
    return True


def _of_layers(context: RunContext) -> str:
    """What takes layers out, or parts of them; a strategy that is named is one of whole layers."""
    named = context.config.layers.search != LayerOptions().search
    if context.config.compress.plan or named or not context.config.targets.any:
        return LAYERS
    return STRUCTURE if context.has_sublayers else LAYERS


def budget_of(context: RunContext, tail: float = 1.0) -> Budget:
    """What the targets of a run ask for.

    Args:
        context: of the run.
        tail: of the unpruned model, the percentile of the latency budget over the median: a
            latency table knows medians.
    """
    targets = context.config.targets
    times = []
    for one in targets.speedups:
        shape = one.shape
        times.append(TimeBudget(shape.batch_size, shape.sequence_length, speedup=one.value))
    if targets.latency is not None:
        shape, most = targets.latency.shape, targets.latency.milliseconds / tail
        own = TimeBudget(shape.batch_size, shape.sequence_length, milliseconds=most)
        if times and all(replace(one, speedup=None, milliseconds=most) == own for one in times):
            times = [replace(one, milliseconds=most) for one in times]  # each model keeps both
        else:
            times.append(own)
    megabytes = None if targets.size is None else targets.size.megabytes
    length = min(DEFAULT_SHAPE.sequence_length, longest_of_model(context.pretrained()))
    return Budget(
        cuts=context.cuts,
        depths=context.depths,
        times=tuple(times),
        shape=(DEFAULT_SHAPE.batch_size, length),
        max_drop=targets.max_drop,
        megabytes=megabytes,
    )


def search_cost_of(context: RunContext) -> SearchCost:
    """What the search of a run may spend at most; nothing with a plan."""
    if context.config.compress.plan:
        return SearchCost(strategy=f"plan {context.config.compress.plan}", stages=0)
    first, *others = compressors_of(context)
    cost = (
        COMPRESSORS[first]
        .load()
        .cost(
            context.config.compressors[first],
            budget_of(context),
            context.base_shape,
            context.stack.removable,
        )
    )
    return replace(cost, stages=cost.stages + len(others))


class RunEvaluator:
    """What a compressor chooses with, from a run: what takes time is done when it is asked for."""

    def __init__(self, context: RunContext, work: Path, progress: Progress) -> None:
        self.task = context.data.task
        self.labels_teach = context.execution.kind.loss is not None and context.data.labelled
        self.facts = facts_of(context)
        self.tokenizer = context.tokenizer
        self.removable = context.stack.removable
        self.recovery = context.config.training.recover
        self.directory = work
        self.rows = len(context.fit)
        self.seed = context.config.training.seed
        self.progress = progress
        self._context = context

    @cached_property
    def _sizes(self) -> Sizes:
        return Sizes(self._context)

    def megabytes(self, plan: Plan) -> float:
        """What the artifact of a plan will take: its smallest ONNX file and tokenizer.json."""
        return self._sizes.megabytes(plan)

    def least_megabytes(self, plan: Plan) -> float:
        """The same when the compressors that follow take out all that they can."""
        follows = VOCABULARY in compressors_of(self._context)
        return self.megabytes(trimmed(plan, self) if follows else plan)

    @cached_property
    def given(self) -> PreTrainedModel:
        """The unpruned model as it was given, before any training: for its sizes."""
        return self._context.pretrained()

    @cached_property
    def used_tokens(self) -> frozenset[int]:
        """Ids in train, dev and unlabelled texts, and those that the configuration names."""
        from glp_export.encoder.embedding_rows import needed_ids

        context = self._context
        parts = [context.fit, context.select, context.train]
        if context.unlabeled is not None:
            parts.append(encoded_unlabeled(context))
        named = needed_ids(context.pretrained())
        known = set(context.tokenizer.get_vocab().values())
        return frozenset(named & known).union(*map(tokens_in, parts))

    @cached_property
    def _cache(self) -> Cache:
        return open_cache(self._context, self.directory)

    @cached_property
    def _trained(self) -> Teacher:
        trained = train_teacher(self._context, self._cache, self.progress)
        trained.model.eval()
        return trained

    @property
    def teacher(self) -> PreTrainedModel:
        """The unpruned model, fine-tuned on train alone, in eval mode."""
        return self._trained.model

    @property
    def teacher_cost(self) -> Cost:
        """What its training took."""
        return self._trained.cost

    @property
    def predictions(self) -> NDArray[np.float32]:
        """The teacher's logits on the whole of dev."""
        return self._trained.predictions

    @cached_property
    def dev(self) -> list[Any]:
        """Padded rows for choosing, which the teacher has not seen."""
        rows = self._context.select
        first = rows.select(range(min(DEV_SAMPLES, len(rows))))
        return batches_of(self._context, self.teacher, first)

    @cached_property
    def divergence(self) -> Divergence:
        """How far a model's outputs are from the teacher's."""
        return _divergence(self._context.execution.kind)

    @cached_property
    def train_briefly(self) -> TrainBriefly:
        """Trains a candidate in a final round."""
        return _ShortTraining(self._context, self._trained, self._answers)

    @cached_property
    def _answers(self) -> NDArray[np.float32]:
        """The teacher's logits on the rows that candidates are trained on."""
        context = self._context
        return predict(
            self.teacher, context.fit, context.tokenizer, device=context.execution.device
        )

    @property
    def truth(self) -> Any:
        """The labels of the whole of dev."""
        return truth_of(self.task, self._context.select)

    def recovered(self, found: Found, report: Callable[[int, int], None]) -> NDArray[np.float32]:
        """What a plan's model answers on the whole of dev; a recovery is paid for once."""
        context, plan = self._context, found.plan

        def make(directory: Path) -> None:
            model = self._recover(found, report)
            answers = predict(
                model, context.select, context.tokenizer, device=context.execution.device
            )
            np.save(directory / ANSWERS, answers)

        training = context.config.training
        facts = {
            "plan": plan.id,
            "settings": dict(plan.settings),
            "recover": training.recover,
            "hidden_weight": training.weight_of_hidden_states(changed=plan.inside_layers),
        }
        answers: NDArray[np.float32] = np.load(self.kept("recovered", facts, make) / ANSWERS)
        return answers

    def _recover(self, found: Found, report: Callable[[int, int], None]) -> PreTrainedModel:
        """A plan's model as it will ship, but for the rows of dev."""
        context, recovery = self._context, RECOVERIES[self.recovery]
        ancestor = ancestor_of(context, recovery, self.teacher, found.start)
        student = start_of(context, found.plan, ancestor)
        inputs = TrainingInputs(
            examples=context.fit,
            tokenizer=context.tokenizer,
            teacher_logits=self._answers,
            settings=context.candidate,
            distillation=context.distillation,
            hidden_states=hidden_states_of(
                context, found.plan, self.teacher, student, self.progress
            ),
        )
        return recovery.train(student, inputs, report).eval()

    def teach(self, epochs: float, report: Callable[[int, int], None]) -> Teach:
        """Distils the teacher into a model, in place, as pruned models are in the end."""
        context = self._context
        settings = replace(context.candidate, epochs=epochs)

        def teach(model: PreTrainedModel, regulariser: Regulariser) -> PreTrainedModel:
            return distill(
                model,
                self._answers,
                context.fit,
                context.tokenizer,
                settings,
                context.distillation,
                report,
                regulariser=regulariser,
            )

        return teach

    def kept(self, kind: str, facts: Mapping[str, Any], make: Callable[[Path], None]) -> Path:
        """A directory of the cache, by all that its content depends on."""
        return self._cache.get_or_make(kind, self._facts | dict(facts), make)

    def kept_before(self, kind: str, facts: Mapping[str, Any]) -> Path | None:
        """The same, only where it is there."""
        return self._cache.find(kind, self._facts | dict(facts))

    @property
    def _facts(self) -> dict[str, Any]:
        distillation = {"distillation": asdict(self._context.distillation)}
        return dict(training_facts(self._context)) | distillation

    def calibrator(self, samples: int) -> Calibrator:
        """So many training rows."""
        return calibrator_of(self._context, self.teacher, samples)

    def tables(self, given: str | None = None) -> Tables:
        """Tables measured here, or the one of a file."""
        deployment = deployment_of(self._context, self.teacher)
        path = Path(given) if given else None
        return Tables(deployment, path, self._cache, self.directory, self.progress)

    def fast_enough_depth(self) -> int:
        """The most whole layers that keep every target of speed, by exported models.

        Raises:
            LatencyError: not even the fewest do.
        """
        depth, _ = fast_enough_depth(self._context, self.directory, self.progress)
        return depth

    def open_trials(self, recovery: str) -> AbstractContextManager[TrialEvaluator]:
        """Where models without some layers are trained and scored, with the log of all trials."""
        row = RECOVERIES[recovery]
        teacher = self._trained if row.inherits else None
        return open_evaluator(self._context, row, teacher, self._cache, self.progress)


def facts_of(context: RunContext) -> dict[str, Any]:
    """The fields of a plan that are known before the search."""
    return {
        "task": context.data.task.name,
        "metric": context.data.task.metric,
        "base_model": context.source.name,
        "revision": context.source.revision,
        "checksum": context.model_checksum,
        "num_layers": context.stack.num_layers,
        "base_shape": context.base_shape,
        "data_checksum": context.data.checksum,
        "auxiliary": tuple(one.checksum for one in kept_tasks(context)),
        "versions": describe().versions,
    }


def _divergence(kind: TaskKind) -> Any:
    """How far a model's outputs are from the teacher's, as recovery measures it, unsoftened."""
    import torch

    def divergence(outputs: Any, teacher: Any, batch: Any) -> Any:
        arrays = {name: teacher[name].float().cpu().numpy() for name in kind.outputs}
        rows = {name: tensor.cpu().numpy() for name, tensor in batch.items()}
        wanted = torch.from_numpy(np.ascontiguousarray(kind.read(arrays, rows)))
        return kind.imitation(outputs, wanted, batch, 1.0)

    return divergence


class _ShortTraining:
    """Trains a candidate on a part of the training rows, and judges it by its own answers.

    Trials of whole layers are judged by a head that is refitted: theirs was trained behind layers
    that went. Of narrowed layers the weights are refitted to feed the head that there is, and what
    another head would make of them says little (TREC-6, 3 times as fast, after 1024 examples: loss
    of a refitted head .489 against .486 of whole layers, accuracy 90.7 against 82.7).
    """

    def __init__(self, context: RunContext, teacher: Teacher, answers: NDArray[np.float32]) -> None:
        inputs = TrainingInputs(
            examples=context.fit,
            tokenizer=context.tokenizer,
            teacher_logits=answers,
            settings=context.candidate,
            distillation=context.distillation,
        )
        self._context = TrialContext(
            ancestor=teacher.model,
            inputs=inputs,
            recovery=RECOVERIES["distill"],
            task=context.data.task,
            select=context.select,
            refit=False,
            threads=context.execution.threads,
        )
        rows = context.select.select(range(min(DEV_SAMPLES, len(context.select))))
        self._dev = batches_of(context, teacher.model, rows, size=JUDGED)
        self._wanted = [_answers(teacher.model, batch) for batch in self._dev]
        self._divergence = _divergence(context.execution.kind)

    def __call__(self, model: PreTrainedModel, examples: int) -> tuple[NDArray[np.float32], float]:
        inputs = self._context.inputs.part(examples)
        if inputs is not None:
            self._context.recovery.train(model, inputs, None)
        _, _, score = judge(self._context, model)
        return self._losses(model.eval()), score

    def _losses(self, model: PreTrainedModel) -> NDArray[np.float32]:
        """Of every batch of dev, weighted so that their mean is that of the rows."""
        rows = np.array([len(batch["input_ids"]) for batch in self._dev])
        found = [
            float(self._divergence(_answers(model, batch), wanted, batch))
            for batch, wanted in zip(self._dev, self._wanted, strict=True)
        ]
        losses = np.array(found, dtype=np.float32) * rows / rows.mean()
        return np.where(np.isfinite(losses), losses, np.inf).astype(np.float32)


def _answers(model: PreTrainedModel, batch: Any) -> Any:
    import torch

    with torch.inference_mode():
        return run(model, batch)


def deployment_of(context: RunContext, model: PreTrainedModel) -> Deployment:
    """What a run ships: its precision and its threads, on its device."""
    execution = context.execution
    return Deployment(
        config=model.config,
        base=context.base_shape,
        auto_class=execution.kind.auto_class,
        export_task=execution.kind.export_task,
        device=execution.device,
        provider=execution.provider,
        precision="int8" if "int8" in execution.precisions.names else "fp32",
        threads=execution.threads,
        optimize=execution.export.optimize,
    )

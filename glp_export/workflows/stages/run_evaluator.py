"""What a compressor chooses with, made from a run: teacher, texts, latency tables, trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.cache.store import Cache
from glp_export.compress.compressors.base import Calibrator, Divergence, Found, TrainBriefly
from glp_export.compress.compressors.vocabulary import trimmed
from glp_export.compress.plan import Cost, Plan
from glp_export.compress.search.evaluator import TrialEvaluator
from glp_export.core.machine import describe
from glp_export.core.progress import Progress
from glp_export.encoder import RECOVERIES, Regulariser, TrainingInputs, distill, predict
from glp_export.encoder.embedding_rows import trim_embeddings
from glp_export.encoder.recovery import Joint
from glp_export.encoder.vocabulary import trim_tokenizer
from glp_export.tasks import drawn, encode, truth_of
from glp_export.tasks.checksum import rows_checksum
from glp_export.workflows.auxiliary import joint_of, kept_tasks
from glp_export.workflows.compressors import VOCABULARY, compressors_of
from glp_export.workflows.context import RunContext
from glp_export.workflows.latency_table import Deployment, Tables
from glp_export.workflows.stages.calibration import (
    batches_of,
    calibrator_of,
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
from glp_export.workflows.stages.labelled_texts import blank, encoded, labelled_by
from glp_export.workflows.stages.recovery_start import ancestor_of, hidden_states_of, start_of
from glp_export.workflows.stages.short_training import DEV_SAMPLES, ShortTraining, divergence_of
from glp_export.workflows.stages.size import Sizes

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel

    from glp_export.compress.criteria import Teach


ANSWERS = "dev.npy"


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
        context = self._context
        return self.train_tokens.union(*map(tokens_in, (context.select, context.train)))

    @cached_property
    def train_tokens(self) -> frozenset[int]:
        """The same without those that dev alone has."""
        from glp_export.encoder.embedding_rows import needed_ids

        context = self._context
        parts = [context.fit]
        if context.unlabeled is not None:
            parts.append(encoded(context, blank(context, context.unlabeled)))
        named = needed_ids(context.pretrained())
        known = set(context.tokenizer.get_vocab().values())
        return frozenset(named & known).union(*map(tokens_in, parts))

    def spelled(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """The teacher's logits on the whole of dev where no other tokens are left, ascending."""
        context = self._context
        tokenizer = trim_tokenizer(context.tokenizer, tokens)
        rows = encode(context.data.select, self.task, tokenizer, context.config.data.max_length)
        model = trim_embeddings(self.teacher, tokens)
        return predict(model, rows, tokenizer, device=context.execution.device)

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
        rows = drawn(self._context.select, DEV_SAMPLES)
        return batches_of(self._context, self.teacher, rows)

    @cached_property
    def divergence(self) -> Divergence:
        """How far a model's outputs are from the teacher's."""
        return divergence_of(self._context.execution.kind)

    @cached_property
    def train_briefly(self) -> TrainBriefly:
        """Trains a candidate in a final round."""
        return ShortTraining(self._context, self._trained, self._answers)

    @cached_property
    def _answers(self) -> NDArray[np.float32]:
        """The teacher's logits on the rows that candidates are trained on."""
        return self._context.answers_of(self.teacher, self._context.fit)

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
        if context.unlabeled is not None:
            facts["unlabeled"] = rows_checksum({}, {"texts": context.unlabeled})
        if self._joint is not None:
            facts["joint"] = "recovery"
        answers: NDArray[np.float32] = np.load(self.kept("recovered", facts, make) / ANSWERS)
        return answers

    @cached_property
    def _imitated(self) -> tuple[Dataset, NDArray[np.float32]]:
        """What a whole recovery is trained on, unlabelled texts too, and the teacher's answers."""
        from datasets import concatenate_datasets

        context = self._context
        if context.unlabeled is None:
            return context.fit, self._answers
        texts = encoded(context, labelled_by(context, self.teacher, context.unlabeled))
        examples, device = concatenate_datasets([context.fit, texts]), context.execution.device
        return examples, predict(self.teacher, examples, context.tokenizer, device=device)

    @cached_property
    def _joint(self) -> Joint | None:
        """The auxiliary tasks that a whole recovery learns beside it."""
        return joint_of(self._context, "recovery", self.tokenizer)

    def _recover(self, found: Found, report: Callable[[int, int], None]) -> PreTrainedModel:
        """A plan's model as it will ship, but for the rows of dev and when training ends."""
        context, recovery = self._context, RECOVERIES[self.recovery]
        examples, answers = self._imitated
        ancestor = ancestor_of(context, recovery, self.teacher, found.start)
        student = start_of(context, found.plan, ancestor)
        inputs = TrainingInputs(
            examples=examples,
            tokenizer=context.tokenizer,
            teacher_logits=answers,
            settings=context.candidate,
            distillation=context.distillation,
            hidden_states=hidden_states_of(
                context, found.plan, self.teacher, student, self.progress
            ),
            joint=self._joint,
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
        deployment = deployment_of(self._context, self.given)
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

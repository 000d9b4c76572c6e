"""How many examples pass through how many layers in the trainings of a run, before any of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from glp_export.compress.compressors import keep_all_layers
from glp_export.compress.compressors.block_sparse import LASSO_EPOCHS
from glp_export.compress.compressors.kronecker import GENERAL_EPOCHS
from glp_export.compress.search_cost import SearchCost, TrialGroup
from glp_export.config.sections import NO_RIVAL, STUDENT
from glp_export.encoder import RECOVERIES, schedule_for
from glp_export.workflows.compressors import VOCABULARY, compressors_of, search_cost_of
from glp_export.workflows.context import RunContext
from glp_export.workflows.final_training import classes_of
from glp_export.workflows.stages.recovery_start import has_student, needs_no_recovery
from glp_export.workflows.stages.search import named_plan
from glp_export.workflows.stages.transfer import transfer_examples

if TYPE_CHECKING:
    from glp_export.compress.plan import Plan

_CHANGING = frozenset({"structure", "kronecker", "block-sparse"})
"""Compressors after which layers that stay are not what they were."""


@dataclass(frozen=True)
class Counts:
    """What some trainings amount to.

    Attributes:
        examples: that pass through a model, at most.
        least: examples times the layers that they pass through, at least.
        most: the same at most.
    """

    examples: int = 0
    least: int = 0
    most: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.examples + other.examples, self.least + other.least, self.most + other.most
        )


@dataclass(frozen=True)
class Job:
    """The trainings of a run.

    Attributes:
        context: of the run.
        cost: of the search.
        depths: layers of the models that are made, at most.
        least: the same where they are as shallow as a speedup may make them.
        teacher: layers of the unpruned model where it is trained; () where it is taken as it is.
        rivals: how many distilled models there are.
        recovers: whether pruned models are trained; one that lacks nothing but tokens is not.
    """

    context: RunContext
    cost: SearchCost
    depths: tuple[int, ...]
    least: tuple[int, ...]
    teacher: tuple[int, ...]
    rivals: int
    recovers: bool

    @classmethod
    def of(cls, context: RunContext) -> Job:
        """Of a run; a plan that is missing or does not fit is an error now, too."""
        layers, compress = context.stack.num_layers, context.config.compress
        # How many layers a search for speed leaves is not known: all of them, at most.
        speedups = context.config.targets.speedups
        depths = context.depths or (layers,) * max(1, len(speedups))
        least = context.depths or as_fast(context) or (1,)
        recovery = RECOVERIES[context.config.training.recover]
        if compress.plan:
            plan = named_plan(context)
            depths = least = context.depths or (plan.depth,)
            faster, recovers = has_student(plan), not needs_no_recovery(plan, recovery)
        else:
            used = compressors_of(context)
            faster = not keep_all_layers(used)
            recovers = used != (VOCABULARY,) or not recovery.inherits
            depths, least = (depths, least) if faster else ((layers,), (layers,))
        students = len(depths) if faster else 0
        rivals = {NO_RIVAL: 0, STUDENT: students}.get(context.config.training.distilled, 1)
        teacher = () if context.as_is else (layers,)
        cost = search_cost_of(context)
        return cls(context, cost, depths, least, teacher, rivals, recovers)

    @property
    def final(self) -> tuple[int, ...]:
        """Layers of every model of the final trainings, at most."""
        return self._final(self.depths)

    @property
    def shallowest(self) -> tuple[int, ...]:
        """The same at least."""
        return self._final(self.least)

    def _final(self, depths: tuple[int, ...]) -> tuple[int, ...]:
        pruned = depths if self.recovers else ()
        return (*self.teacher, *pruned, *depths[len(depths) - self.rivals :])

    @property
    def counts(self) -> Counts:
        """Of all trainings."""
        parts = (self.own(), self._before_recovery(), self._on_texts(), self.auxiliary())
        return sum(parts, Counts())

    def own(self, share: float = 1.0) -> Counts:
        """Of the search and the final trainings on the rows of the task.

        Args:
            share: of the training examples that are taken.
        """
        context = self.context
        layers, batch = context.stack.num_layers, context.final.batch_size
        fit, train, dev = (
            max(1, round(share * len(rows)))
            for rows in (context.fit, context.train, context.select)
        )
        epochs = context.candidate.epochs
        least = most = round(train * context.final.epochs)
        if context.schedule:
            classes = classes_of(context.data.task)
            schedule = schedule_for(train, dev, batch, classes, context.schedule.rates)
            most = schedule.most * batch
            least = most - (schedule.updates - schedule.least) * batch
            epochs = context.config.compress.search_epochs or schedule.updates * batch / train
        whole = round(fit * epochs)
        # Where dev ends trainings, the search's teacher is the unpruned model: trained once.
        own_teachers = 0 if context.schedule else len(self.teacher) * self.cost.teachers
        searched = self.cost.examples + (self.cost.trainings - self.cost.teachers) * whole

        def of(group: TrialGroup) -> int:
            examples = whole if group.examples is None else group.examples
            return group.trials * (layers - group.removed) * examples

        groups = self.cost.groups
        surely = own_teachers * whole * layers + sum(of(one) for one in groups if one.sure)
        perhaps = sum(of(one) for one in groups if not one.sure)
        imitated = self._imitated_layers
        return Counts(
            searched + own_teachers * whole + len(self.final) * most,
            surely + least * (sum(self.shallowest) + imitated),
            surely + perhaps + most * (sum(self.final) + imitated),
        )

    def auxiliary(self) -> Counts:
        """Of auxiliary tasks, which may not be used; joint learning doubles a final training."""
        context, uses = self.context, self.context.config.auxiliary.transfer
        final = round(len(context.train) * context.final.epochs)
        if context.schedule:
            final = context.schedule.most * context.final.batch_size
        students = self.final[len(self.teacher) :]
        first = transfer_examples(context) + final * ("joint" in uses)
        beside = final * ("recovery" in uses)
        most = first * context.stack.num_layers + beside * sum(students)
        return Counts(first + beside * len(students), 0, most)

    def _before_recovery(self) -> Counts:
        """Of pruned models before their recovery: a lasso, and general texts."""
        context, plan = self.context, self._plan
        settings: dict[str, Any] = dict(plan.settings) if plan else {}
        for name in () if plan else compressors_of(context):
            settings |= context.config.compressors[name].model_dump()
        passes, texts = 0.0, context.unlabeled
        blocks = plan.blocks is not None if plan else "block-sparse" in compressors_of(context)
        kept = plan.blocks.keep if plan and plan.blocks else settings.get("sparse_keep", 1.0)
        if blocks and kept < 1:
            rows = len(context.train) + (0 if texts is None else len(texts))
            passes += settings.get("lasso_epochs", LASSO_EPOCHS) * rows
        if texts is not None and self._in_stages:
            passes += settings.get("general_epochs", GENERAL_EPOCHS) * len(texts)
        count = round(passes)
        return Counts(count * len(self.depths), count * sum(self.least), count * sum(self.depths))

    def _on_texts(self) -> Counts:
        """Of the final trainings on unlabelled texts.

        Where dev ends a training, they are among the examples that it sees at most.
        """
        context = self.context
        if context.unlabeled is None or context.schedule:
            return Counts()
        count = round(len(context.unlabeled) * context.final.epochs)
        first = len(self.teacher) + len(self.depths) * self._in_stages
        least, most = self.shallowest[first:], self.final[first:]
        return Counts(count * len(most), count * sum(least), count * sum(most))

    @cached_property
    def _plan(self) -> Plan | None:
        return named_plan(self.context) if self.context.config.compress.plan else None

    @property
    def _in_stages(self) -> bool:
        """Whether pruned models imitate their teacher on general texts before the task's."""
        plan, context = self._plan, self.context
        factored = plan.factors is not None if plan else "kronecker" in compressors_of(context)
        return factored and RECOVERIES[context.config.training.recover].inherits

    @property
    def _imitated_layers(self) -> int:
        """Layers that the teacher computes beside its students, whose hidden states they imitate.

        Forward only, which is a third of a training.
        """
        training, plan = self.context.config.training, self._plan
        if plan is not None:
            changed = plan.changes_layers
        else:
            changed = not _CHANGING.isdisjoint(compressors_of(self.context))
        if training.recover != "distill" or not training.weight_of_hidden_states(changed=changed):
            return 0
        students = len(self.final) - len(self.teacher)
        return round(students * self.context.stack.num_layers / 3)


def as_fast(context: RunContext) -> tuple[int, ...]:
    """Layers that are as fast as each speedup asks for, by their count alone."""
    layers = context.stack.num_layers
    return tuple(max(1, round(layers / one.value)) for one in context.config.targets.speedups)

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
from glp_export.workflows.compressors import compressors_of, search_cost_of
from glp_export.workflows.context import RunContext
from glp_export.workflows.final_training import classes_of
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
    """

    context: RunContext
    cost: SearchCost
    depths: tuple[int, ...]
    least: tuple[int, ...]
    teacher: tuple[int, ...]
    rivals: int

    @classmethod
    def of(cls, context: RunContext) -> Job:
        """Of a run; a plan that is missing or does not fit is an error now, too."""
        layers, compress = context.stack.num_layers, context.config.compress
        # How many layers a search for speed leaves is not known: all of them, at most.
        speedups = context.config.targets.speedups
        depths = context.depths or (layers,) * max(1, len(speedups))
        least = context.depths or as_fast(context) or (1,)
        if compress.plan:
            depths = least = context.depths or (named_plan(context).depth,)
        elif keep_all_layers(compressors_of(context)):
            depths = least = (layers,)
        rivals = {NO_RIVAL: 0, STUDENT: len(depths)}.get(context.config.training.distilled, 1)
        teacher = () if context.as_is else (layers,)
        return cls(context, search_cost_of(context), depths, least, teacher, rivals)

    @property
    def final(self) -> tuple[int, ...]:
        """Layers of every model of the final trainings, at most."""
        return self._final(self.depths)

    @property
    def shallowest(self) -> tuple[int, ...]:
        """The same at least."""
        return self._final(self.least)

    def _final(self, depths: tuple[int, ...]) -> tuple[int, ...]:
        return (*self.teacher, *depths, *depths[len(depths) - self.rivals :])

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
        rows = max(1, round(share * len(context.fit)))
        whole = round(rows * context.candidate.epochs)
        given = self.cost.teachers * context.as_is
        searched = self.cost.examples + (self.cost.trainings - given) * whole
        least = most = round(share * len(context.train) * context.final.epochs)
        if context.schedule:
            classes = classes_of(context.data.task)
            schedule = schedule_for(rows, batch, classes, context.schedule.rates)
            whole = schedule.updates * batch
            most = schedule.most * batch
            least = most - (schedule.updates - schedule.least) * batch
        # Where dev ends trainings, the search's teacher is the unpruned model: trained once.
        own_teachers = 0 if context.schedule else len(self.teacher) * self.cost.teachers

        def of(group: TrialGroup) -> int:
            examples = whole if group.examples is None else group.examples
            return group.trials * (layers - group.removed) * examples

        groups = self.cost.groups
        surely = own_teachers * whole * layers + sum(of(one) for one in groups if one.sure)
        perhaps = sum(of(one) for one in groups if not one.sure)
        imitated = self._imitated_layers
        return Counts(
            searched + len(self.final) * most,
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
        students = len(self.depths) + self.rivals
        return round(students * self.context.stack.num_layers / 3)


def as_fast(context: RunContext) -> tuple[int, ...]:
    """Layers that are as fast as each speedup asks for, by their count alone."""
    layers = context.stack.num_layers
    return tuple(max(1, round(layers / one.value)) for one in context.config.targets.speedups)

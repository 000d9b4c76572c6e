"""What a run would cost, found by training for a moment."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from glp_export.compress.compressors import keep_all_layers
from glp_export.compress.compressors.block_sparse import LASSO_EPOCHS
from glp_export.compress.compressors.kronecker import GENERAL_EPOCHS
from glp_export.compress.compressors.layers.strategies import RULES, Problem, order_by_rule
from glp_export.compress.search_cost import SearchCost, TrialGroup
from glp_export.config.sections import NO_RIVAL, STUDENT
from glp_export.core.numbers import duration, these_layers
from glp_export.core.sharing import SharingMonitor
from glp_export.encoder import RECOVERIES, distill, finetune, predict, schedule_for
from glp_export.tasks import drawn
from glp_export.workflows.compressors import compressors_of, search_cost_of
from glp_export.workflows.context import RunContext
from glp_export.workflows.final_training import classes_of
from glp_export.workflows.stages.precision import require_texts_of_run
from glp_export.workflows.stages.search import named_plan, require_search
from glp_export.workflows.stages.transfer import transfer_examples

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel

    from glp_export.compress.plan import Plan

PROBES, PROBE_STEPS = 3, 2
"""Timed trainings, whose fastest and slowest make the range, and the updates of each."""

SMALLER = 4
"""A cheaper run is reckoned with one in so many examples."""

WORTH_TELLING = 0.9
"""A cheaper run is told of where it takes less than this of the time."""


@dataclass(frozen=True)
class SmallerRun:
    """What the same run would cost with fewer training examples."""

    max_train_samples: int
    seconds_least: float
    seconds: float

    def __str__(self) -> str:
        least, most = self.seconds_least, self.seconds
        return f"{_range(least, most)} with --max-train-samples {self.max_train_samples}"


@dataclass(frozen=True)
class Estimate:
    """The cost of a run.

    Attributes:
        depths: layers of the models that are made.
        strategy: how it is chosen what goes.
        removed: what goes, in words, as far as it is known before.
        trainings: fine-tunings of the search.
        final_trainings: trainings after it: unpruned, and pruned and distilled of every depth.
        samples: training examples that pass through a model, in all.
        seconds_least: of training at least; export and benchmark come on top.
        seconds: of training at most.
        at_most: whether dev may end trainings before that.
        smaller: the same range with fewer examples; None where it would save little.
        machine: whether others used it during the probe.
        auxiliary_samples: of `samples`, those that auxiliary tasks take.
    """

    model: str
    task: str
    strategy: str
    layers: int
    depths: tuple[int, ...]
    removed: str
    trainings: int
    final_trainings: int
    samples: int
    seconds_least: float
    seconds: float
    at_most: bool
    smaller: SmallerRun | None
    machine: str
    auxiliary_samples: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def __str__(self) -> str:
        depths = ", ".join(map(str, self.depths))
        time = _range(self.seconds_least, self.seconds)
        own = f", {self.auxiliary_samples:,} of them for auxiliary tasks"
        lines = (
            f"{self.model} on {self.task}: {self.layers} layers to {depths}",
            f"removed:  {self.removed}",
            f"search:   {self.strategy}, {self.trainings} trainings",
            f"final:    {self.final_trainings} trainings",
            f"examples: {self.samples:,} in all{own if self.auxiliary_samples else ''}",
            f"time:     {time} of training on this machine, then export and benchmark",
            *([f"smaller:  {self.smaller}"] if self.smaller else []),
            f"machine:  {self.machine}",
            "nothing was done (--dry-run)",
        )
        return "\n".join(lines)


def _range(least: float, most: float) -> str:
    """`4 min to 9 min`; one duration where both are written alike."""
    low, high = duration(least), duration(most)
    return low if low == high else f"{low} to {high}"


@dataclass(frozen=True)
class _Job:
    """The trainings of a run.

    Attributes:
        cost: of the search.
        depths: layers of the models that are made, at most.
        least: the same where they are as shallow as a speedup may make them.
        teacher: layers of the unpruned model where it is trained; () where it is taken as it is.
        rivals: how many distilled models there are.
    """

    cost: SearchCost
    depths: tuple[int, ...]
    least: tuple[int, ...]
    teacher: tuple[int, ...]
    rivals: int

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


def estimate_run(context: RunContext) -> Estimate:
    """Train the unpruned model for a few steps and reckon from there.

    Raises:
        GlpError: what a run would end with before it trains anything.
    """
    require_search(context)
    require_texts_of_run(context)
    job = _job_of(context)
    removed = _removed_words(context)
    monitor = SharingMonitor()
    fast, slow = _probe(context)
    least, most = _sample_layers(context, job)
    search_samples, final_samples = _samples(context, job)
    auxiliary, auxiliary_layers = _auxiliary(context, job, final_samples)
    plan = named_plan(context) if context.config.compress.plan else None
    before = _before_recovery(context, plan)
    texts, texts_least, texts_most = _on_texts(context, job, plan)
    return Estimate(
        model=context.source.name,
        task=context.data.task.name,
        strategy=job.cost.strategy,
        layers=context.stack.num_layers,
        depths=job.depths,
        removed=removed,
        trainings=job.cost.trials,
        final_trainings=len(job.final),
        samples=search_samples
        + len(job.final) * final_samples
        + len(job.depths) * before
        + texts
        + auxiliary,
        seconds_least=(least + before * sum(job.least) + texts_least) * fast,
        seconds=(most + before * sum(job.depths) + texts_most + auxiliary_layers) * slow,
        at_most=context.schedule is not None or auxiliary > 0,
        smaller=_smaller(context, job, fast, slow),
        machine=monitor.words(),
        auxiliary_samples=auxiliary,
    )


def _job_of(context: RunContext) -> _Job:
    layers, compress = context.stack.num_layers, context.config.compress
    # How many layers a search for speed leaves is not known: all of them, at most.
    speedups = context.config.targets.speedups
    depths = context.depths or (layers,) * max(1, len(speedups))
    least = context.depths or _as_fast(context) or (1,)
    if compress.plan:  # one that is missing or does not fit is an error now, too
        depths = least = context.depths or (named_plan(context).depth,)
    elif keep_all_layers(compressors_of(context)):
        depths = least = (layers,)
    rivals = {NO_RIVAL: 0, STUDENT: len(depths)}.get(context.config.training.distilled, 1)
    teacher = () if context.as_is else (layers,)
    return _Job(search_cost_of(context), depths, least, teacher, rivals)


def _as_fast(context: RunContext) -> tuple[int, ...]:
    """Layers that are as fast as each speedup asks for, by their count alone."""
    layers = context.stack.num_layers
    return tuple(max(1, round(layers / one.value)) for one in context.config.targets.speedups)


def _samples(context: RunContext, job: _Job) -> tuple[int, int]:
    """Examples of the search, and of one final training, at most."""
    whole = round(len(context.fit) * context.candidate.epochs)
    given = job.cost.teachers * context.as_is
    searched = job.cost.examples + (job.cost.trainings - given) * whole
    if context.schedule:
        return searched, context.schedule.most * context.final.batch_size
    return searched, round(len(context.train) * context.final.epochs)


def _sample_layers(context: RunContext, job: _Job, share: float = 1.0) -> tuple[int, int]:
    """Training examples times the layers that they pass through, at least and at most.

    Args:
        context: of the run.
        job: its trainings.
        share: of the training examples that are taken.
    """
    layers, batch = context.stack.num_layers, context.final.batch_size
    rows = max(1, round(share * len(context.fit)))
    whole = round(rows * context.candidate.epochs)
    least = most = round(share * len(context.train) * context.final.epochs)
    if context.schedule:
        classes = classes_of(context.data.task)
        schedule = schedule_for(rows, batch, classes, context.schedule.rates)
        whole = schedule.updates * batch
        most = schedule.most * batch
        least = most - (schedule.updates - schedule.least) * batch
    # Where dev ends trainings, the search's teacher is the unpruned model: trained once.
    own_teachers = 0 if context.schedule else len(job.teacher) * job.cost.teachers

    def of(group: TrialGroup) -> int:
        examples = whole if group.examples is None else group.examples
        return group.trials * (layers - group.removed) * examples

    surely = own_teachers * whole * layers + sum(of(one) for one in job.cost.groups if one.sure)
    perhaps = sum(of(one) for one in job.cost.groups if not one.sure)
    imitated = _imitated_layers(context, len(job.depths) + job.rivals)
    return (
        surely + least * (sum(job.shallowest) + imitated),
        surely + perhaps + most * (sum(job.final) + imitated),
    )


def _auxiliary(context: RunContext, job: _Job, final_samples: int) -> tuple[int, int]:
    """Examples of auxiliary tasks at most, and the same times the layers that they pass through.

    Args:
        context: of the run.
        job: its trainings.
        final_samples: of a final training, which joint learning doubles.
    """
    layers, uses = context.stack.num_layers, context.config.auxiliary.transfer
    students = job.final[len(job.teacher) :]
    first = transfer_examples(context) + final_samples * ("joint" in uses)
    beside = final_samples * ("recovery" in uses)
    return first + beside * len(students), first * layers + beside * sum(students)


def _before_recovery(context: RunContext, plan: Plan | None) -> int:
    """Examples that a pruned model sees before its recovery: of a lasso, and general texts."""
    settings: dict[str, Any] = dict(plan.settings) if plan else {}
    for name in () if plan else compressors_of(context):
        settings |= context.config.compressors[name].model_dump()
    passes, texts = 0.0, context.unlabeled
    blocks = plan.blocks is not None if plan else "block-sparse" in compressors_of(context)
    kept = plan.blocks.keep if plan and plan.blocks else settings.get("sparse_keep", 1.0)
    if blocks and kept < 1:
        rows = len(context.train) + (0 if texts is None else len(texts))
        passes += settings.get("lasso_epochs", LASSO_EPOCHS) * rows
    if texts is not None and _in_stages(context, plan):
        passes += settings.get("general_epochs", GENERAL_EPOCHS) * len(texts)
    return round(passes)


def _in_stages(context: RunContext, plan: Plan | None) -> bool:
    """Whether a pruned model imitates its teacher on general texts first, then on the task's."""
    factored = plan.factors is not None if plan else "kronecker" in compressors_of(context)
    return factored and RECOVERIES[context.config.training.recover].inherits


def _on_texts(context: RunContext, job: _Job, plan: Plan | None) -> tuple[int, int, int]:
    """Unlabelled examples of the final trainings, and the same times layers, at least and most.

    Where dev ends a training, they are among the examples that it sees at most.
    """
    if context.unlabeled is None or context.schedule:
        return 0, 0, 0
    count = round(len(context.unlabeled) * context.final.epochs)
    first = len(job.teacher) + len(job.depths) * _in_stages(context, plan)
    least, most = job.shallowest[first:], job.final[first:]
    return count * len(most), count * sum(least), count * sum(most)


def _imitated_layers(context: RunContext, students: int) -> int:
    """Layers that the teacher computes beside its students, whose hidden states they imitate.

    Forward only, which is a third of a training.
    """
    training = context.config.training
    compressors = set() if context.config.compress.plan else set(compressors_of(context))
    changed = bool(compressors & {"structure", "kronecker", "block-sparse"})
    if training.recover != "distill" or not training.weight_of_hidden_states(changed=changed):
        return 0
    return round(students * context.stack.num_layers / 3)


def _smaller(context: RunContext, job: _Job, fast: float, slow: float) -> SmallerRun | None:
    """What a part of the examples would cost; None where that is hardly less."""
    rows = (len(context.fit) + len(context.select)) // SMALLER
    least, most = _sample_layers(context, job, 1 / SMALLER)
    saved = most < WORTH_TELLING * _sample_layers(context, job)[1]
    if not saved or rows < context.config.training.batch_size:
        return None
    return SmallerRun(rows, least * fast, most * slow)


def _removed_words(context: RunContext) -> str:
    """What goes, as far as it is known before a search."""
    compress, search = context.config.compress, context.config.layers.search
    if compress.plan:
        plan = named_plan(context)
        gone = these_layers(plan.order) if plan.order else f"all but {plan.label}"
        return f"{gone}, as {compress.plan} says"
    compressors, layers = compressors_of(context), context.stack.num_layers
    if compressors[0] == "layers" and context.depths:
        if search in RULES:
            order = order_by_rule(search, Problem(context.stack.removable, context.cuts))
            return f"{these_layers(order)}, by the rule {search}"
        return f"{context.cuts} of {layers} layers; {search} finds which"
    words = f"chosen by --compress {','.join(compressors)}"
    if _as_fast(context):
        about = ", ".join(map(str, _as_fast(context)))
        return f"{words} until it is as fast as about {about} of {layers} layers"
    return f"{words} for the target"


def _probe(context: RunContext) -> tuple[float, float]:
    """Seconds for one example through one layer, forward and back: the fastest and the slowest."""
    batch = context.config.training.batch_size
    rows = min(PROBE_STEPS * batch, len(context.train))
    model = context.pretrained()
    _train(context, model, drawn(context.train, batch))
    seconds = []
    for number in range(PROBES):
        examples = drawn(context.train, rows, seed=number)  # a file may begin with short texts
        start = time.perf_counter()
        _train(context, model, examples)
        seconds.append((time.perf_counter() - start) / rows / context.stack.num_layers)
    return min(seconds), max(seconds)


def _train(context: RunContext, model: PreTrainedModel, examples: Dataset) -> None:
    """One pass over the labels, or where they teach nothing over the model's own answers."""
    once, tokenizer = replace(context.final, epochs=1), context.tokenizer
    if context.execution.kind.loss is not None:
        finetune(model, examples, tokenizer, once)
        return
    predictions = predict(model, examples, tokenizer, device=context.execution.device)
    distill(model, predictions, examples, tokenizer, once, context.distillation)

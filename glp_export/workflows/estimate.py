"""What a run would cost, found by training for a moment."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from glp_export.compress.compressors.layers.strategies import RULES, Problem, order_by_rule
from glp_export.core.numbers import duration, these_layers
from glp_export.core.sharing import SharingMonitor
from glp_export.encoder import distill, finetune, predict
from glp_export.tasks import drawn
from glp_export.workflows.compressors import compressors_of
from glp_export.workflows.context import RunContext
from glp_export.workflows.stages.precision import require_texts_of_run
from glp_export.workflows.stages.search import named_plan, require_search
from glp_export.workflows.training_counts import Job, as_fast

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel


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


def estimate_run(context: RunContext) -> Estimate:
    """Train the unpruned model for a few steps and reckon from there.

    Raises:
        GlpError: what a run would end with before it trains anything.
    """
    require_search(context)
    require_texts_of_run(context)
    job = Job.of(context)
    removed = _removed_words(context)
    monitor = SharingMonitor()
    fast, slow = _probe(context)
    counts, auxiliary = job.counts, job.auxiliary().examples
    return Estimate(
        model=context.source.name,
        task=context.data.task.name,
        strategy=job.cost.strategy,
        layers=context.stack.num_layers,
        depths=job.depths,
        removed=removed,
        trainings=job.cost.trials,
        final_trainings=len(job.final),
        samples=counts.examples,
        seconds_least=counts.least * fast,
        seconds=counts.most * slow,
        at_most=context.schedule is not None or auxiliary > 0,
        smaller=_smaller(context, job, fast, slow),
        machine=monitor.words(),
        auxiliary_samples=auxiliary,
    )


def _smaller(context: RunContext, job: Job, fast: float, slow: float) -> SmallerRun | None:
    """What a part of the examples would cost; None where that is hardly less."""
    rows = (len(context.fit) + len(context.select)) // SMALLER
    part = job.own(1 / SMALLER)
    saved = part.most < WORTH_TELLING * job.own().most
    if not saved or rows < context.config.training.batch_size:
        return None
    return SmallerRun(rows, part.least * fast, part.most * slow)


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
    if as_fast(context):
        about = ", ".join(map(str, as_fast(context)))
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

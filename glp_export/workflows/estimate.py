"""What a run would cost, found by training for a moment."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from glp_export.encoder import distill, finetune, predict
from glp_export.workflows.context import RunContext
from glp_export.workflows.stages.compression import VOCABULARY, compressors_of, search_cost_of
from glp_export.workflows.stages.search import named_plan
from glp_export.workflows.stages.transfer import transfer_examples

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel

PROBE_STEPS = 6


@dataclass(frozen=True)
class Estimate:
    """The cost of a run.

    Attributes:
        depths: layers of the models that are made.
        strategy: how it is chosen what goes.
        trainings: fine-tunings of the search.
        final_trainings: trainings after it: unpruned, and pruned and distilled of every depth.
        samples: training examples that pass through a model, in all.
        seconds: of training, from the probe; export and benchmark come on top.
        at_most: whether dev may end trainings before that.
        auxiliary_samples: of `samples`, those that auxiliary tasks take.
    """

    model: str
    task: str
    strategy: str
    layers: int
    depths: tuple[int, ...]
    trainings: int
    final_trainings: int
    samples: int
    seconds: float
    at_most: bool = False
    auxiliary_samples: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def __str__(self) -> str:
        limit = "at most" if self.at_most else "about"
        time = f"{limit} {self.seconds / 60:.1f} minutes"
        depths = ", ".join(map(str, self.depths))
        own = f", {self.auxiliary_samples:,} of them for auxiliary tasks"
        return (
            f"{self.model} on {self.task}: {self.layers} layers to {depths}\n"
            f"search:   {self.strategy}, {self.trainings} trainings\n"
            f"final:    {self.final_trainings} trainings\n"
            f"examples: {self.samples:,} in all{own if self.auxiliary_samples else ''}\n"
            f"time:     {time} of training on this machine, then export "
            "and benchmark\n"
            "nothing was done (--dry-run)"
        )


def estimate_run(context: RunContext) -> Estimate:
    """Train the unpruned model for a few steps and reckon from there."""
    # How many layers a search for speed leaves is not known: all of them, at most.
    models = max(1, len(context.config.targets.speedups))
    depths = context.depths or (context.stack.num_layers,) * models
    if context.config.compress.plan:  # one that is missing or does not fit is an error now, too
        plan = named_plan(context)
        depths = context.depths or (plan.depth,)
    search_cost = search_cost_of(context)
    if not context.config.compress.plan and compressors_of(context) == (VOCABULARY,):
        depths = (context.stack.num_layers,)
    rivals = {"none": (), "student": depths}.get(context.config.training.distilled, depths[-1:])
    teacher = () if context.as_is else (context.stack.num_layers,)
    final = (*teacher, *depths, *rivals)
    whole = round(len(context.fit) * context.candidate.epochs)
    given = search_cost.teachers * context.as_is
    search_samples = search_cost.examples + (search_cost.trainings - given) * whole
    final_samples = round(len(context.train) * context.final.epochs)
    if context.schedule:  # at most: dev may end it before
        final_samples = context.schedule.most * context.final.batch_size
    per_sample_layer = _probe(context) / context.stack.num_layers
    # Where dev ends trainings, the search's teacher is the unpruned model: trained once.
    own_teachers = 0 if context.schedule else len(teacher) * search_cost.teachers
    searched_layers = own_teachers * whole * context.stack.num_layers + sum(
        group.trials * (context.stack.num_layers - group.removed) * (group.examples or whole)
        for group in search_cost.groups
    )
    auxiliary, auxiliary_layers = _auxiliary(context, final_samples, (*depths, *rivals))
    sample_layers = searched_layers + final_samples * (sum(final) + _asked(context, depths, rivals))
    sample_layers += auxiliary_layers
    return Estimate(
        model=context.source.name,
        task=context.data.task.name,
        strategy=search_cost.strategy,
        layers=context.stack.num_layers,
        depths=depths,
        trainings=search_cost.trials,
        final_trainings=len(final),
        samples=search_samples + len(final) * final_samples + auxiliary,
        seconds=sample_layers * per_sample_layer,
        at_most=context.schedule is not None or auxiliary > 0,
        auxiliary_samples=auxiliary,
    )


def _auxiliary(context: RunContext, final_samples: int, students: Sequence[int]) -> tuple[int, int]:
    """Examples of auxiliary tasks at most, and the same times the layers that they pass through.

    Args:
        context: of the run.
        final_samples: of a final training, which joint learning doubles.
        students: layers of each model that is recovered.
    """
    layers, uses = context.stack.num_layers, context.config.auxiliary.transfer
    first = transfer_examples(context) + final_samples * ("joint" in uses)
    beside = final_samples * ("recovery" in uses)
    return first + beside * len(students), first * layers + beside * sum(students)


def _asked(context: RunContext, *students: Sequence[int]) -> float:
    """Layers that the teacher computes beside its students, forward only: a third of a training."""
    training, narrowed = context.config.training, bool(context.config.targets.speedups)
    weight = training.hidden_weight if training.hidden_weight is not None else float(narrowed)
    if training.recover != "distill" or not weight:
        return 0.0
    return sum(map(len, students)) * context.stack.num_layers / 3


def _probe(context: RunContext) -> float:
    """Seconds for one example through the whole model, forward and back."""
    rows = min(PROBE_STEPS * context.config.training.batch_size, len(context.train))
    examples = context.train.select(range(rows))
    model = context.pretrained()
    _train(context, model, examples.select(range(min(rows, context.config.training.batch_size))))
    start = time.perf_counter()
    _train(context, model, examples)
    return (time.perf_counter() - start) / rows


def _train(context: RunContext, model: PreTrainedModel, examples: Dataset) -> None:
    """One pass over the labels, or where they teach nothing over the model's own answers."""
    once, tokenizer = replace(context.final, epochs=1), context.tokenizer
    if context.execution.kind.loss is not None:
        finetune(model, examples, tokenizer, once)
        return
    predictions = predict(model, examples, tokenizer, device=context.execution.device)
    distill(model, predictions, examples, tokenizer, once, context.distillation)

"""What a run would cost, found by training for a moment."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from glp_export.compress.compressors.layers.strategies import STRATEGIES, Effort
from glp_export.encoder import distill, finetune, predict
from glp_export.workflows.context import Setup

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel

PROBE_STEPS = 6


@dataclass(frozen=True)
class Estimate:
    """The cost of a run.

    Attributes:
        depths: layers of the models that are made.
        strategy: how layers are chosen.
        trainings: fine-tunings of the search.
        final_trainings: trainings after it: unpruned, and pruned and distilled of every depth.
        samples: training examples that pass through a model, in all.
        seconds: of training, from the probe; export and benchmark come on top.
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

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def __str__(self) -> str:
        minutes = self.seconds / 60
        depths = ", ".join(map(str, self.depths))
        return (
            f"{self.model} on {self.task}: {self.layers} layers to {depths}\n"
            f"search:   {self.strategy}, {self.trainings} trainings\n"
            f"final:    {self.final_trainings} trainings\n"
            f"examples: {self.samples:,} in all\n"
            f"time:     about {minutes:.1f} minutes of training on this machine, then export "
            "and benchmark\n"
            "nothing was done (--dry-run)"
        )


def estimate_run(setup: Setup) -> Estimate:
    """Train the unpruned model for a few steps and reckon from there."""
    depths = setup.depths or (setup.stack.num_layers,)  # a plan that was not read yet
    searched = not setup.config.plan
    effort = STRATEGIES[setup.config.search].effort(setup.problem) if searched else Effort()
    rivals = {"none": (), "student": depths}.get(setup.config.distilled, depths[-1:])
    teacher = () if setup.place.kind.loss is None else (setup.stack.num_layers,)
    final = (*teacher, *depths, *rivals)
    whole = round(len(setup.fit) * setup.candidate.epochs)
    search_samples = effort.examples + effort.trainings * whole
    final_samples = round(len(setup.train) * setup.final.epochs)
    per_sample_layer = _probe(setup) / setup.stack.num_layers
    searched_layers = effort.teachers * whole * setup.stack.num_layers + sum(
        lot.trials * (setup.stack.num_layers - lot.gone) * (lot.examples or whole)
        for lot in effort.lots
    )
    sample_layers = searched_layers + final_samples * sum(final)
    return Estimate(
        model=setup.source.name,
        task=setup.data.task.name,
        strategy=setup.config.search if searched else f"plan {setup.config.plan}",
        layers=setup.stack.num_layers,
        depths=depths,
        trainings=effort.trials,
        final_trainings=len(final),
        samples=search_samples + len(final) * final_samples,
        seconds=sample_layers * per_sample_layer,
    )


def _probe(setup: Setup) -> float:
    """Seconds for one example through the whole model, forward and back."""
    rows = min(PROBE_STEPS * setup.config.batch_size, len(setup.train))
    examples = setup.train.select(range(rows))
    model = setup.pretrained()
    _train(setup, model, examples.select(range(min(rows, setup.config.batch_size))))
    start = time.perf_counter()
    _train(setup, model, examples)
    return (time.perf_counter() - start) / rows


def _train(setup: Setup, model: PreTrainedModel, examples: Dataset) -> None:
    """One pass over the labels, or where they teach nothing over the model's own answers."""
    once, tokenizer = replace(setup.final, epochs=1), setup.tokenizer
    if setup.place.kind.loss is not None:
        finetune(model, examples, tokenizer, once)
        return
    answers = predict(model, examples, tokenizer, device=setup.place.device)
    distill(model, answers, examples, tokenizer, once, setup.distillation)

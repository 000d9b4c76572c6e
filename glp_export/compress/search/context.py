"""What all trials of a search share, and `run_trial`: a pure function that any machine can run."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.compress.plan import Candidate
from glp_export.compress.search.trial import Trial
from glp_export.encoder import (
    Recovery,
    TrainingInputs,
    autocast,
    predict_with_features,
    remove_layers,
    torch_threads,
)
from glp_export.tasks import KINDS, Task, score, truth_of

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel

DIVERGED = -1.0
"""The score of a candidate whose training diverged: no metric is worse."""

PROBE_ROWS = 512
"""Examples that a candidate's head is refitted on, at most."""


@dataclass(frozen=True)
class TrialContext:
    """Everything that a trial needs; plain data, so it travels to another machine.

    Attributes:
        ancestor: the unpruned model whose layers candidates inherit; never changed.
        inputs: what a candidate is trained on: the `fit` examples, and for how long.
        recovery: how it is trained.
        select: encoded examples that it is scored on.
        refit: judge a candidate by the loss of a head refitted to it, besides its score.
        threads: of PyTorch; the same number gives the same numbers.
        predictions: the ancestor's on dev, where it is the teacher.
    """

    ancestor: PreTrainedModel
    inputs: TrainingInputs
    recovery: Recovery
    task: Task
    select: Dataset
    refit: bool
    threads: int
    predictions: NDArray[np.float32] | None = None

    @property
    def whole(self) -> int:
        """Training examples of a whole training, every pass counted."""
        return round(len(self.inputs.examples) * self.inputs.settings.epochs)


@dataclass(frozen=True)
class Outcome:
    """What came of a trial.

    Attributes:
        logits: the answers on dev, float32.
        losses: of the refitted head on dev, (rows,) float32, or None.
    """

    candidate: Candidate
    logits: NDArray[np.float32]
    losses: NDArray[np.float32] | None = None


def run_trial(context: TrialContext, trial: Trial) -> Outcome:
    """Build, train and score one candidate; two models are in memory, the ancestor and it.

    The same trial on the same ground gives the same outcome, its seconds excepted.
    """
    with torch_threads(context.threads):
        return _run_trial(context, trial)


def portable(context: TrialContext) -> TrialContext:
    """The same ground without a file or a device of this machine, to be sent to another.

    Encoded examples lie in memory-mapped files, of which a pickle keeps the path alone; here
    they are taken into memory, and the ancestor's weights with them. What is sent is about the
    ancestor's float32 weights (440 MB for BERT base) and the token ids, a few bytes a token.
    """
    inputs = replace(context.inputs, examples=_in_memory(context.inputs.examples))
    ancestor = context.ancestor
    if ancestor.device.type != "cpu":
        ancestor = copy.deepcopy(ancestor).cpu()
    return replace(context, ancestor=ancestor, inputs=inputs, select=_in_memory(context.select))


def _in_memory(examples: Dataset) -> Dataset:
    from datasets import Dataset
    from datasets.table import InMemoryTable

    table = examples.with_format("arrow")[:]  # the rows that were selected, no others
    return Dataset(InMemoryTable(table.combine_chunks()), info=examples.info)


def _run_trial(context: TrialContext, trial: Trial) -> Outcome:
    start = time.perf_counter()
    model = remove_layers(context.ancestor, trial.removed)
    inputs = context.inputs.part(trial.examples, trial.repeat)
    if inputs is not None:
        context.recovery.train(model, inputs, None)
    logits, losses, found = judge(context, model)
    candidate = Candidate(
        removed=trial.removed,
        examples=trial.examples,
        repeat=trial.repeat,
        score=found,
        loss=None if losses is None else float(losses.mean()),
        seconds=time.perf_counter() - start,
    )
    return Outcome(candidate, logits, losses)


def judge(
    context: TrialContext, model: PreTrainedModel
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None, float]:
    """What a candidate answers on dev, its refitted head's losses (rows,) and its score.

    There are no losses where no head is refitted, or the training diverged.
    """
    logits, features = _read(context, model, context.select)
    finite = bool(np.isfinite(logits).all())
    losses = _refit(context, model, features) if context.refit and finite else None
    found = score(context.task, logits, _truth(context, context.select)) if finite else DIVERGED
    return logits, losses, found


def _refit(context: TrialContext, model: PreTrainedModel, features: Any) -> NDArray[np.float32]:
    """Losses (rows,) on dev of a head that was fitted to what this candidate computes.

    A candidate's own head was trained behind the layers that went. How badly it fits says more
    about the head than about what the remaining layers know, and the head is mended in no time.
    """
    examples = context.inputs.examples
    order = np.random.default_rng(context.inputs.settings.seed).permutation(len(examples))
    probed, kind = order[:PROBE_ROWS], KINDS[context.task.kind]
    seen = examples.select(probed)
    _, known = _read(context, model, seen)
    labels, wanted = (_truth(context, rows) for rows in (seen, context.select))
    if not kind.refit_to_teacher:
        return kind.refit(known, labels, features, wanted)
    predictions = context.inputs.teacher_logits
    if predictions is None or context.predictions is None:
        raise ValueError(f"candidates for {kind.name} are judged beside a teacher")
    return kind.refit(known, (labels, predictions[probed]), features, (wanted, context.predictions))


def _truth(context: TrialContext, rows: Dataset) -> Any:
    return truth_of(context.task, rows)


def _read(
    context: TrialContext, model: PreTrainedModel, rows: Dataset
) -> tuple[NDArray[np.float32], Any]:
    inputs = context.inputs
    with autocast(inputs.settings):
        return predict_with_features(model, rows, inputs.tokenizer, device=inputs.settings.device)

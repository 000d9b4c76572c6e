"""What trials stand on, and how one is carried out: a pure function that any machine can run."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glp_export.encoder import Lesson, Recovery, divergence, predict, remove_layers
from glp_export.search.plan import Candidate
from glp_export.search.trial import Trial
from glp_export.tasks import KINDS, Task, score

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel

DIVERGED = -1.0
"""The score of a candidate whose training diverged: no metric is worse."""


@dataclass(frozen=True)
class Ground:
    """Everything that a trial needs; plain data, so it travels to another machine.

    Attributes:
        ancestor: the unpruned model whose layers candidates inherit; never changed.
        lesson: what a candidate is taught from: the `fit` examples, and for how long.
        recovery: how it is taught.
        select: encoded examples that it is scored on.
        answers: the teacher's logits on `select`, (rows, labels) float32; None without a teacher.
        threads: of PyTorch; the same number gives the same numbers.
    """

    ancestor: PreTrainedModel
    lesson: Lesson
    recovery: Recovery
    task: Task
    select: Dataset
    answers: NDArray[np.float32] | None
    threads: int

    @property
    def whole(self) -> int:
        """Training examples of a whole teaching, every pass counted."""
        return round(len(self.lesson.examples) * self.lesson.settings.epochs)


@dataclass(frozen=True)
class Outcome:
    """What came of a trial.

    Attributes:
        distances: how far each `select` example's answer is from the teacher's, (rows,) float32:
            what candidates are compared by; None without a teacher.
    """

    candidate: Candidate
    distances: NDArray[np.float32] | None


def carry_out(ground: Ground, trial: Trial) -> Outcome:
    """Build, teach and score one candidate; two models are in memory, the ancestor and it.

    The same trial on the same ground gives the same outcome, its seconds excepted.
    """
    with _threads(ground.threads):
        return _carry_out(ground, trial)


def portable(ground: Ground) -> Ground:
    """The same ground without a file or a device of this machine, to be sent to another.

    Encoded examples lie in memory-mapped files, of which a pickle keeps the path alone; here
    they are taken into memory, and the ancestor's weights with them. What is sent is about the
    ancestor's float32 weights (440 MB for BERT base) and the token ids, a few bytes a token.
    """
    lesson = replace(ground.lesson, examples=_in_memory(ground.lesson.examples))
    ancestor = ground.ancestor
    if ancestor.device.type != "cpu":
        ancestor = copy.deepcopy(ancestor).cpu()
    return replace(ground, ancestor=ancestor, lesson=lesson, select=_in_memory(ground.select))


def _in_memory(examples: Dataset) -> Dataset:
    from datasets import Dataset
    from datasets.table import InMemoryTable

    table = examples.with_format("arrow")[:]  # the rows that were selected, no others
    return Dataset(InMemoryTable(table.combine_chunks()), info=examples.info)


def _carry_out(ground: Ground, trial: Trial) -> Outcome:
    start = time.perf_counter()
    model = remove_layers(ground.ancestor, trial.removed)
    settings = ground.lesson.settings
    if trial.share:
        part = replace(
            settings, epochs=settings.epochs * trial.share, seed=settings.seed + trial.repeat
        )
        ground.recovery.teach(model, replace(ground.lesson, settings=part), None)
    logits = predict(model, ground.select, ground.lesson.tokenizer, device=settings.device)
    distances = _distances(ground, logits)
    finite = bool(np.isfinite(logits).all())
    candidate = Candidate(
        removed=trial.removed,
        share=trial.share,
        repeat=trial.repeat,
        score=score(ground.task, logits, ground.select["labels"][:]) if finite else DIVERGED,
        distance=float(distances.mean()) if finite and distances is not None else None,
        seconds=time.perf_counter() - start,
    )
    return Outcome(candidate, distances)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let PyTorch compute with so many threads; what comes after has its own number again."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _distances(ground: Ground, logits: NDArray[np.float32]) -> NDArray[np.float32] | None:
    if ground.answers is None:
        return None
    problem_type = KINDS[ground.task.kind].problem_type
    temperature = ground.lesson.distillation.temperature
    return divergence(logits, ground.answers, problem_type, temperature)

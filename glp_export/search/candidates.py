"""Where candidates are trained and scored: one after the other, in this process.

Candidates of one step do not depend on one another, so a cluster can take this room's place
behind the same call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from glp_export.encoder import TrainSettings, finetune, predict, remove_layers
from glp_export.search.journal import Journal
from glp_export.search.plan import Candidate
from glp_export.tasks import Task, score

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Announce = Callable[[Candidate], None]

DIVERGED = -1.0
"""The score of a candidate whose training diverged: no metric is worse."""


@dataclass(frozen=True)
class FineTunedCandidates:
    """Scores candidates as the paper does: fine-tuned from the pretrained weights.

    Every candidate starts from the same weights, head included, with the same seed. No more
    than two models are in memory: the pretrained one and the candidate.

    Attributes:
        pretrained: the whole encoder with a fresh head; never changed.
        fit: encoded examples that candidates are trained on.
        select: encoded examples that they are scored on.
    """

    pretrained: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    task: Task
    fit: Dataset
    select: Dataset
    settings: TrainSettings
    journal: Journal
    announce: Announce = lambda candidate: None

    def __call__(self, candidates: Sequence[tuple[int, ...]]) -> list[float]:
        """Score the candidates, known ones from the journal."""
        return [self.score(removed).score for removed in candidates]

    def score(self, removed: tuple[int, ...]) -> Candidate:
        """Train and score the model without these layers."""
        candidate = self.journal.get(removed)
        if candidate is None:
            candidate = self._train(removed)
            self.journal.add(candidate)
        self.announce(candidate)
        return candidate

    def _train(self, removed: tuple[int, ...]) -> Candidate:
        start = time.perf_counter()
        model = remove_layers(self.pretrained, removed)
        finetune(model, self.fit, self.tokenizer, self.settings)
        logits = predict(model, self.select, self.tokenizer, device=self.settings.device)
        finite = bool(np.isfinite(logits).all())
        value = score(self.task, logits, self.select["labels"][:]) if finite else DIVERGED
        return Candidate(removed=removed, score=value, seconds=time.perf_counter() - start)

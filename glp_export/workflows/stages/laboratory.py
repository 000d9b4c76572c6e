"""What a search works with: its cache, its teacher, and the bench where candidates are tried."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.cache.store import Cache, default_root
from glp_export.compress.plan import Cost
from glp_export.compress.search.ground import Ground
from glp_export.compress.search.trial_log import Journal
from glp_export.compress.search.workbench import TrialBench
from glp_export.compress.search.workers import WORKERS, Share
from glp_export.core.machine import describe
from glp_export.core.progress import Progress
from glp_export.encoder import (
    Lesson,
    ModelSource,
    Recovery,
    finetune,
    predict,
    save_checkpoint,
)
from glp_export.workflows.context import Setup, load_seeded

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel

COST = "cost.json"
NO_CACHE = "none"
DECIDING = ("glp-export", "torch", "transformers")
"""Packages of which another version may train another model."""


def open_cache(setup: Setup, work: Path) -> Cache:
    """The user's cache; with `--cache none` one that lives and dies with this run."""
    wanted = setup.config.cache
    if wanted is None:
        return Cache(default_root())
    return Cache(work / "cache" if wanted == NO_CACHE else Path(wanted))


@dataclass(frozen=True)
class Teacher:
    """The unpruned model that candidates inherit from and imitate.

    Attributes:
        model: fine-tuned on `fit` alone, so that `select` is new to it.
        answers: its logits on `select`, float32.
        cost: of its training.
    """

    model: PreTrainedModel
    answers: NDArray[np.float32]
    cost: Cost


def train_teacher(setup: Setup, cache: Cache, progress: Progress) -> Teacher:
    """Fine-tune the teacher, or take it from the cache: another search may have paid for it."""
    title = "fine-tune the search's teacher"
    made = False

    def make(directory: Path) -> None:
        nonlocal made
        made = True
        with progress.stage(title) as meter:
            start = time.perf_counter()
            model = finetune(
                setup.pretrained(), setup.fit, setup.tokenizer, setup.candidate, meter.update
            )
            save_checkpoint(model, setup.tokenizer, directory)
            seconds = round(time.perf_counter() - start, 1)
            (directory / COST).write_text(json.dumps({"seconds": seconds}))

    directory = cache.get_or_make("teacher", _training_facts(setup), make)
    if not made:
        progress.skip(title, "in the cache")
    model = load_seeded(ModelSource(str(directory)), setup.data, setup.config.seed)
    examples = round(len(setup.fit) * setup.candidate.epochs)
    trained = setup.place.kind.loss is not None
    cost = Cost(
        trainings=int(trained),
        sample_layers=trained * examples * setup.stack.num_layers,
        seconds=json.loads((directory / COST).read_text())["seconds"],
    )
    return Teacher(model, _predict(setup, model, setup.select), cost)


@contextmanager
def open_bench(
    setup: Setup, recovery: Recovery, teacher: Teacher | None, cache: Cache, progress: Progress
) -> Iterator[TrialBench]:
    """Where candidates are tried, with the journal of all that were tried in the same way.

    Args:
        setup: what the run stands on.
        recovery: how a candidate is taught.
        teacher: candidates inherit its layers and imitate it; None: the pretrained ones, and the
            labels.
        cache: keeps the journal.
        progress: told where trials are carried out.
    """
    ground = Ground(
        ancestor=teacher.model if teacher else setup.pretrained(),
        lesson=Lesson(
            examples=setup.fit,
            tokenizer=setup.tokenizer,
            teacher_logits=_predict(setup, teacher.model, setup.fit) if teacher else None,
            settings=setup.candidate,
            distillation=setup.distillation,
        ),
        recovery=recovery,
        task=setup.data.task,
        select=setup.select,
        refit=teacher is not None,
        answers=teacher.answers if teacher else None,
        threads=setup.config.worker_cpus or setup.place.threads,
    )
    facts = _candidate_facts(setup, ground)
    journal = Journal(cache.open("candidates", facts) / "journal.jsonl", facts)
    with WORKERS[setup.config.workers].open(ground, _share(setup), progress.say) as carry_out:
        yield TrialBench(ground, carry_out, journal, setup.stack.num_layers)


def _share(setup: Setup) -> Share:
    """A whole GPU for each trial unless less is said; on the CPU none."""
    if setup.place.device == "cpu":
        return Share()
    return Share(gpus=setup.config.worker_gpus or 1.0)


def _predict(setup: Setup, model: PreTrainedModel, rows: Dataset) -> NDArray[np.float32]:
    return predict(model, rows, setup.tokenizer, device=setup.place.device)


def _training_facts(setup: Setup) -> dict[str, Any]:
    """All that a training on `fit` depends on."""
    versions = describe().versions
    return {
        "model": setup.source.name,
        "revision": setup.source.revision,
        "model_checksum": setup.model_checksum,
        "task": setup.data.task.name,
        "kind": setup.data.task.kind,
        "metric": setup.data.task.metric,
        "data_checksum": setup.data.checksum,
        "max_length": setup.max_length,
        "fit_rows": len(setup.fit),
        "training": asdict(setup.candidate),
        "threads": setup.place.threads,
        "versions": {name: versions[name] for name in DECIDING},
    }


def _candidate_facts(setup: Setup, ground: Ground) -> dict[str, Any]:
    """All that a candidate's score depends on, besides what it lacks and how long it is taught."""
    taught: dict[str, Any] = {
        "recovery": ground.recovery.name,
        "candidate_threads": ground.threads,
    }
    if ground.recovery.inherits:
        taught |= {"distillation": asdict(setup.distillation)}
    return _training_facts(setup) | taught

"""The stage that learns from auxiliary tasks first, or decides that it does not pay."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.artifact.transfer_record import AuxiliaryRecord, TransferRecord
from glp_export.cache.store import Cache
from glp_export.core.progress import Meter, Progress
from glp_export.encoder import TrainSettings, finetune, learn_first, row_losses
from glp_export.tasks import KINDS, AuxiliaryData, encode, unseen
from glp_export.workflows.auxiliary import encoded_auxiliary, settings_before
from glp_export.workflows.context import ENCODER_WEIGHTS, RunContext
from glp_export.workflows.stages.evaluator import open_cache, training_facts

if TYPE_CHECKING:
    from datasets import Dataset

AUTO = ("auto",)

FOLDS = 3
"""Parts of train that are held out in turns."""

MOST_UPDATES = 150
"""Of a training in cross-validation: half of what the task's own has, at most so many."""

MOST_ROWS = 3000
"""Train rows above which `auto` takes no auxiliary task: so short a training would only show which
start is ahead."""

LOSSES = "losses.json"
"""In an entry of the cache: the loss of each train row while it was held out."""


def with_transfer(context: RunContext, work: Path, progress: Progress) -> RunContext:
    """The run with what its auxiliary tasks are used for, and the encoder that learned them."""
    if not context.auxiliary:
        return context
    cache = open_cache(context, work)
    record = _decided(context, cache, progress)
    for line in record.lines:
        progress.say(line)
    context = replace(context, transfer=record)
    if "before" not in record.uses:
        return context
    kept = [one for one in context.auxiliary if one.checksum in {t.checksum for t in record.kept}]
    directory = _learned(context, kept, cache, progress)
    return replace(context, encoder_weights=directory / ENCODER_WEIGHTS)


def stages_of_transfer(context: RunContext) -> int:
    """Stages that `with_transfer` goes through at most."""
    count, uses = len(context.auxiliary), context.config.auxiliary.transfer
    if not count or not (_is_tried(context) or "before" in uses):
        return 0
    return count + _is_tried(context)


def transfer_examples(context: RunContext) -> int:
    """Training examples that pass through the model before its own training, at most."""
    uses = context.config.auxiliary.transfer
    rows = sum(len(one.rows) for one in context.auxiliary)
    before = round(rows * settings_before(context).epochs) if rows else 0
    if not (_is_tried(context) or "before" in uses):
        return 0
    tried = _updates(context) * context.final.batch_size * FOLDS * (1 + len(context.auxiliary))
    return before + tried * _is_tried(context)


def _is_tried(context: RunContext) -> bool:
    asked = bool(context.auxiliary) and context.config.auxiliary.transfer == AUTO
    return asked and not context.as_is and len(context.train_and_dev) <= MOST_ROWS


def _decided(context: RunContext, cache: Cache, progress: Progress) -> TransferRecord:
    wanted = context.config.auxiliary
    if wanted.transfer != AUTO:
        return _record(context, wanted.transfer, "as was asked for", dict.fromkeys(_of(context)))
    if not _is_tried(context):
        why = (
            "the unpruned model is taken as it is and learns nothing more"
            if context.as_is
            else f"above {MOST_ROWS} train rows auto takes no auxiliary task; --transfer does"
        )
        return _record(context, (), why, {})
    own = _held_in_turns(context)
    if 2 * len(own) < len(context.train_and_dev):
        why = (
            "most texts of train are in auxiliary tasks too, so that auto cannot tell on them what "
            "those are worth; --transfer takes them"
        )
        return _record(context, (), why, {})
    alone, others = _cross_validated(context, own, cache, progress)
    level = 0.05 / len(others)
    found = {one: _interval(losses - alone, level) for one, losses in others.items()}
    kept = {one: interval for one, interval in found.items() if interval[2] < 0}
    why = (
        f"decided by {FOLDS}-fold cross-validation on {len(alone)} train rows"
        f"{'' if kept else ': no auxiliary task is surely better than none'}"
    )
    record = _record(context, ("before",) if kept else (), why, kept, found)
    return record.model_copy(update={"alone": round(float(alone.mean()), 4)})


def _of(context: RunContext) -> list[str]:
    return [one.checksum for one in context.auxiliary]


def _record(
    context: RunContext,
    uses: Sequence[str],
    why: str,
    kept: Any,
    found: dict[str, tuple[float, float, float]] | None = None,
) -> TransferRecord:
    tasks = []
    for one in context.auxiliary:
        middle, low, high = (found or {}).get(one.checksum, (None, None, None))
        tasks.append(
            AuxiliaryRecord(
                name=one.source,
                kind=one.task.kind,
                rows=len(one.rows),
                checksum=one.checksum,
                kept=one.checksum in kept,
                difference=middle,
                low=low,
                high=high,
            )
        )
    weight = context.config.auxiliary.auxiliary_weight
    return TransferRecord(uses=tuple(uses), weight=weight, decided=why, tasks=tuple(tasks))


def _interval(differences: NDArray[np.float64], level: float) -> tuple[float, float, float]:
    """The mean of paired differences with its bootstrap interval over rows."""
    generator = np.random.default_rng(0)
    drawn = generator.integers(0, len(differences), (2000, len(differences)))
    low, high = np.quantile(differences[drawn].mean(axis=1), (level / 2, 1 - level / 2))
    return round(float(differences.mean()), 4), round(float(low), 4), round(float(high), 4)


def _learned(
    context: RunContext, tasks: Sequence[AuxiliaryData], cache: Cache, progress: Progress
) -> Path:
    """Where the weights of an encoder are that learned these tasks, one after another."""
    *first, last = tasks
    start = _learned(context, first, cache, progress) / ENCODER_WEIGHTS if first else None
    title, made = f"learn the auxiliary task {Path(last.source).name}", False

    def make(directory: Path) -> None:
        nonlocal made
        from safetensors.torch import save_file

        made = True
        with progress.stage(title) as meter:
            model = replace(context, encoder_weights=start).pretrained()
            rows = encoded_auxiliary(context, last, context.tokenizer)
            learn_first(model, rows, context.tokenizer, settings_before(context), meter.update)
            state = model.base_model.cpu().state_dict()
            weights = {name: value.clone().contiguous() for name, value in state.items()}
            save_file(weights, directory / ENCODER_WEIGHTS)

    known = {
        **_model_facts(context),
        "training": settings_before(context).facts(),
        "tasks": [one.checksum for one in tasks],
    }
    directory = cache.get_or_make("auxiliary", known, make)
    if not made:
        progress.skip(title, "in the cache")
    return directory


def _model_facts(context: RunContext) -> dict[str, Any]:
    """All that the training of an auxiliary task depends on, but its rows: nothing of the run's."""
    facts = training_facts(context)
    names = (
        "model",
        "revision",
        "model_checksum",
        "tokenizer",
        "kind",
        "max_length",
        "threads",
        "versions",
    )
    return {name: facts[name] for name in names}


@dataclass(frozen=True)
class _Folds:
    """Cross-validation: the rows, the fold of each, and how models are trained."""

    rows: Dataset
    numbers: NDArray[np.int64]
    settings: TrainSettings


def _held_in_turns(context: RunContext) -> Dataset:
    """The train rows whose texts no auxiliary task has: on the others it would only remember."""
    rows = context.train_and_dev
    kept = unseen(rows, *(one.rows for one in context.auxiliary))
    return rows if kept.all() else rows.select(np.flatnonzero(kept))


def _cross_validated(
    context: RunContext, own: Dataset, cache: Cache, progress: Progress
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """The loss of each train row while it is held out: without auxiliary tasks, and with each."""
    starts = {
        one.checksum: _learned(context, [one], cache, progress) / ENCODER_WEIGHTS
        for one in context.auxiliary
    }
    folds = _folds(context, own)
    with progress.stage("cross-validate auxiliary tasks", FOLDS * (1 + len(starts))) as meter:
        alone = _losses(context, folds, None, None, cache, meter)
        others = {
            key: _losses(context, folds, key, path, cache, meter) for key, path in starts.items()
        }
    return alone, others


def _folds(context: RunContext, data: Dataset) -> _Folds:
    kind = KINDS[context.data.task.kind]
    members = np.arange(len(data)) if kind.groups is None else kind.groups(data)
    order = np.random.default_rng(context.config.training.seed).permutation(members.max() + 1)
    return _Folds(data, (order % FOLDS)[members].astype(np.int64), settings_before(context))


def _updates(context: RunContext) -> int:
    whole = round(len(context.fit) * context.final.epochs / context.final.batch_size)
    return max(1, min(whole // 2, MOST_UPDATES))


def _losses(
    context: RunContext,
    folds: _Folds,
    key: str | None,
    start: Path | None,
    cache: Cache,
    meter: Meter,
) -> NDArray[np.float64]:
    known = {
        **training_facts(context),
        "start": key,
        "before": settings_before(context).facts(),
        "folds": FOLDS,
        "updates": _updates(context),
    }
    if len(folds.rows) < len(context.train_and_dev):
        known |= {"without": _of(context)}

    def make(directory: Path) -> None:
        parts = [_fold(context, folds, number, start, meter) for number in range(FOLDS)]
        found = np.concatenate(parts)
        finite = np.where(np.isfinite(found), found, np.finfo(np.float32).max)
        (directory / LOSSES).write_text(json.dumps(finite.tolist()), encoding="utf-8")

    directory = cache.get_or_make("transfer", known, make)
    losses = json.loads((directory / LOSSES).read_text(encoding="utf-8"))
    return np.array(losses, dtype=np.float64)


def _fold(
    context: RunContext, folds: _Folds, number: int, start: Path | None, meter: Meter
) -> NDArray[np.float64]:
    """The losses of one fold's rows by a model that was trained on the others."""
    task, length = context.data.task, context.config.data.max_length
    seen, held = (
        encode(folds.rows.select(np.flatnonzero(which)), task, context.tokenizer, length)
        for which in (folds.numbers != number, folds.numbers == number)
    )
    model = replace(context, encoder_weights=start).pretrained()
    epochs = _updates(context) * folds.settings.batch_size / len(seen)
    model = finetune(model, seen, context.tokenizer, replace(folds.settings, epochs=epochs))
    found = row_losses(model, held, context.tokenizer)
    meter.advance()
    return found

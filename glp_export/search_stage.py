"""The stage that chooses the layers: a plan that was named, or a search."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.cache import Cache, default_root
from glp_export.depth_choice import shallowest_accurate
from glp_export.encoder import (
    RECOVERIES,
    Lesson,
    ModelSource,
    Recovery,
    finetune,
    predict,
    save_checkpoint,
)
from glp_export.errors import UsageError
from glp_export.machine import describe
from glp_export.progress import Progress
from glp_export.search import (
    STRATEGIES,
    WORKERS,
    Candidate,
    Cost,
    Ground,
    Journal,
    Plan,
    Trial,
    TrialBench,
    read_plan,
    search,
)
from glp_export.setup import Setup, load_seeded
from glp_export.targets import DepthScore
from glp_export.tasks import paired_difference_interval, probability_at_most

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel

COST = "cost.json"
NO_CACHE = "none"


def choose_layers(setup: Setup, work: Path, progress: Progress) -> Plan:
    """Find which layers go: read the plan that was named, or search.

    Raises:
        DataError: the plan cannot be read.
        UsageError: the plan does not fit, or the journal belongs to other settings.
    """
    facts = _facts(setup)
    if setup.config.plan:
        plan = read_plan(setup.config.plan, setup.stack.num_layers, facts)
        plan = plan.cut(setup.problem.cuts) if setup.problem.cuts else plan
        setup.stack.check(plan.order)
        return plan
    strategy = STRATEGIES[setup.config.search]
    cache = _cache(setup, work)
    teacher = _teacher(setup, cache, progress) if strategy.needs_teacher else None
    bench = _bench(setup, RECOVERIES["distill" if teacher else "finetune"], teacher, cache)
    trials = strategy.effort(setup.problem).trials
    with progress.stage(f"search ({strategy.name})", trials or None) as meter:
        bench.announce = _leaderboard(meter.advance)
        cost = teacher.cost if teacher else Cost()
        return search(strategy.name, setup.problem, bench, facts, cost)


def keep_within_budget(setup: Setup, plan: Plan, work: Path, progress: Progress) -> Plan:
    """Shorten the plan to the most layers that `--max-drop` lets go; without it, leave it.

    Each depth that is looked at is recovered in full on `fit` and compared on `select` with the
    unpruned model that was trained on `fit` as well.

    Raises:
        AccuracyError: no depth is within the budget.
    """
    budget = setup.config.max_drop
    if budget is None:
        return plan
    cache = _cache(setup, work)
    teacher = _teacher(setup, cache, progress)
    recovery = RECOVERIES[setup.config.recover]
    bench = _bench(setup, recovery, teacher if recovery.inherits else None, cache)
    compared = (setup.data.task, teacher.answers)
    labels = setup.select["labels"][:]

    def score_depth(layers: int) -> DepthScore:
        trial = Trial(tuple(sorted(plan.order[: plan.num_layers - layers])))
        (candidate,) = bench.outcomes([trial])
        logits = bench.journal.logits(trial)
        drop, low, high = paired_difference_interval(*compared, logits, labels)
        within = probability_at_most(budget, *compared, logits, labels)
        meter.advance(f"{layers} layers: {candidate.score:.3f}")
        return DepthScore(layers, candidate.score, drop, low, high, within)

    with progress.stage("find a depth that is accurate enough") as meter:
        depths = range(plan.depth, plan.num_layers)
        depth, scores = shallowest_accurate(depths, score_depth, budget)
    (chosen,) = (score for score in scores if score.layers == depth)
    progress.say(
        f"{depth} of {plan.num_layers} layers: {setup.data.task.metric} falls by "
        f"{chosen.drop:.3f} ({chosen.low:.3f} to {chosen.high:.3f}) on select; within "
        f"{budget:g} with probability {chosen.probability:.2f}"
    )
    return plan.cut(plan.num_layers - depth)


def confirm_cost(setup: Setup, confirm: Callable[[str], bool]) -> None:
    """Ask before a search of more than 100 whole trainings.

    Raises:
        UsageError: the answer is no.
    """
    strategy = STRATEGIES[setup.config.search]
    effort = strategy.effort(setup.problem)
    if setup.config.plan or setup.config.yes or effort.trainings <= 100:
        return
    if not confirm(f"{strategy.name} search trains {effort.trials} candidates. Go on?"):
        raise UsageError(
            f"{strategy.name} search would train {effort.trials} candidates",
            where=f"--search {strategy.name}",
            fix="say --yes to do it, or remove fewer layers, or choose --search fast-greedy",
        )


def _cache(setup: Setup, work: Path) -> Cache:
    """The user's cache; with `--cache none` one that lives and dies with this run."""
    wanted = setup.config.cache
    if wanted is None:
        return Cache(default_root())
    return Cache(work / "cache" if wanted == NO_CACHE else Path(wanted))


@dataclass(frozen=True)
class _Teacher:
    """The unpruned model that candidates inherit from and imitate.

    Attributes:
        model: fine-tuned on `fit` alone, so that `select` is new to it.
        answers: its logits on `select`, (rows, labels) float32.
        cost: of its training.
    """

    model: PreTrainedModel
    answers: NDArray[np.float32]
    cost: Cost


def _teacher(setup: Setup, cache: Cache, progress: Progress) -> _Teacher:
    """Fine-tune the teacher, or take it from the cache: another search may have paid for it."""

    def make(directory: Path) -> None:
        with progress.stage("fine-tune the search's teacher") as meter:
            start = time.perf_counter()
            model = finetune(
                setup.pretrained(), setup.fit, setup.tokenizer, setup.candidate, meter.update
            )
            save_checkpoint(model, setup.tokenizer, directory)
            seconds = round(time.perf_counter() - start, 1)
            (directory / COST).write_text(json.dumps({"seconds": seconds}))

    directory = cache.get_or_make("teacher", _training_facts(setup), make)
    model = load_seeded(ModelSource(str(directory)), setup.data, setup.config.seed)
    examples = round(len(setup.fit) * setup.candidate.epochs)
    cost = Cost(
        trainings=1,
        sample_layers=examples * setup.stack.num_layers,
        seconds=json.loads((directory / COST).read_text())["seconds"],
    )
    return _Teacher(model, _predict(setup, model, setup.select), cost)


def _bench(setup: Setup, recovery: Recovery, teacher: _Teacher | None, cache: Cache) -> TrialBench:
    """Where candidates are tried, with the journal of all that were tried in the same way."""
    lesson = Lesson(
        examples=setup.fit,
        tokenizer=setup.tokenizer,
        teacher_logits=_predict(setup, teacher.model, setup.fit) if teacher else None,
        settings=setup.candidate,
        distillation=setup.distillation,
    )
    ground = Ground(
        ancestor=teacher.model if teacher else setup.pretrained(),
        lesson=lesson,
        recovery=recovery,
        task=setup.data.task,
        select=setup.select,
        refit=teacher is not None,
        threads=setup.place.threads,
    )
    facts = _candidate_facts(setup, recovery)
    journal = Journal(cache.open("candidates", facts) / "journal.jsonl", facts)
    return TrialBench(ground, WORKERS[setup.config.workers], journal)


def _predict(setup: Setup, model: PreTrainedModel, rows: Dataset) -> NDArray[np.float32]:
    return predict(model, rows, setup.tokenizer, device=setup.place.device)


def _leaderboard(advance: Callable[[str], None]) -> Callable[[Candidate], None]:
    """Tell of each candidate beside the best one of its step so far."""
    leaders: dict[tuple[int, int | None], Candidate] = {}

    def merit(candidate: Candidate) -> float:
        return candidate.score if candidate.loss is None else -candidate.loss

    def announce(candidate: Candidate) -> None:
        step = (len(candidate.removed), candidate.examples)
        leader = leaders[step] = max((leaders.get(step, candidate), candidate), key=merit)
        advance(f"best without {list(leader.removed)}: {leader.score:.3f}")

    return announce


def _facts(setup: Setup) -> dict[str, Any]:
    """The fields of a plan that are known before the search."""
    return {
        "task": setup.data.task.name,
        "metric": setup.data.task.metric,
        "base_model": setup.source.name,
        "revision": setup.source.revision,
        "checksum": setup.model_checksum,
        "num_layers": setup.stack.num_layers,
        "data_checksum": setup.data.checksum,
        "versions": describe().versions,
    }


def _training_facts(setup: Setup) -> dict[str, Any]:
    """All that a training on `fit` depends on."""
    return {
        "model": setup.source.name,
        "revision": setup.source.revision,
        "model_checksum": setup.model_checksum,
        "task": setup.data.task.name,
        "metric": setup.data.task.metric,
        "data_checksum": setup.data.checksum,
        "max_length": setup.max_length,
        "fit_rows": len(setup.fit),
        "training": asdict(setup.candidate),
        "threads": setup.place.threads,
        "versions": {name: describe().versions[name] for name in ("torch", "transformers")},
    }


def _candidate_facts(setup: Setup, recovery: Recovery) -> dict[str, Any]:
    """All that a candidate's score depends on, besides what it lacks and how long it is taught."""
    taught: dict[str, Any] = {"recovery": recovery.name}
    if recovery.inherits:
        taught |= {"distillation": asdict(setup.distillation)}
    return _training_facts(setup) | taught

"""The stage that chooses the layers: a plan that was named, or a search."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.cache import Cache, default_root
from glp_export.encoder import (
    RECOVERIES,
    Lesson,
    ModelSource,
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
    Share,
    Strategy,
    TrialBench,
    read_plan,
    search,
)
from glp_export.setup import Setup, load_seeded

if TYPE_CHECKING:
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
    ground, teacher = _ground(setup, strategy, cache, progress)
    learned = _candidate_facts(setup, ground)
    journal = Journal(cache.open("candidates", learned) / "journal.jsonl", learned)
    trials = strategy.effort(setup.problem).trials
    with progress.stage(f"search ({strategy.name})", trials or None) as meter:
        workers = WORKERS[setup.config.workers]
        with workers.open(ground, _share(setup), progress.say) as carry_out:
            bench = TrialBench(ground, carry_out, journal, _leaderboard(meter.advance))
            return search(strategy.name, setup.problem, bench, facts, teacher)


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


def _ground(
    setup: Setup, strategy: Strategy, cache: Cache, progress: Progress
) -> tuple[Ground, Cost]:
    """What candidates are tried on, and what their teacher has cost."""
    if strategy.needs_teacher:
        ancestor, cost = _teacher(setup, cache, progress)
    else:
        ancestor, cost = setup.pretrained(), Cost()
    logits, answers = (
        predict(ancestor, rows, setup.tokenizer, device=setup.place.device)
        if strategy.needs_teacher
        else None
        for rows in (setup.fit, setup.select)
    )
    lesson = Lesson(
        examples=setup.fit,
        tokenizer=setup.tokenizer,
        teacher_logits=logits,
        settings=setup.candidate,
        distillation=setup.distillation,
    )
    ground = Ground(
        ancestor=ancestor,
        lesson=lesson,
        recovery=RECOVERIES["distill" if strategy.needs_teacher else "finetune"],
        task=setup.data.task,
        select=setup.select,
        answers=answers,
        threads=setup.config.worker_cpus or setup.place.threads,
    )
    return ground, cost


def _share(setup: Setup) -> Share:
    """A whole GPU for each trial unless less is said; on the CPU none."""
    if setup.place.device == "cpu":
        return Share()
    return Share(gpus=setup.config.worker_gpus or 1.0)


def _teacher(setup: Setup, cache: Cache, progress: Progress) -> tuple[PreTrainedModel, Cost]:
    """The unpruned model, fine-tuned on `fit` alone, so that `select` is new to it.

    It is kept by content: another search of the same model on the same data takes it as it is.
    """

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
    examples = round(len(setup.fit) * setup.candidate.epochs)
    cost = Cost(
        trainings=1,
        sample_layers=examples * setup.stack.num_layers,
        seconds=json.loads((directory / COST).read_text())["seconds"],
    )
    return load_seeded(ModelSource(str(directory)), setup.data, setup.config.seed), cost


def _leaderboard(advance: Callable[[str], None]) -> Callable[[Candidate], None]:
    """Tell of each candidate beside the best one of its step so far."""
    leaders: dict[tuple[int, float], Candidate] = {}

    def announce(candidate: Candidate) -> None:
        step = (len(candidate.removed), candidate.share)
        leader = max((leaders.get(step, candidate), candidate), key=lambda one: one.score)
        leaders[step] = leader
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


def _candidate_facts(setup: Setup, ground: Ground) -> dict[str, Any]:
    """All that a candidate's score depends on, besides what it lacks and how long it is taught."""
    taught: dict[str, Any] = {
        "recovery": ground.recovery.name,
        "candidate_threads": ground.threads,
    }
    if ground.recovery.inherits:
        taught |= {"distillation": asdict(setup.distillation)}
    return _training_facts(setup) | taught

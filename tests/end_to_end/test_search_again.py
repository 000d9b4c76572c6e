"""A second search with another target pays only for what is new to it."""

from __future__ import annotations

import json

import pytest

from glp_export.artifact import ArtifactLayout
from glp_export.cache.store import Cache
from glp_export.cli.app import run
from glp_export.compress.plan import Plan

from .conftest import SMALL


@pytest.fixture
def find(encoder, data, tmp_path):
    """Search with flags of its own; the plan."""

    def search(name: str, *flags: str) -> Plan:
        output = tmp_path / name
        command = ("search", "-m", str(encoder), "--dataset", str(data), *SMALL[:8], *flags)
        cache = ("--threads", "1", "--cache", str(tmp_path / "cache"))
        assert run([*command, *cache, "-o", str(output), "-q"]) == 0
        return Plan.load(ArtifactLayout(output).plan)

    return search


def lines_in(root) -> int:
    return sum(len(path.read_text().splitlines()) for path in root.rglob("journal.jsonl"))


def test_the_teacher_and_the_candidates_of_a_first_search_are_taken_by_the_second(find, tmp_path):
    cache = tmp_path / "cache"
    first = find("first", "--depth", "2")
    (teacher,) = (entry for entry in Cache(cache).entries() if entry.kind == "teacher")
    made = (teacher.path / "model.safetensors").stat().st_mtime_ns
    known = lines_in(cache)
    again = find("again", "--depth", "2")
    assert again.digest == first.digest
    assert lines_in(cache) == known
    shallower = find("shallower", "--depth", "1")
    assert shallower.depth == 1
    assert known < lines_in(cache) < 2 * known + 5  # the first steps were there
    assert (teacher.path / "model.safetensors").stat().st_mtime_ns == made


def test_other_settings_find_nothing_of_the_first(find, tmp_path):
    find("first", "--depth", "3")
    known = lines_in(tmp_path / "cache")
    find("other", "--depth", "3", "--temperature", "4")
    assert lines_in(tmp_path / "cache") >= 2 * known - 1


def test_the_plan_says_how_sure_each_step_was_and_what_it_cost(find):
    plan = find("plan", "--depth", "2", "--seeds", "2")
    assert plan.strategy == "fast-greedy"
    assert plan.cost.trainings > 1
    assert plan.cost.sample_layers > 0
    tried = [step for step in plan.steps if len(step.candidates) > 1]
    assert all(0.5 <= step.probability <= 1 and step.lead >= 0 for step in tried)
    assert tried
    repeats = [{one.repeat for one in step.candidates} for step in plan.steps]
    assert repeats == [{0}, {0, 1}]  # seeds are spent where whole orders are compared
    assert json.loads(plan.model_dump_json())["cost"]["scored_sample_layers"] > 0

"""A whole run as a person sees it on a terminal, and as a machine reads it from a pipe."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from glp_export.bench import BenchmarkFile
from glp_export.compress.plan import Plan
from tests.cli.screen import Shown, glp_export, on_terminal
from tests.end_to_end.conftest import SMALL, command
from tests.publish.hub_server import running
from tests.publish.test_push import settings


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So that the second run finds what the first has trained."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def shown(encoder: Path, data: Path, cache: Path, tmp_path_factory) -> Shown:
    output = tmp_path_factory.mktemp("terminal") / "out"
    arguments = (*command(encoder, data, *SMALL), "--cache", cache, "-o", output)
    shown = on_terminal(glp_export(*arguments), stdout_too=True, timeout=300)
    assert shown.code == 0, shown.raw
    return shown


@pytest.fixture(scope="module")
def piped(encoder: Path, data: Path, cache: Path, shown: Shown, tmp_path_factory):
    """The same run with `--json` and no terminal, which uploads what it makes."""
    output = tmp_path_factory.mktemp("pipe") / "out"
    flags = [flag for flag in SMALL if flag != "--offline"]
    push = ("--push-to-hub", "me/pruned", "--private", "--yes")
    arguments = (*command(encoder, data, *flags), "--cache", cache, "-o", output, "--json", *push)
    with running() as hub:
        environment = {**os.environ, **settings(hub)}
        done = subprocess.run(
            glp_export(*arguments),
            env={name: value for name, value in environment.items() if value},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    return output, done, hub


def test_the_leaderboard_is_shown_and_gone_and_a_line_a_step_stays(shown: Shown):
    assert "step 2 of 2: " in shown.ever
    assert "first better" in shown.ever
    left = " ".join(shown.left)
    assert "first better" not in left
    step = r"removed layer \d \(accuracy [\d.]+\); layer \d was [^:]+: \d+ % sure"
    assert re.search(f"step 1 of 2: {step}", left)
    assert re.search(f"step 2 of 2: {step}", left)


def test_the_stages_are_counted_down_to_none(shown: Shown):
    assert re.search(r"[1-9]\d* stages done, \d+ left after this", shown.ever)
    *_, last = re.findall(r"(\d+) stages done, (\d+) left after this", shown.ever)
    assert last[1] == "0"
    assert int(last[0]) == sum(line.startswith("✓") for line in shown.left) - 1


def test_the_final_table_fits_the_terminal(shown: Shown):
    lines = [line for line in shown.left if "ORT" in line or "PyTorch" in line]
    assert lines
    assert max(map(len, lines)) <= 80
    assert "\x1b[32m" in shown.raw  # colour is for terminals


def test_json_is_one_document_on_stdout_and_nothing_else_is_there(piped):
    output, done, _ = piped
    content = json.loads(done.stdout)
    assert content["output"] == str(output)
    kept = BenchmarkFile.load(output / "glp" / "benchmark.json")
    assert content["metrics"] == json.loads(kept.model_dump_json())["metrics"]
    assert "\x1b" not in done.stdout


def test_a_log_has_a_line_a_stage_and_the_winners_of_the_plan(piped):
    output, done, _ = piped
    assert "\x1b" not in done.stderr
    assert "fine-tune the search's teacher: in the cache" in done.stderr
    assert re.search(r"^benchmark: [\d.]+ s$", done.stderr, re.MULTILINE)
    plan = Plan.load(output / "glp" / "plan.json")
    winners = re.findall(r"step \d of \d: removed layer (\d)", done.stderr)
    assert len(winners) == 2
    if "final comparison, round 1" not in done.stderr:
        assert tuple(map(int, winners)) == plan.order


def test_a_run_uploads_what_it_has_made_where_it_was_asked_to(piped):
    output, done, hub = piped
    assert json.loads(done.stdout)["pushed"]["url"] == f"{hub.url}/me/pruned"
    assert hub.repositories["me/pruned"].private
    files = hub.files("me/pruned")
    assert files["onnx/model.onnx"] == (output / "onnx" / "model.onnx").read_bytes()
    data = ModelCard(files["README.md"].decode()).data
    (result,) = data.eval_results
    kept = BenchmarkFile.load(output / "glp" / "benchmark.json")
    (pruned,) = (row for row in kept.metrics if row.contender == "pruned")
    assert (result.metric_type, result.metric_value) == ("accuracy", pruned.value)
    assert str(output.parent) not in data.to_yaml()
    assert "push_to_hub" not in files["glp/run.yaml"].decode()  # made again, it is not sent again


def test_search_prints_one_document_too(encoder: Path, data: Path, cache: Path, tmp_path: Path):
    _, *given = command(encoder, data, *SMALL)
    wanted = [flag for flag in given if flag not in ("--optimize", "none", "--precision", "fp32")]
    arguments = ("search", *wanted, "--cache", cache, "-o", tmp_path / "plan", "--json")
    done = subprocess.run(
        glp_export(*arguments), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert content["path"] == str(tmp_path / "plan" / "glp" / "plan.json")
    assert len(content["order"]) == 2


def test_colour_is_asked_for_or_forbidden(tmp_path: Path):
    inspect = glp_export("inspect", "paper:bert-base-uncased/rte")

    def printed(**environment: str) -> str:
        merged = {**os.environ, "NO_COLOR": "", "FORCE_COLOR": "", **environment}
        present = {name: value for name, value in merged.items() if value}
        return subprocess.run(inspect, env=present, capture_output=True, text=True).stdout

    assert "\x1b[" not in printed()
    assert "\x1b[" in printed(FORCE_COLOR="1", TERM="xterm")
    assert "\x1b[3" not in printed(FORCE_COLOR="1", NO_COLOR="1", TERM="xterm")
    on_a_terminal = on_terminal(inspect, stdout_too=True)
    assert "\x1b[" in on_a_terminal.raw
    assert "\x1b[" not in on_terminal(inspect, stdout_too=True, environment={"TERM": "dumb"}).raw

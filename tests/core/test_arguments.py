from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import glp_export
from glp_export.core.arguments import choice_of, count_of, path_of, seconds_of, text_of, threads_of
from glp_export.core.errors import UsageError
from glp_export.core.progress import Progress
from glp_export.workflows.python_api import _looked_at, _plain


@pytest.mark.parametrize("value", [None, 3, b"/tmp", ["a"], "a" * 5000, "a\0b"])
def test_what_is_no_path_is_refused_by_every_job(value: Any) -> None:
    jobs = (
        glp_export.load,
        glp_export.load_torch,
        glp_export.verify,
        glp_export.gate,
        glp_export.export,
        glp_export.benchmark,
        glp_export.report,
        lambda path: glp_export.compare(path, path),
    )
    for job in jobs:
        with pytest.raises(UsageError, match="path"):
            job(value)


@pytest.mark.parametrize("value", ["x", "1", 1.5, 1.0, True, 0, -1, 10**9, None, np.array([1, 2])])
def test_what_counts_nothing_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match="lines"):
        count_of(value, "lines", 1000)


@pytest.mark.parametrize("value", ["x", "60", -1, 0, float("nan"), float("inf"), True, None])
def test_what_is_no_time_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match="long"):
        seconds_of(value, "long")


def test_what_is_given_comes_back() -> None:
    assert count_of(np.int64(3), "lines") == 3
    assert type(count_of(np.int64(3), "lines")) is int
    assert threads_of(None) is None
    assert seconds_of(3, "long") == 3.0
    assert path_of("a b/ü", "path") == Path("a b/ü")
    assert text_of(None, "name") is None
    assert choice_of("pass", "undecided", ("pass", "fail")) == "pass"
    for wrong in (None, "x", 3, ["pass"]):
        with pytest.raises(UsageError, match="undecided"):
            choice_of(wrong, "undecided", ("pass", "fail"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"undecided": "perhaps"},
        {"quick": "no"},
        {"int8": 1},
        {"max_seconds": -1},
        {"threads": 0},
        {"threads": "x"},
        {"device": 3},
        {"epochs": 3},
        {"no_such_setting": 1},
        {"dataset": 3},
        {"progress": 3},
    ],
)
def test_a_gate_refuses_what_it_does_not_understand(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        glp_export.gate(tmp_path, **wrong)


@pytest.mark.parametrize(
    ("job", "given"),
    [
        ("export", {"depth": 2}),
        ("verify", {"epochs": 3}),
        ("benchmark", {"structure": {"neuron_step": 8}}),
        ("compare", {"optimize": "O2"}),
        ("compress", {"push_to_hub": "me/it"}),
    ],
)
def test_settings_of_other_jobs_are_refused(
    job: str, given: dict[str, Any], tmp_path: Path
) -> None:
    model = SimpleNamespace(save_pretrained=None)
    places = {"compare": (tmp_path, tmp_path), "compress": (model, {})}.get(job, (tmp_path,))
    with pytest.raises(UsageError, match=f"{job} does not look at"):
        getattr(glp_export, job)(*places, **given)
    with pytest.raises(UsageError, match="no_such_setting"):
        getattr(glp_export, job)(*places, no_such_setting=1)
    assert _looked_at(job, dict.fromkeys(given), dict) == {}


def test_a_name_is_no_live_model() -> None:
    with pytest.raises(UsageError, match="live model"):
        glp_export.compress("a/model", {}, 2.0)


def test_paths_are_texts_wherever_they_stand() -> None:
    given = {"model": {"model": Path("a")}, "auxiliary": [Path("b"), "c"], "depth": 2}
    assert _plain(given) == {"model": {"model": "a"}, "auxiliary": ["b", "c"], "depth": 2}


def test_a_run_that_is_uploaded_reports_its_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Progress] = []
    monkeypatch.setattr(
        "glp_export.workflows.prune_and_export.prune_and_export",
        lambda config, progress: told.append(progress),
    )
    monkeypatch.setattr("glp_export.workflows.push.target_of", lambda config: None)
    own = Progress()
    glp_export.prune_and_export(model="m", push_to_hub="me/it", yes=True, progress=own)
    assert told == [own]

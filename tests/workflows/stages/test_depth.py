"""The depth that is fast enough, found on a real encoder: measured, kept and taken up again."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from glp_export.config.files import resolve
from glp_export.config.targets import Shape
from glp_export.core import sharing
from glp_export.core.errors import LatencyError, UsageError
from glp_export.core.progress import Meter, Progress
from glp_export.workflows.context import RunContext, make_context
from glp_export.workflows.stages import depth_choice
from glp_export.workflows.stages.depth import fast_enough_depth, possible_depths
from tests.tiny import make_checkpoint


@pytest.fixture(autouse=True)
def others(monkeypatch):
    """CPU time of other processes, as it is read: none, whatever else runs beside these tests."""
    monkeypatch.setattr(sharing, "cpu_seconds_of_others", lambda: 0.0)
    # The scheduler interrupts long runs more than short ones: room for what tests do to another.
    monkeypatch.setattr(depth_choice, "CACHED", 10.0)

    def busy():
        counted = itertools.count(0, 1000)
        monkeypatch.setattr(sharing, "cpu_seconds_of_others", lambda: float(next(counted)))

    return busy


def asked(encoder: Path, data: Path, **targets: Any) -> RunContext:
    return make_context(
        resolve(
            {
                "model": str(encoder),
                "dataset": str(data),
                "max_length": 32,
                "device": "cpu",
                "threads": 1,
                "bench_seconds": 0.1,
                "bench_rounds": 5,
                **targets,
            }
        )
    )


class Heard(Progress):
    """Remembers what was said and noted, and may be interrupted at the first note."""

    def __init__(self, interrupt: bool = False) -> None:
        self.said: list[str] = []
        self.noted: list[str] = []
        self.interrupt = interrupt

    @contextmanager
    def stage(self, title: str, total: int | None = None) -> Iterator[Meter]:
        heard = self

        class Notes(Meter):
            def advance(self, note: str = "", *, cost: float = 1.0, known: bool = False) -> None:
                heard.noted.append(note)
                if heard.interrupt:
                    raise KeyboardInterrupt

        yield Notes()

    def say(self, message: str) -> None:
        self.said.append(message)


def test_a_depth_is_found_that_is_measured_as_fast_enough(encoder, data, tmp_path):
    context = asked(encoder, data, target_speedup="1.01@8x64")
    heard = Heard()
    depth, rows = fast_enough_depth(context, tmp_path, heard)
    assert depth in possible_depths(context) == range(1, 4)
    (found,) = (row for row in rows if row.layers == depth)
    assert found.shape == Shape(8, 64)
    assert found.speedup_low >= 1.01
    assert heard.said == [f"{depth} of 4 layers are fast enough: {found.speedup_words}, "
                          f"{found.latency_words} at 8x64"]  # fmt: skip
    assert not list(tmp_path.rglob("*.onnx"))
    # a resumed run comes to the same depth, without measuring again
    assert fast_enough_depth(context, tmp_path, Progress()) == (depth, rows)


def test_both_targets_are_measured_at_their_own_shapes(encoder, data, tmp_path):
    context = asked(encoder, data, target_speedup="1.01@8x64", latency_budget="10s@1x16")
    depth, rows = fast_enough_depth(context, tmp_path, Progress())
    assert {row.shape for row in rows if row.layers == depth} == {Shape(8, 64), Shape(1, 16)}


def test_an_impossible_target_is_exit_5(encoder, data, tmp_path):
    with pytest.raises(LatencyError) as caught:
        fast_enough_depth(asked(encoder, data, target_speedup="1000@1x16"), tmp_path, Progress())
    assert caught.value.exit_code == 5
    assert "not even 1 layer: " in str(caught.value)
    assert "1000× was asked for" in str(caught.value)


def test_an_interrupted_run_goes_on_with_what_it_has(encoder, data, tmp_path):
    context = asked(encoder, data, latency_budget="10s@1x16")
    with pytest.raises(KeyboardInterrupt):
        fast_enough_depth(context, tmp_path, Heard(interrupt=True))
    (kept,) = tmp_path.rglob("*.onnx")  # the unpruned one, which every depth is held against
    written = kept.stat().st_mtime_ns
    record = tmp_path / "depth_latency.json"
    before = record.read_text()
    with pytest.raises(KeyboardInterrupt):
        fast_enough_depth(context, tmp_path, Heard(interrupt=True))
    assert (kept.stat().st_mtime_ns, record.read_text()) == (written, before)
    depth, rows = fast_enough_depth(context, tmp_path, Progress())
    assert depth == 3  # everything is quicker than ten seconds
    assert [row.layers for row in rows] == [2, 3]


def test_what_was_measured_on_a_busy_machine_is_marked_and_measured_again(
    data, tmp_path, others, monkeypatch
):
    encoder = make_checkpoint(tmp_path / "encoder", layers=2)
    context = asked(encoder, data, latency_budget="10s@1x16")
    others()
    heard = Heard()
    depth, rows = fast_enough_depth(context, tmp_path, heard)
    assert depth == 1
    assert all(row.disturbed for row in rows)
    assert "other processes" in heard.said[0]
    record = tmp_path / "depth_latency.json"
    assert '"disturbed": true' in record.read_text()
    monkeypatch.setattr(sharing, "cpu_seconds_of_others", lambda: 0.0)
    again = fast_enough_depth(context, tmp_path, Heard())
    assert not any(row.disturbed for row in again[1])
    assert '"disturbed": true' not in record.read_text()


def test_a_kept_row_that_cannot_be_true_is_measured_again(data, tmp_path):
    encoder = make_checkpoint(tmp_path / "encoder", layers=2)
    context = asked(encoder, data, latency_budget="10s@1x16")
    fast_enough_depth(context, tmp_path, Progress())
    record = tmp_path / "depth_latency.json"
    content = json.loads(record.read_text())
    content["rows"][0] |= {"speedup": 26.69, "speedup_low": 20.0, "speedup_high": 30.0}
    record.write_text(json.dumps(content))
    _, (row,) = fast_enough_depth(context, tmp_path, Progress())
    assert row.speedup != 26.69


def test_what_other_threads_measured_does_not_count(data, tmp_path):
    encoder = make_checkpoint(tmp_path / "encoder", layers=2)
    context = asked(encoder, data, latency_budget="10s@1x16")
    before = fast_enough_depth(context, tmp_path, Progress())
    record = tmp_path / "depth_latency.json"
    record.write_text(record.read_text().replace('"threads": 1', '"threads": 7'))
    again = fast_enough_depth(context, tmp_path, Progress())
    assert again[0] == before[0] == 1
    assert again[1] != before[1]


def test_a_shape_that_the_model_cannot_read_is_a_usage_error(encoder, data, tmp_path):
    with pytest.raises(UsageError) as caught:
        fast_enough_depth(asked(encoder, data, target_speedup="2@4x128"), tmp_path, Progress())
    assert "at most 80 tokens" in str(caught.value)
    assert "@4x80" in str(caught.value)


def test_a_pinned_layer_stays_in_every_depth(data, tmp_path):
    # The layer before its convolution has to stay.
    encoder = make_checkpoint(tmp_path / "encoder", "deberta-v2", layers=3, conv_kernel_size=3)
    context = asked(encoder, data, latency_budget="10s@1x16")
    assert possible_depths(context) == range(1, 3)
    depth, _ = fast_enough_depth(context, tmp_path / "work", Progress())
    assert depth == 2


def test_with_targets_the_search_may_take_all_layers_but_one(encoder, data, tmp_path):
    assert asked(encoder, data, max_drop=0.01).cuts == 3
    single = make_checkpoint(tmp_path / "encoder", layers=1)
    with pytest.raises(UsageError, match="cannot be pruned"):
        asked(single, data, max_drop=0.01)

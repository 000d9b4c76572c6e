"""Latency tables of a run: what a busy machine measured is marked, and not kept for others."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import ClassVar

import pytest

from glp_export.cache.store import Cache
from glp_export.compress.latency_fit import fit_table
from glp_export.compress.latency_table import LatencyTable, WholeModel
from glp_export.core import sharing
from glp_export.workflows import latency_table
from tests.compress.test_latency_table import BASE, HEADS, NEURONS, conditions, invented_ms, shape
from tests.heard import Heard
from tests.tiny import make_config


class Made:
    """Stands for a deployment whose probes need not be exported."""

    base = BASE
    facts: ClassVar[dict[str, str]] = {}

    def maker(self, precision: str, form: str) -> None:
        return None


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Feeds invented times in place of runs; one entry for each table that is measured."""
    count: list[int] = []

    def table(*_: object, **__: object) -> LatencyTable:
        count.append(1)
        shapes = [BASE, *(shape(*[(HEADS, NEURONS)] * depth) for depth in (1, 2, 3))]
        models = [WholeModel(shape=one, milliseconds=invented_ms(one)) for one in shapes]
        grids = {"heads": (0, 6, HEADS), "neurons": (0, 768, NEURONS)}
        return fit_table(conditions(), BASE, models, **grids, separate_top=False)

    monkeypatch.setattr(latency_table, "measure_table", table)
    return count


def readings(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    counted = itertools.count(0, step)
    monkeypatch.setattr(sharing, "cpu_seconds_of_others", lambda: float(next(counted)))


def test_a_quiet_table_is_kept_for_others(measured, monkeypatch, tmp_path):
    readings(monkeypatch, 0)
    cache, heard = Cache(tmp_path), Heard()
    first = latency_table.measure(Made(), conditions(), cache, heard)
    assert latency_table.measure(Made(), conditions(), cache, heard) == first
    assert (first.notes, heard.said, len(measured)) == ((), [], 1)


def test_a_table_is_kept_for_models_that_compute_the_same(measured, monkeypatch, tmp_path):
    """Of one shape a head may answer for every token, and a sublayer have another activation."""
    readings(monkeypatch, 0)
    head = "AutoModelForSequenceClassification"

    def measure(auto_class: str = head, **extra: object) -> None:
        config = make_config("bert", **extra)
        fixed = (BASE, auto_class, "", "cpu", "CPUExecutionProvider", "fp32", 1)
        deployment = latency_table.Deployment(config, *fixed)
        latency_table.measure(deployment, conditions(), Cache(tmp_path), Heard())

    measure()
    measure(id2label={0: "no", 1: "yes"})
    assert len(measured) == 1
    measure("AutoModelForMaskedLM")
    measure(hidden_act="relu")
    measure(num_labels=300)
    assert len(measured) == 4


def test_a_table_of_a_busy_machine_says_so_and_is_measured_again(measured, monkeypatch, tmp_path):
    readings(monkeypatch, 1000)
    cache, heard = Cache(tmp_path), Heard()
    found = latency_table.measure(Made(), conditions(), cache, heard)
    assert "other processes" in found.notes[0]
    assert "fastest" in found.notes[0]  # what the times of a busy machine are
    assert "other processes" in heard.said[0]
    latency_table.measure(Made(), conditions(), cache, heard)
    assert len(measured) == 2
    # the notes are no part of what it holds, and are read again
    assert found.id == found.model_copy(update={"notes": ()}).id
    path = tmp_path / "table.json"
    assert LatencyTable.load(found.save(path)).notes == found.notes


def test_whole_models_of_a_busy_machine_are_told(monkeypatch, tmp_path: Path):
    readings(monkeypatch, 1000)
    models = [WholeModel(shape=BASE, milliseconds=1.0)]
    monkeypatch.setattr(latency_table, "measure_whole", lambda *_: models)
    heard = Heard()
    tables = latency_table.Tables(Made(), None, Cache(tmp_path), tmp_path / "work", heard)
    assert tables.measure_whole(conditions(), [BASE]) == models
    assert "other processes" in heard.said[0]

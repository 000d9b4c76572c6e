"""The warnings: everything that a reader has to know, and nothing without a cause."""

from __future__ import annotations

from dataclasses import replace

from glp_export.bench import BenchmarkFile, DifferenceRow
from glp_export.report.html import ReportData
from glp_export.report.warnings import report_warnings
from tests.report.helpers import MACHINE, less_unpruned, make_benchmark, make_parity, make_plan
from tests.report.html.helpers import INT8, make_report_data, make_variant


def large(**changes: object) -> BenchmarkFile:
    """A benchmark that nothing is wrong with."""
    metrics = tuple(row.model_copy(update={"samples": 5000}) for row in make_benchmark().metrics)
    return make_benchmark(metrics=metrics, **changes)


def told(**changes: object) -> list[str]:
    report_data: ReportData = make_report_data(**{"benchmark": large(), **changes})
    return report_warnings(report_data)


def test_where_nothing_is_wrong_nothing_is_said() -> None:
    assert told() == []


def test_int8_without_the_instructions_for_it() -> None:
    rows = tuple(
        row.model_copy(update={"precision": "int8"}) if row.contender == "pruned" else row
        for row in large().rows
    )
    old = replace(MACHINE, features=("avx2",))
    (line,) = told(benchmark=large(rows=rows, machine=old))
    assert "has no fast int8" in line
    assert "Measure again where the model will run" in line
    assert told(benchmark=large(rows=rows)) == []


def test_a_gpu_that_was_not_used() -> None:
    (line,) = told(benchmark=large(machine=replace(MACHINE, gpu="NVIDIA T4")))
    assert line.startswith("The machine has a GPU (NVIDIA T4)")


def test_a_precision_that_does_not_ship_says_why() -> None:
    entry = INT8.model_copy(update={"file": None, "reason": "it cost 0.04 on dev"})
    (line,) = told(sweep_variants=(make_variant(3, make_parity(), (entry,)),))
    assert line == "No int8 file ships: it cost 0.04 on dev."


def test_a_precision_that_costs_more_than_chance() -> None:
    loss = INT8.on_test.model_copy(update={"low": 0.001})  # type: ignore[union-attr]
    entry = INT8.model_copy(update={"on_test": loss})
    (line,) = told(sweep_variants=(make_variant(3, make_parity(), (entry,)),))
    assert "int8 costs 0.004 (0.001–0.012) on the test examples, beyond chance" in line


def test_a_rival_that_is_better() -> None:
    rival = DifferenceRow(
        precision="fp32", layers=3, less="distilled", value=-0.02, low=-0.03, high=-0.01
    )
    (line,) = told(benchmark=large(differences=(rival, less_unpruned(3, 0.0, -0.01, 0.01))))
    assert "less that of the distilled: −0.020" in line
    assert "significantly worse" in line


def test_a_small_select_split() -> None:
    steps = tuple(step.model_copy(update={"sample_size": 90}) for step in make_plan().steps)
    (line,) = told(plan=make_plan(steps=steps))
    assert line.startswith("Small dev split")
    assert "90 held out examples" in line


def test_a_noisy_machine() -> None:
    noisy = replace(MACHINE, notes=("other processes used 0.9 cores while measuring",))
    (line,) = told(benchmark=large(machine=noisy))
    assert line == "The machine: other processes used 0.9 cores while measuring."

from __future__ import annotations

from dataclasses import replace

from glp_export.bench import BenchmarkFile, Chance
from glp_export.report import benchmark_table
from glp_export.report.warnings import benchmark_warnings, difference_in_words
from tests.report.helpers import (
    MACHINE,
    interval,
    less_unpruned,
    make_benchmark,
    make_sweep,
    printed,
)


def test_a_small_test_set_is_said() -> None:
    assert any(
        "small test set: 500 examples" in line for line in benchmark_warnings(make_benchmark())
    )
    large = tuple(row.model_copy(update={"samples": 5000}) for row in make_benchmark().metrics)
    assert benchmark_warnings(make_benchmark(metrics=large)) == []


def test_a_difference_says_whether_its_interval_holds_zero() -> None:
    worse = difference_in_words(less_unpruned(3, -0.036, -0.058, -0.014), "accuracy")
    assert "−0.036 (−0.058 to −0.014); the pruned model is significantly worse" in worse
    better = difference_in_words(less_unpruned(3, 0.03, 0.01, 0.05), "f1")
    assert better.startswith("F1 of the pruned model less that of the unpruned: +0.030")
    assert "significantly better" in better
    unknown = difference_in_words(less_unpruned(3, 0.0, 0.0, 0.01), "accuracy")
    assert "no significant difference" in unknown


def test_a_student_that_passes_its_teacher_says_that_the_teacher_was_trained_too_briefly() -> None:
    small, large = less_unpruned(3, 0.02, 0.01, 0.03), less_unpruned(5, 0.05, -0.01, 0.11)
    lines = benchmark_warnings(make_benchmark(differences=(small, large)))
    (line,) = [line for line in lines if "--epochs" in line]
    assert "of 3 layers passes the unpruned one, +0.020 (+0.010 to +0.030) of accuracy" in line
    assert not any(
        "--epochs" in line for line in benchmark_warnings(make_benchmark(differences=(large,)))
    )


def test_a_speedup_whose_interval_reaches_one_is_said_with_its_shape() -> None:
    benchmark = make_benchmark()
    rows = tuple(
        row.model_copy(
            update={
                "speedup": row.speedup.model_copy(
                    update={"vs_onnxruntime_unpruned": interval(1.01)}
                )
            }
        )
        if row.contender == "pruned" and row.shape == "1x32"
        else row
        for row in benchmark.rows
    )
    lines = benchmark_warnings(make_benchmark(rows=rows))
    assert sum("is not significantly faster" in line for line in lines) == 2  # both files
    assert any("model_optimized.onnx" in line and "1×32 (1.01×" in line for line in lines)


def test_of_several_depths_a_slow_file_is_named_with_its_own() -> None:
    benchmark = make_sweep((4, 2))
    slow = benchmark.rows[0].speedup.model_copy(update={"vs_onnxruntime_unpruned": interval(0.9)})
    rows = tuple(
        row.model_copy(update={"speedup": slow}) if row.layers == 4 else row
        for row in benchmark.rows
    )
    lines = [
        line
        for line in benchmark_warnings(make_sweep((4, 2), rows=rows))
        if "not significantly" in line
    ]
    assert [line.split(" is not")[0] for line in lines] == [
        "pruned 4 model.onnx",
        "pruned 4 model_optimized.onnx",
    ]


def test_what_the_machine_complained_of_is_repeated() -> None:
    busy = replace(MACHINE, notes=("other processes used 0.9 cores while measuring",))
    assert "the machine: other processes used 0.9 cores while measuring" in benchmark_warnings(
        make_benchmark(machine=busy)
    )


def chance(low: float, *, significant: bool) -> BenchmarkFile:
    """A benchmark whose unpruned model is compared with chance."""
    found = Chance(value=0.5, low=low, high=low + 0.06, significant=significant)
    rows = make_benchmark().metrics
    unpruned = rows[0].model_copy(update={"value": 0.525, "chance": found})
    return make_benchmark(metrics=(unpruned, *rows[1:]))


def test_a_baseline_that_has_learned_nothing_is_told_first() -> None:
    first, *_ = benchmark_warnings(chance(-0.005, significant=False))
    assert "unpruned model has learned nothing" in first
    assert "0.525" in first
    assert "0.500" in first
    assert not any("learned" in line for line in benchmark_warnings(chance(0.1, significant=True)))
    assert "learned nothing" in " ".join(
        printed(benchmark_table(chance(-0.005, significant=False))).split()
    )


def test_a_significant_loss_is_a_warning_and_others_are_not() -> None:
    rows = (less_unpruned(3, -0.03, -0.05, -0.01), less_unpruned(3, 0.0, -0.01, 0.01, "int8"))
    lines = benchmark_warnings(make_benchmark(differences=rows))
    assert [line for line in lines if "significantly worse" in line]
    assert not any("int8" in line for line in lines)
    text = " ".join(printed(benchmark_table(make_benchmark(differences=rows))).split())
    assert "! accuracy of the pruned model less that of the unpruned" in text


def test_speedups_over_another_form_of_graph_are_told() -> None:
    forms = {"model.onnx": "none", "model_optimized.onnx": "first-token"}
    rows = tuple(
        row.model_copy(update={"form": forms.get(row.variant)}) for row in make_benchmark().rows
    )
    lines = benchmark_warnings(make_benchmark(rows=rows))
    (line,) = [line for line in lines if "differ in their graphs" in line]
    assert "model_optimized.onnx" in line
    assert "first-token" in line
    same = tuple(row.model_copy(update={"form": "none"}) if row.form else row for row in rows)
    assert not any("graphs" in line for line in benchmark_warnings(make_benchmark(rows=same)))
    assert not any("graphs" in line for line in benchmark_warnings(make_benchmark()))

from __future__ import annotations

from dataclasses import replace

from glp_export.report import MetricDifference
from glp_export.report.warnings import benchmark_warnings, difference_in_words
from tests.report.helpers import MACHINE, interval, less_unpruned, make_benchmark, make_sweep


def test_a_small_test_set_is_said() -> None:
    assert any(
        "small test set: 500 examples" in line for line in benchmark_warnings(make_benchmark())
    )
    large = tuple(row.model_copy(update={"samples": 5000}) for row in make_benchmark().metrics)
    assert benchmark_warnings(make_benchmark(metrics=large)) == []


def test_a_difference_says_whether_its_interval_holds_zero() -> None:
    worse = difference_in_words(MetricDifference("unpruned", -0.036, -0.058, -0.014), "accuracy")
    assert "−0.036 (−0.058 to −0.014); the interval excludes 0, the pruned model is worse" in worse
    better = difference_in_words(MetricDifference("distilled", 0.03, 0.01, 0.05), "f1")
    assert better.startswith("F1 of the pruned model less that of the distilled: +0.030")
    assert "is better" in better
    unknown = difference_in_words(MetricDifference("distilled", 0.0, 0.0, 0.01), "accuracy")
    assert "includes 0" in unknown


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
    assert sum("is not surely faster" in line for line in lines) == 2  # both files
    assert any("model_optimized.onnx" in line and "1×32 (1.01×" in line for line in lines)


def test_of_several_depths_a_slow_file_is_named_with_its_own() -> None:
    benchmark = make_sweep((4, 2))
    slow = benchmark.rows[0].speedup.model_copy(update={"vs_onnxruntime_unpruned": interval(0.9)})
    rows = tuple(
        row.model_copy(update={"speedup": slow}) if row.layers == 4 else row
        for row in benchmark.rows
    )
    lines = [
        line for line in benchmark_warnings(make_sweep((4, 2), rows=rows)) if "not surely" in line
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

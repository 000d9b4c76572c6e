from __future__ import annotations

import pytest
from rich.console import Console

from glp_export.report import benchmark_table, machine_table, parity_table
from tests.report.helpers import MACHINE, make_benchmark, make_parity, make_sweep, printed


def test_every_contender_and_file_has_its_line() -> None:
    text = printed(benchmark_table(make_benchmark()))
    for words in ("unpruned", "distilled", "pruned", "PyTorch", "ORT optimized", "0.888", "24.0"):
        assert words in text
    assert "4.44×" in text  # the optimised pruned file over PyTorch
    assert "4.31–4.58" in text
    assert "0.863–0.908" in text
    for shape in ("1×32", "8×128", "1×task", "8×task"):
        assert shape in text
    assert "mean 14 tokens" in text


def test_it_fits_80_columns_and_nothing_is_cut() -> None:
    benchmark = make_benchmark()
    slow = [
        row.model_copy(update={"p50_ms": row.p50_ms * 20_000, "bytes": 1_340_000_000})
        for row in benchmark.rows
    ]
    low = [row.model_copy(update={"value": -0.01, "low": -0.03}) for row in benchmark.metrics]
    for each in (benchmark, make_benchmark(rows=slow, metrics=low, metric="matthews_correlation")):
        text = printed(benchmark_table(each))
        assert max(map(len, text.splitlines())) <= 80
        assert "…" not in text


def test_no_word_of_a_head_is_broken() -> None:
    """Heads are narrow, but cells of intervals are as wide as the longest of such words."""
    assert " agreement " in printed(benchmark_table(make_benchmark(metric="agreement")))


def test_the_fastest_runtime_of_a_shape_is_readable_in_its_row() -> None:
    text = printed(benchmark_table(make_benchmark()))
    (line,) = (line for line in text.splitlines() if "ORT optimized" in line)
    assert line.split() == ["ORT", "optimized", "2.88", "92.2", "1.26", "15.1"]


def test_without_the_tasks_own_lengths_the_longest_single_request_leads() -> None:
    benchmark = make_benchmark()
    grid = tuple(row for row in benchmark.rows if not row.shape.endswith("task"))
    text = printed(benchmark_table(make_benchmark(rows=grid)))
    assert "1×32: batch 1, 32 tokens" in " ".join(text.split())
    assert "task" not in text


def test_a_shape_that_a_contender_lacks_and_a_missing_ratio_are_dashes() -> None:
    benchmark = make_benchmark()
    none = benchmark.rows[0].speedup.model_copy(
        update={"vs_onnxruntime_unpruned": None, "vs_pytorch_unpruned": None}
    )
    rows = [row.model_copy(update={"speedup": none}) for row in benchmark.rows[1:]]
    text = printed(benchmark_table(make_benchmark(rows=tuple(rows), metrics=())))
    assert "–" in text
    assert "×\n" not in text.replace("1×task", "")


def test_models_of_several_depths_keep_their_own_scores_and_names() -> None:
    text = printed(benchmark_table(make_sweep((4, 2))))
    for name in ("unpruned", "pruned 4", "pruned 2", "distilled 4"):
        assert name in text
    assert "0.920" in text
    assert "0.910" in text
    assert max(map(len, text.splitlines())) <= 80


def test_two_providers_get_a_table_each() -> None:
    benchmark = make_benchmark()
    gpu = tuple(
        row.model_copy(update={"provider": "CUDAExecutionProvider"}) for row in benchmark.rows
    )
    text = printed(benchmark_table(make_benchmark(rows=benchmark.rows + gpu)))
    assert "trec on CPU (2 threads)" in text
    assert "trec on GPU" in text


def test_brackets_in_a_name_are_not_markup() -> None:
    assert "[red]x on CPU" in printed(benchmark_table(make_benchmark(task="[red]x")))


def test_colour_is_for_terminals_only() -> None:
    assert "\x1b[" not in printed(benchmark_table(make_benchmark()))
    console = Console(force_terminal=True, color_system="standard", width=80)
    with console.capture() as capture:
        console.print(benchmark_table(make_benchmark()))
    assert "\x1b[32m" in capture.get()  # a speedup whose interval lies above 1 is green


def test_parity_says_what_failed_and_never_rounds_a_flip_away() -> None:
    report = make_parity(failures=("2 logits are not finite",), label_agreement=0.99999)
    text = printed(parity_table(report))
    assert "failed" in text
    assert "✗ model.onnx: 2 logits are not finite" in text
    assert "99.99 %" in text
    assert "1.5e-06" in text
    assert "2×64" in text
    assert "model_optimized.onnx" in text


@pytest.mark.parametrize("features", [(), ("avx2", "avx512_vnni")])
def test_the_machine_is_told_whole(features: tuple[str, ...]) -> None:
    from dataclasses import replace

    machine = replace(MACHINE, features=features, notes=("the load average was 3.0",))
    text = printed(machine_table(machine))
    assert "2 usable of 8" in text
    assert " ".join(features) in text
    assert "! the load average was 3.0" in text
    assert "onnxruntime 1.23" in text

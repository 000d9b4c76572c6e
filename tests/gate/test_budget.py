from __future__ import annotations

import pytest

from glp_export.artifact import LEVELS
from glp_export.bench import BenchmarkFile, Chance
from glp_export.core.errors import UsageError
from glp_export.gate.budget import Budget
from glp_export.gate.budget_line import read_line
from glp_export.gate.budget_writer import budget_text, write_budget
from tests.report.helpers import make_benchmark as any_benchmark


def budget(tmp_path, text: str) -> Budget:
    (tmp_path / "budget.toml").write_text(text)
    return Budget.load(tmp_path / "budget.toml")


@pytest.mark.parametrize(
    ("text", "key", "bound", "shape"),
    [
        ("speedup_vs_unpruned >= 1.9 at 1x128", "speedup_vs_unpruned", 1.9, (1, 128)),
        ("speedup_vs_unpruned>=2 at 8×64", "speedup_vs_unpruned", 2.0, (8, 64)),
        ("  p99_over_p50 <= 1.5  ", "p99_over_p50", 1.5, None),
        ("size_mb <= 9e1", "size_mb", 90.0, None),
        ("metric_drop <= -0.01", "metric_drop", -0.01, None),
        ("changed_predictions <= 2 %", "changed_predictions", 0.02, None),
        ("changed_predictions <= 0.02", "changed_predictions", 0.02, None),
    ],
)
def test_lines(text, key, bound, shape):
    line = read_line(text, "here")
    assert (line.key, line.bound, line.shape) == (key, bound, shape)


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ("speed_vs_unpruned >= 1.9", "knows no 'speed_vs_unpruned'", "speedup_vs_unpruned"),
        ("accuracy >= 0.9", "knows no 'accuracy'", "one of speedup_vs_unpruned"),
        ("p50_ms <= 10", "knows no 'p50_ms'", "milliseconds belong to one machine"),
        ("speedup_vs_unpruned <= 1.9", "other side", "speedup_vs_unpruned >= 1.9"),
        ("size_mb == 90", "other side", "size_mb <= 90"),
        ("size_mb <= 90 MB", "no unit, 'MB'", "size_mb <= 90"),
        ("metric_drop <= 1%", "no unit, '%'", "metric_drop <= 1"),
        ("changed_predictions <= 2", "is a share", "2 %"),
        ("changed_predictions <= 200 %", "is a share", "2 %"),
        ("changed_predictions <= -1 %", "is a share", "2 %"),
        ("speedup_vs_unpruned >= 1.9x at 1x128", "no unit, 'x'", ">= 1.9"),
        ("speedup_vs_unpruned >= 1.9 at 128", "'128' is no shape", "1x128"),
        ("speedup_vs_unpruned >= 1.9 at 0x128", "'0x128' is no shape", "1x128"),
        ("speedup_vs_unpruned >= 1.9 at 99999999x16", "too large to be timed", "65536 rows"),
        ("size_mb <= 90 at 1x128", "same at every shape", "leave out"),
        ("speedup_vs_unpruned >= 1.9.1 at 1x128", "no number", "1.9"),
        ("size_mb <= 1e400", "bounds nothing", "1.9"),
        ("fast, please", "no line of a budget", "speedup_vs_unpruned >= 1.9"),
    ],
)
def test_lines_that_cannot_be_read(text, message, fix):
    with pytest.raises(UsageError) as raised:
        read_line(text, "budget.toml, line 3")
    assert message in raised.value.what
    assert fix in str(raised.value.fix)
    assert raised.value.where == "budget.toml, line 3"


def test_a_table_and_the_lines_of_its_file(tmp_path):
    found = budget(
        tmp_path,
        '# size_mb <= 90\n[cpu.fp32]\nkeep = [\n  "size_mb <= 90",  # ours\n]\n'
        '[cuda.fp16]\nunpruned = "O2"\nkeep = [\n  "p99_over_p50 <= 2",\n'
        '  "speedup_vs_unpruned >= 3 at 8x128",\n  "size_mb <= 90",\n]\n',
    )
    cpu, cuda = found.tables
    assert (cpu.name, cpu.provider, cpu.unpruned) == ("cpu.fp32", "CPUExecutionProvider", "none")
    assert (cuda.precision, cuda.unpruned) == ("fp16", "O2")
    assert cpu.lines[0].where.endswith("line 4")
    assert [line.where.rpartition(" ")[2] for line in cuda.lines] == ["9", "10", "11"]


def test_a_line_without_a_shape_takes_the_first_of_its_table(tmp_path):
    keep = '["p99_over_p50 <= 2", "speedup_vs_unpruned >= 3 at 8x128", "size_mb <= 9"]'
    (table,) = budget(tmp_path, f"[cpu.fp32]\nkeep = {keep}\n").tables
    assert [line.shape for line in table.lines] == [(8, 128), (8, 128), None]
    with pytest.raises(UsageError, match="for which batch"):
        budget(tmp_path, '[cpu.fp32]\nkeep = ["p99_over_p50 <= 2"]\n')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[cpu.fp32]\nkeeps = []\n", "knows no field 'keeps'"),
        ('[gpu.fp32]\nkeep = ["size_mb <= 1"]\n', "knows no provider 'gpu'"),
        ('[cpu.fp23]\nkeep = ["size_mb <= 1"]\n', "did you mean fp32"),
        ('[cpu]\nkeep = ["size_mb <= 1"]\n', "knows no precision 'keep'"),
        ('[cpu.fp32]\nkeep = "size_mb <= 1"\n', "no list of texts"),
        ('[cpu.fp32]\nunpruned = "O9"\nkeep = ["size_mb <= 1"]\n', "knows no level 'O9'"),
        ('cpu = "fast"\n', "no table"),
        ("[cpu.fp32]\nkeep = []\n", "no lines"),
        ("", "no lines"),
        ("a = [", "no TOML"),
        (f"a = {'[' * 5000}{']' * 5000}", "no TOML"),
    ],
    ids=lambda text: text[:24],
)
def test_files_that_cannot_be_read(text, message, tmp_path):
    with pytest.raises(UsageError) as raised:
        budget(tmp_path, text)
    assert message in str(raised.value)
    assert "budget.toml" in str(raised.value.where)


def test_what_was_measured_less_a_margin(tmp_path):
    benchmark: BenchmarkFile = any_benchmark()
    path = write_budget(tmp_path / "glp" / "budget.toml", benchmark)
    text = path.read_text()
    assert "5%" in text
    for table in Budget.load(path).tables:
        rows = [
            row
            for row in benchmark.rows
            if (row.contender, row.runtime, row.provider, row.precision)
            == ("pruned", "onnxruntime", table.provider, table.precision)
        ]
        bounds = {line.key: line for line in table.lines}
        line = bounds["speedup_vs_unpruned"]
        (row,) = (r for r in rows if r.shape == line.shape_name and r.variant == rows[-1].variant)
        measured = row.speedup.vs_onnxruntime_unpruned
        assert measured
        assert measured.value * 0.8 < line.bound <= measured.value * 0.95
        assert row.bytes / 1e6 < bounds["size_mb"].bound < row.bytes / 1e6 * 1.1


def test_no_metric_is_bound_by_an_unpruned_model_that_has_learned_nothing(tmp_path):
    made = any_benchmark()
    assert "metric_drop <=" in budget_text(made)
    chance = Chance(value=0.5, low=-0.02, high=0.03, significant=False)
    metrics = tuple(
        row.model_copy(update={"chance": chance}) if row.contender == "unpruned" else row
        for row in made.metrics
    )
    path = write_budget(tmp_path / "b.toml", made.model_copy(update={"metrics": metrics}))
    assert "chance" in path.read_text()
    keys = {line.key for table in Budget.load(path).tables for line in table.lines}
    assert "metric_drop" not in keys
    assert "size_mb" in keys


def test_the_file_says_how_the_unpruned_model_was_optimised():
    text = budget_text(any_benchmark(), unpruned={"fp32": "O2"})
    assert 'unpruned = "O2"' in text
    assert "unpruned =" not in budget_text(any_benchmark())


def test_a_mark_at_the_beginning_is_no_text(tmp_path):
    (table,) = budget(tmp_path, '\ufeff[cpu.fp32]\nkeep = ["size_mb <= 1"]\n').tables
    assert table.name == "cpu.fp32"


@pytest.mark.parametrize("level", ["none", *LEVELS])
def test_every_level_that_a_run_may_choose_can_be_written_and_read(tmp_path, level):
    path = write_budget(tmp_path / "budget.toml", any_benchmark(), unpruned={"fp32": level})
    assert {table.unpruned for table in Budget.load(path).tables} == {level}

"""The choice of a file: a faster one wins, a tie goes to the plain one."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glp_export.artifact import OnnxFile
from glp_export.bench import Choice, Contender, Shape, Timing, Workload, fastest, shape_grid
from glp_export.core.errors import UsageError
from glp_export.core.machine import CPU
from tests.contenders import Clock, Latency
from tests.tiny import make_checkpoint

Install = Callable[[Latency], None]
FEEDS = {"input_ids": np.zeros((1, 4), dtype=np.int64)}
WORKLOADS = [Workload(Shape(1, length, f"1x{length}"), (FEEDS,)) for length in (4, 8)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("choice"), layers=1, num_labels=2)


def files(directory: Path, *levels: str) -> list[OnnxFile]:
    made = []
    for level in levels:
        path = directory / f"model_{level}.onnx"
        path.write_bytes(b"graph")
        made.append(OnnxFile(path, "fp32", level, 17, 1))
    return made


def choose(candidates: list[OnnxFile], checkpoint: Path) -> Choice:
    return fastest(
        candidates,
        checkpoint,
        WORKLOADS,
        provider=CPU,
        threads=1,
        timing=Timing(min_rounds=15, max_rounds=15),
    )


def noisy(milliseconds: dict[str, float], spread: float) -> Latency:
    generator = random.Random(0)

    def latency(contender: Contender, _: int) -> float:
        return milliseconds[contender.variant] * generator.lognormvariate(0, spread)

    return latency


def test_the_fastest_wins(
    tmp_path: Path, checkpoint: Path, clock: Clock, fake_runtime: Install
) -> None:
    candidates = files(tmp_path, "none", "O1", "O2", "O3")
    times = {"none": 10.0, "O1": 9.9, "O2": 7.0, "O3": 5.0}
    fake_runtime(noisy({f"model_{name}.onnx": value for name, value in times.items()}, 0.02))
    choice = choose(candidates, checkpoint)
    assert choice.winner == candidates[3]
    assert [row.file.optimisation for row in choice.table] == ["none", "O1", "O2", "O3"]
    assert choice.table[3].speedup.value == pytest.approx(2, rel=0.05)
    assert choice.table[3].p50_ms.keys() == {"1x4", "1x8"}
    assert choice.table[0].speedup.value == 1
    assert not choice.table[0].beats_plain


def test_ties_go_to_the_plain_file(
    tmp_path: Path, checkpoint: Path, clock: Clock, fake_runtime: Install
) -> None:
    candidates = files(tmp_path, "O1", "none", "O2", "O3")
    fake_runtime(noisy({file.variant: 10.0 for file in candidates}, 0.05))
    assert choose(candidates, checkpoint).winner == candidates[1]


def test_a_slower_graph_loses(
    tmp_path: Path, checkpoint: Path, clock: Clock, fake_runtime: Install
) -> None:
    candidates = files(tmp_path, "none", "O2")
    fake_runtime(noisy({"model_none.onnx": 10.0, "model_O2.onnx": 11.0}, 0.02))
    choice = choose(candidates, checkpoint)
    assert choice.winner == candidates[0]
    assert choice.table[1].speedup.high < 1


def test_alone_the_plain_file_wins_unmeasured(tmp_path: Path, checkpoint: Path) -> None:
    [plain] = files(tmp_path, "none")
    assert choose([plain], checkpoint).winner == plain


def test_there_must_be_one_plain_file(tmp_path: Path, checkpoint: Path) -> None:
    with pytest.raises(UsageError, match="0 are"):
        choose(files(tmp_path, "O1", "O2"), checkpoint)


def test_real_files_are_timed(tiny_contenders: list[Contender]) -> None:
    from glp_export.artifact import export_onnx, optimise

    checkpoint = tiny_contenders[0].path
    plain = export_onnx(
        checkpoint, checkpoint / "again" / "model.onnx", export_task="text-classification"
    )
    fused = optimise(plain, "O2", checkpoint / "again" / "model_O2.onnx", checkpoint)
    choice = fastest(
        [plain, fused],
        checkpoint,
        shape_grid(tiny_contenders[:1], [1], [16]),
        provider=CPU,
        threads=1,
        timing=replace(Timing(), min_rounds=3, max_rounds=3, pause_s=0.0),
    )
    assert choice.winner in (plain, fused)
    assert all(row.p50_ms["1x16"] > 0 for row in choice.table)

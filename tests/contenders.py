"""Tiny contenders with real sessions, and fake ones on a clock that only they turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glp_export.bench import Contender, onnx_contender, pytorch_contender, timing
from glp_export.bench.runtimes import RUNTIMES
from glp_export.core.machine import CPU
from tests.tiny import make_checkpoint
from tests.workers import made_once

ROLES = (("unpruned", "bert", 4), ("pruned", "bert", 2), ("distilled", "distilbert", 2))


@pytest.fixture(scope="session")
def tiny_contenders(tmp_path_factory: pytest.TempPathFactory) -> list[Contender]:
    """Unpruned, pruned and distilled, each in PyTorch and in ONNX Runtime."""
    from glp_export.artifact import describe, export_onnx

    def make(root: Path) -> None:
        for role, family, layers in ROLES:
            checkpoint = make_checkpoint(root / role, family, layers, num_labels=3)
            path = checkpoint / "onnx" / "model.onnx"
            export_onnx(checkpoint, path, export_task="text-classification")

    made, root = [], made_once(tmp_path_factory, "contenders", make)
    for role, *_ in ROLES:
        file = describe(root / role / "onnx" / "model.onnx")
        made.append(pytorch_contender(role, root / role, "cpu", 1))
        made.append(onnx_contender(role, file, root / role, CPU, 1))
    return made


def fake_contender(name: str = "model.onnx", **fields: Any) -> Contender:
    """A contender that nothing on disk stands behind."""
    values: dict[str, Any] = {
        "contender": "pruned",
        "runtime": "onnxruntime",
        "provider": CPU,
        "precision": "fp32",
        "variant": name,
        "layers": 2,
        "parameters": 10,
        "bytes": 40,
        "threads": 1,
        "path": Path(name),
        "auto_class": "AutoModelForSequenceClassification",
        "vocab_size": 50,
        "max_length": 64,
        "pad_token_id": 0,
    }
    return Contender(**values | fields)


@dataclass
class Clock:
    """Stands in for `time` in glp_export.bench.timing: it moves when a fake run moves it."""

    now: float = 0.0
    cpu: float = 0.0
    spinning: float = 0.0
    calls: list[tuple[Contender, int]] = field(default_factory=list)
    sleeps: list[float] = field(default_factory=list)

    def perf_counter(self) -> float:
        return self.now

    def perf_counter_ns(self) -> int:
        return round(self.now * 1e9)

    def process_time(self) -> float:
        return self.cpu

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds
        burnt = min(seconds, self.spinning)
        self.spinning -= burnt
        self.cpu += burnt


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that stands still between fake runs."""
    made = Clock()
    monkeypatch.setattr(timing, "time", made)
    return made


Latency = Callable[[Contender, int], float]


@pytest.fixture
def fake_runtime(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Callable[[Latency], None]:
    """Makes both runtimes fake: a run takes the milliseconds that a function of it says."""

    def install(latency: Latency) -> None:
        def opener(contender: Contender) -> Any:
            def run(feeds: Any) -> Any:
                clock.calls.append((contender, id(feeds)))
                clock.now += latency(contender, len(clock.calls)) / 1e3
                return np.zeros((1, 1), dtype=np.float32)

            return run

        for name in RUNTIMES:
            monkeypatch.setitem(RUNTIMES, name, opener)

    return install

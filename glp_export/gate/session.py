"""An artifact at its gate: its budget, the files that it is about, and what they run beside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from glp_export.artifact import OnnxFile, one_artifact, recorded_settings, shipped_files
from glp_export.bench import BenchmarkFile, Contender, Workload, onnx_contender, shape_grid
from glp_export.cache.store import Cache, default_root
from glp_export.core import machine
from glp_export.core.errors import UsageError
from glp_export.core.machine import CPU, is_like_this, usable_cores
from glp_export.core.progress import Progress
from glp_export.core.scratch import scratch_directory
from glp_export.encoder import task_of_model
from glp_export.gate.accuracy import TestRows, read_test_rows
from glp_export.gate.budget import PLACES, Budget, BudgetTable
from glp_export.gate.budget_line import KEYS, BudgetLine, Kind
from glp_export.gate.reference import other_artifact, unpruned_reference
from glp_export.gate.results import Undecided
from glp_export.gate.side_by_side import SideBySide
from glp_export.serve.runtimes import ONNX_RUNTIME, OPENVINO, RUNTIMES, require_runtime
from glp_export.serve.settings import read_settings, recorded_cpu_features
from glp_export.tasks import KINDS

NO_CACHE = "none"


def runs_here(table: BudgetTable) -> bool:
    """Whether the runtime of a table is installed."""
    return RUNTIMES[table.runtime].installed()


@dataclass(frozen=True)
class GateSettings:
    """What a gate is asked.

    Attributes:
        budget: in place of the artifact's own.
        against: another artifact, in place of the rebuilt unpruned model.
        quick: checksums, shapes, parity and size only.
        max_seconds: for all latency lines together; rebuilding the reference is not counted.
        undecided: what an undecided line does to the exit code.
        devices: look at these tables of the budget only; () for all.
        threads: of ONNX Runtime; None for those of the run, or else all that may be used.
        cache: where rebuilt models are kept; `none` keeps nothing.
        data: settings that name data for the accuracy lines; {} leaves them out.
        int8: judge int8 lines also on a CPU without the instructions that they were decided with.
    """

    budget: Path | None = None
    against: Path | None = None
    quick: bool = False
    max_seconds: float = 60.0
    undecided: Undecided = "pass"
    devices: tuple[str, ...] = ()
    threads: int | None = None
    cache: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    int8: bool = False


class GateSession:
    """One artifact; its models are opened when they are needed, and once.

    Args:
        artifact: a directory that prune-and-export wrote.
        settings: what is asked.
        progress: shows what takes long.

    Attributes:
        layout: of the artifact.
        threads: of ONNX Runtime.

    Raises:
        ModelError: it is no artifact.
        UsageError: it is a sweep, which holds several.
    """

    def __init__(self, artifact: Path, settings: GateSettings, progress: Progress) -> None:
        self.settings = settings
        self.progress = progress
        self.layout = one_artifact(artifact)
        self.threads = settings.threads or self._threads_of_run() or usable_cores()
        self._stack = ExitStack()
        self._cache: Cache | None = None
        self._open: dict[str, tuple[SideBySide, Contender, Contender]] = {}
        self._data: dict[Path, TestRows] = {}

    def __enter__(self) -> GateSession:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.clear()
        self._cache = None
        self._stack.close()

    @cached_property
    def budget(self) -> Budget:
        """What the artifact has to keep.

        Raises:
            UsageError: it cannot be read.
        """
        return Budget.load(self.settings.budget or self.layout.budget)

    @cached_property
    def tables(self) -> tuple[BudgetTable, ...]:
        """Those parts of the budget that are looked at.

        Raises:
            DeviceError: a runtime that is asked for is not installed.
            UsageError: it has none of the devices asked for.
        """
        wanted = self.settings.devices
        if unknown := [device for device in wanted if device not in PLACES]:
            raise UsageError(
                f"there is no device {unknown[0]!r}",
                where="--device",
                fix=f"use {' or '.join(PLACES)}",
            )
        for device in wanted:
            require_runtime(PLACES[device].runtime)
        tables = tuple(t for t in self.budget.tables if not wanted or t.device in wanted)
        if not tables:
            raise UsageError(
                f"the budget has no table for {' or '.join(wanted)}",
                where=str(self.budget.path),
                fix=f"write one, such as [{wanted[0]}.fp32], or leave --device away",
            )
        return tables

    @property
    def reference_name(self) -> str:
        """What speedups are over, for people."""
        return str(self.settings.against or "the unpruned model, rebuilt with random weights")

    def lines(self, kind: Kind) -> Iterator[tuple[BudgetTable, BudgetLine]]:
        """The lines of one part, with their tables."""
        for table in self.tables:
            for line in table.lines:
                if line.kind == kind:
                    yield table, line

    @cached_property
    def int8_doubt(self) -> str | None:
        """Why int8 lines are not asked on this CPU; None if they are."""
        if self.settings.int8:
            return None
        recorded = recorded_cpu_features(self.layout.environment)
        return machine.int8_doubt(recorded, machine.cpu_features())

    def left_out(self, table: BudgetTable, line: BudgetLine) -> str:
        """Why a line is not asked this time; nothing if it is."""
        if line.kind != "size" and table.is_int8_on_cpu and self.int8_doubt:
            return "another CPU"
        if line.kind in ("latency", "accuracy") and not runs_here(table):
            return f"{RUNTIMES[table.runtime].title} is not installed"
        if line.kind in ("latency", "accuracy") and self.settings.quick:
            return "--quick"
        if line.key == "speedup_vs_unpruned" and self.settings.against:
            return "--against gives another reference"
        if KEYS[line.key].of_reference and not self.settings.against:
            return "no --against"
        if line.kind == "accuracy" and not self.settings.data:
            return "no --dataset"
        return ""

    def files(self) -> list[OnnxFile]:
        """Every file that ships."""
        return shipped_files(self.layout)

    def file(self, table: BudgetTable) -> OnnxFile:
        """The file that a table is about: of several at its precision the optimised one.

        In another runtime than ONNX Runtime, the one that was fastest there.

        Raises:
            UsageError: the artifact has none at this precision.
        """
        return self._at_precision(self.files(), table, self.layout.root)

    def reference_file(self, table: BudgetTable, against: Path) -> OnnxFile:
        """Likewise of another artifact."""
        return self._at_precision(shipped_files(one_artifact(against)), table, against)

    def test_rows(self, artifact: Path) -> TestRows:
        """The data that was named, as an artifact reads it; read once.

        Another artifact gets the rows that this one does, in its order of labels.

        Raises:
            DataError: the data cannot be read.
            UsageError: it is data of another task.
        """
        if artifact not in self._data:
            own = self.layout.root
            self._data[artifact] = read_test_rows(artifact, self.settings.data, beside=own)
        return self._data[artifact]

    def side_by_side(self, table: BudgetTable) -> SideBySide:
        """The reference and a table's file, open in this process.

        Raises:
            DeviceError: the provider is not there.
            UsageError: there is no such file, or the reference cannot be one.
        """
        return self._opened(table)[0]

    def reopen(self, table: BudgetTable) -> None:
        """Open both again, elsewhere in memory: the old ones stay until the new ones are there."""
        old = self._open.pop(table.name, None)
        self.side_by_side(table)
        del old

    def recorded_reference_ms(self, table: BudgetTable, workload: Workload) -> float | None:
        """Median of the unpruned model when the artifact was made, if that was on such a machine.

        None where it was another CPU or ONNX Runtime, where other processes took part of it, or
        where something else is the reference; None on a GPU.
        """
        path = self.layout.benchmark
        if self.settings.against or table.provider != CPU or not path.is_file():
            return None
        recorded = BenchmarkFile.load(path)
        if recorded.machine.notes or not is_like_this(recorded.machine):
            return None
        same = [
            row.p50_ms
            for row in recorded.rows
            if (row.contender, row.runtime) == ("unpruned", "onnxruntime")
            and (row.provider, row.precision) == (table.provider, table.precision)
            and (row.shape, row.threads) == (workload.shape.name, self.threads)
        ]
        return max(same, default=None)

    def workload(self, table: BudgetTable, shape: tuple[int, int], where: str) -> Workload:
        """What both run at a shape.

        Raises:
            UsageError: one of them does not read so many tokens.
        """
        _, reference, own = self._opened(table)
        longest = min(reference.max_length, own.max_length)
        if shape[1] > longest:
            raise UsageError(
                f"a model here reads at most {longest} tokens, not {shape[1]}",
                where=where,
                fix=f"bound a shape of {longest} tokens or fewer",
            )
        (workload,) = shape_grid([reference, own], [shape[0]], [shape[1]])
        return workload

    def _opened(self, table: BudgetTable) -> tuple[SideBySide, Contender, Contender]:
        if table.name not in self._open:
            own = onnx_contender(
                "pruned",
                self.file(table),
                self.layout.root,
                table.provider,
                self.threads,
                auto_class=KINDS[task_of_model(self.layout.root).kind].auto_class,
                runtime="openvino" if table.runtime == OPENVINO else "onnxruntime",
            )
            with self.progress.stage("reference"):
                reference = self._reference(table, own)
            self._open[table.name] = (SideBySide(reference, own), reference, own)
        return self._open[table.name]

    def _reference(self, table: BudgetTable, own: Contender) -> Contender:
        if self.settings.against:
            return other_artifact(self.settings.against, self.layout, own)
        if self._cache is None:
            self._cache = self._opened_cache()
        return unpruned_reference(self.layout, own, table, self._cache)

    def _opened_cache(self) -> Cache:
        named = self.settings.cache
        if named == NO_CACHE:
            return Cache(self._stack.enter_context(scratch_directory("glp-gate-")))
        return Cache(Path(named) if named else default_root())

    def _at_precision(self, files: list[OnnxFile], table: BudgetTable, root: Path) -> OnnxFile:
        same = [file for file in files if file.precision == table.precision]
        if not same:
            raise UsageError(
                f"the artifact has no file at {table.precision}",
                where=f"[{table.name}] of the budget",
                fix="take the table out, or make the artifact with that precision",
            )
        if table.runtime == ONNX_RUNTIME:
            return same[-1]
        best = read_settings(root).choose(CPU, precision=table.precision, runtime=table.runtime)
        return next((file for file in same if file.path.name == best.name), same[0])

    def _threads_of_run(self) -> int | None:
        threads = recorded_settings(self.layout).get("threads")
        return threads if isinstance(threads, int) else None

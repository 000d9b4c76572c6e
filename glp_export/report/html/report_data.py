"""What a report is made from: the files below `glp/` of an artifact or a ladder, and no others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from glp_export.artifact.layout import ArtifactLayout, sweep_variant_name
from glp_export.artifact.parity_report import ParityReport
from glp_export.bench.benchmark_file import BenchmarkFile
from glp_export.bench.frontier import Frontier
from glp_export.bench.samples_file import SamplesFile
from glp_export.compress.plan import Plan
from glp_export.core.errors import DataError
from glp_export.precision.record import PrecisionEntry, PrecisionsFile

SAMPLES = "benchmark_samples.json"


@dataclass(frozen=True)
class SweepVariant:
    """The files of one depth.

    Attributes:
        depth: layers that stay.
        parity: of its ONNX files.
        precisions: the lower ones that were to be made.
    """

    depth: int
    parity: ParityReport
    precisions: tuple[PrecisionEntry, ...] = ()

    @property
    def directory(self) -> str:
        """Its name below a ladder."""
        return sweep_variant_name(self.depth)


@dataclass(frozen=True)
class ReportData:
    """An artifact, or a ladder with all of its depths.

    Attributes:
        name: of its directory.
        plan: what was removed; of a ladder, for the shallowest model.
        benchmark: what was measured, of all depths.
        sweep_variants: the depths, the deepest first; one of an artifact.
        samples: the raw runs; None where they were not kept.
        frontier: of a ladder, None of an artifact.
        command: that made it, "" where that is not known.
        texts: of test rows that may be shown, by row.
    """

    name: str
    plan: Plan
    benchmark: BenchmarkFile
    sweep_variants: tuple[SweepVariant, ...]
    samples: SamplesFile | None = None
    frontier: Frontier | None = None
    command: str = ""
    texts: Mapping[int, str] = field(default_factory=dict)

    @property
    def is_sweep(self) -> bool:
        """Whether it holds several depths."""
        return self.frontier is not None

    @cached_property
    def placed(self) -> Frontier | None:
        """Accuracy against latency, of an artifact too; None where nothing can be placed."""
        if self.frontier is not None:
            return self.frontier
        timed = any(
            row.runtime == "onnxruntime" and row.provider == self.benchmark.baseline.provider
            for row in self.benchmark.rows
        )
        return Frontier.of(self.benchmark) if timed and self.benchmark.metrics else None

    def parts(self) -> Iterator[ReportData]:
        """Every depth by itself."""
        if not self.is_sweep:
            yield self
            return
        for sweep_variant in self.sweep_variants:
            yield ReportData(
                name=f"{self.name}/{sweep_variant.directory}",
                plan=self.plan.cut(self.plan.num_layers - sweep_variant.depth),
                benchmark=self.benchmark.at_depth(sweep_variant.depth),
                sweep_variants=(sweep_variant,),
                samples=self.samples and self.samples.at_depth(sweep_variant.depth),
                command=self.command,
            )


def report_data(root: Path) -> ReportData:
    """Read what a report is made from.

    Raises:
        DataError: a file that it needs is missing or broken; it is named.
        ModelError: a parity report cannot be read.
    """
    layout = ArtifactLayout(root)
    plan = Plan.load(layout.plan)
    frontier = Frontier.load(layout.frontier) if layout.frontier.is_file() else None
    samples = layout.glp_dir / SAMPLES
    return ReportData(
        name=root.resolve().name,
        plan=plan,
        benchmark=BenchmarkFile.load(layout.benchmark),
        sweep_variants=tuple(
            _sweep_variant(layout.sweep_variant(depth), depth) for depth in _depths(frontier)
        )
        if frontier
        else (_sweep_variant(layout, plan.depth),),
        samples=SamplesFile.load(samples) if samples.is_file() else None,
        frontier=frontier,
        command=_command(layout.environment),
    )


def read_by(root: Path) -> tuple[list[str], list[str]]:
    """The files below a directory that its report needs, and those that it reads where they are.

    Raises:
        DataError: it is a ladder whose frontier cannot be read.
    """
    layout = ArtifactLayout(root)
    needed = [layout.plan, layout.benchmark]
    perhaps = [layout.environment, layout.glp_dir / SAMPLES]
    sweep_variants = [layout]
    if layout.frontier.is_file():
        needed.append(layout.frontier)
        sweep_variants = [
            layout.sweep_variant(depth) for depth in _depths(Frontier.load(layout.frontier))
        ]
    needed += [sweep_variant.parity for sweep_variant in sweep_variants]
    perhaps += [sweep_variant.precisions for sweep_variant in sweep_variants]
    names = [[path.relative_to(root).as_posix() for path in paths] for paths in (needed, perhaps)]
    return names[0], names[1]


def _sweep_variant(layout: ArtifactLayout, depth: int) -> SweepVariant:
    try:
        parity = ParityReport.from_json(layout.parity.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(
            f"the parity report cannot be read: {error}",
            where=str(layout.parity),
            fix="copy the whole directory again, or make the artifact again",
        ) from error
    known = layout.precisions.is_file()
    return SweepVariant(
        depth, parity, PrecisionsFile.load(layout.precisions).entries if known else ()
    )


def _depths(frontier: Frontier) -> list[int]:
    """The depths of a ladder's artifacts, the deepest first."""
    return sorted({point.layers for point in frontier.points if point.directory}, reverse=True)


def _command(environment: Path) -> str:
    """The command line, which artifacts of earlier versions do not tell."""
    try:
        return str(json.loads(environment.read_text(encoding="utf-8")).get("command", ""))
    except (OSError, ValueError, AttributeError):
        return ""

"""What a report is made from: the files below `glp/` of an artifact or a sweep, and no others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from glp_export.artifact.layout import ArtifactLayout
from glp_export.artifact.parity_report import FileParity, ParityReport
from glp_export.artifact.vocabulary_record import VOCABULARY, VocabularyRecord, read_vocabulary
from glp_export.bench.benchmark_file import BenchmarkFile
from glp_export.bench.frontier import Frontier
from glp_export.bench.samples_file import SamplesFile
from glp_export.compress.latency_table import LatencyTable
from glp_export.compress.plan import Plan
from glp_export.core.errors import DataError, reason_of
from glp_export.encoder.block_sparse_file import BlockSparseRecord
from glp_export.encoder.structure import STRUCTURE, read_block_sparse_record
from glp_export.precision.record import PrecisionEntry, PrecisionsFile
from glp_export.report.measurements import measured_ids

SAMPLES = "benchmark_samples.json"


@dataclass(frozen=True)
class SweepVariant:
    """The files of one pruned model.

    Attributes:
        plan: what made it.
        directory: its name below a sweep; empty for an artifact by itself.
        parity: of its ONNX files.
        precisions: the lower ones that were to be made.
        latency_table: that the plan was chosen by; None where none was or none was kept.
        vocabulary: that was trimmed; None where all tokens are left.
        block_sparse: what a block-sparse file of the weights holds; None without one.
    """

    plan: Plan
    directory: str
    parity: ParityReport
    precisions: tuple[PrecisionEntry, ...] = ()
    latency_table: LatencyTable | None = None
    vocabulary: VocabularyRecord | None = None
    block_sparse: BlockSparseRecord | None = None

    @property
    def label(self) -> str:
        """For people: `6 layers`."""
        return self.plan.label


@dataclass(frozen=True)
class ReportData:
    """An artifact, or a sweep with all of its models.

    Attributes:
        name: of its directory.
        plan: what was removed; of a sweep, for the smallest model.
        benchmark: what was measured, of all models.
        sweep_variants: the models, the deepest first; one of an artifact.
        samples: the raw runs; None where they were not kept.
        frontier: of a sweep, None of an artifact.
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
        """Whether it holds several models."""
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

    def named(self, variant: SweepVariant, name: str) -> str:
        """The name of a file or precision, of several models with the one that it belongs to."""
        return f"{variant.label}, {name}" if self.is_sweep else name

    def named_files(self) -> list[tuple[str, FileParity]]:
        """Every file's parity by the file's name."""
        return [
            (self.named(variant, file.label), file)
            for variant in self.sweep_variants
            for file in variant.parity.files
        ]

    def parts(self) -> Iterator[ReportData]:
        """Every model by itself."""
        if not self.is_sweep:
            yield self
            return
        for sweep_variant in self.sweep_variants:
            (own_id,) = measured_ids(self.benchmark, sweep_variant.plan)
            yield ReportData(
                name=f"{self.name}/{sweep_variant.directory}",
                plan=sweep_variant.plan,
                benchmark=self.benchmark.of_plan(own_id),
                sweep_variants=(sweep_variant,),
                samples=self.samples and self.samples.of_plan(own_id),
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
            _sweep_variant(layout.sweep_variant(name), name) for name in frontier.directories
        )
        if frontier
        else (_sweep_variant(layout, ""),),
        samples=SamplesFile.load(samples) if samples.is_file() else None,
        frontier=frontier,
        command=_command(layout.environment),
    )


def read_by(root: Path) -> tuple[list[str], list[str]]:
    """The files below a directory that its report needs, and those that it reads where they are.

    Raises:
        DataError: it is a sweep whose frontier cannot be read.
    """
    layout = ArtifactLayout(root)
    needed = [layout.plan, layout.benchmark]
    perhaps = [layout.environment, layout.glp_dir / SAMPLES]
    sweep_variants = [layout]
    if layout.frontier.is_file():
        needed.append(layout.frontier)
        sweep_variants = [
            layout.sweep_variant(name) for name in Frontier.load(layout.frontier).directories
        ]
        needed += [sweep_variant.plan for sweep_variant in sweep_variants]
    needed += [sweep_variant.parity for sweep_variant in sweep_variants]
    for sweep_variant in sweep_variants:
        perhaps += [sweep_variant.precisions, sweep_variant.latency_table]
        perhaps += [sweep_variant.root / VOCABULARY, sweep_variant.root / STRUCTURE]
    names = [[path.relative_to(root).as_posix() for path in paths] for paths in (needed, perhaps)]
    return names[0], names[1]


def _sweep_variant(layout: ArtifactLayout, directory: str) -> SweepVariant:
    try:
        parity = ParityReport.from_json(layout.parity.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(
            f"the parity report cannot be read: {reason_of(error)}",
            where=str(layout.parity),
            fix="copy the whole directory again, or make the artifact again",
        ) from error
    known = layout.precisions.is_file()
    entries = PrecisionsFile.load(layout.precisions).entries if known else ()
    table = LatencyTable.load(layout.latency_table) if layout.latency_table.is_file() else None
    plan, vocabulary = Plan.load(layout.plan), read_vocabulary(layout.root)
    block_sparse = read_block_sparse_record(layout.root)
    return SweepVariant(plan, directory, parity, entries, table, vocabulary, block_sparse)


def _command(environment: Path) -> str:
    """The command line, which artifacts of earlier versions do not tell."""
    try:
        return str(json.loads(environment.read_text(encoding="utf-8")).get("command", ""))
    except (OSError, ValueError, AttributeError):
        return ""

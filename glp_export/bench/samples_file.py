"""`glp/benchmark_samples.json`: every counted run, and how the runs were taken.

The intervals in benchmark.json can be computed anew from it, or others beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from glp_export.bench.benchmark_rows import OfModel, of_plan
from glp_export.core.records import Record

if TYPE_CHECKING:
    from glp_export.bench.timing import Samples, Timing

SCHEMA_VERSION: Literal[1] = 1


class SampleRow(OfModel):
    """The counted runs of one row of benchmark.json, in milliseconds, one list a round."""

    runtime: str
    provider: str
    precision: str
    variant: str
    shape: str
    batch_size: int
    sequence_length: int
    rounds: tuple[tuple[float, ...], ...]


class SamplesFile(Record):
    """All rows, with the settings of the measurement."""

    schema_version: Literal[1] = SCHEMA_VERSION
    timing: dict[str, float | int]
    rows: tuple[SampleRow, ...]

    @classmethod
    def of(cls, samples: Sequence[Samples], timing: Timing) -> SamplesFile:
        """The file of a measurement; times are rounded to a tenth of a microsecond."""
        return cls(timing=asdict(timing), rows=tuple(_row(sample) for sample in samples))

    def of_plan(self, plan_id: str) -> SamplesFile:
        """The part that belongs to the pruned model of one plan, as in benchmark.json."""
        return self.model_copy(update={"rows": of_plan(self.rows, plan_id)})

    def save(self, path: Path) -> Path:
        """Write it as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.model_dump_json() + "\n", encoding="utf-8")
        return path

    @classmethod
    def load(cls, path: Path) -> SamplesFile:
        """Read what `save` wrote.

        Raises:
            DataError: there is no such file, or it is another's or broken.
        """
        return cls.read(path, what="the raw samples", fix="measure again with glp-export benchmark")


def _row(sample: Samples) -> SampleRow:
    contender, shape = sample.contender, sample.shape
    fields: dict[str, Any] = {
        name: getattr(contender, name)
        for name in (*OfModel.model_fields, "runtime", "provider", "precision", "variant")
        if name != "model_shape"  # benchmark.json has it
    }
    return SampleRow(
        **fields,
        shape=shape.name,
        batch_size=shape.batch_size,
        sequence_length=shape.sequence_length,
        rounds=tuple(tuple(round(run, 4) for run in block) for block in sample.rounds),
    )

"""`glp/benchmark.json`: what was measured, in a form that other programs can rely on.

The models here are the contract; `benchmark.schema.json` beside them is made from them by
`python -m glp_export.bench.schema`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from glp_export.bench.benchmark_rows import Baseline, DifferenceRow, MetricRow, Row, Winner, of_plan
from glp_export.bench.target_outcome import TargetOutcome
from glp_export.core import numbers
from glp_export.core.errors import DataError, UsageError
from glp_export.core.machine import Machine
from glp_export.core.notebook import table_html
from glp_export.core.records import Record

if TYPE_CHECKING:
    import pandas

SCHEMA_VERSION: Literal[2] = 2
READ_VERSIONS = (1, 2)


class BenchmarkFile(Record):
    """A whole benchmark: machine, task, metrics and latencies."""

    schema_version: Literal[2] = SCHEMA_VERSION
    machine: Machine
    task: str
    metric: str
    baseline: Baseline
    metrics: tuple[MetricRow, ...]
    rows: tuple[Row, ...] = Field(min_length=1)
    winners: tuple[Winner, ...] = ()
    differences: tuple[DifferenceRow, ...] = Field(
        default=(), description="of the metrics, where the answers were at hand"
    )
    targets: tuple[TargetOutcome, ...] = Field(
        default=(), description="what became of each target of the run"
    )
    test_rows: str | None = Field(
        default=None, description="SHA-256 of the test set, by which a gate knows it again"
    )

    def of_plan(self, plan_id: str) -> BenchmarkFile:
        """The part that belongs to one pruned model: itself and what it is compared with.

        Raises:
            UsageError: no pruned model of that plan was measured.
        """
        there = sorted({row.plan_id for row in self.rows if row.contender == "pruned"})
        if plan_id not in there:
            raise UsageError(
                f"no pruned model of plan {plan_id} was measured",
                fix=f"there are {', '.join(there) or 'none'}",
            )
        part = {
            "metrics": of_plan(self.metrics, plan_id),
            "rows": of_plan(self.rows, plan_id),
            "winners": of_plan(self.winners, plan_id),
            "differences": of_plan(self.differences, plan_id),
            "targets": tuple(one for one in self.targets if one.plan_id in ("", plan_id)),
        }
        return self.model_copy(update=part)

    def to_frame(self) -> pandas.DataFrame:
        """One row for each model, runtime, file and shape, with its score and both speedups.

        Speedups have a column each for the value and the ends of the interval; what was not
        measured is NaN.
        """
        import pandas

        return pandas.DataFrame([self._flat(row) for row in self.rows])

    def _flat(self, row: Row) -> dict[str, Any]:
        flat = row.model_dump(mode="json", exclude={"speedup", "model_shape"})
        for name, interval in row.speedup:
            for part in ("value", "low", "high"):
                key = name if part == "value" else f"{name}_{part}"
                flat[key] = getattr(interval, part, None)
        for metric in self.metrics:
            mine = (metric.contender, metric.plan_id, metric.rival_of, metric.precision)
            if mine == (row.contender, row.plan_id, row.rival_of, row.precision):
                flat |= {self.metric: metric.value, f"{self.metric}_low": metric.low}
                flat[f"{self.metric}_high"] = metric.high
        return flat

    def __repr__(self) -> str:
        models = dict.fromkeys(f"{r.contender} {r.label_beside(self.baseline)}" for r in self.rows)
        return (
            f"BenchmarkFile({self.task}, {self.metric}, {len(self.rows)} rows: {', '.join(models)})"
        )

    def _repr_html_(self) -> str:
        head = ("model", "runtime", "file", "shape", "p50 ms", "p99 ms", "over unpruned, same")
        rows = (
            (
                f"{row.contender} {row.label_beside(self.baseline)}",
                row.runtime,
                row.variant,
                row.shape,
                numbers.milliseconds(row.p50_ms),
                numbers.milliseconds(row.p99_ms),
                numbers.ratio(own.value)
                if (own := row.speedup.vs_onnxruntime_unpruned)
                else numbers.MISSING,
            )
            for row in self.rows
        )
        return table_html(f"{self.task}, {self.metric}", head, rows)

    def save(self, path: Path) -> Path:
        """Write it as JSON."""
        return self.write(path)

    @classmethod
    def load(cls, path: Path) -> BenchmarkFile:
        """Read what `save` wrote.

        Raises:
            DataError: no such file, no JSON, another schema version, or a field that is missing,
                unknown or out of range; the field is named.
        """
        return cls.read(
            path,
            what="the benchmark",
            fix="measure again with glp-export benchmark",
            part=lambda content: _of_this_version(content, path),
        )


def _of_this_version(content: Any, path: Path) -> Any:
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version not in READ_VERSIONS:
        raise DataError(
            f"the benchmark has schema version {version!r}, this program reads 1 and 2",
            where=str(path),
            fix="read it with the glp-export that wrote it, or measure again",
        )
    return {**content, "schema_version": SCHEMA_VERSION}

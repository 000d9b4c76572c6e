"""fp16: the fastest fp32 graph with weights of half the size."""

from __future__ import annotations

from glp_export.artifact.variants import VARIANTS
from glp_export.precision.fp16 import to_fp16
from glp_export.precision.record import PrecisionEntry
from glp_export.workflows.stages.export import PLAIN, LowerPrecision
from glp_export.workflows.stages.precision_job import PrecisionJob


def build_fp16(job: PrecisionJob) -> LowerPrecision:
    """Convert the contender's fastest fp32 file.

    Raises:
        ModelError: the graph cannot be converted.
    """
    source = job.exported.chosen
    job.work.mkdir(parents=True, exist_ok=True)
    name = VARIANTS["fp16"].file_name
    file = to_fp16(source, job.work / name, "fp16", job.exported.trained.checkpoint)
    graph = "plain" if source.optimisation == PLAIN else source.optimisation
    recipe = f"fp16 from the {graph} graph"
    return LowerPrecision(file, PrecisionEntry(precision="fp16", file=name, recipe=recipe))

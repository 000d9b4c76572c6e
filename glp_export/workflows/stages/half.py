"""fp16: the fastest fp32 graph with weights of half the size."""

from __future__ import annotations

from glp_export.artifact.variants import VARIANTS
from glp_export.precision.fp16 import to_half
from glp_export.precision.record import PrecisionEntry
from glp_export.workflows.stages.export import PLAIN, Lower
from glp_export.workflows.stages.order import Order


def build_fp16(order: Order) -> Lower:
    """Convert the contender's fastest fp32 file.

    Raises:
        ModelError: the graph cannot be converted.
    """
    source = order.exported.chosen
    order.work.mkdir(parents=True, exist_ok=True)
    name = VARIANTS["fp16"].file_name
    file = to_half(source, order.work / name, "fp16", order.exported.trained.checkpoint)
    graph = "plain" if source.optimisation == PLAIN else source.optimisation
    recipe = f"fp16 from the {graph} graph"
    return Lower(file, PrecisionEntry(precision="fp16", file=name, recipe=recipe))

"""fp16: the fused graph where it fuses, the plain one elsewhere, with weights of half the size."""

from __future__ import annotations

from glp_export.artifact.half import to_half
from glp_export.artifact.precisions_file import PrecisionEntry
from glp_export.artifact.variants import VARIANTS
from glp_export.stages.export import Lower
from glp_export.stages.order import Order


def build_fp16(order: Order) -> Lower:
    """Convert the contender's fastest fp32 file.

    Raises:
        ModelError: the graph cannot be converted.
    """
    source = order.exported.chosen
    order.work.mkdir(parents=True, exist_ok=True)
    name = VARIANTS["fp16"].file_name
    file = to_half(source, order.work / name, "fp16", order.exported.trained.checkpoint)
    recipe = f"fp16 from the {'plain' if source.optimisation == 'none' else 'fused'} graph"
    return Lower(file, PrecisionEntry(precision="fp16", file=name, recipe=recipe))

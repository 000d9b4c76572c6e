"""Options of the structure compressor."""

from __future__ import annotations

from typing import ClassVar

from glp_export.core.options import Options, option


class StructureOptions(Options):
    """How heads, neurons and sublayers are chosen."""

    panel: ClassVar[str] = "Structure"

    criterion: str = option(
        "obs", "What heads and neurons are ranked by: obs, fisher, magnitude or silent-neurons."
    )
    calibration_samples: int = option(
        512, "Training texts that heads and neurons are ranked on.", ge=8
    )
    neuron_step: int = option(
        32, "Feed-forward widths are multiples of this; 8 or 64 suit a GPU.", gt=0
    )
    mutations: int = option(12, "Choices that are scored on dev before one is taken.", gt=0)
    final_round: int = option(
        1024, "Training examples for each finalist of the last comparison; 0 for none.", ge=0
    )
    latency_table: str | None = option(
        None, "A table that `glp-export latency-table` wrote on the machine that will serve."
    )

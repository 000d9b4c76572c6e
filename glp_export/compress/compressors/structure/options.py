"""Options of the structure compressor."""

from __future__ import annotations

import re
from typing import ClassVar

from pydantic import field_validator

from glp_export.core.options import Options, option

CALIBRATION_SAMPLES = 512


class StructureOptions(Options):
    """How heads, neurons and sublayers are chosen."""

    panel: ClassVar[str] = "Structure"

    criterion: str = option(
        "obs",
        "What heads and neurons are ranked by: obs, fisher, magnitude, silent-neurons; or a "
        "training: pdp, group-lasso, movement.",
    )
    calibration_samples: int = option(
        CALIBRATION_SAMPLES, "Training texts that heads and neurons are ranked on.", ge=8
    )
    criterion_epochs: float = option(
        6.0, "Passes over the training rows of a criterion that trains.", gt=0
    )
    block: str = option(
        "32x32",
        "Blocks of attention that movement prunes: rows along a head x columns along the hidden "
        "states.",
    )
    neuron_step: int = option(
        32, "Feed-forward widths are multiples of this; 8 or 64 suit a GPU.", gt=0
    )
    mutations: int = option(
        12, "Variations of the choice that are scored on dev; the best is kept.", gt=0
    )
    final_round: int = option(
        1024, "Training examples for each model of the final comparison; 0 skips it.", ge=0
    )
    latency_table: str | None = option(
        None, "A table that `glp-export latency-table` wrote on the machine that will serve."
    )

    @field_validator("block")
    @classmethod
    def _two_sizes(cls, value: str) -> str:
        if not re.fullmatch(r"[1-9]\d{0,5}x[1-9]\d{0,5}", value):
            raise ValueError("should be two sizes: 32x32")
        return value

    @property
    def block_shape(self) -> tuple[int, int]:
        """Rows along a head and columns along the hidden states."""
        rows, columns = self.block.split("x")
        return int(rows), int(columns)

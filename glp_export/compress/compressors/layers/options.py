"""Options of the layers compressor."""

from __future__ import annotations

from typing import ClassVar

from glp_export.core.options import Options, option


class LayerOptions(Options):
    """How whole layers are chosen."""

    panel: ClassVar[str] = "Layers"

    search: str = option(
        "fast-greedy",
        "fast-greedy, greedy (the paper), top, bottom, alternate, symmetric, optimal.",
    )
    seeds: int = option(1, "Seeds that the search's play-off is averaged over.", gt=0)

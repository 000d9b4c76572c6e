"""Options of the layers compressor."""

from __future__ import annotations

from typing import ClassVar

from glp_export.core.options import Options, option


class LayerOptions(Options):
    """How whole layers are chosen."""

    panel: ClassVar[str] = "Layers"

    search: str = option(
        "fast-greedy",
        "How layers are chosen: fast-greedy, greedy (as in the paper), top, bottom, alternate, "
        "symmetric or optimal.",
    )
    seeds: int = option(1, "Seeds that the final comparison of the search is averaged over.", gt=0)

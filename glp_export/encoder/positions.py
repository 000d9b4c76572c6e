"""How long an input a model can tell the positions of."""

from __future__ import annotations

from typing import Any


def longest_input(config: Any) -> int:
    """Tokens of the longest input: what the position table holds, less the positions never given.

    Args:
        config: of a model of transformers; one without a table of positions has no limit (2**31).
    """
    positions = int(getattr(config, "max_position_embeddings", None) or 2**31)
    return positions - _first_position(config)


def _first_position(config: Any) -> int:
    """Families after fairseq number positions from the padding id on; MPNet's is always 1."""
    if config.model_type == "mpnet":
        return 2
    if config.model_type in {"roberta", "xlm-roberta", "camembert"}:
        return int(config.pad_token_id) + 1
    return 0

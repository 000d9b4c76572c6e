"""How long an input a model can tell the positions of."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

UNLIMITED = 2**31
"""Tokens of a model without a table of positions."""


def longest_input(config: Any) -> int:
    """Tokens of the longest input: what the position table holds, less the positions never given.

    Families after fairseq number positions from the padding id on. Their tables say so: a table of
    positions has a padding row only where padding has a position.

    Args:
        config: of a model of transformers; one without a table of positions has no limit (2**31).
    """
    rows = rows_of(config)
    return rows if rows == UNLIMITED else rows - _never_given(_as_text(config), rows)


def rows_of(config: Any) -> int:
    """Rows of the position table; 2**31 without one, for which XLNet's configuration says -1."""
    rows = int(getattr(config, "max_position_embeddings", None) or 0)
    return rows if rows > 0 else UNLIMITED


def longest_of_model(model: nn.Module) -> int:
    """`longest_input`, read off the tables of a live model."""
    rows = rows_of(model.config)
    return rows if rows == UNLIMITED else rows - first_position(model, rows)


def first_position(model: nn.Module, rows: int) -> int:
    """The number that the first token's position has, seen at the table of `rows` positions."""
    from torch import nn

    for name, module in model.named_modules():
        if not isinstance(module, nn.Embedding) or "position" not in name:
            continue
        if module.num_embeddings == rows and module.padding_idx is not None:
            return int(module.padding_idx) + 1
    return 0


@lru_cache
def _never_given(config: str, rows: int) -> int:
    """The first position of a model of this configuration, built without memory for weights."""
    import torch
    from transformers import AutoConfig, AutoModel

    content = json.loads(config)
    try:
        with torch.device("meta"):
            model = AutoModel.from_config(AutoConfig.for_model(**content))
    except Exception:  # a family of the user's own, which fails as it likes
        return 0
    return first_position(model, rows)


def _as_text(config: Any) -> str:
    """A configuration as `AutoConfig.for_model` takes it."""
    content = json.loads(config.to_json_string(use_diff=False))
    for name in ("transformers_version", "architectures", "dtype", "torch_dtype"):
        content.pop(name, None)
    return json.dumps(content, sort_keys=True)

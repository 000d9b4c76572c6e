"""Position biases that all layers share, one column a head, where layers have different heads.

MPNet's encoder and T5's first layer compute one bias for all layers. A compact model computes it
for every head that any layer has, and each layer reads the columns of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

_COLUMNS = "position_columns"
_BIAS = "position_bias"


def columns_of(attention: nn.Module, heads: int) -> tuple[int, ...]:
    """The columns of the shared table that the heads of a layer read."""
    own = getattr(attention, _COLUMNS, None)
    return tuple(range(heads)) if own is None else tuple(own.tolist())


def read_columns(attention: nn.Module, columns: Sequence[int], *, returns_bias: bool) -> None:
    """Let a layer's attention read these columns of the bias that it is handed.

    Args:
        attention: the module, whose forward takes `position_bias` `(1 or batch, columns of the
            table, tokens, tokens)`.
        columns: one a head.
        returns_bias: it computes the bias where none is handed in, and hands it on whole.
    """
    device = next(attention.parameters()).device
    attention.register_buffer(_COLUMNS, torch.tensor(columns, device=device), persistent=False)
    attention.forward = MethodType(_hand_on if returns_bias else _read, attention)


def _read(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
    called = inspect.signature(type(self).forward).bind(self, *args, **kwargs)
    called.arguments[_BIAS] = _own(self, called.arguments[_BIAS])
    return type(self).forward(*called.args, **called.kwargs)


def _hand_on(self: nn.Module, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
    called = inspect.signature(type(self).forward).bind(self, *args, **kwargs)
    whole = called.arguments.get(_BIAS)
    if whole is None:
        states, mask = called.arguments["hidden_states"], called.arguments.get("mask")
        whole = whole_bias(self, states, mask)
    called.arguments[_BIAS] = _own(self, whole)
    outputs = type(self).forward(*called.args, **called.kwargs)
    return (outputs[0], whole, *outputs[2:])


def _own(attention: nn.Module, whole: Tensor) -> Tensor:
    columns: Tensor = getattr(attention, _COLUMNS)
    # Ascending and each once: as many as there are is all of them.
    return whole if len(columns) == whole.shape[1] else whole.index_select(1, columns)


def whole_bias(attention: Any, hidden_states: Tensor, mask: Tensor | None) -> Tensor:
    """The bias for all columns of the table `(1 or batch, columns, tokens, tokens)`."""
    length = hidden_states.shape[1]
    bias: Tensor = attention.compute_bias(length, length, device=hidden_states.device)
    # Where attention goes through transformers' interface (it has a scale then), the mask is added
    # there; before, it was part of the bias.
    if mask is not None and not hasattr(attention, "scaling"):
        bias = bias + mask[:, :, :, :length]
    return bias

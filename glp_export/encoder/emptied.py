"""What stands where a sublayer has lost all its heads or neurons.

Such a sublayer adds its output bias and nothing else. A matrix of zero width would compute that
as well, but ONNX Runtime's quantiser stops at one, so no product is left. Names of the weights
that stay are those of the dense model.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

from torch import Tensor, nn

from glp_export.encoder.position_bias import whole_bias


class ConstantOutput(nn.Module):
    """Stands for the output map of an emptied sublayer: gives its bias, whatever comes in.

    Attributes:
        bias: `(hidden,)`, or None in families without biases.
        weight: always None; T5 asks for it.
    """

    def __init__(self, output: nn.Module) -> None:
        super().__init__()
        self.register_parameter("weight", None)
        self.register_parameter("bias", getattr(output, "bias", None))

    bias: nn.Parameter | None

    def forward(self, hidden_states: Tensor) -> Tensor:
        """The bias, which the residual sum spreads over all tokens; 0 where there is none.

        In training it is spread here, so that dropout acts on every token for itself.
        """
        if self.bias is None:
            return hidden_states.new_zeros(())
        return self.bias.expand(*hidden_states.shape[:-1], -1) if self.training else self.bias


class EmptyInput(nn.Module):
    """Stands for an input map of an emptied feed-forward sublayer, whose output reads nothing.

    It gives two of the states, of which gated forms make halves.
    """

    def forward(self, hidden_states: Tensor) -> Tensor:
        """`(…, hidden)` to `(…, 2)`."""
        return hidden_states[..., :2]


class EmptyAttention(nn.Module):
    """Stands for an attention module without heads: returns the output bias, no attention weights.

    Args:
        attention: the module that it replaces; its plain attributes, such as the width of a head,
            stay.
        output: name of the output map in it; none if that is a module of its own.
        table: name of an embedding in it that other layers read, if there is one.
        returns_bias: the position bias comes back between output and weights, as in T5.
    """

    def __init__(
        self, attention: Any, *, output: str = "", table: str = "", returns_bias: bool = False
    ) -> None:
        super().__init__()
        for name, value in vars(attention).items():
            if not name.startswith("_") and isinstance(value, bool | int | float):
                setattr(self, name, value)
        self.output, self.returns_bias = output, returns_bias
        if output:
            setattr(self, output, ConstantOutput(attention.get_submodule(output)))
        if table:
            setattr(self, table, attention.get_submodule(table))
            self.compute_bias = MethodType(type(attention).compute_bias, self)
            self._relative_position_bucket = type(attention)._relative_position_bucket

    def forward(
        self,
        hidden_states: Tensor | None = None,
        *args: Any,
        query: Tensor | None = None,
        position_bias: Tensor | None = None,
        mask: Tensor | None = None,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """`(batch, tokens, hidden)` to what the attention module would return.

        DistilBERT calls the states `query` in transformers 4.
        """
        hidden_states = query if hidden_states is None else hidden_states
        assert hidden_states is not None
        given = getattr(self, self.output)(hidden_states) if self.output else hidden_states
        if not self.returns_bias:
            return given, None
        if position_bias is None:
            position_bias = whole_bias(self, hidden_states, mask)
        return given, position_bias, None

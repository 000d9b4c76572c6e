"""What a student's layers imitate, beside the teacher's answers: its hidden states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glp_export.encoder.batches import forward

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class HiddenStates:
    """The teacher's hidden states, and which of them each layer of a student comes to.

    The states are wanted token by token and without padding, as ZipLM distils (arXiv 2302.04089,
    section 4): few texts say much more through every layer than through their labels.

    Attributes:
        teacher: in eval mode; it sees every batch that the student sees.
        layers: for each of the student's layers, how many of the teacher's lie behind it.
        weight: of this distance beside the rest of the loss.
        embeddings: whether the output of the embeddings is imitated too.
        tokens: the teacher's id of each of the student's tokens; None where they are the same.
    """

    teacher: PreTrainedModel
    layers: tuple[int, ...]
    weight: float = 1.0
    embeddings: bool = False
    tokens: tuple[int, ...] | None = None

    @classmethod
    def of(
        cls, teacher: PreTrainedModel, kept: Sequence[int], depth: int, **more: Any
    ) -> HiddenStates:
        """Those of a student that keeps some layers of the teacher.

        Each gives what the teacher has in front of the next one that is kept, so that it does the
        work of the layers that went behind it too.

        Args:
            kept: the layers, from 0, in their order.
            depth: layers of the teacher.
            more: attributes.
        """
        return cls(teacher.eval(), (*kept[1:], depth), **more)

    def distance(self, outputs: Any, batch: Mapping[str, Any]) -> Tensor:
        """Mean over layers of the squared distance, over the squared length of the teacher's.

        Args:
            outputs: of the student for the batch, its hidden states among them.
            batch: padded inputs.
        """
        import torch

        real = batch["attention_mask"].bool()
        given = dict(batch)
        if self.tokens is not None:
            given["input_ids"] = torch.tensor(self.tokens, device=real.device)[batch["input_ids"]]
        with torch.no_grad():
            wanted = forward(self.teacher, given, output_hidden_states=True).hidden_states
        pairs = list(zip(outputs.hidden_states, (0, *self.layers), strict=True))
        distances = [
            _relative(own[real], wanted[layer][real])
            for own, layer in pairs[0 if self.embeddings else 1 :]
        ]
        return torch.stack(distances).mean()


def gives_states_of(model: PreTrainedModel, layers: int) -> bool:
    """Whether a model gives its hidden states, one for each layer and one in front of them."""
    import torch

    row = torch.full((1, 4), 1, device=model.device)
    with torch.inference_mode():
        found = forward(
            model.eval(),
            {"input_ids": row, "attention_mask": torch.ones_like(row)},
            output_hidden_states=True,
        )
    states = getattr(found, "hidden_states", None) or ()
    return len(states) == layers + 1 and all(one.shape[:2] == row.shape for one in states)


def _relative(own: Tensor, wanted: Tensor) -> Tensor:
    return ((own - wanted) ** 2).sum() / (wanted**2).sum()

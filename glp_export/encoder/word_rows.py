"""Training the word embeddings' rows that occur: the gradient of all others is zero.

Adam without decay leaves a row alone that never had a gradient, so the model that comes out is the
same. What is saved is to clear, to norm and to update a table of which a task's texts name a part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor, nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_LOOKED_UP = ("input_ids", "token_type_ids")

_BATCH = 10_000
"""Encoded rows whose ids are looked at at once."""


@contextmanager
def only_occurring(
    model: PreTrainedModel, examples: Sequence[Dataset], tokenizer: PreTrainedTokenizerBase
) -> Iterator[None]:
    """Give gradients to no rows of the word embeddings but those of tokens that occur.

    Embeddings that are more than a table, or that another part of the model shares, stay as they
    are. Without gradients every token has its row.

    Args:
        examples: encoded; all that is learned from.
        tokenizer: it pads them.
    """
    from torch import nn

    table = _plain_table(model)
    if table is None:
        yield
        return
    weight, padding = table.weight, table.padding_idx
    # In place, so that a model which shares the module shares the rows as well.
    rows = _narrowed(table, _occurring(examples, tokenizer, model))
    try:
        yield
    finally:
        weight.data = rows.rest.index_copy_(0, rows.ids, rows.weight.detach())
        del rows.ids, rows.places, rows.rest
        rows.__class__, rows.weight, rows.padding_idx = nn.Embedding, weight, padding


def _plain_table(model: PreTrainedModel) -> nn.Embedding | None:
    """Word embeddings that nothing but their own lookup uses, to be trained."""
    from torch import nn

    try:
        words = model.get_input_embeddings()
    except NotImplementedError:  # own code need not tell
        return None
    # A parametrised or quantised table is of another type.
    if type(words) is not nn.Embedding or not words.weight.requires_grad:
        return None
    if words.max_norm is not None or words.scale_grad_by_freq or words.sparse:
        return None
    if words._forward_hooks or words._forward_pre_hooks:
        return None
    weights = model.named_parameters(remove_duplicate=False)
    return words if sum(weight is words.weight for _, weight in weights) == 1 else None


def _occurring(
    examples: Sequence[Dataset], tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel
) -> NDArray[np.int64]:
    """All that may be looked up, ascending: tokens of encoded rows, special ones, padding.

    Types of tokens are words to some, as to GPT-2; a model may pad by itself, or put special tokens
    in front of what it is given.
    """
    import pyarrow.compute as pc

    special = {*tokenizer.all_special_ids, getattr(model.config, "pad_token_id", None)} - {None}
    found = [np.array(sorted(special), dtype=np.int64)]
    for rows in examples:
        columns = [name for name in _LOOKED_UP if name in rows.column_names]
        for batch in rows.select_columns(columns).with_format("arrow").iter(_BATCH):
            for ids in map(pc.list_flatten, batch.columns):
                found.append(np.asarray(pc.unique(ids).to_numpy(), dtype=np.int64))
    return np.unique(np.concatenate(found))


def _narrowed(table: nn.Embedding, ids: NDArray[np.int64]) -> Any:
    """Leave a table the rows of some ids, ascending; it is asked by the ids of the whole one."""
    import torch
    from torch import nn
    from torch.nn import functional

    class OccurringRows(nn.Embedding):
        """Weights go in and out as those of the whole table."""

        ids: Tensor
        places: Tensor
        rest: Tensor

        def narrow(self, ids: Tensor) -> None:
            weight = self.weight.detach()
            places = torch.full((len(weight),), -1, device=weight.device)
            places[ids] = torch.arange(len(ids), device=weight.device)
            self.register_buffer("ids", ids, persistent=False)
            self.register_buffer("places", places, persistent=False)
            self.register_buffer("rest", weight, persistent=False)
            self.weight = nn.Parameter(weight[ids])
            if self.padding_idx is not None:
                place = int(places[self.padding_idx])
                self.padding_idx = place if place >= 0 else None

        def forward(self, input: Tensor) -> Tensor:
            places = self.places[input]
            unknown = places < 0
            found = functional.embedding(places.clamp_min(0), self.weight, self.padding_idx)
            if not bool(unknown.any()):
                return found
            if torch.is_grad_enabled():
                raise RuntimeError(
                    "a training shows tokens of rows that it was not told of; a Regulariser with "
                    "texts of its own names them as its examples"
                )
            return torch.where(unknown[..., None], functional.embedding(input, self.rest), found)

        def whole(self) -> Tensor:
            """All rows, those that occur as they are now."""
            return self.rest.index_copy(0, self.ids, self.weight.detach())

        def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
            destination[f"{prefix}weight"] = self.whole()

        def _load_from_state_dict(self, state: Any, prefix: str, *given: Any) -> None:
            with torch.no_grad():
                self.rest.copy_(state[f"{prefix}weight"])
                self.weight.copy_(self.rest[self.ids])

    rows: Any = table
    rows.__class__ = OccurringRows
    here = ids[(ids >= 0) & (ids < table.num_embeddings)]
    rows.narrow(torch.from_numpy(here).to(table.weight.device))
    return rows

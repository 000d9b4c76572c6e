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
    found = _plain_table(model)
    if found is None:
        yield
        return
    path, table = found
    ids = _occurring(examples, tokenizer)
    rows = _occurring_rows(table, ids[ids < table.num_embeddings])
    model.set_submodule(path, rows)
    try:
        yield
    finally:
        table.weight.data = rows.rest.index_copy_(0, rows.ids, rows.weight.detach())
        model.set_submodule(path, table)


def _plain_table(model: PreTrainedModel) -> tuple[str, nn.Embedding] | None:
    """Path and module of word embeddings that nothing but their own lookup uses, to be trained."""
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
    modules = model.named_modules(remove_duplicate=False)
    paths = [path for path, module in modules if module is words]
    weights = model.named_parameters(remove_duplicate=False)
    shared = sum(weight is words.weight for _, weight in weights) > 1
    return None if shared or len(paths) != 1 else (paths[0], words)


def _occurring(
    examples: Sequence[Dataset], tokenizer: PreTrainedTokenizerBase
) -> NDArray[np.int64]:
    """The ids of all tokens of encoded rows and of their padding, ascending."""
    import pyarrow.compute as pc

    padding = tokenizer.pad_token_id
    found = [np.array([] if padding is None else [padding], dtype=np.int64)]
    for rows in examples:
        for batch in rows.select_columns(["input_ids"]).with_format("arrow").iter(_BATCH):
            ids = pc.list_flatten(batch.column("input_ids"))
            found.append(np.asarray(pc.unique(ids).to_numpy(), dtype=np.int64))
    return np.unique(np.concatenate(found))


def _occurring_rows(table: nn.Embedding, ids: NDArray[np.int64]) -> Any:
    """A table of the rows of some ids, ascending, that is asked by the ids of the whole one."""
    import torch
    from torch import nn
    from torch.nn import functional

    class OccurringRows(nn.Embedding):
        """Weights go in and out as those of the whole table."""

        ids: Tensor
        places: Tensor
        rest: Tensor

        def __init__(self) -> None:
            ids_here = torch.from_numpy(ids).to(table.weight.device)
            weight = table.weight.detach()
            super().__init__(len(ids), table.embedding_dim, _weight=weight[ids_here])
            places = torch.full((table.num_embeddings,), -1, device=weight.device)
            places[ids_here] = torch.arange(len(ids), device=weight.device)
            self.register_buffer("ids", ids_here, persistent=False)
            self.register_buffer("places", places, persistent=False)
            self.register_buffer("rest", weight, persistent=False)
            if table.padding_idx is not None and int(places[table.padding_idx]) >= 0:
                self.padding_idx = int(places[table.padding_idx])

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

    return OccurringRows()

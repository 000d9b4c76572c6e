"""Training those rows of the word embeddings alone whose tokens occur.

The others have no gradient, and without weight decay AdamW leaves them as they are. Yet it reads
and writes all of them, and of a small encoder they are most of the weights: an update of MiniLM-L6
on a CPU takes most of its time there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import nn
    from transformers import PreTrainedModel

_BATCH = 10_000


@contextmanager
def used_rows_alone(model: PreTrainedModel, ids: NDArray[np.int64]) -> Iterator[None]:
    """While it lasts, the word embeddings of a model have the rows of some tokens alone.

    Nothing changes for a model whose embeddings serve as other weights too, or are no plain
    table, or where most tokens occur.

    Args:
        model: token ids that are not among `ids` are errors to it.
        ids: of the tokens that occur, ascending `(tokens,)`.
    """
    import torch

    whole = model.get_input_embeddings()
    if not _can_be_narrowed(model, whole) or 2 * len(ids) > whole.num_embeddings:
        yield
        return
    used = torch.from_numpy(ids)
    narrow = _narrowed(whole, used)
    _put(model, whole, narrow)
    try:
        yield
    finally:
        _put(model, narrow, whole)
        weight = narrow.weight.detach()
        whole.to(weight.device)
        with torch.no_grad():
            whole.weight[used.to(weight.device)] = weight


def ids_of(examples: Sequence[Dataset], always: Sequence[int]) -> NDArray[np.int64]:
    """The ids of all tokens that occur in encoded rows, and of some besides; ascending."""
    found = [np.asarray(always, dtype=np.int64)]
    for rows in examples:
        for batch in rows.select_columns(["input_ids"]).with_format("arrow").iter(_BATCH):
            column = batch.column("input_ids").combine_chunks()
            found.append(np.unique(column.flatten().to_numpy(zero_copy_only=False)))
    return np.unique(np.concatenate(found)).astype(np.int64)


def _can_be_narrowed(model: PreTrainedModel, embeddings: Any) -> bool:
    from torch import nn

    if type(embeddings) is not nn.Embedding or not embeddings.weight.requires_grad:
        return False
    if embeddings.sparse or embeddings.max_norm is not None or embeddings.scale_grad_by_freq:
        return False
    others = (module for module in model.modules() if module is not embeddings)
    return not any(
        weight is embeddings.weight for module in others for weight in module._parameters.values()
    )


def _narrowed(whole: nn.Embedding, used: Any) -> Any:
    import torch
    from torch import nn
    from torch.nn import functional

    class Narrow(nn.Module):
        """Looks up by old ids in a table of the rows that are used."""

        def __init__(self) -> None:
            super().__init__()
            device = whole.weight.device
            places = torch.full((whole.num_embeddings,), -1, dtype=torch.int64)
            places[used] = torch.arange(len(used))
            self.places: Any
            self.register_buffer("places", places.to(device), persistent=False)
            self.weight = nn.Parameter(whole.weight.detach()[used.to(device)])
            self.num_embeddings, self.embedding_dim = whole.num_embeddings, whole.embedding_dim
            self.padding_idx = whole.padding_idx
            place = -1 if whole.padding_idx is None else int(places[whole.padding_idx])
            self._padding = None if place < 0 else place

        def forward(self, ids: Any) -> Any:
            return functional.embedding(self.places[ids], self.weight, self._padding)

    return Narrow()


def _put(model: PreTrainedModel, old: Any, new: Any) -> None:
    """Put a module wherever another one stands."""
    for parent in list(model.modules()):
        for name, child in parent._modules.items():
            if child is old:
                parent._modules[name] = new

"""Whether a model's tables hold every id that its tokenizer makes, found by running it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glp_export.core.errors import ModelError
from glp_export.encoder.positions import longest_of_model

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SEGMENTS = "token_type_ids"

_LENGTHS = (16, 40)
"""Tokens of two short runs: an index that grows by as much as the input is a position. Relative
positions are put into buckets, and grow by less."""


@dataclass(frozen=True)
class Tables:
    """What a model's tables hold.

    Attributes:
        tokens: rows of the table of tokens; ids end before it.
        longest: tokens of the longest input; 2**31 where nothing limits it.
        segments: how many kinds of segment there are; 0 where the model reads none.
    """

    tokens: int
    longest: int
    segments: int


def tables_of(model: PreTrainedModel) -> Tables:
    """Run a model on a few short inputs and see which rows of which tables it looks up."""
    longest = longest_of_model(model)
    short, long = (min(length, longest) for length in _LENGTHS)
    before, after = _looked_up(model, short), _looked_up(model, long)
    # A table whose rows run out before its configuration says so.
    for table, index in after.items():
        if long > short and index - before.get(table, index) == long - short:
            longest = min(longest, table.num_embeddings - (index - (long - 1)))
    return Tables(_rows_of_tokens(model), longest, _segments(model, short, before))


def require_tables(
    tokenizer: PreTrainedTokenizerBase, tables: Tables, *, where: str | None = None
) -> None:
    """Check that every token of a tokenizer has a row.

    Raises:
        ModelError: some have none; the first is named.
    """
    beyond = {id_: token for token, id_ in tokenizer.get_vocab().items() if id_ >= tables.tokens}
    if not beyond:
        return
    first = min(beyond)
    raise ModelError(
        f"the tokenizer makes {len(beyond)} token ids that the model has no row for: the first is "
        f"{first} ({beyond[first]!r}), and the table of tokens has {tables.tokens} rows",
        where=where,
        fix="resize the model (model.resize_token_embeddings(len(tokenizer))), train the new rows "
        "and save both, or give the tokenizer that the model was trained with",
    )


def _rows_of_tokens(model: PreTrainedModel) -> int:
    try:
        return int(model.get_input_embeddings().num_embeddings)
    except (NotImplementedError, AttributeError):  # a class of the user's own, or no plain table
        return int(model.config.vocab_size)


def _segments(model: PreTrainedModel, length: int, zeros: dict[Any, int]) -> int:
    """Rows of the table that follows `token_type_ids`; 0 where none does."""
    if SEGMENTS not in inspect.signature(model.forward).parameters:
        return 0
    ones = _looked_up(model, length, segment=1)
    found = [table for table, index in ones.items() if index != zeros.get(table, index)]
    return min((table.num_embeddings for table in found), default=0)


def _looked_up(model: PreTrainedModel, length: int, segment: int = 0) -> dict[nn.Embedding, int]:
    """The largest row of each table that one row of `length` tokens makes a model look up."""
    import torch

    taken = inspect.signature(model.forward).parameters
    ids = torch.full((1, length), _any_token(model), device=model.device)
    inputs = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        SEGMENTS: torch.full_like(ids, segment),
    }
    training = model.training
    model.eval()
    try:
        with _recorded(model) as seen, torch.inference_mode():
            model(**{name: values for name, values in inputs.items() if name in taken})
    except IndexError:
        pass  # the row that is not there was seen before it was looked up
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"the model cannot be run on tokens alone: {reason:.200}",
            where=model.config.name_or_path or type(model).__name__,
            fix="try it in transformers: its configuration may not fit it, or lack what it needs",
        ) from error
    finally:
        model.train(training)
    return seen


@contextmanager
def _recorded(model: nn.Module) -> Iterator[dict[nn.Embedding, int]]:
    from torch import Tensor, nn

    seen: dict[nn.Embedding, int] = {}

    def record(module: nn.Embedding, inputs: tuple[Any, ...]) -> None:
        # RoFormer's table of positions is asked by the shape of the ids.
        if inputs and isinstance(inputs[0], Tensor) and inputs[0].numel():
            seen[module] = max(seen.get(module, 0), int(inputs[0].max()))

    hooks = [
        module.register_forward_pre_hook(record)
        for module in model.modules()
        if isinstance(module, nn.Embedding)
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _any_token(model: PreTrainedModel) -> int:
    """An id that is not the padding's, which has no position in some families."""
    return 1 if model.config.pad_token_id in (None, 0) else 0

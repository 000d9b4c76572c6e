"""The model side of vocabulary trimming: the rows of the kept tokens, in a stock architecture."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from glp_export.core.errors import ModelError
from glp_export.encoder.vocabulary import renumbering

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

_PAD = "pad_token_id"


def needed_ids(model: PreTrainedModel) -> set[int]:
    """Ids that a model's configuration names, to be kept beside those of the tokenizer.

    Where positions are numbered from the padding id on, as in RoBERTa, the ids below it are needed
    as well: they hold it in its place.
    """
    size = _vocabulary_size(model)
    named = {number for numbers in _named_ids(model.config).values() for number in numbers}
    if _positions_follow_padding(model):
        named.update(range(model.config.pad_token_id + 1))
    return {number for number in named if number < size}


def trim_embeddings(model: PreTrainedModel, kept_ids: Sequence[int]) -> PreTrainedModel:
    """Build the model of the kept tokens; `model` stays as it is.

    Rows of every tensor that has one a token are selected: input embeddings, and weight and bias of
    a language-model head. The token ids of the configuration follow.

    Args:
        model: of an architecture of transformers; inside its layers heads and neurons may be gone.
        kept_ids: old ids, ascending; the place of each is its new id.

    Raises:
        ModelError: an id past the embeddings, a token that the configuration names and that is not
            kept, or a model with other shapes than its configuration says.
        UsageError: ids that do not ascend.
    """
    size, new_ids = _vocabulary_size(model), renumbering(kept_ids)
    if not kept_ids or kept_ids[0] < 0 or kept_ids[-1] >= size:
        raise ModelError(
            f"the embeddings have no row for some tokens to keep: they have {size}",
            fix="use the tokenizer that the model was trained with",
        )
    lost = needed_ids(model) - new_ids.keys()
    if lost:
        raise ModelError(
            f"the model's configuration needs token {min(lost)}, which would be dropped",
            fix="keep what needed_ids names",
        )
    smaller = type(model)(_smaller_config(model.config, new_ids, size))
    _take_narrow_layers(model, smaller)
    smaller.load_state_dict(_rows(model.state_dict(), smaller.state_dict(), kept_ids, size))
    smaller.tie_weights()
    return smaller.to(model.device, model.dtype).train(model.training)


def _vocabulary_size(model: PreTrainedModel) -> int:
    """Rows of the input embeddings, which the configuration has to know."""
    from torch import nn

    words = model.get_input_embeddings()
    if not isinstance(words, nn.Embedding):
        raise ModelError(
            f"the word embeddings are a {type(words).__name__}, not a plain table",
            fix="trim the vocabulary first, then factorize the embeddings",
        )
    rows = words.num_embeddings
    if getattr(model.config, "vocab_size", None) != rows:
        raise ModelError(
            f"the embeddings have {rows} rows and the configuration tells of "
            f"{getattr(model.config, 'vocab_size', None)} tokens",
            fix="save the model with resize_token_embeddings, so that both agree",
        )
    return int(rows)


def _named_ids(config: Any) -> dict[str, list[int]]:
    """The configuration's token ids by the name of their entry."""
    named = {}
    for name, value in config.to_dict().items():
        numbers = value if isinstance(value, list) else [value]
        whole = all(isinstance(number, int) and number >= 0 for number in numbers)
        if name.endswith("_token_id") and numbers and whole:
            named[name] = numbers
    return named


def _positions_follow_padding(model: PreTrainedModel) -> bool:
    """Whether more than the word embeddings knows the padding id."""
    words = model.get_input_embeddings()
    return getattr(model.config, _PAD, None) is not None and any(
        module is not words
        and getattr(module, "padding_idx", None) == getattr(words, "padding_idx", None)
        and getattr(module, "padding_idx", None) is not None
        for module in model.modules()
    )


def _smaller_config(config: Any, new_ids: dict[int, int], size: int) -> Any:
    """A copy with the smaller vocabulary; ids that no token had stay as they are."""
    smaller = copy.deepcopy(config)
    smaller.vocab_size = len(new_ids)
    for name, numbers in _named_ids(config).items():
        renumbered = [new_ids[number] if number < size else number for number in numbers]
        listed = isinstance(getattr(config, name), list)
        setattr(smaller, name, renumbered if listed else renumbered[0])
    return smaller


def _take_narrow_layers(model: PreTrainedModel, smaller: PreTrainedModel) -> None:
    """Layers that lost heads or neurons are none that the configuration makes: copy them."""
    from glp_export.encoder.layer_stack import find_layer_list

    wanted = {name: tensor.shape for name, tensor in smaller.state_dict().items()}
    state = model.state_dict()
    try:
        path = find_layer_list(model)
    except ModelError:
        return
    inside = f"{path}."
    own = {name: tensor.shape for name, tensor in state.items() if name.startswith(inside)}
    if own != {name: shape for name, shape in wanted.items() if name.startswith(inside)}:
        smaller.set_submodule(path, copy.deepcopy(model.get_submodule(path)))


def _rows(
    state: dict[str, Tensor], smaller: dict[str, Tensor], kept_ids: Sequence[int], size: int
) -> dict[str, Tensor]:
    """The weights, cut to the kept rows where the smaller model has fewer."""
    import torch

    chosen = torch.tensor(kept_ids)
    rows = {}
    for name, tensor in state.items():
        wanted = smaller[name].shape if name in smaller else None
        if wanted == (len(kept_ids), *tensor.shape[1:]) and tensor.shape[:1] == (size,):
            tensor = tensor[chosen.to(tensor.device)]
        elif wanted != tensor.shape:
            raise ModelError(
                f"{name} does not have the shape that the configuration tells of",
                fix="trim the vocabulary first, then compress the layers",
            )
        rows[name] = tensor
    return rows

"""What the majors 4 and 5 of transformers say differently, found out by looking, not by number."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SPECIAL_TOKENS = "special_tokens_map.json"
_GENERAL_CLASS = {"TokenizersBackend": "PreTrainedTokenizerFast"}
"""The class without a family, by its name in major 5 and by the one that both majors load."""


def training_arguments(*, warmup_ratio: float, **settings: Any) -> Any:
    """TrainingArguments whose learning rate rises for a share of the steps.

    Args:
        warmup_ratio: that share.
        settings: what both majors call the same.
    """
    from transformers import TrainingArguments

    known = {field.name for field in fields(TrainingArguments)}
    # A number of steps below 1 is a share of them where no ratio is known.
    share = "warmup_ratio" if "group_by_length" in known else "warmup_steps"
    return TrainingArguments(**settings, **{share: warmup_ratio})


@contextmanager
def quiet_weights() -> Iterator[None]:
    """Let transformers load and save weights without a word: heads are meant to be new.

    Major 5 draws a bar for every file; those of downloads are the hub's own and stay.
    """
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    set_hook = getattr(logging, "set_tqdm_hook", None)
    logging.set_verbosity_error()
    before = set_hook(_no_bar) if set_hook else None
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if set_hook:
            set_hook(before)


def _no_bar(factory: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    return factory(*args, **{**kwargs, "disable": True})


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, directory: Path) -> None:
    """Save a tokenizer as readers of either major, and those beside transformers, expect it.

    Major 5 writes no special_tokens_map.json, which fastembed reads, and a name for the class
    without a family that major 4 does not know. That class makes `token_type_ids` in major 4 and
    none in 5 unless its file says what it makes.
    """
    tokenizer.save_pretrained(directory)
    write_special_tokens(tokenizer, directory)
    path = directory / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    name_class(config)
    config["model_input_names"] = list(tokenizer.model_input_names)
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", "utf-8")


def write_special_tokens(tokenizer: PreTrainedTokenizerBase, directory: Path) -> None:
    """Write special_tokens_map.json where it is missing."""
    path = directory / SPECIAL_TOKENS
    if not path.is_file():
        written = {name: _plain(token) for name, token in tokenizer.special_tokens_map.items()}
        path.write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n", "utf-8")


def name_class(config: dict[str, Any]) -> None:
    """Name the tokenizer's class in tokenizer_config.json's content as both majors know it."""
    if config.get("tokenizer_class") in _GENERAL_CLASS:
        config["tokenizer_class"] = _GENERAL_CLASS[config["tokenizer_class"]]


def general_tokenizer_options(directory: Path) -> dict[str, Any] | None:
    """What major 4 has to be told to load a tokenizer of major 5's general class.

    Returns:
        Options of `PreTrainedTokenizerFast.from_pretrained`; None where `AutoTokenizer` will do.
    """
    import transformers

    path = directory / "tokenizer_config.json"
    if not path.is_file():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    name = content.get("tokenizer_class")
    if name not in _GENERAL_CLASS or hasattr(transformers, name):
        return None
    extra = content.get("extra_special_tokens")
    if not isinstance(extra, list):
        return {}
    return {"additional_special_tokens": extra, "extra_special_tokens": {}}


def _plain(token: Any) -> Any:
    """A token, or several, as strings."""
    return [str(one) for one in token] if isinstance(token, list | tuple) else str(token)

"""What loaders look for in a checkpoint beyond what transformers itself needs there.

They read the JSON files without transformers, each with the versions in mind that it was written
for. Whatever is missing for one of them is filled in from what transformers makes of the
checkpoint, so the checkpoint stays the same to transformers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.encoder.transformers_compat import name_class, save_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    Content = dict[str, Any]

LENGTHS = "sentence_bert_config.json"
"""Read by sentence-transformers and text-embeddings-inference."""

_STANDARD_NAMES = ("hidden_size", "num_hidden_layers", "num_attention_heads")
_OFFSET_FAMILIES = frozenset({"roberta", "xlm-roberta", "camembert"})


def write_loader_files(
    directory: Path, tokenizer: PreTrainedTokenizerBase, *, longest: int
) -> None:
    """Fill in what the loaders of docs/consumers.md need of a checkpoint.

    Args:
        directory: of the checkpoint, which is changed in place.
        tokenizer: loaded from it; its files are written anew.
        longest: input in tokens that the model is to read.
    """
    # Always: files of a tokenizer that was saved long ago may say different things.
    save_tokenizer(tokenizer, directory)
    length = min(longest, tokenizer.model_max_length)
    _edit(
        directory / "tokenizer_config.json",
        lambda content: _tokenizer_config(content, tokenizer, length),
    )
    _forget_last_call(directory / "tokenizer.json")
    _model_config(directory, tokenizer)
    _lengths(directory, longest)


def _tokenizer_config(content: Content, tokenizer: PreTrainedTokenizerBase, length: int) -> None:
    """Complete `tokenizer_config.json`.

    fastembed truncates at `model_max_length` and pads with `pad_token`, and knows no other places
    for them. Old checkpoints have the special tokens in another file.
    """
    for name, token in tokenizer.special_tokens_map.items():
        if isinstance(token, str) and not isinstance(content.get(name), str):
            content[name] = token
    content["model_max_length"] = length
    # Names that transformers 5 writes and 4 does not know; 5 still reads the old ones.
    name_class(content)
    if isinstance(content.get("extra_special_tokens"), list):
        content["additional_special_tokens"] = content.pop("extra_special_tokens")


def _forget_last_call(path: Path) -> None:
    """Take truncation and padding out of `tokenizer.json`.

    A fast tokenizer saves how it was last called. transformers sets both anew at every call, others
    would go on cutting at that length.
    """
    from tokenizers import Tokenizer

    if not path.is_file():
        return
    tokenizer = Tokenizer.from_file(str(path))
    if tokenizer.truncation or tokenizer.padding:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.save(str(path))


def _model_config(directory: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """Complete `config.json`.

    text-embeddings-inference requires `id2label` of a classifier, which transformers leaves out
    where labels are called LABEL_0 and LABEL_1, and sizes under the names that most families have.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(directory, local_files_only=True)

    def complete(content: Content) -> None:
        if any(name.endswith("Classification") for name in content.get("architectures") or ()):
            content["id2label"] = {str(key): label for key, label in config.id2label.items()}
        if content.get("id2label"):  # what transformers answers with, whatever label2id says
            ids = {str(label): int(key) for key, label in content["id2label"].items()}
            content["label2id"] = ids
        if content.get("pad_token_id") is None:
            content["pad_token_id"] = tokenizer.pad_token_id
        for name in _STANDARD_NAMES:
            if name not in content and hasattr(config, name) and _may_be_given(config, name):
                content[name] = getattr(config, name)

    _edit(directory / "config.json", complete)


def _may_be_given(config: Any, name: str) -> bool:
    """Whether a configuration takes such a key; Funnel's counts its layers from other ones."""
    try:
        setattr(config, name, getattr(config, name))
    except (NotImplementedError, AttributeError):
        return False
    return True


def _lengths(directory: Path, longest: int) -> None:
    """Say how long inputs may be where the size of the position table is more than that.

    text-embeddings-inference allows as much as the table holds, less what RoBERTa's kin leave
    unused, and tries such an input when it starts. MPNet leaves some unused as well.
    """
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    positions = config.get("max_position_embeddings") or 0
    unused = config["pad_token_id"] + 1 if config["model_type"] in _OFFSET_FAMILIES else 0
    if positions - unused > longest and not (directory / LENGTHS).is_file():
        _write(directory / LENGTHS, {"max_seq_length": longest, "do_lower_case": False})


def _edit(path: Path, change: Callable[[Content], None]) -> None:
    """Change a JSON file in place; one that stays the same is not written."""
    content = json.loads(path.read_text(encoding="utf-8"))
    before = json.dumps(content)
    change(content)
    if json.dumps(content) != before:
        _write(path, content)


def _write(path: Path, content: Content) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

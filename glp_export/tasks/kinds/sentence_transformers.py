"""The files by which sentence-transformers makes embeddings with a model.

`modules.json` names the modules, `1_Pooling/config.json` the pooling, `sentence_bert_config.json`
the longest input, and `config_sentence_transformers.json` prompts and the similarity.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from glp_export.core.json_file import read_json
from glp_export.serve.pooling import FIRST, MEAN, MODULES
from glp_export.tasks.kinds.base import FindFile

logger = logging.getLogger(__name__)

LENGTHS = "sentence_bert_config.json"
SETTINGS = "config_sentence_transformers.json"

_MODULES = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}


def write_files(directory: Path, pooling: str, max_length: int, find: FindFile) -> None:
    """Write them beside a checkpoint.

    Vectors have length 1, whether the given model's had or not: so they were compared. The given
    model's prompts are kept for whoever asks for them; nothing here was trained or scored with
    one.

    Args:
        directory: of the checkpoint, its config.json in place.
        pooling: `mean` or `cls`.
        max_length: longest input in tokens.
        find: finds files of the given model.
    """
    width = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    modules = [
        {
            "idx": index,
            "name": str(index),
            "path": path,
            "type": f"sentence_transformers.models.{name}",
        }
        for index, (path, name) in enumerate(_MODULES.items())
    ]
    settings = find(SETTINGS)
    kept = _content(settings)
    given = {
        "prompts": kept.get("prompts") or {},
        "default_prompt_name": kept.get("default_prompt_name"),
        "similarity_fn_name": "cosine",
    }
    prompts, named = given["prompts"], given["default_prompt_name"]
    before = prompts.get(named) if isinstance(prompts, dict) and isinstance(named, str) else None
    if before:
        logger.warning(
            "sentence-transformers puts the model's default prompt before every text, and "
            "glp_export.load does not: write it before texts yourself: %r",
            before,
        )
    _write(directory / MODULES, modules)
    _write(
        directory / "1_Pooling" / "config.json",
        {
            "word_embedding_dimension": width.get("hidden_size") or width["dim"],
            "pooling_mode_cls_token": pooling == FIRST,
            "pooling_mode_mean_tokens": pooling == MEAN,
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
            "include_prompt": _pools_prompts(find),
        },
    )
    lengths = find(LENGTHS)
    said = _content(lengths)
    _write(directory / LENGTHS, {**said, "max_seq_length": max_length})
    _write(directory / SETTINGS, given)


def _pools_prompts(find: FindFile) -> bool:
    """Whether the tokens of a prompt are pooled as those of the text are, in the given model."""
    modules = find(MODULES)
    listed = json.loads(modules.read_text(encoding="utf-8")) if modules else []
    paths = (one["path"] for one in listed if one["type"].endswith(".Pooling"))
    path = next(paths, None)
    said = _content(find(f"{path}/config.json")) if path else {}
    return said.get("include_prompt") is not False


def _content(path: Path | None) -> dict[str, Any]:
    """What a file of the given model says.

    Raises:
        ModelError: it cannot be read.
    """
    if path is None:
        return {}
    what = "what sentence-transformers is told of the model"
    found: dict[str, Any] = read_json(path, dict, what=what, fix="copy it again, or remove it")
    return found


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

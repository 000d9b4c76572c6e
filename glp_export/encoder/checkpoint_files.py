"""The files of a checkpoint: which belong to it, and what is wrong with one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from glp_export.core.errors import ModelError
from glp_export.core.json_file import read_json

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = f"{WEIGHTS}.index.json"
BLOCK_SPARSE = "glp/model.block-sparse.safetensors"
"""The same weights without zero rows and columns of blocks, where no loader of dense ones looks."""

ADAPTER = "adapter_config.json"

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
LENGTH_FILES = tuple(
    f"sentence_{family}_config.json"
    for family in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
"""Where sentence-transformers looks for the longest input and for `do_lower_case`, in order."""

SENTENCE_FILES = ("modules.json", "config_sentence_transformers.json", *LENGTH_FILES)
RECORDS = ("glp/structure.json",)
"""What stays of each layer of a checkpoint that lost heads or neurons; see `structure`."""
LEGAL = ("LICENSE*", "LICENCE*", "NOTICE*")

_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
_POINTER = b"version https://git-lfs.github.com/spec/"
_PREFIXES = {
    "_orig_mod.": "torch.compile puts it there: save the module that was compiled",
    "module.": "DataParallel puts it there: save model.module",
}


def require_checkpoint_files(directory: Path) -> None:
    """Check what can be seen of a checkpoint without loading it.

    Raises:
        ModelError: no configuration, an adapter, a Git LFS pointer in place of a file, a file that
            may not be read, a link that leads nowhere, or names of weights that nothing loads.
    """
    config = directory / CONFIG
    if not _there(config):
        if (directory / ADAPTER).is_file():
            raise ModelError(
                "this is a PEFT adapter, not a model: its weights are to be merged into one first",
                where=str(directory),
                fix="AutoPeftModelFor….from_pretrained(DIR).merge_and_unload().save_pretrained(NEW)"
                ", and the tokenizer beside it",
            )
        raise ModelError(
            "the model directory has no config.json",
            where=str(directory),
            fix="give a directory that save_pretrained wrote",
        )
    if (directory / ADAPTER).is_file():
        # transformers puts it onto the model where peft is installed, and leaves it away elsewhere.
        raise ModelError(
            "a PEFT adapter lies beside the model: whether it counts depends on who loads it",
            where=str(directory / ADAPTER),
            fix="merge it (merge_and_unload) and save the model elsewhere; if it is merged "
            "already, move adapter_config.json away",
        )
    for name in (CONFIG, INDEX, *TOKENIZER_FILES):
        _require_readable(directory / name)
    for weights in sorted(directory.glob("*.safetensors")):
        _require_readable(weights)
        _require_plain_names(weights)


def checkpoint_files(directory: Path) -> Iterator[Path]:
    """The files of a checkpoint that an artifact is made from, relative to its directory.

    Configuration, weights, what sentence-transformers reads, and the licence. The tokenizer's are
    not among them: it is written anew. Whatever else lies there is none of the model's.

    Raises:
        ModelError: one of them is a link that leads nowhere, or in a circle.
    """
    for name in (CONFIG, *_weights(directory), *SENTENCE_FILES, *RECORDS):
        if _there(directory / name):
            yield Path(name)
    for name in _modules(directory):
        if _there(directory / name / CONFIG):
            yield Path(name) / CONFIG
    for pattern in LEGAL:
        for path in sorted(directory.glob(pattern)):
            if _there(path):
                yield Path(path.name)


def copy_checkpoint(directory: Path, target: Path) -> None:
    """Copy the files of a checkpoint; links to them are followed, modes are by umask.

    Raises:
        ModelError: as `checkpoint_files`.
    """
    for name in checkpoint_files(directory):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(directory / name, target / name)


def by_umask(path: Path) -> None:
    """Give a file the mode that a new one has; safetensors keeps its own to the owner."""
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(0o666 & ~umask)


def require_weights(directory: Path) -> None:
    """Check that there are weights under the names that are read.

    Raises:
        ModelError: there are none, or pickles alone, or files of other names.
    """
    if has_dense_weights(directory) or _there(directory / BLOCK_SPARSE):
        return
    if any((directory / name).is_file() for name in _PICKLES):
        architecture = _architecture(directory)
        raise ModelError(
            "the weights are a pickle, which can run code when it is opened",
            where=str(directory),
            fix="if you trust it, convert it: "
            f'python -c "from transformers import {architecture}; '
            f"{architecture}.from_pretrained('{directory}').save_pretrained('{directory}')\"",
        )
    others = ", ".join(path.name for path in sorted(directory.glob("*.safetensors"))[:4])
    unread = f" that are read: it has {others}" if others else ""
    raise ModelError(
        f"the model directory has no weights{unread}",
        where=str(directory),
        fix=f"it must contain {WEIGHTS}, or {INDEX} and the files that it names",
    )


def has_dense_weights(directory: Path) -> bool:
    """Whether there are weights that transformers reads.

    Raises:
        ModelError: they are a link that leads nowhere.
    """
    return _there(directory / WEIGHTS) or _there(directory / INDEX)


def _architecture(directory: Path) -> str:
    """The class that the weights are of, head included."""
    content = json.loads((directory / CONFIG).read_text(encoding="utf-8"))
    names = content.get("architectures")
    name = names[0] if isinstance(names, list) and names else None
    return name if isinstance(name, str) and name.isidentifier() else "AutoModel"


def _weights(directory: Path) -> list[str]:
    """Names of the files that transformers reads: the one file before the shards of another."""
    if _there(directory / WEIGHTS) or not _there(directory / INDEX):
        return [WEIGHTS]
    shards = json.loads((directory / INDEX).read_text(encoding="utf-8"))["weight_map"].values()
    return [INDEX, *sorted({Path(name).name for name in shards})]


def _modules(directory: Path) -> list[str]:
    """Directories of the modules of a sentence-transformers model, one level down."""
    path = directory / "modules.json"
    if not path.is_file():
        return []
    names = read_json(
        path,
        lambda modules: [str(one.get("path", "")) for one in modules if isinstance(one, dict)],
        what="the modules of the model",
        fix="copy the file again; without it the model is a plain checkpoint",
    )
    return [name for name in names if name and Path(name).name == name]


def _there(path: Path) -> bool:
    """Whether a file is there, its links followed.

    Raises:
        ModelError: it is a link that leads nowhere, or in a circle.
    """
    try:
        path.resolve(strict=True)
    except FileNotFoundError:
        if path.is_symlink():
            raise _dead_link(path) from None
        return False
    except (OSError, RuntimeError) as error:  # Python 3.11 and 3.12 say RuntimeError of a circle
        if not path.is_symlink():
            raise _unreadable(path, error) from error
        raise _dead_link(path) from error
    return path.is_file()


def _dead_link(path: Path) -> ModelError:
    return ModelError(
        "a file of the checkpoint is a link that leads to no file",
        where=str(path),
        fix="put the file itself there: cp -L, or download the model again",
    )


def _unreadable(path: Path, error: Exception) -> ModelError:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return ModelError(
        f"a file of the checkpoint cannot be read: {reason}",
        where=str(path),
        fix="see to it that you may read it",
    )


def _require_readable(path: Path) -> None:
    if not _there(path):
        return
    try:
        with path.open("rb") as stream:
            begin = stream.read(len(_POINTER))
    except OSError as error:
        raise _unreadable(path, error) from error
    if begin == _POINTER:
        raise ModelError(
            "the file is a Git LFS pointer: what it stands for was not downloaded",
            where=str(path),
            fix="git lfs pull",
        )


def _require_plain_names(weights: Path) -> None:
    """Name a wrapper whose prefix stands before every weight."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, framework="np") as file:
            names = list(file.keys())
    except (OSError, SafetensorError):
        return  # whoever loads it says what is wrong
    for prefix, why in _PREFIXES.items():
        if names and all(name.startswith(prefix) for name in names):
            raise ModelError(
                f"every weight has the prefix {prefix!r}, so none is found under its name",
                where=str(weights),
                fix=f"{why}, or take the prefix off the names",
            )

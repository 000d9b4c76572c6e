"""Reading and writing checkpoints: directories that `from_pretrained` loads.

Weights are read from safetensors only; a pickle can run code when it is opened.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from glp_export.core.errors import ModelError
from glp_export.core.json_file import read_json
from glp_export.encoder.block_sparse_file import open_pretrained
from glp_export.encoder.checkpoint_files import (
    BLOCK_SPARSE,
    LENGTH_FILES,
    by_umask,
    has_dense_weights,
    require_weights,
)
from glp_export.encoder.families import auto_class_for
from glp_export.encoder.head import (
    fit_head,
    labels_of_config,
    mismatched_names,
    other_head,
)
from glp_export.encoder.layer_stack import refuse_decoder
from glp_export.encoder.model_source import ModelSource, explained, find_file, require_directory
from glp_export.encoder.positions import UNLIMITED
from glp_export.encoder.structure import SAVED_DENSE, compacted
from glp_export.encoder.switches import restore_switches, switched
from glp_export.encoder.tables import SEGMENTS, require_tables, tables_of
from glp_export.encoder.transformers_compat import (
    general_tokenizer_options,
    quiet_weights,
    save_tokenizer,
)
from glp_export.tasks import KINDS, Task

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

MASK = "attention_mask"
_OF_LENGTH = "block_sparse"
"""BigBird's attention: its form depends on the length of the input, and it is changed for good by
the first short one."""
CUSTOMARY_LENGTH = 512
"""Tokens of the longest input where neither tokenizer nor model knows a limit."""


def load_tokenizer(source: ModelSource) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a model.

    Raises:
        ModelError: there is none, it cannot be read, it cannot pad, or it has no fast form.
    """
    require_directory(source)
    with explained(source, "tokenizer"):
        tokenizer = open_tokenizer(source)
    if len(tokenizer) <= len(set(tokenizer.all_special_ids)):
        # transformers 5 makes up an empty one where there is none.
        raise ModelError(
            "the model's tokenizer cannot be loaded: it has no words",
            where=source.name,
            fix="put its files there, tokenizer.json at least",
        )
    if not tokenizer.is_fast:
        raise ModelError(
            f"{type(tokenizer).__name__} has no fast form (tokenizer.json), which what is served "
            "here, and most other servers, read",
            where=source.name,
            fix="give a model whose tokenizer has one, or convert it and put tokenizer.json there",
        )
    _require_limit(tokenizer, source)
    _as_sentence_transformers(tokenizer, source)
    if tokenizer.pad_token_id is None:
        raise ModelError(
            "the tokenizer has no padding token",
            where=source.name,
            fix="set pad_token in its tokenizer_config.json",
        )
    # Encoding once and padding later is meant here, so the advice against it is noise.
    getattr(tokenizer, "deprecation_warnings", {})["Asking-to-pad-a-fast-tokenizer"] = True
    return tokenizer


def _require_limit(tokenizer: PreTrainedTokenizerBase, source: ModelSource) -> None:
    """See to it that the longest input is a whole number of tokens, `512.0` one as well.

    Raises:
        ModelError: it is none; transformers takes whatever the file says.
    """
    limit: Any = tokenizer.model_max_length
    whole = isinstance(limit, int | float) and not isinstance(limit, bool) and limit >= 1
    if not whole or limit % 1:
        raise ModelError(
            f"the tokenizer's longest input is no number of tokens: {limit!r:.60}",
            where=source.name,
            fix="correct model_max_length in its tokenizer_config.json",
        )
    if not isinstance(limit, int):
        tokenizer.model_max_length = int(limit)
        tokenizer.init_kwargs["model_max_length"] = int(limit)


def _as_sentence_transformers(tokenizer: PreTrainedTokenizerBase, source: ModelSource) -> None:
    """Cut and lower texts as sentence-transformers does, where the model has its files.

    Its length is the tokenizer's limit there, whether that was larger or smaller.

    Raises:
        ModelError: the file cannot be read.
    """
    from tokenizers import normalizers

    said, whole = _sentence_settings(source)
    limit = said.get("max_seq_length")
    if limit and (whole or limit < tokenizer.model_max_length):
        tokenizer.model_max_length = limit
        tokenizer.init_kwargs["model_max_length"] = limit
    backend: Any = tokenizer.backend_tokenizer
    if said.get("do_lower_case") and "Lowercase" not in str(backend.normalizer):
        own = [backend.normalizer] if backend.normalizer else []
        backend.normalizer = normalizers.Sequence([normalizers.Lowercase(), *own])


def _sentence_settings(source: ModelSource) -> tuple[dict[str, Any], bool]:
    """What a model's file for sentence-transformers says; whether it is one of its models."""
    whole = find_file(source, "modules.json") is not None
    names = LENGTH_FILES if whole else LENGTH_FILES[:1]
    path = next((path for name in names if (path := find_file(source, name))), None)
    if path is None:
        return {}, whole
    said = read_json(
        path,
        _with_limit,
        what="what sentence-transformers is told of the model",
        fix='write {"max_seq_length": 256, "do_lower_case": false}, or remove the file',
    )
    return said, whole


def _with_limit(content: Any) -> dict[str, Any]:
    said = dict(content)
    limit = said.get("max_seq_length")
    return {**said, "max_seq_length": None if limit is None else int(limit)}


def open_tokenizer(source: ModelSource) -> PreTrainedTokenizerBase:
    """What transformers makes of a model's tokenizer files, whichever major wrote them."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    options = general_tokenizer_options(source.directory) if source.directory else None
    loader = AutoTokenizer if options is None else PreTrainedTokenizerFast
    return loader.from_pretrained(source.location, **source.arguments(), **(options or {}))


def read_config(source: ModelSource) -> Any:
    """The configuration of a model, with the switches set that its use here needs.

    Raises:
        ModelError: it cannot be read, names an architecture that transformers does not know, or
            asks for attention of another form for longer inputs.
    """
    config = switched(source.configuration())
    named = config.architectures or []
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise ModelError(
            f"architectures is no list of names: {named!r:.100}",
            where=f"{source.name}, config.json",
            fix="copy the file again, or correct it",
        )
    if getattr(config, "attention_type", None) == _OF_LENGTH:
        raise ModelError(
            "the model attends to all tokens of a short input and to blocks of a long one "
            f"({_OF_LENGTH}); one graph computes one of the two",
            where=f"{source.name}, config.json",
            fix='write "attention_type": "original_full" there: long inputs are then attended to '
            "as a whole, so check what that changes",
        )
    return config


class Loaded(NamedTuple):
    """A model, and whether its head is the checkpoint's own; else it is new and knows nothing."""

    model: PreTrainedModel
    own_head: bool


def load_model(source: ModelSource, task: Task) -> PreTrainedModel:
    """Load an encoder with the head that a task needs; see `load_checkpoint`.

    Raises:
        ModelError: likewise.
    """
    return load_checkpoint(source, task).model


def load_checkpoint(source: ModelSource, task: Task, *, doubtful: bool = True) -> Loaded:
    """Load an encoder with the head that a task needs, in fp32 on the CPU.

    Where the checkpoint's head has the same labels, its rows follow their names. A head that it
    lacks, or has for other labels, is initialised anew from torch's current random state. Of a
    directory that lost heads or neurons it is the small module.

    Args:
        source: where it is.
        task: its kind and its labels are what the head is for.
        doubtful: whether labels of which it cannot be told which are which are an error; else a
            new head is begun.

    Raises:
        ModelError: nothing there, pickled weights, a broken file, tensors missing from the
            encoder, an architecture without such a head, or labels of which it cannot be told
            which are which.
    """
    import torch
    import transformers

    require_directory(source)
    config = read_config(source)
    if source.directory is not None:
        require_weights(source.directory)
    labels = _labels(source, config, task)
    other = other_head(config, KINDS[task.kind])
    configure(config, task)
    auto_class = getattr(transformers, auto_class_for(KINDS[task.kind].auto_class, config))
    with explained(source, "weights"), quiet_weights():
        model, loading = open_pretrained(
            auto_class,
            source.location,
            config,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **source.arguments(),
        )
    _require_encoder(source, model, loading)
    own = not (loading["missing_keys"] or loading["mismatched_keys"])
    if KINDS[task.kind].fits_head:
        found = fit_head(model, task, labels, loading, source.name, other=other, doubtful=doubtful)
        own = own and found
    return Loaded(compacted(model, source.directory) if source.directory else model, own)


def _labels(source: ModelSource, config: Any, task: Task) -> tuple[str, ...]:
    """The labels of a checkpoint, where the task's kind has names for its outputs."""
    from transformers import PretrainedConfig

    if not (KINDS[task.kind].named and task.labels):
        return ()
    with explained(source, "configuration"):
        content, _ = PretrainedConfig.get_config_dict(source.location, **source.arguments())
    return labels_of_config(content, config, source.name)


def match_inputs(
    tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, *, where: str | None = None
) -> None:
    """Let the tokenizer make the inputs that the model reads, now and when it is saved.

    A general tokenizer makes `token_type_ids` in transformers 4, which DistilBERT and MPNet do not
    know, and none in 5, where BERT would take both texts of a pair for one. A model with one kind
    of segment has no row for the second text of a pair. A tokenizer that was saved without a
    longest length makes inputs longer than the model's positions.

    Raises:
        ModelError: it makes token ids that the model has no row for, or names no inputs.
    """
    tables = tables_of(model)
    require_tables(tokenizer, tables, where=where)
    limit = min(tokenizer.model_max_length, tables.longest)
    limit = limit if limit < UNLIMITED else CUSTOMARY_LENGTH
    if limit != tokenizer.model_max_length:
        tokenizer.model_max_length = limit
        tokenizer.init_kwargs["model_max_length"] = limit
    if not isinstance(tokenizer.model_input_names, list | tuple):
        raise ModelError(
            f"the tokenizer's inputs are no list of names: {tokenizer.model_input_names!r:.100}",
            where=where,
            fix="correct model_input_names in its tokenizer_config.json",
        )
    taken = inspect.signature(model.forward).parameters
    names = [name for name in tokenizer.model_input_names if name in taken]
    if MASK in taken and MASK not in names:  # without it, padding would be read as text
        names.append(MASK)
    if tables.segments > 1 and SEGMENTS not in names:
        names.append(SEGMENTS)
    if tables.segments == 1 and SEGMENTS in names:
        names.remove(SEGMENTS)
    if names != tokenizer.model_input_names:
        tokenizer.model_input_names = names
        tokenizer.init_kwargs["model_input_names"] = names


def configure(config: Any, task: Task) -> None:
    """Write a task's kind and labels into a model configuration."""
    kind = KINDS[task.kind]
    config.finetuning_task = kind.name
    if not kind.fits_head:
        return
    config.num_labels = kind.width or task.num_labels
    config.problem_type = kind.problem_type
    if task.labels:
        config.id2label, config.label2id = dict(task.id2label), dict(task.label2id)


def save_checkpoint(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, directory: Path
) -> Path:
    """Write weights, configuration and tokenizer as an ordinary checkpoint."""
    directory.mkdir(parents=True, exist_ok=True)
    with quiet_weights():
        model.save_pretrained(directory)
    restore_switches(directory / "config.json")
    for weights in directory.glob("*.safetensors"):
        by_umask(weights)
    save_tokenizer(tokenizer, directory)
    return directory


def checksum(source: ModelSource) -> str | None:
    """SHA-256 over a local model's configuration, weights and code; None for one on the hub."""
    if source.directory is None:
        return None
    digest = hashlib.sha256()
    files = sorted(source.directory.glob("*"))
    if not has_dense_weights(source.directory):
        files += source.directory.glob(BLOCK_SPARSE)
    for file in files:
        if file.name == "config.json" or file.suffix in (".safetensors", ".py"):
            digest.update(file.name.encode())
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def tokenizer_checksum(tokenizer: PreTrainedTokenizerBase) -> str:
    """SHA-256 over all that decides how a tokenizer cuts texts, but for the longest input."""
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    try:
        content = json.loads(backend.to_str())
    except Exception:  # a slow tokenizer, or one with parts in Python
        content = tokenizer.get_vocab()
    facts = {
        "class": type(tokenizer).__name__,
        # Set by whoever cut texts last.
        "content": {k: v for k, v in content.items() if k not in ("truncation", "padding")},
        "inputs": tokenizer.model_input_names,
        "sides": [tokenizer.padding_side, tokenizer.truncation_side],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _require_encoder(source: ModelSource, model: PreTrainedModel, loading: Any) -> None:
    """A head may be new, an encoder may not (a pooler belongs to the head)."""
    prefix = f"{model.base_model_prefix}."
    encoder = set(model.base_model.state_dict())
    unfit = [*loading["missing_keys"], *mismatched_names(loading)]
    names = {name.removeprefix(prefix) for name in unfit}
    lost = [name for name in names & encoder if not name.startswith("pooler.")]
    if lost:
        refuse_decoder(model)  # its tensors are what an encoder that was saved alone lacks
        shown = ", ".join(sorted(lost)[:3])
        raise ModelError(
            f"the checkpoint lacks {len(lost)} tensors of the encoder: {shown}"
            f"{', …' if len(lost) > 3 else ''}",
            where=source.name,
            fix=f"give a complete checkpoint whose weights fit its config.json; {SAVED_DENSE}",
        )

"""Random weights and rows: the unpruned reference of an artifact, and data where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.core.errors import ModelError, UsageError
from glp_export.core.numbers import few
from glp_export.encoder.checkpoint import (
    open_tokenizer,
    read_config,
    save_checkpoint,
)
from glp_export.encoder.families import auto_class_for
from glp_export.encoder.head import other_head
from glp_export.encoder.layer_stack import find_layer_stack
from glp_export.encoder.model_files import kind_of_files
from glp_export.encoder.model_source import ModelSource, explained
from glp_export.encoder.transformers_compat import quiet_weights
from glp_export.serve.settings import read_settings
from glp_export.tasks import KINDS, Task, kind_of_config

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase


def random_init_reference(
    artifact: Path,
    num_layers: int,
    auto_class: str,
    directory: Path,
    *,
    vocabulary: int | None = None,
) -> Path:
    """Save a model of the artifact's shape and `num_layers` layers, with random weights.

    What it answers means nothing; how long it takes is what the unpruned model takes.

    Args:
        artifact: its configuration and tokenizer are used.
        num_layers: of the unpruned model.
        auto_class: the class of transformers that makes it.
        directory: where it goes.
        vocabulary: tokens of the unpruned model; None for those of the artifact.

    Raises:
        ModelError: its configuration makes no model.
    """
    import transformers

    source = ModelSource(str(artifact), offline=True)
    config = read_config(source)
    if vocabulary is not None:
        config.vocab_size = vocabulary
    build = getattr(transformers, auto_class_for(auto_class, config)).from_config
    with explained(source, "configuration"), quiet_weights():
        setattr(config, find_layer_stack(build(config)).count, num_layers)
        model = build(config)
    save_checkpoint(model, open_tokenizer(source), directory)
    return directory


def task_of_model(checkpoint: Path, asked: str | None = None) -> Task:
    """The task that a fine-tuned checkpoint was made for.

    An artifact says its kind itself; of another checkpoint the head and the configuration tell, or
    files beside the weights, such as those of sentence-transformers.

    Args:
        checkpoint: directory.
        asked: the kind that it shall be, where that is known.

    Raises:
        ModelError: it has no head for any kind of task, or one for another kind than was asked for.
        UsageError: there is no such kind.
    """
    config = read_config(ModelSource(str(checkpoint), offline=True))
    require_sound_head(config, checkpoint)
    said = asked or read_settings(checkpoint).kind
    kind = KINDS.get(said or "") or kind_of_config(config)
    kind = kind or KINDS.get(kind_of_files(checkpoint) or "")
    if asked:
        _require_kind(asked, config, checkpoint)
    if kind is None:
        raise ModelError(
            "the checkpoint has no head that is known here: "
            f"{', '.join(config.architectures or ()) or 'none'}",
            where=str(checkpoint),
            fix="export it for its vectors (glp-export export --kind sentence-embeddings), which "
            "needs no training, or fine-tune it first, or use prune-and-export",
        )
    labels = tuple(str(config.id2label[i]) for i in range(config.num_labels)) if kind.named else ()
    return Task(
        name=checkpoint.name,
        kind=kind.name,
        text_columns=("text",),
        label_column="label",
        labels=labels,
        metric=kind.metric_for(labels),
    )


def _require_kind(asked: str, config: Any, checkpoint: Path) -> None:
    """Check that there is such a kind, and that the head is not one for another.

    Weights of two heads can have the same names, so that loading them would say nothing.
    """
    if asked not in KINDS:
        raise UsageError(
            f"there is no kind '{asked}'",
            where=f"--kind {asked}",
            fix=f"choose from {', '.join(KINDS)}",
        )
    other = other_head(config, KINDS[asked])
    if other is not None:
        raise ModelError(
            f"the checkpoint has a head for another kind of task: {other}",
            where=f"{checkpoint}, with --kind {asked}",
            fix="leave --kind out, or fine-tune the model for that kind first",
        )


def require_sound_head(config: Any, checkpoint: Path) -> None:
    """Check that a classifier's configuration names as many outputs as it has, in its own words.

    Raises:
        ModelError: an output has no name, two have one, or one output is to choose between classes.
    """
    if not any(name.endswith("Classification") for name in config.architectures or ()):
        return
    where, numbers = str(checkpoint / "config.json"), sorted(map(int, config.id2label))
    if numbers and numbers != list(range(len(numbers))):
        gaps = sorted(set(range(max(numbers))) - set(numbers)) or numbers[:1]
        raise ModelError(
            f"id2label has no name for output {gaps[0]}: it names {few([*map(str, numbers)])}",
            where=where,
            fix="name every output from 0 on",
        )
    names = [str(config.id2label[number]) for number in numbers]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ModelError(
            f"two outputs have one name in id2label: {few(twice)}",
            where=where,
            fix="name every output differently",
        )
    if len(numbers) == 1 and config.problem_type == "single_label_classification":
        raise ModelError(
            "problem_type is single_label_classification, and one output chooses between nothing",
            where=where,
            fix='say "regression", or "multi_label_classification" for yes or no',
        )


_USUAL_LENGTH = 64
"""Tokens of random rows at most: the longest inputs are tried apart, and few."""


def random_rows(
    tokenizer: PreTrainedTokenizerBase, max_length: int, seed: int, count: int = 16
) -> Dataset:
    """Encoded rows of random tokens and lengths, for a check where there is no data."""
    import numpy as np
    from datasets import Dataset

    generator = np.random.default_rng(seed)
    longest = min(max_length, tokenizer.model_max_length, _USUAL_LENGTH)
    special = set(tokenizer.all_special_ids)
    ids = [token for token in range(len(tokenizer)) if token not in special]
    rows: list[dict[str, Any]] = []
    for length in generator.integers(3, longest + 1, size=count):
        input_ids = [int(token) for token in generator.choice(ids, size=length)]
        mask = [1] * len(input_ids)
        rows.append(
            {"input_ids": input_ids, "attention_mask": mask, "labels": 0, "length": len(input_ids)}
        )
    return Dataset.from_list(rows)

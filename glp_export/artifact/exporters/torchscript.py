"""Export by tracing with `torch.onnx.export`, on either major of transformers.

Traced with eager attention, the graphs of all tested families run at every shape on transformers
4.57 and 5, and ORT's optimiser finds attention in those of BERT, RoBERTa, DistilBERT and ELECTRA.
Through torch.export, alone or in transformers' own exporter, it finds none of BERT's and stops at
ModernBERT's graph, and an export takes 40 to 80 times as long.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.artifact.batches import MODEL_INPUTS
from glp_export.artifact.exporters.base import Exporter, explained
from glp_export.artifact.modules import eager_attention
from glp_export.artifact.output_place import writing
from glp_export.core.errors import ModelError
from glp_export.core.quiet import quiet

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

OPSET = 18
"""Has LayerNormalization (from 17 on), and is what optimum takes."""


@dataclass(frozen=True)
class Head:
    """What a graph for one task gives out.

    Attributes:
        outputs: names, as the model's own output has them.
        each_token: whether they have an entry for every token.
    """

    outputs: tuple[str, ...] = ("logits",)
    each_token: bool = True


HEADS: dict[str, Head] = {
    "text-classification": Head(each_token=False),
    "token-classification": Head(),
    "question-answering": Head(("start_logits", "end_logits")),
    "fill-mask": Head(),
    "feature-extraction": Head(("last_hidden_state",)),
}
"""Task in optimum's words to what is exported for it; names and shapes are optimum's as well."""


def available() -> bool:
    """Always: torch, transformers and onnx are dependencies of the package."""
    return True


def knows(config: Any, export_task: str) -> bool:
    """Whether the task is one of `HEADS`; of architectures it takes what transformers can load."""
    return export_task in HEADS


def export(model: PreTrainedModel, output: Path, *, export_task: str, opset: int | None) -> None:
    """Export a module by tracing it with eager attention, whose pattern the optimiser knows.

    Raises:
        ModelError: the task is not known, or the architecture lacks it or cannot be traced.
        UsageError: the opset is not one that can be written.
    """
    if export_task not in HEADS:
        raise ModelError(
            f"The exporter torch does not know the task {export_task}.",
            fix=f"It knows {', '.join(HEADS)}.",
        )
    head = HEADS[export_task]
    with quiet(), writing(output), eager_attention(model):
        try:
            _trace(model, head, output, OPSET if opset is None else opset)
        except (ValueError, TypeError, RuntimeError) as error:  # torch.onnx's own are RuntimeErrors
            raise explained(
                error,
                model,
                tool="torch.onnx",
                export_task=export_task,
                opset=opset,
                fix="Try --exporter optimum, or another version of torch.",
            ) from error


def graph_inputs(model: PreTrainedModel) -> tuple[str, ...]:
    """The inputs that a model's graph has: those that tokenizers make and that it reads.

    Segments are left out where there is only one, as in RoBERTa: consumers that make no
    `token_type_ids` would have to feed zeros.
    """
    taken = inspect.signature(model.forward).parameters
    segments = getattr(model.config, "type_vocab_size", 0) or 0
    return tuple(
        name
        for name in MODEL_INPUTS
        if name in taken and (name != "token_type_ids" or segments > 1)
    )


def _trace(model: PreTrainedModel, head: Head, output: Path, opset: int) -> None:
    import torch

    names = graph_inputs(model)
    tokens = {0: "batch_size", 1: "sequence_length"}
    predictions = tokens if head.each_token else {0: "batch_size"}
    forward = model.forward

    def traced(*tensors: Tensor) -> tuple[Tensor, ...]:
        answer = forward(**dict(zip(names, tensors, strict=True)), return_dict=True)
        return tuple(answer[name] for name in head.outputs)

    # On the instance: a module around the model would change the names of its weights.
    model.forward = traced
    try:
        torch.onnx.export(
            model,
            tuple(_sample(model, name) for name in names),
            str(output),
            input_names=list(names),
            output_names=list(head.outputs),
            dynamic_axes={
                **dict.fromkeys(names, tokens),
                **dict.fromkeys(head.outputs, predictions),
            },
            opset_version=opset,
            dynamo=False,
        )
    finally:
        del model.forward


def _sample(model: PreTrainedModel, name: str) -> Tensor:
    """One input `(2, 16) int64` to trace with; the second row ends in padding, as real ones do."""
    import torch

    values = torch.zeros(2, 16, dtype=torch.int64)
    if name == "input_ids":
        values += 1 + torch.arange(16) % (model.config.vocab_size - 1)
    if name == "attention_mask":
        values += 1
        values[1, 12:] = 0
    return values


EXPORTER = Exporter(
    name="torch",
    install_hint="pip install onnx",
    available=available,
    knows=knows,
    export=export,
)

"""What a latency table is measured on: random models of many shapes, as they would ship."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.core.errors import UsageError
from glp_export.core.shape import Kept, LayerShape, ModelShape

if TYPE_CHECKING:
    from transformers import PreTrainedModel


Make = Callable[[ModelShape, Path], Path]
"""Writes the file that would ship of a model of a shape into a directory, weights at random."""


VOCABULARY = 2048
"""Words of a probe: a look-up takes as long in a small table, and the file is written faster."""

_PROBED_BYTES = 64_000_000
"""Weights of layers past which no cache holds a model, so that more layers only repeat it."""


@dataclass(frozen=True)
class ProbeMaker:
    """Makes files of random models of a family.

    Attributes:
        config: transformers' configuration of the unpruned model.
        auto_class: class of transformers, "AutoModelForSequenceClassification".
        export_task: task in optimum's words, "text-classification".
        precision: "fp32" or "int8".
        form: of fp32 "none" or a key of `optimise.LEVELS`, of int8 a key of `FORMS`.
    """

    config: Any
    auto_class: str
    export_task: str
    precision: str = "fp32"
    form: str = "none"

    def __call__(self, shape: ModelShape, directory: Path) -> Path:
        """Write the file.

        Raises:
            ModelError: the family cannot be exported, or where its heads are is not known.
            UsageError: the shape is not one that it can be cut to.
        """
        from glp_export.artifact.exporters.torchscript import export
        from glp_export.artifact.modules import exportable
        from glp_export.artifact.onnx_file import describe, read_graph, write_graph
        from glp_export.artifact.optimise import optimise
        from glp_export.core.quiet import quiet
        from glp_export.precision.int8.quantise import quantise
        from glp_export.precision.int8.recipe import Int8Recipe

        model = probe_model(self.config, self.auto_class, shape)
        with quiet():
            model.config.save_pretrained(directory)
            raw = directory / "raw.onnx"
            with exportable(model) as ready:
                export(ready, raw, export_task=self.export_task, opset=None)
            # The tracer leaves one file a weight past some size: one graph is read and written.
            source = describe(write_graph(read_graph(raw, weights=True), directory / "plain.onnx"))
            if self.precision == "int8":
                recipe = Int8Recipe(form=self.form)
                return quantise(source, directory / "int8.onnx", directory, recipe).path
            if self.form != "none":
                return optimise(source, self.form, directory / "form.onnx", directory).path
            return source.path


def probe_model(config: Any, auto_class: str, shape: ModelShape) -> PreTrainedModel:
    """A random model of a shape, in eval mode, with a small vocabulary.

    Its layers are the lowest of the unpruned model's, cut to their widths.

    Raises:
        ModelError: where its heads and neurons are is not known.
        UsageError: it has more layers or units than the configuration.
    """
    import torch
    import transformers

    from glp_export.encoder.compaction import compact
    from glp_export.encoder.families import auto_class_for
    from glp_export.encoder.layer_stack import find_layer_stack, remove_layers
    from glp_export.encoder.sublayers import shape_of

    small = copy.deepcopy(config)
    small._attn_implementation = "eager"
    tokens = [value for name, value in small.to_dict().items() if name.endswith("_token_id")]
    if all(not isinstance(token, int) or token < VOCABULARY for token in tokens):
        small.vocab_size = min(small.vocab_size, VOCABULARY)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = getattr(transformers, auto_class_for(auto_class, small)).from_config(small)
    stack = find_layer_stack(model)
    if shape.depth < stack.num_layers:
        model = remove_layers(model, range(shape.depth, stack.num_layers))
    kept = Kept.of((range(layer.heads), range(layer.neurons)) for layer in shape.layers)
    if kept.shape(shape_of(model)).layers != shape_of(model).layers:
        model = compact(model, kept)
    return model.eval()


@dataclass(frozen=True)
class Probes:
    """What is measured for a table.

    Attributes:
        shapes: the unpruned model first.
        heads: counts of the table.
        neurons: counts of the table.
    """

    shapes: tuple[ModelShape, ...]
    heads: tuple[int, ...]
    neurons: tuple[int, ...]


def plan_probes(base: ModelShape, *, separate_top: bool) -> Probes:
    """The shapes to measure: enough to tell every part of the table from the others.

    Each sublayer alone at every count, both together, and fewer layers; one layer alone in all
    these where the topmost one with heads has times of its own.

    Raises:
        UsageError: the layers differ, so that one table does not hold for all.
    """
    if len(set(base.layers)) > 1:
        raise UsageError(
            "a latency table is measured for layers that are alike",
            fix="give the unpruned model",
        )
    full = base.layers[0]
    heads = _grid(full.heads, 1)
    neurons = _grid(full.neurons, max(1, full.neurons // 24))
    depth = _probed_depth(base)
    whole = (full.heads, full.neurons)
    pairs = [(h, full.neurons) for h in heads[:-1]] + [(full.heads, n) for n in neurons[:-1]]
    both = [(heads[p], neurons[p]) for p in range(1, len(heads) - 1)]
    # A layer without heads is above the topmost one with heads, unless that one is above it.
    top = [whole] if separate_top else []
    layers = [[pair] * (depth - len(top)) + top for pair in pairs + both]
    fewer = sorted({depth, max(1, depth // 2), 1} - {base.depth}, reverse=True)
    layers += [[whole] * count for count in fewer]
    # As what is chosen will be: half of everything, and a quarter, at the full depth.
    halves = ((full.heads // parts, full.neurons // parts) for parts in (2, 4))
    layers += [[(max(1, h), max(1, n))] * base.depth for h, n in halves]
    if separate_top:
        layers += [[pair] for pair in pairs if pair[0]] + [[whole, (0, full.neurons)]]
    return Probes(
        (base, *(_shape(base, pairs_of) for pairs_of in layers)),
        heads,
        neurons,
    )


def _grid(units: int, least: int) -> tuple[int, ...]:
    return tuple(sorted({0, least, math.ceil(units / 3), math.ceil(2 * units / 3), units}))


def _probed_depth(base: ModelShape) -> int:
    layer = base.layers[0]
    columns = 4 * layer.heads * layer.head_size + 2 * layer.neurons
    wanted = math.ceil(_PROBED_BYTES / (4 * columns * base.hidden_size))
    return min(base.depth, max(2, wanted))


def _shape(base: ModelShape, pairs: Sequence[tuple[int, int]]) -> ModelShape:
    size = base.layers[0].head_size
    layers = tuple(LayerShape(heads=h, head_size=size, neurons=n) for h, n in pairs)
    return base.model_copy(update={"layers": layers})

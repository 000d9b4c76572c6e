"""The output projections of a live model, whose columns the criteria rank."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glp_export.compress.criteria.base import Kind, OutputProjection, Sublayer

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def find_projections(model: PreTrainedModel) -> tuple[OutputProjection, ...]:
    """The projections of all sublayers that are not emptied, bottom first, attention first.

    Raises:
        ModelError: where the heads and neurons of this model are is not known.
    """
    from glp_export.encoder.sublayers import layer_shape, layers_of, require_sublayers

    row = require_sublayers(model)
    found = []
    for number, layer in enumerate(layers_of(model)):
        shape = layer_shape(layer, row)
        sides: tuple[tuple[Kind, int, str], ...] = (
            ("attention", shape.heads, row.attention_output),
            ("feed-forward", shape.neurons, row.feed_forward_output),
        )
        for kind, units, path in sides:
            if units:
                module = layer.get_submodule(path)
                found.append(OutputProjection(Sublayer(number, kind), units, module))  # type: ignore[arg-type]
    return tuple(found)

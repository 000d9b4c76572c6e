"""Whether the files of an artifact speak of one model: settings, configuration, labels, plan.

Checksums say that each file is what was written, not that all were written of the same model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from glp_export.artifact import ArtifactLayout
from glp_export.compress.plan import Plan
from glp_export.core.errors import ModelError, ParityError
from glp_export.serve.agreement import require_agreement
from glp_export.serve.settings import read_settings

_COUNTS = ("num_hidden_layers", "n_layers", "num_layers", "n_layer", "encoder_layers")


def check_agreement(layout: ArtifactLayout) -> None:
    """Check serving settings, configuration, labels, the files that ship, and the plan.

    Raises:
        DataError: the plan cannot be read.
        ModelError: another of these files cannot be read.
        ParityError: two of them say different things.
    """
    try:
        config = dict(json.loads(layout.config.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ModelError(
            f"the model's configuration cannot be read ({type(error).__name__})",
            where=str(layout.config),
            fix="copy the artifact again, or make it again",
        ) from error
    settings = read_settings(layout.root)
    require_agreement(layout.root, settings, config)
    if layout.serving.is_file():
        said = {file.name for file in settings.files}
        there = {path.name for path in layout.shipped().values()}
        if said != there:
            raise _differ(
                layout,
                f"ort_config.json lists {', '.join(sorted(said)) or 'no file'}, and onnx/ has "
                f"{', '.join(sorted(there)) or 'none'}",
            )
    if layout.plan.is_file():
        _check_plan(layout, config)


def _check_plan(layout: ArtifactLayout, config: Mapping[str, Any]) -> None:
    """Check that the configuration has the layers and the vocabulary that the plan leaves."""
    plan = Plan.load(layout.plan)
    layers = next((config[name] for name in _COUNTS if isinstance(config.get(name), int)), None)
    if layers is not None and layers != plan.depth:
        raise _differ(layout, f"config.json has {layers} layers, glp/plan.json leaves {plan.depth}")
    vocabulary = plan.shape.vocabulary if plan.shape else None
    if vocabulary is not None and config.get("vocab_size", vocabulary) != vocabulary:
        raise _differ(
            layout,
            f"config.json has {config['vocab_size']} tokens, glp/plan.json leaves {vocabulary}",
        )


def _differ(layout: ArtifactLayout, fault: str) -> ParityError:
    return ParityError(
        f"the files are not of one model: {fault}",
        where=str(layout.root),
        fix="copy the whole artifact again, or make it again",
    )

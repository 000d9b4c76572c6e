"""Prune whole layers of a transformer encoder, export it to ONNX, prove it right, measure it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glp_export.pipeline import RunResult

__version__ = "0.1.0"

__all__ = ["__version__", "prune_and_export"]


def prune_and_export(**settings: Any) -> RunResult:
    """Do the whole job, with the settings that the command has as flags.

    Example:
        >>> result = prune_and_export(
        ...     model="bert-dir", dataset="data/trec", depth=6, output="out/trec"
        ... )
        >>> result.plan.order, result.benchmark.metrics

    Args:
        settings: fields of `glp_export.config.RunConfig`, by name.

    Returns:
        Where the artifact is, what was removed, and what was measured.

    Raises:
        GlpError: see `glp_export.errors`.
    """
    from glp_export.config_file import resolve
    from glp_export.pipeline import prune_and_export as run

    return run(resolve(settings))

"""The exporters: one file each, one row each in `EXPORTERS`, best first."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from glp_export.artifact.exporters import optimum, torchscript
from glp_export.artifact.exporters.base import Exporter
from glp_export.core.errors import GlpError, ModelError, UsageError

EXPORTERS: dict[str, Exporter] = {
    exporter.name: exporter for exporter in (optimum.EXPORTER, torchscript.EXPORTER)
}

logger = logging.getLogger(__name__)

__all__ = ["EXPORTERS", "Exporter", "ExporterChoice", "resolve_exporter"]


@dataclass(frozen=True)
class ExporterChoice:
    """The exporter that is used.

    Attributes:
        exporter: the one.
        reasons: why each better one is not used.
    """

    exporter: Exporter
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line for people."""
        why = f" ({'; '.join(self.reasons)})" if self.reasons else ""
        return f"exporter {self.exporter.name}{why}"


def resolve_exporter(name: str, config: Any, export_task: str) -> ExporterChoice:
    """The exporter of a name; "auto" is the first that is installed and knows the model.

    Args:
        name: a key of `EXPORTERS`, or "auto".
        config: transformers' configuration of the model.
        export_task: task in optimum's words, "text-classification".

    Raises:
        ModelError: the exporter does not know the architecture or the task.
        UsageError: there is no such exporter, or it is not installed; the message has the command
            that installs it.
    """
    if name != "auto" and name not in EXPORTERS:
        raise UsageError(
            f"There is no exporter {name!r}.",
            where="--exporter",
            fix=f"One of auto, {', '.join(EXPORTERS)}.",
        )
    asked = list(EXPORTERS.values()) if name == "auto" else [EXPORTERS[name]]
    unknown: list[Exporter] = []
    reasons: list[str] = []
    for exporter in asked:
        if not exporter.available():
            reasons.append(f"{exporter.name} is not installed")
        elif not exporter.knows(config, export_task):
            unknown.append(exporter)
            reasons.append(f"{exporter.name} does not know {config.model_type} for {export_task}")
        else:
            choice = ExporterChoice(exporter, tuple(reasons))
            logger.info("%s", choice)
            return choice
    raise _refused(asked, unknown, reasons)


def _refused(asked: list[Exporter], unknown: list[Exporter], reasons: list[str]) -> GlpError:
    what = f"The model cannot be exported: {'; '.join(reasons)}."
    hints = [exporter.install_hint for exporter in asked if exporter not in unknown]
    if not unknown:
        others = ["use --exporter auto"] if len(asked) < len(EXPORTERS) else []
        return UsageError(what, where="--exporter", fix=", or ".join([*hints, *others]))
    known = "use --exporter auto, or a model and a task that the exporters know"
    return ModelError(what, where="--exporter", fix=", or ".join([known, *hints]))

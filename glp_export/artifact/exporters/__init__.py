"""The exporters: one file each, one row each in `EXPORTERS`, best first."""

from __future__ import annotations

import logging

from glp_export.artifact.exporters import optimum
from glp_export.artifact.exporters.base import Exporter
from glp_export.errors import UsageError

EXPORTERS: dict[str, Exporter] = {exporter.name: exporter for exporter in (optimum.EXPORTER,)}

logger = logging.getLogger(__name__)

__all__ = ["EXPORTERS", "Exporter", "resolve_exporter"]


def resolve_exporter(name: str = "auto") -> Exporter:
    """The exporter of a name; "auto" is the first that is installed.

    Raises:
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
    for exporter in asked:
        if exporter.available():
            logger.info("exporter: %s", exporter.name)
            return exporter
    raise UsageError(
        f"The exporter {asked[0].name} is not installed."
        if name != "auto"
        else "No ONNX exporter is installed.",
        where="--exporter",
        fix=" or ".join(exporter.install_hint for exporter in asked),
    )

"""The sections of the configuration: one model a stage.

Every field is a command-line flag, a key of `--config run.yaml` and an argument of
`glp_export.prune_and_export`, with the same name, meaning and default.
"""

from __future__ import annotations

from glp_export.config.sections.artifact import (
    ExportOptions,
    HubOptions,
    OutputOptions,
    PrecisionOptions,
)
from glp_export.config.sections.inputs import AuxiliaryOptions, DataOptions, ModelOptions
from glp_export.config.sections.measuring import BenchmarkOptions, MachineOptions
from glp_export.config.sections.search import COUNTS, CompressOptions
from glp_export.config.sections.training import NO_RIVAL, STUDENT, TrainingOptions

__all__ = [
    "COUNTS",
    "NO_RIVAL",
    "RUN_SECTIONS",
    "SEARCH_SECTIONS",
    "STUDENT",
    "AuxiliaryOptions",
    "BenchmarkOptions",
    "CompressOptions",
    "DataOptions",
    "ExportOptions",
    "HubOptions",
    "MachineOptions",
    "ModelOptions",
    "OutputOptions",
    "PrecisionOptions",
    "TrainingOptions",
]

RUN_SECTIONS = (
    ModelOptions,
    DataOptions,
    CompressOptions,
    TrainingOptions,
    AuxiliaryOptions,
    ExportOptions,
    PrecisionOptions,
    MachineOptions,
    BenchmarkOptions,
    OutputOptions,
    HubOptions,
)
"""What the whole job asks for, in the order of its help."""

SEARCH_SECTIONS = tuple(
    section for section in RUN_SECTIONS if section not in (ExportOptions, HubOptions)
)
"""What a search alone asks for."""

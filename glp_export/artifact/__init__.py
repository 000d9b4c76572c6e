"""The ONNX side: export, optimise, prove right, run, and lay out on disk."""

from __future__ import annotations

from glp_export.artifact.export import export_onnx
from glp_export.artifact.exporters import EXPORTERS, ExporterChoice, resolve_exporter
from glp_export.artifact.fusions import describe_fusions, missed_fusions, require_fusions
from glp_export.artifact.layout import ArtifactLayout
from glp_export.artifact.onnx_file import OnnxFile, describe, relocate
from glp_export.artifact.opened import (
    finished_artifact,
    one_artifact,
    recorded_settings,
    shipped_files,
)
from glp_export.artifact.optimise import LEVELS, candidates, levels_to_try, optimise
from glp_export.artifact.output_place import write_file, writing
from glp_export.artifact.parity import check_parity
from glp_export.artifact.parity_report import FileParity, ParityReport, Probe
from glp_export.artifact.serving import Measured, ServingSettings, serving_settings
from glp_export.artifact.session import open_session, predict_onnx, provider_name
from glp_export.artifact.staging import commit, discard, finished, locked, prepare
from glp_export.artifact.stored_inputs import StoredInputs
from glp_export.artifact.triton import triton_name, write_triton
from glp_export.artifact.variants import VARIANTS, Variant

__all__ = [
    "EXPORTERS",
    "LEVELS",
    "VARIANTS",
    "ArtifactLayout",
    "ExporterChoice",
    "FileParity",
    "Measured",
    "OnnxFile",
    "ParityReport",
    "Probe",
    "ServingSettings",
    "StoredInputs",
    "Variant",
    "candidates",
    "check_parity",
    "commit",
    "describe",
    "describe_fusions",
    "discard",
    "export_onnx",
    "finished",
    "finished_artifact",
    "levels_to_try",
    "locked",
    "missed_fusions",
    "one_artifact",
    "open_session",
    "optimise",
    "predict_onnx",
    "prepare",
    "provider_name",
    "recorded_settings",
    "relocate",
    "require_fusions",
    "resolve_exporter",
    "serving_settings",
    "shipped_files",
    "triton_name",
    "write_file",
    "write_triton",
    "writing",
]

"""What a run makes, and where it goes: the graph, lower precisions, the directory, the hub."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import field_validator, model_validator

from glp_export.core.options import Names, Options, option


class ExportOptions(Options):
    """How the ONNX file is written, optimised and checked."""

    panel: ClassVar[str] = "Export"

    exporter: str = option("auto", "Which exporter writes the ONNX file.")
    opset: int | None = option(None, "ONNX opset. Default: the exporter's.", gt=0)
    optimize: Literal["auto", "none", "first-token", "O1", "O2", "O3"] = option(
        "auto",
        "Graph optimisation: a level, `none`, or auto: the fastest that passes the parity check.",
    )
    require_fusion: bool = option(
        False, "Fail if attention, LayerNorm or Gelu of a layer is not fused."
    )
    triton: bool = option(False, "Also write a model repository for Triton.")
    atol: float | None = option(None, "Absolute tolerance of the logits in the parity check.", ge=0)
    rtol: float | None = option(None, "Relative tolerance of the logits in the parity check.", ge=0)


class PrecisionOptions(Options):
    """Which files of lower precision are made."""

    panel: ClassVar[str] = "Precision"

    precision: Names = option(
        ("auto",),
        "auto (what is faster on the device), or any of fp32, int8, fp16, bf16; fp32 is "
        "always made.",
    )
    int8: Names = option(
        ("dynamic",),
        "How the int8 ranges of activations are found: dynamic, minmax, entropy or percentile. Of "
        "several the fastest that is accurate enough is used.",
    )
    int8_scope: Literal["matmuls", "full"] = option(
        "matmuls",
        "What int8 covers: matmuls with a weight, or full: attention's products and all embeddings "
        "too, in standard operators, with static ranges (minmax unless --int8 says otherwise).",
    )
    calibration_texts: Path | None = option(
        None,
        "Texts that static ranges are taken from: a table, or .txt lines. Default: the training "
        "rows.",
    )
    int8_drop: float = option(
        0.005,
        "Largest loss of the metric on dev by int8; with --max-drop what pruning left of that.",
        ge=0,
    )

    @model_validator(mode="before")
    @classmethod
    def _static_where_full(cls, given: Any) -> Any:
        """Full int8 has static ranges: of the extremes, where none are named."""
        if isinstance(given, Mapping) and given.get("int8_scope") == "full" and "int8" not in given:
            return {**given, "int8": ("minmax",)}
        return given

    @model_validator(mode="after")
    def _full_of_int8(self) -> PrecisionOptions:
        if self.int8_scope != "full":
            return self
        if not {"auto", "int8"}.intersection(self.precision):
            raise ValueError("--int8-scope full is about int8: add --precision int8")
        if "dynamic" in self.int8:
            raise ValueError(
                "--int8-scope full has static ranges: give --int8 minmax, entropy or percentile"
            )
        return self


class OutputOptions(Options):
    """Where the artifact goes, and how the run is started."""

    panel: ClassVar[str] = "Output"

    output: Path | None = option(None, "Directory of the artifact.", "-o")
    overwrite: bool = option(False, "Replace what is at --output.")
    resume: bool = option(False, "Continue an interrupted run.")
    dry_run: bool = option(False, "Estimate the cost; write nothing.")
    yes: bool = option(False, "Answer yes to every question.", "-y")

    @field_validator("output")
    @classmethod
    def _is_one_place(cls, value: Path | None) -> Path | None:
        """Without `~`, which no shell reads after `=`, and without `..`.

        What is beside the output would else be beside another place, where a link or a directory
        that is not there yet stands before the `..`.
        """
        if value is None:
            return None
        try:
            value = value.expanduser()
        except RuntimeError as error:
            raise ValueError("there is no home directory for ~") from error
        if value.name == "..":
            return Path(os.path.realpath(value))
        return Path(os.path.realpath(value.parent), value.name) if ".." in value.parts else value

    @model_validator(mode="after")
    def _one_way_to_start(self) -> OutputOptions:
        if self.overwrite and self.resume:
            raise ValueError("--overwrite starts anew and --resume goes on; give one")
        return self


class HubOptions(Options):
    """Where the artifact is uploaded to."""

    panel: ClassVar[str] = "Hub"

    push_to_hub: str | None = option(
        None, "Upload the artifact to this repository of the hub, NAME or OWNER/NAME."
    )
    private: bool = option(False, "Make that repository private if it is new.")
    hub_revision: str | None = option(None, "Its branch. Default: main.")
    commit_message: str | None = option(None, "The first line of its commit.")

    @model_validator(mode="after")
    def _has_a_repository(self) -> HubOptions:
        if self.push_to_hub is None and (self.private or self.hub_revision or self.commit_message):
            raise ValueError("--private, --hub-revision and --commit-message go with --push-to-hub")
        return self

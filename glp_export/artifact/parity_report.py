"""What a parity check found, as it is written to `glp/parity.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from glp_export.core import numbers
from glp_export.core.errors import ModelError, ParityError
from glp_export.core.notebook import table_html
from glp_export.serve.runtimes import ONNX_RUNTIME


@dataclass(frozen=True)
class Probe:
    """One batch of a shape that breaks careless exports.

    Attributes:
        name: "batch 1", "batch 3", "shortest", "odd" or "maximum".
        batch_size: rows.
        sequence_length: tokens, padding included.
        max_abs: largest difference of a logit; None where none could be computed.
    """

    name: str
    batch_size: int
    sequence_length: int
    max_abs: float | None


@dataclass(frozen=True)
class FileParity:
    """How far one ONNX file is from the PyTorch model.

    Attributes:
        variant: its file name.
        precision: "fp32".
        optimisation: "none" or a level.
        provider: the execution provider that it ran on.
        samples: real rows compared, probes not counted.
        max_abs: largest difference of a logit over the samples; None where none was finite.
        mean_abs: mean difference over the samples.
        spread: standard deviation of PyTorch's logits over the samples, per label and averaged:
            what the differences are to be seen against.
        label_agreement: share of samples whose label is the same; None for regression.
        disagreements: rows of the data set whose label differs although both models are clear.
        non_finite: NaN and infinite logits, over samples and probes.
        probes: the shapes tried.
        atol: the tolerance, of a regression times the deviation of its answers where that is more
            than 1, with what their mean is rounded by; None where the precision is judged by the
            metric only.
        rtol: see `atol`.
        failures: what is wrong, one sentence each; empty where the file passed.
        runtime: that ran it.
        centre: the mean that the relative part is of the distance from, of a regression; else 0.
    """

    variant: str
    precision: str
    optimisation: str
    provider: str
    samples: int
    max_abs: float | None
    mean_abs: float | None
    spread: float
    label_agreement: float | None
    disagreements: tuple[int, ...]
    non_finite: int
    probes: tuple[Probe, ...]
    atol: float | None
    rtol: float | None
    failures: tuple[str, ...]
    runtime: str = ONNX_RUNTIME
    centre: float = 0.0

    @property
    def label(self) -> str:
        """The file's name, with what ran it where that is not ONNX Runtime."""
        if self.runtime == ONNX_RUNTIME:
            return self.variant
        return f"{self.variant} ({self.runtime}, {self.precision})"

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.failures


@dataclass(frozen=True)
class ParityReport:
    """The files of one check, in the order in which they were given."""

    files: tuple[FileParity, ...]

    @property
    def in_onnxruntime(self) -> tuple[FileParity, ...]:
        """One finding a file: as ONNX Runtime computes it."""
        return tuple(file for file in self.files if file.runtime == ONNX_RUNTIME)

    @property
    def passed(self) -> bool:
        """Whether every file passed."""
        return all(file.passed for file in self.files)

    def __repr__(self) -> str:
        verdict = "passed" if self.passed else "failed"
        return f"ParityReport({verdict}: {', '.join(file.variant for file in self.files)})"

    def _repr_html_(self) -> str:
        head = ("file", "precision", "largest difference", "verdict")
        rows = (
            (
                file.variant,
                file.precision,
                numbers.tiny(file.max_abs),
                "passed" if file.passed else "; ".join(file.failures),
            )
            for file in self.files
        )
        return table_html("parity with PyTorch", head, rows)

    def require(self) -> None:
        """Do nothing if every file passed.

        Raises:
            ParityError: at least one did not; each is named with its numbers.
        """
        wrong = [file for file in self.files if not file.passed]
        if not wrong:
            return
        fix = (
            "Try --optimize none, another --opset or --exporter; --atol and --rtol widen the "
            "tolerance where the difference is known to be harmless."
        )
        if all(file.runtime != ONNX_RUNTIME for file in wrong):
            fix = (
                "Give --runtime onnxruntime, where they are right; auto leaves out what another "
                "runtime computes otherwise."
            )
        raise ParityError(
            "\n".join(
                f"{file.label} does not compute what the PyTorch model computes: "
                + "; ".join(file.failures)
                for file in wrong
            ),
            where=", ".join(
                f"{file.variant} ({file.precision}, {file.optimisation}, {file.provider})"
                for file in wrong
            ),
            fix=fix,
        )

    def to_json(self) -> str:
        """The report as JSON text, numbers that are no numbers left out as null."""
        files = [{**asdict(file), "passed": file.passed} for file in self.files]
        return json.dumps({"passed": self.passed, "files": files}, indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> ParityReport:
        """Read a report back.

        Raises:
            ModelError: the text is not one.
        """
        try:
            return cls(tuple(_file(entry) for entry in json.loads(text)["files"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(
                f"This is no parity report: {error!r}",
                where="glp/parity.json",
                fix="Run `glp-export verify` on the artifact.",
            ) from error


def _file(entry: Mapping[str, Any]) -> FileParity:
    fields = {name: value for name, value in entry.items() if name != "passed"}
    fields["probes"] = tuple(Probe(**probe) for probe in fields["probes"])
    for name in ("disagreements", "failures"):
        fields[name] = tuple(fields[name])
    return FileParity(**fields)

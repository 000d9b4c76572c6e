"""`ort_config.json`: how the artifact's files are best run, for whoever serves them.

The name is that of optimum's `ORTConfig`, and the file is one: our part stands under the key
`serving`, which optimum passes over. `glp_export.serve` reads it without pydantic.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from pydantic import Field

from glp_export.artifact.layout import ArtifactLayout
from glp_export.artifact.onnx_file import sidecar
from glp_export.artifact.variants import VARIANTS
from glp_export.core.records import Record
from glp_export.serve.session import PROVIDER_OPTIONS
from glp_export.serve.settings import KEY, ONNX_RUNTIME, SCHEMA_VERSION

_TASK = "task"


class Measured(NamedTuple):
    """The latency of a file on a provider at a shape, out of a benchmark.

    Attributes:
        provider: full name of the execution provider.
        file: name below `onnx/`.
        shape: `8x128`, or `8xtask` for the task's own lengths.
        batch_size: rows.
        sequence_length: tokens; the mean for the task's own lengths.
        p50_ms: median milliseconds a batch.
        runtime: that ran it.
    """

    provider: str
    file: str
    shape: str
    batch_size: int
    sequence_length: int
    p50_ms: float
    runtime: str = ONNX_RUNTIME


class FileEntry(Record):
    """An ONNX file that ships."""

    name: str = Field(description="below onnx/")
    variant: str
    precision: str


class MeasuredFile(Record):
    """A file on one provider, and why it stands where it does."""

    name: str
    p50_ms: dict[str, float] = Field(description="median milliseconds a batch, by shape")


class ProviderEntry(Record):
    """An execution provider that files were measured on."""

    options: dict[str, str]
    files: tuple[MeasuredFile, ...] = Field(description="the one to be preferred first")


class RuntimeEntry(Record):
    """Another runtime than ONNX Runtime that files were measured in."""

    files: tuple[MeasuredFile, ...] = Field(description="the one to be preferred first")


class ShapeHints(Record):
    """What inputs look like."""

    max_length: int = Field(ge=1, description="tokens; longer inputs are truncated")
    pad_token_id: int | None
    pad_to_multiple_of: int | None = Field(ge=1)
    pads: bool = Field(
        default=True, description="false: padding beside a row would change its answer"
    )
    batch_sizes: tuple[int, ...] = Field(description="that were measured")
    sequence_lengths: tuple[int, ...] = Field(description="likewise")


class ServingSettings(Record):
    """How an artifact is best run.

    Attributes:
        kind: of task, `text-classification` or `regression`.
        labels: in the order of their ids; () for regression.
        provider: the execution provider that the artifact was made for and measured on.
        threads: intra-op threads that it was measured with.
        graph_level: optimisation while loading.
        session_config: entries of ONNX Runtime's session configuration.
        opset: of the plain file; None where it was not said.
        text_pair: whether the texts of its task come in pairs; None where that is not known.
        runtime: that was surely fastest where it was made.
        runtimes: what is known of every other runtime than ONNX Runtime, by its name.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    kind: str
    labels: tuple[str, ...]
    provider: str
    threads: int = Field(ge=1)
    graph_level: str
    session_config: dict[str, str]
    opset: int | None
    shapes: ShapeHints
    files: tuple[FileEntry, ...]
    providers: dict[str, ProviderEntry]
    text_pair: bool | None = None
    runtime: str = ONNX_RUNTIME
    runtimes: dict[str, RuntimeEntry] = Field(default_factory=dict)

    def save(self, layout: ArtifactLayout) -> Path:
        """Write `ort_config.json`, which optimum's `ORTConfig.from_pretrained` reads too."""
        large = any(sidecar(layout.onnx_dir / file.name).is_file() for file in self.files)
        content = {
            "opset": self.opset,
            "use_external_data_format": large,
            "one_external_file": True,
            # These are what optimum did to a file; ours are in glp/parity.json, file by file.
            "optimization": {},
            "quantization": {},
            KEY: self.model_dump(mode="json", exclude={"opset"}),
        }
        layout.serving.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        return layout.serving

    @classmethod
    def load(cls, layout: ArtifactLayout) -> ServingSettings:
        """Read what `save` wrote.

        Raises:
            DataError: no such file, no JSON, or a field that is missing, unknown or out of range;
                the field is named.
        """
        return cls.read(
            layout.serving,
            what="the serving settings",
            fix="make the artifact again",
            part=lambda content: {**content[KEY], "opset": content.get("opset")},
        )


def serving_settings(
    layout: ArtifactLayout,
    *,
    kind: str,
    labels: Sequence[str],
    provider: str,
    threads: int,
    max_length: int,
    measured: Iterable[Measured] = (),
    opset: int | None = None,
    pads: bool = True,
    text_pair: bool | None = None,
    too_large: Collection[str] = (),
    runtime: str = ONNX_RUNTIME,
) -> ServingSettings:
    """Gather what is known of an artifact whose ONNX files and `config.json` are in place.

    On each provider the file comes first that was fastest at one request of the task's own
    lengths; where those were not measured, at the smallest batch of the greatest length. The model
    card recommends the same file.

    Args:
        layout: where the artifact lies.
        kind: of task.
        labels: in the order of their ids; none for regression.
        provider: full name of the execution provider that it is made for.
        threads: that it was measured with.
        max_length: longest input in tokens, as in training.
        measured: rows of the benchmark for the files that ship; others are passed over.
        opset: of the plain file.
        pads: whether rows may be padded to one length.
        text_pair: whether the texts of the task come in pairs; None where that is not known.
        too_large: files that are larger than the artifact was to be; they stand last.
        runtime: that was surely fastest.
    """
    shipped = layout.shipped()
    names = {path.name for path in shipped.values()}
    rows = [row for row in (Measured(*row) for row in measured) if row.file in names]
    return ServingSettings(
        kind=kind,
        labels=tuple(labels),
        provider=provider,
        threads=threads,
        graph_level="all",
        session_config={},
        opset=opset,
        shapes=ShapeHints(
            max_length=max_length,
            pad_token_id=json.loads(layout.config.read_text(encoding="utf-8")).get("pad_token_id"),
            pad_to_multiple_of=None,
            pads=pads,
            batch_sizes=tuple(sorted({row.batch_size for row in rows})),
            sequence_lengths=tuple(sorted({row.sequence_length for row in rows})),
        ),
        files=tuple(
            FileEntry(name=path.name, variant=name, precision=VARIANTS[name].precision)
            for name, path in shipped.items()
        ),
        providers=_providers(
            provider,
            [row for row in rows if row.runtime == ONNX_RUNTIME],
            too_large,
        ),
        text_pair=text_pair,
        runtime=runtime,
        runtimes={
            name: RuntimeEntry(files=_in_order([row for row in rows if row.runtime == name]))
            for name in sorted({row.runtime for row in rows} - {ONNX_RUNTIME})
        },
    )


def _providers(
    own: str,
    rows: Sequence[Measured],
    too_large: Collection[str],
) -> dict[str, ProviderEntry]:
    """What is known of the artifact's own provider and of every other one that was measured."""
    return {
        name: ProviderEntry(
            options=dict(PROVIDER_OPTIONS.get(name, {})),
            files=_in_order([row for row in rows if row.provider == name], too_large),
        )
        for name in sorted({own, *(row.provider for row in rows)})
    }


def preferred(rows: Sequence[Measured], too_large: Collection[str] = ()) -> str | None:
    """The file of one provider that is opened; None of none."""
    return next((file.name for file in _in_order(rows, too_large)), None)


def _in_order(
    rows: Sequence[Measured], too_large: Collection[str] = ()
) -> tuple[MeasuredFile, ...]:
    """The files of one provider, the fastest at the shape that stands for the others first."""
    if not rows:
        return ()
    deciding = deciding_shape(rows)
    files: dict[str, dict[str, float]] = {}
    for row in rows:
        files.setdefault(row.file, {})[row.shape] = row.p50_ms
    ranked = sorted(
        files.items(),
        key=lambda item: (item[0] in too_large, item[1].get(deciding, float("inf"))),
    )
    return tuple(MeasuredFile(name=name, p50_ms=times) for name, times in ranked)


class OfShape(Protocol):
    """Something measured at a shape."""

    @property
    def shape(self) -> str:
        """Its name."""

    @property
    def batch_size(self) -> int:
        """Rows."""

    @property
    def sequence_length(self) -> int:
        """Tokens."""


def deciding_shape(rows: Iterable[OfShape]) -> str:
    """The shape by which files are put in order: the one that stands for the others."""
    return min(rows, key=_headline).shape


def _headline(row: OfShape) -> tuple[bool, int, int]:
    """Smallest for the task's own lengths, then the smallest batch, then the greatest length."""
    return not row.shape.endswith(_TASK), row.batch_size, -row.sequence_length

"""`glp/precisions.json`: how the files of lower precision were made, and what that cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from glp_export.core.records import Record

SCHEMA_VERSION: Literal[1] = 1


class Loss(Record):
    """A file's metric beside that of the same model's fp32 file, on the same examples."""

    value: float
    drop: float = Field(description="the fp32 file's metric less this one's")
    low: float = Field(description="lower end of the drop's paired 95 % interval")
    high: float = Field(description="upper end")
    rows: int = Field(ge=1)

    @classmethod
    def of(cls, value: float, difference: tuple[float, float, float], rows: int) -> Loss:
        """From the metric, and by how much and between what the fp32 file's is above it."""
        drop, low, high = difference
        return cls(value=value, drop=drop, low=low, high=high, rows=rows)


class KernelCount(Record):
    """The kernels that one runtime has for a file on this machine, by its own names."""

    runtime: str
    version: str
    integer: dict[str, int] = Field(description="products computed in integers")
    in_float: dict[str, int] = Field(description="products computed in float")
    beside: dict[str, int] = Field(description="softmax, LayerNorm, Gelu and sums, in float")

    @property
    def words(self) -> str:
        """`50 of 51 products in integers in onnxruntime`."""
        share, _, runtime = self.short.partition(" in ")
        return f"{share} products in integers in {runtime}"

    @property
    def short(self) -> str:
        """`50 of 51 in onnxruntime`."""
        integer = sum(self.integer.values())
        products = integer + sum(self.in_float.values())
        return f"{integer} of {products} in {self.runtime}"


class PrecisionEntry(Record):
    """One precision: the file that ships, or why none does."""

    precision: str
    file: str | None = Field(description="name below onnx/; null where none was good enough")
    recipe: str = Field(description="how it was made, in words")
    kept_in_float: tuple[str, ...] = Field(
        default=(), description="matmuls that stay in fp32 for the sake of accuracy"
    )
    share_in_float: float = Field(
        default=0.0, ge=0, le=1, description="their share of all multiply-adds"
    )
    files_tried: int = Field(default=1, ge=0)
    smoothed: bool = Field(
        default=False,
        description="whether SmoothQuant moved outlier channels into the weights",
    )
    recovered: bool = Field(
        default=False, description="whether its weights went through quantisation-aware training"
    )
    on_select: Loss | None = Field(
        default=None, description="what it was chosen by; null where there was no data"
    )
    on_test: Loss | None = Field(default=None, description="what came of it")
    scope: Literal["matmuls", "full"] = Field(
        default="matmuls",
        description="int8: matmuls with a weight and word embeddings, or attention's products and "
        "all tables too",
    )
    kernels: tuple[KernelCount, ...] = Field(
        default=(), description="full int8: what each runtime that was there computes in integers"
    )
    reason: str | None = Field(default=None, description="why no file ships")


class PrecisionsFile(Record):
    """All precisions beside fp32 that a run was to make."""

    schema_version: Literal[1] = SCHEMA_VERSION
    entries: tuple[PrecisionEntry, ...]

    def save(self, path: Path) -> Path:
        """Write it as JSON."""
        return self.write(path)

    @classmethod
    def load(cls, path: Path) -> PrecisionsFile:
        """Read what `save` wrote.

        Raises:
            DataError: there is no such file, or it is another's or broken.
        """
        return cls.read(path, what="the list of precisions", fix="make the artifact again")

    @classmethod
    def of(cls, entries: Sequence[PrecisionEntry]) -> PrecisionsFile:
        """The file of these entries."""
        return cls(entries=tuple(entries))

"""`glp/structure.json`: what stays of each layer of a checkpoint, beside the checkpoint itself.

A checkpoint that lost heads or neurons is dense, with zeros for what is gone, and one of Kronecker
factors has them multiplied out, so that plain `from_pretrained` loads it. With this record the
small module is built from it again.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from glp_export.core.factors import Preset
from glp_export.core.records import Record
from glp_export.core.shape import Kept, ModelShape
from glp_export.encoder.block_sparse_file import BlockSparseRecord
from glp_export.encoder.checkpoint_files import BLOCK_SPARSE
from glp_export.encoder.compaction import compact, require_zeros
from glp_export.encoder.kronecker import factorize
from glp_export.encoder.sublayers import check_kept, shape_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

STRUCTURE = Path("glp") / "structure.json"

SAVED_DENSE = "what glp_export.compress gave is saved by plan.expand(model).save_pretrained(…)"
"""For whoever saved a small module as it is: the stock architecture has other matrices."""


class Structure(Record):
    """The structure of a checkpoint.

    Attributes:
        schema_version: of the file.
        plan_id: of the edits that made the model; empty for an unpruned one.
        rival_of: of a distilled model, the plan that it is compared with.
        model_shape: heads, neurons and vocabulary of the compact module.
        kept: heads and neurons of the dense checkpoint that are not zero; null for all.
        factors: sizes of the Kronecker factors whose products its matrices are; null for none.
        block_sparse: what the block-sparse file of its weights holds; null for none.
        parameters: of the compact module, head included.
    """

    schema_version: Literal[1] = 1
    plan_id: str = ""
    rival_of: str | None = None
    model_shape: ModelShape
    kept: Kept | None = None
    factors: Preset | None = None
    block_sparse: BlockSparseRecord | None = None
    parameters: int = Field(ge=1)

    @classmethod
    def of(
        cls,
        model: PreTrainedModel,
        *,
        plan_id: str = "",
        rival_of: str | None = None,
        kept: Kept | None = None,
        factors: Preset | None = None,
        block_sparse: BlockSparseRecord | None = None,
    ) -> Structure:
        """The structure of a live compact module."""
        return cls(
            plan_id=plan_id,
            rival_of=rival_of,
            model_shape=shape_of(model),
            kept=kept,
            factors=factors,
            block_sparse=block_sparse,
            parameters=sum(parameter.numel() for parameter in model.parameters()),
        )

    def save(self, directory: Path) -> Path:
        """Write it beside a checkpoint."""
        return self.write(directory / STRUCTURE)


def read_structure(directory: Path) -> Structure | None:
    """The structure of a checkpoint, None where nothing says that it is not an ordinary one.

    Raises:
        DataError: the record is broken.
    """
    fix = "copy the whole directory again, or make the artifact again"
    return Structure.read_optional(directory / STRUCTURE, what="the structure", fix=fix)


def read_block_sparse_record(directory: Path) -> BlockSparseRecord | None:
    """What the block-sparse file beside a checkpoint holds; None without one.

    Raises:
        DataError: the record is broken.
    """
    structure = read_structure(directory)
    there = (directory / BLOCK_SPARSE).is_file()
    return structure.block_sparse if structure is not None and there else None


def compacted(model: PreTrainedModel, directory: Path) -> PreTrainedModel:
    """The small module of a dense checkpoint that was loaded; the model itself without a record.

    Raises:
        DataError: the record is broken.
        ModelError: it has factors that do not divide the checkpoint's matrices, or heads and
            neurons are there that it says are gone.
        UsageError: the record keeps what the checkpoint does not have.
    """
    structure = read_structure(directory)
    if structure is None:
        return model
    small = model
    if structure.kept is not None:
        check_kept(model, structure.kept)
        require_zeros(model, structure.kept)
        small = compact(model, structure.kept)
    if structure.factors is not None:
        small = factorize(small, structure.factors)  # exact: the matrices are such products
    return small.train(model.training)

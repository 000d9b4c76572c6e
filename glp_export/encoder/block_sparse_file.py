"""The block-sparse file: weights without the zero rows and columns of their blocks.

A safetensors file. Its metadata has `format` (`glp-block-sparse`), `version` (`1`) and `matrices`,
JSON of `{name: [rows, columns, block rows, block columns]}`. In place of such a matrix there are

- `NAME.kept_rows` and `NAME.kept_columns`, uint8: a bit for every row, or column, of every block,
  the lowest bit of a byte first, blocks from left to right and then downwards,
- `NAME.values`, one dimension: what stays of the blocks, in that order, row by row.

All other tensors are as in `model.safetensors`. Reading it needs torch and safetensors alone, and
gives every number back as it was.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from glp_export.core.errors import ModelError
from glp_export.core.records import Record
from glp_export.core.shape import MAX_BLOCK
from glp_export.encoder.blocks import BlockSize, in_blocks
from glp_export.encoder.checkpoint_files import (
    BLOCK_SPARSE,
    WEIGHTS,
    by_umask,
    copy_checkpoint,
    has_dense_weights,
)

if TYPE_CHECKING:
    from torch import Tensor

FORMAT, VERSION = "glp-block-sparse", "1"
_ROWS, _COLUMNS, _VALUES = "kept_rows", "kept_columns", "values"


class BlockSparseRecord(Record):
    """What a block-sparse file holds, and what it takes.

    Attributes:
        file: below the root of the artifact.
        block: rows and columns of a block.
        nonzero: entries of the divided matrices that are not zero.
        entries: of those matrices.
        bytes: of the file.
        dense_bytes: of the dense weights.
    """

    file: Literal["glp/model.block-sparse.safetensors"] = "glp/model.block-sparse.safetensors"
    block: tuple[int, int]
    nonzero: int = Field(ge=0)
    entries: int = Field(ge=1)
    bytes: int = Field(ge=1)
    dense_bytes: int = Field(ge=1)

    def __str__(self) -> str:
        return (
            f"{self.nonzero} of {self.entries} weights in matrices of the layers are not zero "
            f"({100 * self.nonzero / self.entries:.1f} %); the block-sparse file takes "
            f"{self.bytes / 1e6:.2f} MB, the dense weights {self.dense_bytes / 1e6:.2f} MB"
        )


def write_block_sparse(
    dense: Collection[Path], path: Path, names: Collection[str], size: BlockSize
) -> BlockSparseRecord:
    """Write the tensors of dense safetensors files as one block-sparse file.

    Args:
        dense: the files of a checkpoint's weights.
        path: of the file.
        names: of the tensors that are divided into blocks.
        size: of a block, which divides them.

    Raises:
        ModelError: the files lack one of the tensors.
    """
    from safetensors.torch import load_file, save_file

    tensors: dict[str, Tensor] = {}
    matrices: dict[str, list[int]] = {}
    nonzero = entries = 0
    for file in dense:
        for name, tensor in load_file(file).items():
            if name not in names:
                tensors[name] = tensor
                continue
            matrices[name] = [*tensor.shape, *size]
            tensors |= {f"{name}.{part}": one for part, one in _parts(tensor, size).items()}
            nonzero, entries = nonzero + int(tensor.count_nonzero()), entries + tensor.numel()
    lacking = sorted(set(names) - set(matrices))
    if lacking:
        raise ModelError(
            f"{len(lacking)} matrices of the layers have other names in the weights, {lacking[0]} "
            "among them",
            where=str(path.parent),
            fix="use an encoder whose files name tensors as its modules do",
        )
    metadata = {"format": FORMAT, "version": VERSION, "matrices": json.dumps(matrices)}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata)
    by_umask(path)
    return BlockSparseRecord(
        block=size,
        nonzero=nonzero,
        entries=entries,
        bytes=path.stat().st_size,
        dense_bytes=sum(file.stat().st_size for file in dense),
    )


def read_block_sparse(path: Path) -> dict[str, Tensor]:
    """The dense tensors of a block-sparse file, by name.

    Raises:
        ModelError: it is no such file, it is cut off, it has a version that is not known here, or
            its indices do not fit its values.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise _broken(path, f"cannot be read: {error!s:.200}") from error
    if metadata.get("format") != FORMAT:
        raise _broken(path, f"says that its format is {metadata.get('format')!r:.40}")
    if metadata.get("version") != VERSION:
        raise ModelError(
            f"the block-sparse file has version {metadata.get('version')!r:.40}, this program "
            f"reads {VERSION}",
            where=str(path),
            fix="update glp-export, or use model.safetensors",
        )
    try:
        for name, (shape, size) in _sizes(metadata.get("matrices", "")).items():
            parts = {part: tensors.pop(f"{name}.{part}") for part in (_ROWS, _COLUMNS, _VALUES)}
            tensors[name] = _filled(parts, shape, size)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _broken(path, f"does not fit together: {error!s:.200}") from error
    return tensors


def open_pretrained(auto_class: Any, location: str, config: Any, **options: Any) -> Any:
    """`from_pretrained`, by the block-sparse file of a directory that has no dense weights.

    Args:
        auto_class: of transformers.
        location: a directory or a hub id.
        config: of the model.
        options: what `from_pretrained` takes besides.

    Raises:
        ModelError: see `read_block_sparse`.
    """
    import torch

    directory = Path(location)
    file = directory / BLOCK_SPARSE
    if not file.is_file() or has_dense_weights(directory):
        return auto_class.from_pretrained(location, config=config, use_safetensors=True, **options)
    tensors = read_block_sparse(file)
    trusted = {"trust_remote_code": options.pop("trust_remote_code", False)}
    with torch.device("meta"):  # for its class alone
        own_class = type(auto_class.from_config(config, **trusted))
    return own_class.from_pretrained(None, config=config, state_dict=tensors, **options)


def copy_dense(directory: Path, target: Path) -> None:
    """`copy_checkpoint`, with dense weights where the checkpoint has the block-sparse file alone.

    That file is not copied: whoever trains on changes the dense one.

    Raises:
        ModelError: see `read_block_sparse` and `copy_checkpoint`.
    """
    from safetensors.torch import save_file

    copy_checkpoint(directory, target)
    if not has_dense_weights(target):
        save_file(read_block_sparse(directory / BLOCK_SPARSE), target / WEIGHTS, {"format": "pt"})
        by_umask(target / WEIGHTS)


def _broken(path: Path, what: str) -> ModelError:
    return ModelError(
        f"the block-sparse file {what}",
        where=str(path),
        fix="copy it again, or use the model.safetensors that it was made from",
    )


def _parts(matrix: Tensor, size: BlockSize) -> dict[str, Tensor]:
    blocks = in_blocks(matrix.contiguous(), size)
    nonzero = blocks != 0
    rows, columns = nonzero.any(3), nonzero.any(2)
    values = blocks[rows.unsqueeze(-1) & columns.unsqueeze(-2)]
    return {_ROWS: _packed(rows), _COLUMNS: _packed(columns), _VALUES: values}


def _filled(parts: Mapping[str, Tensor], shape: BlockSize, size: BlockSize) -> Tensor:
    """A matrix of what stays of its blocks."""
    down, across = shape[0] // size[0], shape[1] // size[1]
    rows = _unpacked(parts[_ROWS], down * across * size[0]).view(down, across, size[0])
    columns = _unpacked(parts[_COLUMNS], down * across * size[1]).view(down, across, size[1])
    values = parts[_VALUES]
    expected = int((rows.sum(-1) * columns.sum(-1)).sum())
    if values.ndim != 1 or len(values) != expected:
        raise ValueError(f"{tuple(values.shape)} values for {expected} places of a matrix")
    matrix = values.new_zeros(shape)
    in_blocks(matrix, size)[rows.unsqueeze(-1) & columns.unsqueeze(-2)] = values
    return matrix


def _sizes(text: str) -> dict[str, tuple[BlockSize, BlockSize]]:
    """Of each matrix its own size and that of a block."""
    found: dict[str, tuple[BlockSize, BlockSize]] = {}
    content: Any = json.loads(text)
    for name, numbers in content.items():
        if not (len(numbers) == 4 and all(type(one) is int and one > 0 for one in numbers)):
            raise ValueError(f"the sizes of {name} are {numbers}")
        rows, columns, *block = numbers
        if max(block) > MAX_BLOCK or rows % block[0] or columns % block[1]:
            raise ValueError(f"blocks of {block} do not divide {name} of {rows}x{columns}")
        found[name] = (rows, columns), (block[0], block[1])
    return found


def _packed(bits: Tensor) -> Tensor:
    """Eight bits a byte, `(bytes,)` uint8."""
    import torch

    flat = bits.flatten().to(torch.uint8)
    flat = torch.cat([flat, flat.new_zeros(-len(flat) % 8)]).view(-1, 8)
    return (flat << torch.arange(8, dtype=torch.uint8)).sum(1, dtype=torch.uint8)


def _unpacked(packed: Tensor, count: int) -> Tensor:
    """The first so many bits, `(count,)` bool."""
    import torch

    if packed.dtype != torch.uint8 or packed.shape != (-(-count // 8),):
        raise ValueError(f"an index of {tuple(packed.shape)} {packed.dtype} for {count} bits")
    bits = (packed.unsqueeze(1) >> torch.arange(8, dtype=torch.uint8)) & 1
    return bits.flatten()[:count].bool()

"""Zero rows and columns inside blocks, and the file that leaves them out."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import glp_export
from glp_export.compress.criteria.block_lasso import block_lasso
from glp_export.core.errors import ModelError
from glp_export.encoder import ModelSource, checksum
from glp_export.encoder.block_sparse_file import copy_dense, read_block_sparse, write_block_sparse
from glp_export.encoder.blocks import (
    block_matrices,
    count_nonzero,
    in_blocks,
    sparsify,
    zeros_held,
)
from glp_export.encoder.checkpoint_files import BLOCK_SPARSE
from tests.compress.test_structure import batches, make_model
from tests.tiny import make_checkpoint

SIZE = (8, 16)


@pytest.fixture(scope="module")
def model() -> Any:
    return make_model("bert")


@pytest.fixture(scope="module")
def sparse(model: Any) -> Any:
    return sparsify(model, SIZE, 0.3)


def weights_of(model: Any) -> list[Any]:
    return [module.weight.detach() for module in block_matrices(model, SIZE).values()]


def test_whole_rows_and_columns_of_blocks_go_up_to_the_share(model: Any, sparse: Any) -> None:
    nonzero, entries = count_nonzero(block_matrices(sparse, SIZE))
    assert 0.29 * entries < nonzero <= 0.3 * entries
    for weight, before in zip(weights_of(sparse), weights_of(model), strict=True):
        blocks = in_blocks(weight, SIZE) != 0
        kept = blocks.any(3).unsqueeze(-1) & blocks.any(2).unsqueeze(-2)
        assert torch.equal(blocks, kept)
        assert torch.equal(weight[weight != 0], before[weight != 0])
    names = {f"{name}.weight" for name in block_matrices(model, SIZE)}
    state = sparse.state_dict()
    others = [name for name in state if name not in names]
    assert all(torch.equal(state[name], model.state_dict()[name]) for name in others)


def test_a_share_of_one_changes_nothing(model: Any) -> None:
    whole = sparsify(model, SIZE, 1.0)
    assert all(map(torch.equal, weights_of(whole), weights_of(model)))


def test_a_block_that_does_not_divide_is_told_with_the_matrix(model: Any) -> None:
    with pytest.raises(ModelError, match=r"7x8 do not divide \S*query of 32x32"):
        block_matrices(model, (7, 8))


def train(model: Any, updates: int, after: Callable[[int], None] = lambda done: None) -> None:
    """With momentum and decay, which both move weights whose gradients are zero for once."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    for done in range(updates):
        loss = model(**batches()[0]).logits.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        after(done + 1)


def test_zeros_are_held_in_training_and_free_after_it(sparse: Any) -> None:
    trained = copy.deepcopy(sparse)
    with zeros_held(trained, SIZE):
        train(trained, 3)
    for weight, before in zip(weights_of(trained), weights_of(sparse), strict=True):
        assert torch.equal(weight == 0, before == 0)
        assert not torch.equal(weight, before)
    train(trained, 1)
    assert count_nonzero(block_matrices(trained, SIZE)) > count_nonzero(
        block_matrices(sparse, SIZE)
    )


def test_the_lasso_shrinks_to_the_share_and_its_zeros_go_first(model: Any) -> None:
    trained = copy.deepcopy(model)
    lasso = block_lasso(trained, SIZE, 0.4)
    train(trained, 24, lambda done: lasso.after_step(done, 24))
    assert lasso.left() == pytest.approx(0.4, abs=0.1)
    norms = [
        float(sum(one.square().sum() for one in weights_of(each))) for each in (model, trained)
    ]
    cut = sparsify(trained, SIZE, 0.4)
    left = float(sum(one.square().sum() for one in weights_of(cut)))
    assert norms[1] < norms[0]
    assert left > 0.9 * norms[1]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of sparse blocks with both files."""
    directory = make_checkpoint(tmp_path_factory.mktemp("sparse") / "model", num_labels=2)
    sparse = sparsify(glp_export.load_torch(directory), SIZE, 0.3)
    sparse.save_pretrained(directory)
    names = {f"{name}.weight" for name in block_matrices(sparse, SIZE)}
    dense = directory / "model.safetensors"
    record = write_block_sparse([dense], directory / BLOCK_SPARSE, names, SIZE)
    assert (record.nonzero, record.entries) == count_nonzero(block_matrices(sparse, SIZE))
    assert record.bytes == (directory / BLOCK_SPARSE).stat().st_size
    assert record.dense_bytes == dense.stat().st_size
    return directory


def test_the_file_gives_every_number_back(checkpoint: Path) -> None:
    dense = load_file(checkpoint / "model.safetensors")
    read = read_block_sparse(checkpoint / BLOCK_SPARSE)
    assert read.keys() == dense.keys()
    assert all(torch.equal(read[name], tensor) for name, tensor in dense.items())
    divided = [one.numel() for name, one in dense.items() if ".layer." in name and one.ndim == 2]
    whole, small = (
        (checkpoint / name).stat().st_size for name in ("model.safetensors", BLOCK_SPARSE)
    )
    assert whole - small > 0.5 * 4 * sum(divided)  # 70 % of them, less the indices and the header


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types_of_numbers_come_back_too(dtype: torch.dtype, tmp_path: Path) -> None:
    weight = torch.randn(8, 12).to(dtype)
    weight[:4, 2:5] = 0
    weight[:, 11] = 0
    weight[4:, 6:] = 0  # a whole block
    save_file({"m": weight, "bias": weight[0].clone()}, tmp_path / "dense")
    write_block_sparse([tmp_path / "dense"], tmp_path / "sparse", {"m"}, (4, 6))
    read = read_block_sparse(tmp_path / "sparse")
    assert read["m"].dtype == dtype
    assert torch.equal(read["m"], weight)
    assert torch.equal(read["bias"], weight[0])


def test_load_torch_reads_it_where_there_are_no_dense_weights(
    checkpoint: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "alone"
    (alone / "glp").mkdir(parents=True)
    for name in ("config.json", BLOCK_SPARSE):
        (alone / name).write_bytes((checkpoint / name).read_bytes())
    wanted = glp_export.load_torch(checkpoint)
    found = glp_export.load_torch(alone)
    state = wanted.state_dict()
    assert type(found) is type(wanted)
    assert all(torch.equal(value, state[name]) for name, value in found.state_dict().items())


def test_a_copy_of_it_has_dense_weights(checkpoint: Path, tmp_path: Path) -> None:
    alone, copied = tmp_path / "alone", tmp_path / "copied"
    (alone / "glp").mkdir(parents=True)
    for name in ("config.json", BLOCK_SPARSE):
        (alone / name).write_bytes((checkpoint / name).read_bytes())
    copy_dense(alone, copied)
    assert {path.name for path in copied.rglob("*")} == {"config.json", "model.safetensors"}
    dense, found = (load_file(one / "model.safetensors") for one in (checkpoint, copied))
    assert all(torch.equal(found[name], tensor) for name, tensor in dense.items())
    assert checksum(ModelSource(str(alone))) != checksum(ModelSource(str(tmp_path)))


Change = Callable[[dict[str, Any], dict[str, str]], None]
NAME = "bert.encoder.layer.0.output.dense.weight"


def cut_values(tensors: dict[str, Any], metadata: dict[str, str]) -> None:
    tensors[f"{NAME}.values"] = tensors[f"{NAME}.values"][:-1].clone()


def flip_a_bit(tensors: dict[str, Any], metadata: dict[str, str]) -> None:
    tensors[f"{NAME}.kept_rows"][3] ^= 1


def cut_index(tensors: dict[str, Any], metadata: dict[str, str]) -> None:
    tensors[f"{NAME}.kept_columns"] = tensors[f"{NAME}.kept_columns"][:-1].clone()


def widen_index(tensors: dict[str, Any], metadata: dict[str, str]) -> None:
    tensors[f"{NAME}.kept_rows"] = tensors[f"{NAME}.kept_rows"].to(torch.int16)


def lose_values(tensors: dict[str, Any], metadata: dict[str, str]) -> None:
    del tensors[f"{NAME}.values"]


def sizes(*numbers: Any) -> Change:
    def change(tensors: dict[str, Any], metadata: dict[str, str]) -> None:
        metadata["matrices"] = json.dumps({**json.loads(metadata["matrices"]), NAME: numbers})

    return change


def said(name: str, value: str) -> Change:
    return lambda tensors, metadata: metadata.update({name: value})


@pytest.mark.parametrize(
    "change",
    [
        cut_values,
        flip_a_bit,
        cut_index,
        widen_index,
        lose_values,
        sizes(32, 64, 7, 16),  # does not divide
        sizes(32, 64, 8),
        sizes(32, 64, 8, -16),
        sizes(32, 64, "8", 16),
        sizes(2**20, 2**20, 2**20, 2**20),  # a huge matrix of a small file
        said("matrices", "[1]"),
        said("matrices", "{"),
        said("version", "2"),
        said("format", "pt"),
    ],
)
def test_a_file_that_does_not_fit_together_is_refused(
    change: Change, checkpoint: Path, tmp_path: Path
) -> None:
    tensors = load_file(checkpoint / BLOCK_SPARSE)
    with safe_open(checkpoint / BLOCK_SPARSE, framework="pt") as file:
        metadata = file.metadata()
    change(tensors, metadata)
    broken = tmp_path / "broken.safetensors"
    save_file(tensors, broken, metadata)
    with pytest.raises(ModelError) as caught:
        read_block_sparse(broken)
    assert caught.value.where == str(broken)
    assert caught.value.exit_code == 7


def test_a_file_that_was_cut_off_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    content = (checkpoint / BLOCK_SPARSE).read_bytes()
    for length in (0, 100, len(content) - 8):
        (tmp_path / "cut").write_bytes(content[:length])
        with pytest.raises(ModelError):
            read_block_sparse(tmp_path / "cut")


def test_a_matrix_that_the_weights_do_not_name_is_an_error(
    checkpoint: Path, tmp_path: Path
) -> None:
    dense = sorted(checkpoint.glob("*.safetensors"))
    with pytest.raises(ModelError, match="renamed"):
        write_block_sparse(dense, tmp_path / "small", {"renamed.weight"}, SIZE)

"""Sparse blocks from the command line: to an artifact with a smaller file, and refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import glp_export
from glp_export.artifact import ArtifactLayout
from glp_export.bench import BenchmarkFile
from glp_export.cli.app import run
from glp_export.compress.edits import SparsifyBlocks
from glp_export.compress.plan import Plan
from glp_export.encoder.block_sparse_file import BlockSparseRecord
from glp_export.encoder.blocks import block_matrices, count_nonzero
from glp_export.encoder.checkpoint_files import BLOCK_SPARSE
from glp_export.encoder.structure import read_structure
from tests.end_to_end.conftest import SMALL, TRAINING
from tests.end_to_end.test_vocabulary import logits_of, spelled, texts

__all__ = ["spelled", "texts"]

SAID = ["the cat is good", "the dog is not bad"]


@pytest.fixture(scope="module")
def shipped(encoder: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half of each matrix, after a short lasso."""
    output = tmp_path_factory.mktemp("blocks") / "artifact"
    command = ["prune-and-export", "-m", str(encoder), "--dataset", str(data), *SMALL]
    own = ["--compress", "block-sparse", "--sparse-keep", "0.4", "--sparse-block", "8x16"]
    assert run([*command, *own, "--lasso-epochs", "1", "-o", str(output), "-q"]) == 0
    return output


def record_of(directory: Path) -> BlockSparseRecord:
    structure = read_structure(directory)
    assert structure is not None
    assert structure.block_sparse is not None
    return structure.block_sparse


def test_the_record_says_what_is_stored(shipped: Path) -> None:
    plan = Plan.load(ArtifactLayout(shipped).plan)
    assert plan.compressors == ("block-sparse",)
    assert plan.edits == (SparsifyBlocks(block=(8, 16), keep=0.4),)
    record = record_of(shipped)
    # Recovery trained what stays and left the zeros zero.
    counted = count_nonzero(block_matrices(glp_export.load_torch(shipped), (8, 16)))
    assert (record.nonzero, record.entries) == counted
    assert 0.35 * record.entries < record.nonzero <= 0.4 * record.entries
    assert record.bytes == (shipped / BLOCK_SPARSE).stat().st_size < record.dense_bytes


def test_the_small_file_is_the_model_and_the_onnx_file_is_dense(
    shipped: Path, tmp_path: Path
) -> None:
    np.testing.assert_allclose(
        glp_export.load(shipped)(SAID).logits, logits_of(shipped, SAID), atol=1e-4
    )
    alone = tmp_path / "alone"
    shutil.copytree(shipped, alone)
    (alone / "model.safetensors").unlink()
    wanted, found = glp_export.load_torch(shipped), glp_export.load_torch(alone)
    state = wanted.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in found.state_dict().items())
    rows = BenchmarkFile.load(ArtifactLayout(shipped).benchmark).rows
    sizes = {row.contender: row.bytes for row in rows if row.runtime == "onnxruntime"}
    assert set(sizes) == {"unpruned", "pruned"}  # nothing is faster, so there is no student
    assert abs(sizes["pruned"] - sizes["unpruned"]) < 1000


def test_card_report_inspect_and_verify_know_it(shipped: Path, capsys: Any) -> None:
    record = record_of(shipped)
    card = (shipped / "README.md").read_text()
    assert f"Storage: {record}" in card
    assert "2009.08065" in card
    assert str(record) in (shipped / "glp" / "report.html").read_text()
    assert run(["inspect", str(shipped)]) == 0
    assert f"{record.nonzero} of {record.entries}" in capsys.readouterr().out
    assert run(["verify", str(shipped), "--threads", "1", "-q"]) == 0
    (shipped / BLOCK_SPARSE).write_bytes((shipped / BLOCK_SPARSE).read_bytes()[:-1])
    assert run(["verify", str(shipped), "--threads", "1", "-q"]) == 7


@pytest.mark.parametrize(
    ("compress", "flags", "code"),
    [
        ("structure,block-sparse", (), 2),
        ("kronecker,block-sparse", (), 2),
        ("vocabulary,block-sparse", (), 2),
        ("block-sparse", ("--target-speedup", "2@1x16"), 2),
        ("layers,block-sparse", ("--latency-budget", "1ms@1x16"), 2),
        ("block-sparse", ("--size-budget", "1MB"), 2),
        ("block-sparse", ("--depth", "2"), 2),
        ("block-sparse", ("--sparse-keep", "0"), 2),
        ("block-sparse", ("--sparse-keep", "1.1"), 2),
        ("block-sparse", ("--sparse-block", "8"), 2),
        ("block-sparse", ("--sparse-block", "2000x8"), 2),
        ("block-sparse", ("--sparse-block", "7x8", "--offline"), 7),
    ],
)
def test_what_makes_no_sense_is_refused(
    compress: str, flags: tuple[str, ...], code: int, encoder: Path, data: Path, tmp_path: Path
) -> None:
    command = ["search", "-m", str(encoder), "--dataset", str(data), "--compress", compress]
    assert run([*command, *flags, *TRAINING, "-o", str(tmp_path / "out"), "-q"]) == code
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("compress", "flags", "passes"),
    [
        ("block-sparse", ("--lasso-epochs",), 2 * 60),
        ("kronecker", ("--unlabeled", "general.txt", "--general-epochs"), 2 * 32),
    ],
)
def test_a_dry_run_counts_what_is_trained_before_recovery(
    compress: str,
    flags: tuple[str, ...],
    passes: int,
    spelled: Path,
    texts: Path,
    tmp_path: Path,
    capsys: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("general.txt").write_text("the cat is good\nthe dog is bad\n" * 16)
    given = ["prune-and-export", "-m", str(spelled), "--dataset", str(texts), *TRAINING]
    asked = ["--compress", compress, *flags]
    samples = []
    for epochs in ("1", "3"):
        command = [*given, *asked, epochs, "-o", "out", "--dry-run", "--json"]
        assert run(command) == 0
        samples.append(json.loads(capsys.readouterr().out)["samples"])
    assert samples[1] - samples[0] == passes


def test_a_dry_run_counts_the_texts_that_students_imitate_on(
    encoder: Path, data: Path, tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / "general.txt").write_text("the cat is good\nthe dog is bad\n" * 16)
    given = ["prune-and-export", "-m", str(encoder), "--dataset", str(data), *TRAINING]
    given += ["--depth", "2", "--search", "top", "-o", str(tmp_path / "out"), "--dry-run", "--json"]
    samples = []
    for unlabeled in ((), ("--unlabeled", str(tmp_path / "general.txt"))):
        assert run([*given, *unlabeled]) == 0
        samples.append(json.loads(capsys.readouterr().out)["samples"])
    assert samples[1] - samples[0] == 2 * 32  # the pruned model and its rival, one pass each


def test_a_dry_run_takes_a_plan_without_settings(
    shipped: Path, encoder: Path, data: Path, tmp_path: Path, capsys: Any
) -> None:
    """Which the run itself does: what is not said is the default."""
    plan = Plan.load(ArtifactLayout(shipped).plan)
    plan.model_copy(update={"settings": {}}).save(tmp_path / "plan.json")
    given = ["prune-and-export", "-m", str(encoder), "--dataset", str(data), *TRAINING]
    given += ["-o", str(tmp_path / "out"), "--dry-run", "--json", "--plan"]
    samples = []
    for path in (ArtifactLayout(shipped).plan, tmp_path / "plan.json"):
        assert run([*given, str(path)]) == 0
        samples.append(json.loads(capsys.readouterr().out)["samples"])
    assert samples[1] - samples[0] == 2 * 120  # a lasso of three passes, and not of one

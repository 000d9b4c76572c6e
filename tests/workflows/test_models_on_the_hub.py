"""A model on the hub is told by its commit: what its branch had before is another model."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from glp_export.artifact import ArtifactLayout
from glp_export.config.files import resolve
from glp_export.core.errors import UsageError
from glp_export.workflows.context import RunContext, make_context
from glp_export.workflows.resuming import require_same_inputs
from glp_export.workflows.stages.evaluator import training_facts
from tests.tiny import make_checkpoint

NAME = "someone/encoder"


def fetched(cache: Path, commit: str, seed: int) -> None:
    """As `huggingface_hub` keeps a model whose branch is at a commit."""
    place = cache / f"models--{NAME.replace('/', '--')}"
    made = make_checkpoint(cache / commit, seed=seed)
    shutil.move(made, place / "snapshots" / commit)
    (place / "refs").mkdir(exist_ok=True)
    (place / "refs" / "main").write_text(commit)


def test_a_branch_that_moved_is_neither_found_in_the_cache_nor_resumed(
    data: Path, tmp_path: Path
) -> None:
    def context() -> RunContext:
        given = {"model": NAME, "dataset": str(data), "depth": 2, "threads": 1, "offline": True}
        return make_context(resolve({**given, "cache_dir": str(tmp_path / "hub")}))

    work = ArtifactLayout(tmp_path / "out.partial")
    fetched(tmp_path / "hub", 40 * "a", 0)
    before = context()
    assert training_facts(before) == training_facts(context())
    require_same_inputs(before, work)
    require_same_inputs(context(), work)
    fetched(tmp_path / "hub", 40 * "b", 1)
    assert training_facts(before) != training_facts(context())
    with pytest.raises(UsageError, match="--model"):
        require_same_inputs(context(), work)

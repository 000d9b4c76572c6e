"""Files that are truncated, flipped or swapped, in an artifact and in the cache."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import glp_export
from glp_export.artifact import ArtifactLayout
from glp_export.core.errors import ModelError, ParityError
from tests.faults.conftest import TinyRun, plan_of
from tests.faults.processes import COUNTS, carry_out, command


def truncate(path: Path, others: list[Path], dice: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: dice.randrange(path.stat().st_size)])


def flip(path: Path, others: list[Path], dice: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    path.write_bytes(content)


def swap(path: Path, others: list[Path], dice: random.Random) -> None:
    other = dice.choice([o for o in others if o.read_bytes() != path.read_bytes()])
    mine = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(mine)


HARMS: dict[str, Callable[[Path, list[Path], random.Random], None]] = {
    "truncated": truncate,
    "bit flipped": flip,
    "swapped": swap,
}
UNGUARDED = {"budget.toml", "SHA256SUMS"}
"""The budget is for people to edit; the list itself is read, and refused or found out."""


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_artifact_is_refused(
    own_copy: Path, whole: Path, tmp_path: Path, tally: Any, harm: str
) -> None:
    dice = random.Random(4)
    files = [path for path in ArtifactLayout(own_copy).files() if path.name not in UNGUARDED]
    files = [path for path in files if path.stat().st_size]
    trials = files if COUNTS else dice.sample(files, 6)
    for path in trials:
        HARMS[harm](path, files, dice)
        with pytest.raises((ModelError, ParityError)):
            ArtifactLayout(own_copy).verify_checksums()
        if path.name in ("config.json", "tokenizer.json", "model.onnx", "ort_config.json"):
            with pytest.raises((ModelError, ParityError)):
                glp_export.load(own_copy)
        tally.add(f"{harm} file in an artifact", "refused")
        shutil.rmtree(own_copy)
        shutil.copytree(whole, own_copy)
    log = tmp_path / "log"
    HARMS[harm](ArtifactLayout(own_copy).onnx_model, files, dice)
    assert carry_out(command("verify", own_copy, "-q"), log).code == 7
    assert carry_out(command("gate", own_copy, "--quick", "-q"), log).code == 3


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_list_of_checksums_is_refused(own_copy: Path, tally: Any, harm: str) -> None:
    layout = ArtifactLayout(own_copy)
    dice = random.Random(5)
    HARMS[harm](layout.checksums, [layout.config, layout.plan], dice)
    with pytest.raises(ModelError):
        layout.verify_checksums()
    tally.add(f"{harm} list of checksums", "refused")


def test_files_of_two_artifacts_with_checksums_over_all_are_told_apart(
    own_copy: Path, whole: Path, tiny_run: TinyRun, tmp_path: Path, tally: Any
) -> None:
    log, other = tmp_path / "log", tmp_path / "other"
    ended = carry_out(tiny_run.to(other, "none", "--depth", "3"), log)
    assert ended.code == 0, ended
    for name in ("glp/plan.json", "config.json"):
        shutil.copy(other / name, own_copy / name)
        ArtifactLayout(own_copy).write_checksums()
        for asked in (("verify",), ("gate", "--quick")):
            ended = carry_out(command(*asked, own_copy, "-q"), log)
            assert ended.code == 3, (name, asked, ended)
        tally.add("two artifacts mixed", "3")
        shutil.copy(whole / name, own_copy / name)


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_cache_is_made_anew(
    tiny_run: TinyRun, tmp_path: Path, tally: Any, harm: str
) -> None:
    log, cache = tmp_path / "log", tmp_path / "cache"
    assert carry_out(tiny_run.to(tmp_path / "first", cache), log).code == 0
    pristine = shutil.copytree(cache, tmp_path / "pristine")
    dice = random.Random(6)
    for trial in range(20 if COUNTS else 3):
        files = sorted(
            path
            for path in cache.rglob("*")
            if path.is_file() and ".locks" not in path.parts and path.stat().st_size
        )
        files = [path for path in files if not path.name.endswith(".lock")]
        path = dice.choice(files)
        HARMS[harm](path, files, dice)
        output = tmp_path / f"again{trial}"
        ended = carry_out(tiny_run.to(output, cache), log)
        assert ended.code == 0, (path, ended)
        assert plan_of(output)[0] == tiny_run.plan[0], path
        tally.add(f"{harm} file in the cache", "0, the same plan")
        shutil.rmtree(output)
        shutil.rmtree(cache)
        shutil.copytree(pristine, cache)

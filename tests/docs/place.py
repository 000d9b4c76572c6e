"""The directory that a page's commands run in: small real things where the text names big ones.

Nothing in a command is changed: `path/to/encoder` is an encoder at that path, `trec` a data set.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.docs.pages import ROOT, Block
from tests.end_to_end.conftest import EASY
from tests.tiny import ANIMALS, BAD, GOOD, make_checkpoint, write_jsonl

ENCODERS = {"path/to/encoder": 6, "bert-dir": 8, "minilm-l6": 6}
"""Where pages have an encoder, and its layers."""

DATA = ("path/to/data", "data/trec", "trec")
CLASSIFIER = "my-classifier"
ARTIFACT = "artifact"
CHECKOUT = (
    "Makefile",
    "pyproject.toml",
    "models",
    "integrations",
    "benchmarks",
    ".pre-commit-hooks.yaml",
)
SECONDS = 1800
"""After which a block is taken to hang."""


def stock(shelf: Path) -> Path:
    """Make the encoders and data that pages name, once for all of them."""
    for name, layers in ENCODERS.items():
        make_checkpoint(shelf / name, layers=layers)
    make_checkpoint(shelf / CLASSIFIER, num_labels=2)
    for name in DATA:
        _write_data(shelf / name)
    return shelf


def stock_artifact(shelf: Path) -> Path:
    """Make the artifact that stands for every finished one, by the command itself."""
    command = "glp-export prune-and-export -m minilm-l6 --dataset trec --depth 3 --quiet"
    bench = furnish(shelf / "bench", shelf, ())
    _shell(f"{command} --search top --precision fp32 -o artifact", bench)
    (bench / ARTIFACT / "glp" / "budget.toml").write_text(EASY)
    return shutil.move(bench / ARTIFACT, shelf / ARTIFACT)


def furnish(scratch: Path, shelf: Path, given: tuple[str, ...]) -> Path:
    """A directory with everything that a page may name, and what it says is given.

    Args:
        scratch: is made.
        shelf: what `stock` made.
        given: of a page: `checkout` for the repository's own files, or paths of artifacts.
    """
    scratch.mkdir(parents=True)
    for name in (*ENCODERS, *DATA, CLASSIFIER):
        (scratch / name).parent.mkdir(parents=True, exist_ok=True)
        (scratch / name).symlink_to(shelf / name)
    _install_programs(scratch / ".venv")
    for name in given:
        if name == "checkout":
            for part in CHECKOUT:
                (scratch / part).symlink_to(ROOT / part)
        else:
            shutil.copytree(shelf / ARTIFACT, scratch / name)
    # make takes it for an environment that is installed already.
    (scratch / ".venv" / ".installed").touch()
    return scratch


def run_block(block: Block, scratch: Path) -> None:
    """Run a block; fails with what it printed unless it ends as the page says."""
    if "edited" in block.notes:
        (scratch / block.notes["edited"]).write_text(EASY)
    if block.language == "python":
        program = scratch / "block.py"
        program.write_text(block.text)
        done = _shell(f"python {program.name}", scratch, check=False)
    else:
        done = _shell(block.text, scratch, check=False)
    expected = int(block.notes.get("exit", "0"))
    said = f"{block.place}\n{block.text}\nended with {done.returncode}\n{done.stdout[-6000:]}"
    assert done.returncode == expected, said


def _shell(text: str, scratch: Path, *, check: bool = True) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "PATH": f"{scratch / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "GLP_EXPORT_CONFIG": str(Path(__file__).with_name("small.yaml")),
        "GLP_EXPORT_CACHE": os.environ["GLP_EXPORT_CACHE"],
        "COLUMNS": "100",
    }
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-euo", "pipefail", "-c", text],
        cwd=scratch,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if check and done.returncode:
        raise RuntimeError(done.stdout)
    return done


def _install_programs(environment: Path) -> None:
    """`glp-export`, `pytest` and `python` of this very source, as an installation has them."""
    (environment / "bin").mkdir(parents=True)
    for name, call in (
        ("glp-export", "-m glp_export.cli.app"),
        ("pytest", "-m pytest -p no:cacheprovider -p glp_export.gate.pytest_plugin"),
        ("python", ""),
    ):
        program = environment / "bin" / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {call} "$@"\n')
        program.chmod(0o755)


def _write_data(directory: Path, train: int = 160, validation: int = 60) -> None:
    """Sentences whose adjective tells the label: a narrow encoder learns them in a few steps."""
    rows = [
        {
            "text": f"the {ANIMALS[number % 4]} is very {words[number // 8 % 4]}",
            "label": label,
        }
        for number in range(train + validation)
        for label, words in (("good", GOOD), ("bad", BAD))
        if (label == "good") == (number % 2 == 0)
    ]
    write_jsonl(directory / "train.jsonl", rows[:train])
    write_jsonl(directory / "validation.jsonl", rows[train:])

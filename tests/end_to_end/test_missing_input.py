"""What is not there is told before torch is imported: paths are looked at first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from glp_export.cli.app import run
for line in sys.stdin:
    code = run(line.split())
    heavy = {"torch", "transformers", "datasets", "onnxruntime"} & {*sys.modules}
    print(code, *sorted(heavy), flush=True)
"""


def attempt(lines: list[str], directory: Path, **environment: str) -> tuple[list[str], str]:
    """The exit code of each command with what was imported by then, and all that was said."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **environment},
    )
    return done.stdout.splitlines(), done.stderr


def test_no_torch_for_what_is_not_there(tmp_path):
    for name in ("model/config.json", "data/train.jsonl", "data/validation.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}\n")
    lines = {
        "nosuchdir": "prune-and-export -m nosuchdir --dataset data -o out",
        "./nowhere": "prune-and-export -m ./nowhere --dataset data -o out",
        "./nodata": "prune-and-export -m model --dataset ./nodata -o out",
        "no training file": "search -m model --dataset model -o out",
        "./norival": "search -m model --dataset data --distilled ./norival -o out",
        "nocheckpoint": "export nocheckpoint -o out",
        "unmeasured": "benchmark unmeasured",
    }
    told, said = attempt(list(lines.values()), tmp_path, HF_HUB_OFFLINE="1")
    assert told == ["7"] * len(lines), said
    assert all(name.removeprefix("./") in said for name in lines), said
    assert not (tmp_path / "out").exists()


def test_a_hub_out_of_reach_is_asked_once(tmp_path):
    told, said = attempt(
        ["prune-and-export -m nosuchdir --task demo -o out"],
        tmp_path,
        HF_ENDPOINT="http://127.0.0.1:9",
        HF_HUB_OFFLINE="0",
        HF_HOME=str(tmp_path),
    )
    assert told == ["7"]
    assert "no directory 'nosuchdir'" in said
    assert "Retrying" not in said

"""Serving in a fresh interpreter that has none of the libraries that make an artifact."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.serve.conftest import PARTNERS, TEXTS, pytorch_logits

ALLOWED = {"glp_export", "numpy", "onnxruntime", "tokenizers"}

PROGRAM = """
import json, sys, sysconfig
from importlib.machinery import PathFinder

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if path is not None or name in allowed or name in sys.stdlib_module_names:
            return None
        if (spec := PathFinder.find_spec(name)) is not None:
            raise ModuleNotFoundError(f"{name} is not installed, says the test", name=name)

allowed = set(json.loads(sys.argv[2]))
sys.meta_path.insert(0, Refuse())
import glp_export
model = glp_export.load(sys.argv[1])
texts, partners = json.loads(sys.argv[3])
answers = model(texts, partners)
json.dump({"logits": answers.logits.tolist(), "labels": answers.labels}, sys.stdout)
names = {name.partition(".")[0] for name, module in sys.modules.items() if module is not None}
print("", *sorted(names - set(sys.stdlib_module_names)), sep="\\n", file=sys.stdout)
"""


def test_nothing_but_onnxruntime_tokenizers_and_numpy_is_imported(
    artifact: Callable[..., Path],
) -> None:
    root = artifact("bert")
    arguments = [str(root), json.dumps(sorted(ALLOWED)), json.dumps([TEXTS, PARTNERS])]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answers, *names = done.stdout.splitlines()
    # fp32 sums in another order.
    expected = pytorch_logits(root, TEXTS, PARTNERS)
    np.testing.assert_allclose(json.loads(answers)["logits"], expected, atol=1e-4)
    unwanted = {"torch", "transformers", "datasets", "pydantic", "rich", "typer", "onnx", "optimum"}
    assert not unwanted & set(names)
    assert set(names) >= ALLOWED


def test_importing_the_package_imports_no_library() -> None:
    program = "import sys, glp_export; glp_export.load; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    names = {name.partition(".")[0] for name in done.stdout.split()}
    assert "glp_export" in names
    assert not names & {"numpy", "onnxruntime", "tokenizers", "torch", "pydantic", "rich", "typer"}

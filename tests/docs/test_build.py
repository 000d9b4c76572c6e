"""The pages build without a warning, where the generator is installed (the extra `docs`)."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.docs.pages import DOCS, ROOT


@pytest.mark.docs
def test_the_pages_build_without_a_warning(tmp_path):
    pytest.importorskip("sphinx", reason='pip install -e ".[docs]"')
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    done = subprocess.run(
        [*command, "-d", str(tmp_path / "doctrees"), str(DOCS), str(tmp_path / "html")],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "html" / "schemas" / "plan.schema.json").is_file()

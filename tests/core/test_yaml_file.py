from __future__ import annotations

from pathlib import Path

import pytest

from glp_export.config.files import read_file, resolve
from glp_export.core.errors import UsageError, quoted
from glp_export.core.yaml_file import read_yaml

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)

HOSTILE = {
    "alias bomb": BOMB,
    "deep": "a: " + "[" * 5000 + "]" * 5000,
    "itself": "a: &a [*a]",
    "large": "a: " + "x" * 2_000_000,
    "python": "a: !!python/object/apply:os.system ['true']",
    "no UTF-8": "\udcff",
    "many digits": "seed: " + "9" * 5000,
    "long name": "x" * 900 + ": 1",
    "long value": "epochs: " + "x" * 9000,
}


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return path


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_few_words(tmp_path, name):
    path = write(tmp_path / "run.yaml", HOSTILE[name])
    with pytest.raises(UsageError) as caught:
        resolve({}, path)
    assert caught.value.exit_code == 2
    assert len(caught.value.what) < 500


def test_aliases_within_reason_are_read(tmp_path):
    path = write(tmp_path / "run.yaml", "seq-lens: &some [8, 16]\nbatch_sizes: *some\n")
    assert read_file(path) == {"seq_lens": [8, 16], "batch_sizes": [8, 16]}


def test_an_empty_file_is_nothing(tmp_path):
    assert read_yaml(write(tmp_path / "run.yaml", "")) is None


def test_a_value_that_is_quoted_is_cut():
    nested: list[object] = []
    for _ in range(500):
        nested = [nested, nested]
    for value in ("x" * 10**6, b"x" * 10**6, nested, list(range(10**6)), {"a" * 10**6: 1}):
        assert len(quoted(value)) <= 200
    assert quoted("short") == "short"

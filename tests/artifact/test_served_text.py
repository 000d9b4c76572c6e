from __future__ import annotations

from pathlib import Path

import pytest

from glp_export.artifact.served_text import check_served_texts
from tests.tiny import make_checkpoint, make_tokenizer


@pytest.mark.parametrize("limit", [4, 64])
def test_a_limit_of_a_few_tokens_is_checked_as_any_other(tmp_path: Path, limit: int) -> None:
    root = make_checkpoint(tmp_path, layers=1)
    # A pair far past such a limit has millions of parts, which the library would make.
    assert check_served_texts(root, make_tokenizer(), max_length=limit) > 10

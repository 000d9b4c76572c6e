"""What a budget of size is held to: the pruned model's own file."""

from __future__ import annotations

from pathlib import Path

from glp_export.artifact import ArtifactLayout
from glp_export.config.targets import Targets
from glp_export.workflows.stages.size import opened_file
from tests.report.helpers import make_benchmark


def test_a_larger_file_of_the_unpruned_model_is_not_what_ships(tmp_path: Path) -> None:
    """Both have a file of the same name."""
    benchmark = make_benchmark()
    rows = tuple(
        row.model_copy(update={"bytes": 5_000_000 if row.contender == "pruned" else 9_000_000})
        for row in benchmark.rows
    )
    benchmark = benchmark.model_copy(update={"rows": rows})
    (tmp_path / "tokenizer.json").write_bytes(b" " * 1_000_000)
    provider = benchmark.baseline.provider
    opened = opened_file(ArtifactLayout(tmp_path), Targets(), provider, benchmark)
    assert opened is not None
    assert opened.megabytes == 6.0

"""The report that a run leaves, and the command that makes it anew."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from glp_export.artifact import ArtifactLayout
from glp_export.bench import BenchmarkFile
from glp_export.cli.app import run
from glp_export.core import numbers
from tests.report.html.helpers import Reader


@pytest.fixture
def copy(artifact: Path, tmp_path: Path) -> Path:
    return shutil.copytree(artifact, tmp_path / "copy")


def test_a_run_leaves_a_report_of_what_it_measured(artifact: Path) -> None:
    layout = ArtifactLayout(artifact)
    text = Reader(layout.report.read_text()).text
    benchmark = BenchmarkFile.load(layout.benchmark)
    for row in benchmark.metrics:
        assert f"{numbers.metric(row.value)} {numbers.span(row.low, row.high)}" in text
    assert {(row.layers, row.less) for row in benchmark.differences} == {
        (2, "unpruned"),
        (2, "distilled"),
    }
    for name in layout.shipped():
        assert layout.variant(name).name in text
    assert "glp/report.html" in layout.checksums.read_text()
    layout.verify_checksums()


def test_it_is_made_anew_byte_for_byte_and_the_artifact_stays_sound(copy: Path, capsys) -> None:
    layout = ArtifactLayout(copy)
    before, listed = layout.report.read_bytes(), layout.checksums.read_bytes()
    assert run(["report", str(copy)]) == 0
    assert capsys.readouterr().out.strip() == str(layout.report)
    assert layout.report.read_bytes() == before
    assert layout.checksums.read_bytes() == listed


def test_texts_whose_labels_flip_are_shown_where_that_is_allowed(
    copy: Path, data: Path, capsys
) -> None:
    layout = ArtifactLayout(copy)
    content = json.loads(layout.parity.read_text())
    content["files"][0]["disagreements"] = [3]
    layout.parity.write_text(json.dumps(content))
    layout.write_checksums()
    line = (data / "validation.jsonl").read_text().splitlines()[3]
    words = json.loads(line)["text"]
    assert run(["report", str(copy)]) == 0
    assert words not in layout.report.read_text()
    assert run(["report", str(copy), "--show-texts"]) == 0
    assert words in layout.report.read_text()
    layout.verify_checksums()


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no place that makes no directory")
def test_a_place_that_takes_no_file_is_told(artifact: Path, capsys) -> None:
    place = "/proc/nothing/report.html"
    assert run(["report", str(artifact), str(artifact), "--output", place]) == 8
    assert "cannot be made" in capsys.readouterr().err

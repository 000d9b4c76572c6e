"""Reports of finished artifacts: what they are made from, where they go, who vouches for them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from glp_export.artifact import ArtifactLayout
from glp_export.cli.app import run
from glp_export.core.errors import DataError, ModelError, OutputError
from glp_export.precision.record import PrecisionsFile
from glp_export.report.html import ReportData
from glp_export.workflows.report import report, write_report
from tests.report.helpers import MACHINE
from tests.report.html.helpers import make_report_data, make_sweep_data


def put(root: Path, report_data: ReportData) -> Path:
    """A directory with the files that a report of this is made from, and with their checksums."""
    layout = ArtifactLayout(root)
    layout.glp_dir.mkdir(parents=True)
    report_data.plan.save(layout.plan)
    report_data.benchmark.save(layout.benchmark)
    if report_data.samples:
        report_data.samples.save(layout.glp_dir / "benchmark_samples.json")
    content = {**asdict(MACHINE), "command": report_data.command}
    layout.environment.write_text(json.dumps(content))
    if report_data.frontier:
        report_data.frontier.save(layout.frontier)
        for part in report_data.parts():
            put(layout.sweep_variant(f"{part.plan.depth}-layers").root, part)
    else:
        (sweep_variant,) = report_data.sweep_variants
        layout.parity.write_text(sweep_variant.parity.to_json())
        PrecisionsFile.of(sweep_variant.precisions).save(layout.precisions)
    write_report(root)
    layout.write_checksums()
    return root


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    return put(tmp_path / "artifact", make_report_data())


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    return put(tmp_path / "sweep", make_sweep_data())


def text_of(root: Path) -> str:
    return ArtifactLayout(root).report.read_text()


def test_a_report_that_was_lost_is_made_anew_byte_for_byte(artifact: Path) -> None:
    before = text_of(artifact)
    ArtifactLayout(artifact).report.write_text("gone")
    assert report([artifact]) == ArtifactLayout(artifact).report
    assert text_of(artifact) == before
    ArtifactLayout(artifact).verify_checksums()


def test_it_is_made_from_the_files_alone(artifact: Path) -> None:
    assert "2.22 times (2.16–2.29)" in text_of(artifact)
    assert "glp-export prune-and-export -m minilm" in text_of(artifact)


def test_a_number_that_was_edited_is_not_reported(artifact: Path) -> None:
    layout = ArtifactLayout(artifact)
    layout.benchmark.write_text(layout.benchmark.read_text().replace("0.888", "0.999"))
    with pytest.raises(ModelError, match=r"benchmark\.json is not the file"):
        report([artifact])


def test_another_file_that_was_changed_stays_found_out(artifact: Path) -> None:
    weights = ArtifactLayout(artifact).weights
    weights.write_bytes(b"weights")
    ArtifactLayout(artifact).write_checksums()
    weights.write_bytes(b"others")
    report([artifact])
    with pytest.raises(ModelError, match=r"model\.safetensors is not the file"):
        ArtifactLayout(artifact).verify_checksums()


def test_of_a_sweep_every_report_is_made_anew(sweep: Path) -> None:
    whole = ArtifactLayout(sweep)
    reports = [
        whole.report,
        *(whole.sweep_variant(f"{depth}-layers").report for depth in (5, 4, 3)),
    ]
    before = [file.read_text() for file in reports]
    for file in reports:
        file.write_text("gone")
    report([sweep])
    assert [file.read_text() for file in reports] == before
    whole.verify_checksums()
    for depth in (5, 4, 3):
        whole.sweep_variant(f"{depth}-layers").verify_checksums()


def test_one_depth_of_a_sweep_leaves_the_whole_sound(sweep: Path) -> None:
    whole = ArtifactLayout(sweep)
    whole.sweep_variant("4-layers").report.write_text("gone")
    report([whole.sweep_variant("4-layers").root])
    whole.sweep_variant("4-layers").verify_checksums()
    whole.verify_checksums()


def test_a_report_elsewhere_leaves_the_artifact_alone(artifact: Path, tmp_path: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in artifact.rglob("*")}
    output = tmp_path / "new" / "mine.html"
    assert report([artifact], output) == output
    assert output.read_text() == text_of(artifact)
    assert {file: file.stat().st_mtime_ns for file in artifact.rglob("*")} == before


def test_several_give_one_comparison(
    artifact: Path, sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["report", str(artifact), str(sweep)]) == 0
    assert capsys.readouterr().out.strip() == "report.html"
    assert "4 artifacts side by side" in (tmp_path / "report.html").read_text()


def test_directories_of_one_name_are_told_apart(tmp_path: Path) -> None:
    roots = [put(tmp_path / execution / "trec", make_report_data()) for execution in ("old", "new")]
    text = report(roots, tmp_path / "both.html").read_text()
    assert str(tmp_path / "old" / "trec") in text
    assert str(tmp_path / "new" / "trec") in text


def test_what_has_no_benchmark_has_no_report(tmp_path: Path, capsys) -> None:
    with pytest.raises(DataError, match="nothing to report"):
        report([tmp_path])
    assert run(["report", str(tmp_path)]) == 7
    assert run(["report"]) == 2


def test_an_artifact_of_an_earlier_version_knows_no_command(artifact: Path) -> None:
    layout = ArtifactLayout(artifact)
    layout.environment.write_text(json.dumps(asdict(MACHINE)))
    layout.write_checksums()
    report([artifact])
    assert "--config glp/run.yaml" in text_of(artifact)
    assert "prune-and-export -m minilm" not in text_of(artifact)


def test_a_directory_in_the_way_is_named(artifact: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="there is a directory of this name"):
        report([artifact], tmp_path)
    assert run(["report", str(artifact), "-o", str(tmp_path)]) == 8


@pytest.mark.parametrize("found", [True, False])
def test_it_is_opened_in_the_browser_there_is(
    found: bool, artifact: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: bool(opened.append(address)) or found)
    assert run(["report", str(artifact), "--open"]) == (0 if found else 2)
    assert opened == [ArtifactLayout(artifact).report.resolve().as_uri()]
    assert ("no browser was found, the report is written" in capsys.readouterr().err) != found

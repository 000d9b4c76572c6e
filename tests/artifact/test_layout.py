from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from glp_export.artifact import ArtifactLayout
from glp_export.core.errors import ModelError, UsageError


@pytest.fixture
def layout(tmp_path: Path) -> ArtifactLayout:
    """A small finished artifact."""
    made = ArtifactLayout(tmp_path / "out")
    for path in (made.card, made.config, made.weights, made.onnx_model, made.plan):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    made.work_dir.mkdir()
    (made.work_dir / "journal.jsonl").write_text("{}")
    made.write_checksums()
    return made


def test_names_are_those_of_the_design(tmp_path: Path) -> None:
    layout = ArtifactLayout(tmp_path)
    names = {
        "README.md": layout.card,
        "config.json": layout.config,
        "model.safetensors": layout.weights,
        "onnx/model.onnx": layout.onnx_model,
        "onnx/model_optimized.onnx": layout.variant("fp32-optimized"),
        "ort_config.json": layout.serving,
        "glp/plan.json": layout.plan,
        "glp/parity.json": layout.parity,
        "glp/benchmark.json": layout.benchmark,
        "glp/frontier.json": layout.frontier,
        "6-layers/onnx/model.onnx": layout.sweep_variant("6-layers").onnx_model,
        "glp/environment.json": layout.environment,
        "glp/run.yaml": layout.run_config,
        "glp/report.html": layout.report,
        "glp/SHA256SUMS": layout.checksums,
    }
    assert {path.relative_to(tmp_path).as_posix() for path in names.values()} == set(names)


def test_unknown_variant_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fp32, fp32-optimized"):
        ArtifactLayout(tmp_path).variant("fp4")


def test_shipped_are_the_onnx_files_that_are_there(layout: ArtifactLayout) -> None:
    assert layout.shipped() == {"fp32": layout.onnx_model}


def test_scratch_is_no_part_of_the_artifact(layout: ArtifactLayout) -> None:
    assert [path.name for path in layout.files()] == [
        "README.md",
        "config.json",
        "plan.json",
        "model.safetensors",
        "model.onnx",
    ]


def test_untouched_artifact_verifies_and_so_says_sha256sum(layout: ArtifactLayout) -> None:
    layout.verify_checksums()
    subprocess.run(
        ["sha256sum", "--check", "--strict", "glp/SHA256SUMS"],
        cwd=layout.root, check=True, capture_output=True,
    )  # fmt: skip


def test_edited_file_is_named(layout: ArtifactLayout) -> None:
    layout.onnx_model.write_text("model.onnX")
    with pytest.raises(ModelError, match=r"onnx/model\.onnx is not the file") as caught:
        layout.verify_checksums()
    assert caught.value.exit_code == 7


def test_edited_checksum_is_named(layout: ArtifactLayout) -> None:
    lines = layout.checksums.read_text().splitlines()
    lines[1] = "0" * 64 + lines[1][64:]
    layout.checksums.write_text("\n".join(lines))
    with pytest.raises(ModelError, match=r"config\.json is not the file"):
        layout.verify_checksums()


def test_missing_file_is_named(layout: ArtifactLayout) -> None:
    layout.weights.unlink()
    with pytest.raises(ModelError, match=r"model\.safetensors is listed"):
        layout.verify_checksums()


def test_files_of_the_deployment_beside_ours_do_no_harm(layout: ArtifactLayout) -> None:
    (layout.root / "config.pbtxt").write_text("")
    layout.verify_checksums()


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "0" * 64 + "  /etc/passwd",
        "0" * 64 + "  ../outside",
        "0" * 64 + "  ",
    ],
)
def test_list_that_is_no_list_or_leads_outside(layout: ArtifactLayout, line: str) -> None:
    layout.checksums.write_text(line + "\n")
    with pytest.raises(ModelError, match="not a SHA-256") as caught:
        layout.verify_checksums()
    assert caught.value.where is not None
    assert caught.value.where.endswith("line 1")


def test_directory_without_a_list(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no glp/SHA256SUMS"):
        ArtifactLayout(tmp_path).verify_checksums()

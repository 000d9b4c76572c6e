"""Model repositories of Triton, as the command writes them."""

from __future__ import annotations

from glp_export.artifact import ArtifactLayout
from glp_export.cli.app import run
from tests.end_to_end.conftest import BRIEFLY


def test_a_checkpoint_is_exported_with_a_repository(classifier, tmp_path, capsys):
    output = tmp_path / "my classifier"
    command = ["export", str(classifier), "-o", str(output), *BRIEFLY, "--optimize", "none"]
    assert run([*command, "--triton", "-q"]) == 0
    model = output / "triton" / "my_classifier"
    assert 'name: "my_classifier"' in (model / "config.pbtxt").read_text()
    assert (model / "1" / "served.onnx").is_file()
    assert "triton/my_classifier/config.pbtxt" in (output / "glp" / "SHA256SUMS").read_text()
    ArtifactLayout(output).verify_checksums()


def test_an_artifact_joins_a_repository(artifact, tmp_path, capsys):
    models = tmp_path / "models"
    assert run(["triton", str(artifact), "-o", str(models), "--name", "first"]) == 0
    assert capsys.readouterr().out.strip() == str(models / "first")
    assert run(["triton", str(artifact), "-o", str(models), "--name", "second"]) == 0
    assert {path.name for path in models.iterdir()} == {"first", "second"}
    assert not (artifact / "triton").exists()
    assert run(["triton", str(artifact), "-o", str(models), "--name", "first"]) == 8
    assert "--overwrite" in capsys.readouterr().err
    again = ["triton", str(artifact), "-o", str(models), "--name", "first", "--overwrite"]
    assert run(again) == 0


def test_what_is_no_artifact_joins_none(classifier, tmp_path, capsys):
    assert run(["triton", str(classifier), "-o", str(tmp_path / "models")]) == 7
    assert "no artifact of glp-export" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


def test_each_depth_of_a_sweep_has_a_name_of_its_own(encoder, data, tmp_path):
    from tests.end_to_end.conftest import SMALL

    output = tmp_path / "out"
    command = ["prune-and-export", "-m", str(encoder), "--dataset", str(data), "--depths", "3,2"]
    flags = [*SMALL, "--search", "top", "--distilled", "none", "--triton", "-q"]
    assert run([*command, *flags, "-o", str(output)]) == 0
    found = sorted(path.parent.name for path in output.rglob("config.pbtxt"))
    assert found == ["out-2-layers", "out-3-layers"]

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from glp_export.artifact import ArtifactLayout
from glp_export.artifact.opened import data_settings, recorded_settings, trusted_settings
from glp_export.core.errors import ModelError

HOSTILE = {
    "trust_remote_code": True,
    "dataset": "somebody/data",
    "dataset_config": "en",
    "train_file": "/etc/passwd",
    "validation_file": "/etc/hostname",
    "unlabeled": "/etc/hosts",
    "model": "somebody/model",
    "revision": "main",
    "cache_dir": "/etc",
    "cache": "/etc",
    "output": "/etc/out",
    "plan": "/etc/plan.json",
    "distilled": "somebody/student",
    "token": "secret",
    "task": "sst2",
}
HARMLESS = {"max_length": 32, "seed": 3, "text_columns": ["text"], "threads": 1, "atol": 0.001}


def layout_with(root: Path, content: object) -> ArtifactLayout:
    layout = ArtifactLayout(root)
    layout.glp_dir.mkdir(parents=True)
    layout.run_config.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return layout


def test_no_path_no_data_set_and_no_code_is_taken_from_an_artifact(tmp_path):
    layout = layout_with(tmp_path, {**HOSTILE, **HARMLESS})
    assert trusted_settings(layout) == HARMLESS
    assert data_settings(layout).keys() == {"max_length", "seed", "text_columns"}


def test_settings_in_sections_are_read_as_flat_ones(tmp_path):
    layout = layout_with(tmp_path, {"data": {"max-length": 32}, "benchmark": {"threads": 2}})
    assert recorded_settings(layout) == {"max_length": 32, "threads": 2}


def test_the_generated_task_is_the_only_one_that_an_artifact_may_ask_for(tmp_path):
    assert trusted_settings(layout_with(tmp_path / "a", {"task": "demo"})) == {"task": "demo"}
    assert trusted_settings(layout_with(tmp_path / "b", {"task": "cola"})) == {}


@pytest.mark.parametrize("content", ["- a\n- b\n", "a: [", "[" * 5000, "a: \x00"])
def test_broken_settings_are_a_model_that_cannot_be_read(tmp_path, content):
    with pytest.raises(ModelError) as caught:
        recorded_settings(layout_with(tmp_path, content))
    assert caught.value.exit_code == 7
    assert len(str(caught.value)) < 400


def test_an_artifact_without_settings_has_none(tmp_path):
    assert recorded_settings(ArtifactLayout(tmp_path)) == {}


def test_settings_of_older_artifacts_have_their_names_of_today(tmp_path):
    layout = layout_with(tmp_path, {"select_fraction": 0.2, "max-select-samples": 7})
    assert recorded_settings(layout) == {"dev_fraction": 0.2, "max_dev_samples": 7}

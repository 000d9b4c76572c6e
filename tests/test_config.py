from __future__ import annotations

import pytest

from glp_export.config import RunConfig, read_file, resolve
from glp_export.errors import UsageError
from glp_export.flags import spread


def test_flags_win_over_the_file_and_the_file_over_defaults(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("epochs: 1\nbatch-size: 8\n")
    config = resolve({"batch_size": 4}, file)
    assert (config.batch_size, config.epochs, config.seed) == (4, 1.0, 41)


def test_depth_on_the_command_line_replaces_prune_in_the_file(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("prune: 3\n")
    assert resolve({"depth": 6}, file).prune is None


def test_one_way_to_say_how_deep_on_the_command_line_replaces_those_in_the_file(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("depths: [8, 6]\nladder: false\n")
    assert resolve({}, file).depths == (8, 6)
    assert resolve({"prune": 2}, file).depths is None
    assert resolve({"ladder": True}, file).depths is None


def test_what_is_recorded_is_read_back(tmp_path):
    given = {"model": "a", "batch_sizes": "1,8", "depths": "4,2", "output": "out"}
    config = resolve({**given, "token": "secret"})
    path = config.save(tmp_path / "run.yaml")
    assert resolve(read_file(path)) == config.model_copy(update={"token": None})
    assert "secret" not in path.read_text()


@pytest.mark.parametrize("given", ["1 8", "1,8", ["1", "8"], ["1,8"], [1, 8]])
def test_lists_are_written_in_any_way(given):
    assert resolve({"batch_sizes": given}).batch_sizes == (1, 8)


def test_a_misspelt_key_is_answered_with_the_right_one(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("epoch: 1\n")
    with pytest.raises(UsageError, match="unknown setting 'epoch'") as caught:
        resolve({}, file)
    assert "did you mean epochs?" in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depth": 3, "prune": 3}, "give one"),
        ({"depth": 3, "depths": "4 3"}, "--depth and --depths"),
        ({"depths": "4,3", "ladder": True}, "give one"),
        ({"prune": 1, "ladder": True}, "give one"),
        ({"depths": "0,3"}, "--depths"),
        ({"overwrite": True, "resume": True}, "give one"),
        ({"epochs": -1}, "--epochs"),
        ({"batch_sizes": "0"}, "--batch-sizes"),
        ({"batch_sizes": "many"}, "--batch-sizes"),
        ({"optimize": "O9"}, "--optimize"),
        ({"select_fraction": 1.0}, "--select-fraction"),
    ],
)
def test_values_that_make_no_sense(settings, message):
    with pytest.raises(UsageError, match=message):
        resolve(settings)


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "\x00"])
def test_files_that_are_no_configuration(tmp_path, text):
    file = tmp_path / "run.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match="configuration"):
        resolve({}, file)


def test_several_values_after_one_flag():
    assert spread(["x", "--batch-sizes", "1", "8", "--seq_lens", "32", "-q"]) == [
        "x", "--batch-sizes", "1", "--batch-sizes", "8", "--seq-lens", "32", "-q",
    ]  # fmt: skip


def test_every_setting_has_a_help_text_that_ends():
    for name, field in RunConfig.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import typer
from pydantic import BaseModel
from typer.testing import CliRunner

from glp_export.cli.flags import flags_of, spread
from glp_export.compress.compressors import COMPRESSORS
from glp_export.config.files import read_file, resolve
from glp_export.config.run_config import RunConfig, fields, may_change
from glp_export.config.sections import CompressOptions
from glp_export.core.errors import UsageError
from glp_export.core.options import Names, Options, option
from tests.docs.pages import generated_parts


def test_flags_win_over_the_file_and_the_file_over_defaults(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("epochs: 1\nbatch-size: 8\n")
    config = resolve({"batch_size": 4}, file)
    training = config.training
    assert (training.batch_size, training.epochs, training.seed) == (4, 1.0, 41)


def test_full_int8_has_static_ranges_and_needs_int8():
    assert resolve({"int8_scope": "full"}).precision.int8 == ("minmax",)
    assert resolve({}).precision.int8 == ("dynamic",)
    named = {"int8_scope": "full", "int8": ["entropy"], "precision": ["int8"]}
    assert resolve(named).precision.int8 == ("entropy",)
    for wrong in ({"precision": ["fp32"]}, {"int8": ["dynamic", "minmax"]}):
        with pytest.raises(UsageError, match="int8-scope full"):
            resolve({"int8_scope": "full", **wrong})


def test_depth_on_the_command_line_replaces_prune_in_the_file(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("prune: 3\n")
    assert resolve({"depth": 6}, file).compress.prune is None


def test_the_site_has_defaults_that_a_file_and_flags_win_over(tmp_path, monkeypatch):
    site, file = tmp_path / "site.yaml", tmp_path / "run.yaml"
    site.write_text("epochs: 1\nbatch_size: 8\nseed: 7\nmax_drop: 0.01\n")
    file.write_text("batch_size: 16\ndepth: 3\n")
    monkeypatch.setenv("GLP_EXPORT_CONFIG", str(site))
    config = resolve({"seed": 5}, file)
    training, compress = config.training, config.compress
    assert (training.epochs, training.batch_size, training.seed) == (1.0, 16, 5)
    assert (compress.depth, compress.max_drop) == (3, None)


def test_an_unknown_key_of_the_site_is_found_in_its_file(tmp_path, monkeypatch):
    site, file = tmp_path / "site.yaml", tmp_path / "run.yaml"
    site.write_text("epoch: 1\n")
    file.write_text("batch_size: 16\n")
    monkeypatch.setenv("GLP_EXPORT_CONFIG", str(site))
    with pytest.raises(UsageError, match=r"epoch'\n  where: .*site\.yaml"):
        resolve({}, file)


def test_one_way_to_say_how_deep_on_the_command_line_replaces_those_in_the_file(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("depths: [8, 6]\nladder: false\n")
    assert resolve({}, file).compress.depths == (8, 6)
    assert resolve({"prune": 2}, file).compress.depths is None
    assert resolve({"ladder": True}, file).compress.depths is None


@pytest.mark.parametrize("given", ["2.0", 2.0, 2])
def test_targets_replace_a_depth_in_the_file_and_the_other_way_round(tmp_path, given):
    file = tmp_path / "run.yaml"
    file.write_text("depth: 3\n")
    config = resolve({"target_speedup": given}, file)
    assert config.compress.depth is None
    assert config.targets.speedup.value == 2
    file.write_text("target-speedup: 2.0\nmax_drop: 0.01\n")
    assert resolve({"max_drop": 0}, file).targets.fast_enough_asked
    assert not resolve({"prune": 3}, file).targets.any


def test_targets_are_recorded_as_they_were_given(tmp_path):
    given = {"target_speedup": "2.0@8x64", "latency_budget": "10ms", "max_drop": 0.0}
    config = resolve(given)
    assert resolve(read_file(config.save(tmp_path / "run.yaml"))) == config
    without = resolve({})
    assert resolve(read_file(without.save(tmp_path / "run.yaml"))).targets.any is False


def test_what_is_recorded_is_read_back(tmp_path):
    given = {"model": "a", "batch_sizes": "1,8", "depths": "4,2", "output": "out"}
    config = resolve({**given, "token": "secret"})
    path = config.save(tmp_path / "run.yaml")
    assert resolve(read_file(path)) == config.updated(token=None)
    assert "secret" not in path.read_text()


@pytest.mark.parametrize("given", ["1 8", "1,8", ["1", "8"], ["1,8"], [1, 8]])
def test_lists_are_written_in_any_way(given):
    assert resolve({"batch_sizes": given}).benchmark.batch_sizes == (1, 8)


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
        ({"depths": "4,3", "sweep": True}, "give one"),
        ({"prune": 1, "sweep": True}, "give one"),
        ({"depths": "0,3"}, "--depths"),
        ({"overwrite": True, "resume": True}, "give one"),
        ({"depth": 3, "max_drop": 0.01}, "leave --depth out"),
        ({"sweep": True, "max_drop": 0.01}, "leave --sweep out"),
        ({"prune": 3, "target_speedup": "2.0"}, "leave --prune out"),
        ({"target_speedup": "twice"}, "--target-speedup"),
        ({"latency_budget": 10}, "--latency-budget"),
        ({"max_drop": -0.1}, "--max-drop"),
        ({"max_drop": float("nan")}, "--max-drop"),
        ({"epochs": -1}, "--epochs"),
        ({"batch_sizes": "0"}, "--batch-sizes"),
        ({"batch_sizes": "many"}, "--batch-sizes"),
        ({"optimize": "O9"}, "--optimize"),
        ({"dev_fraction": 1.0}, "--dev-fraction"),
        ({"plan": ""}, "--plan: is empty"),
        ({"compress": " "}, "--compress: is empty"),
        ({"report_to": ""}, "--report-to: is empty"),
        ({"report_to": ["mlflow", ""]}, "--report-to: is empty"),
        ({"cache": ""}, "--cache: is empty"),
        ({"auxiliary": [""]}, "--auxiliary: is empty"),
        ({"max_auxiliary_samples": 10}, "goes with --auxiliary"),
        ({"auxiliary_weight": 0.1}, "goes with --auxiliary"),
    ],
)
def test_values_that_make_no_sense(settings, message):
    with pytest.raises(UsageError, match=message):
        resolve(settings)


def test_an_empty_token_is_none():
    assert resolve({"token": ""}).model.token is None


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


@pytest.mark.parametrize("flags", [["--int8"], ["--int8", "--quick"], ["--precision", "-q"]])
def test_a_flag_of_several_values_without_any_is_left_to_the_parser(flags):
    """`gate --int8` is a switch; `--precision` alone is refused, not passed over."""
    assert spread(["gate", "out", *flags]) == ["gate", "out", *flags]


def test_every_setting_has_a_help_text_that_ends():
    for name, field, _ in fields():
        assert field.description, name
        assert field.description.endswith("."), name


def test_the_help_names_every_row_of_the_table_that_a_setting_chooses_from():
    from glp_export.compress.compressors.layers.strategies import STRATEGIES
    from glp_export.compress.search.workers import WORKERS
    from glp_export.encoder import RECOVERIES

    tables = {"search": STRATEGIES, "workers": WORKERS, "recover": RECOVERIES}
    texts = {name: field.description for name, field, _ in fields()}
    for name, table in tables.items():
        text = texts[name]
        assert not [row for row in table if row not in text], f"--{name}: {text}"


@pytest.mark.parametrize("several", [{"depths": [2, 3]}, {"target_speedup": "2,3@1x16"}])
def test_several_models_are_not_sent_to_one_repository(several):
    with pytest.raises(UsageError, match="several models"):
        resolve({**several, "push_to_hub": "owner/name"})


def test_a_former_name_is_accepted_as_flag_key_and_keyword(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("ladder: true\n")
    assert resolve({}, file).compress.sweep
    assert RunConfig(ladder=True).compress.sweep
    assert "ladder" not in resolve({}, file).recorded()
    with pytest.raises(UsageError, match="twice"):
        resolve({"ladder": True, "sweep": True})


def test_sections_and_plain_keys_say_the_same(tmp_path):
    plain, nested = tmp_path / "plain.yaml", tmp_path / "nested.yaml"
    plain.write_text("model: bert\nepochs: 1\nprecision: [fp32]\noutput: out\nmax-length: 64\n")
    nested.write_text(
        "model: {model: bert}\ntraining:\n  epochs: 1\nprecision:\n  precision: [fp32]\n"
        "output: {output: out}\ndata: {max-length: 64}\n"
    )
    assert resolve({}, plain) == resolve({}, nested)
    assert resolve({"data": {"max_length": 64}}) == resolve({"max_length": 64})
    with pytest.raises(UsageError, match=r"data\.max_len'"):
        resolve({"data": {"max_len": 64}})
    with pytest.raises(UsageError, match="max_length is given twice"):
        resolve({"data": {"max_length": 64}, "max_length": 32})


class ThrowawayOptions(Options):
    """Options of a compressor that is not there."""

    every: int = option(2, "Remove every so many-th sublayer.", gt=1)
    ranked_by: Names = option(("silent",), "What sublayers are ranked by.")


@dataclass(frozen=True)
class Row:
    options: type[BaseModel] = ThrowawayOptions


def test_a_compressor_brings_its_flags_keys_and_docs_along(tmp_path, monkeypatch):
    monkeypatch.setitem(COMPRESSORS, "throwaway", Row())
    file = tmp_path / "run.yaml"
    file.write_text("every: 3\nthrowaway:\n  ranked-by: obs, fisher\n")
    config = resolve({}, file)
    options = config.compressors["throwaway"]
    assert options == ThrowawayOptions(every=3, ranked_by="obs fisher")
    assert resolve(read_file(config.save(tmp_path / "kept.yaml"))) == config
    assert not may_change("every")
    with pytest.raises(UsageError, match="every"):
        resolve({"every": 1})
    assert spread(["--ranked-by", "obs", "fisher"]) == [
        "--ranked-by",
        "obs",
        "--ranked-by",
        "fisher",
    ]

    app, seen = typer.Typer(), {}

    @app.command()
    @flags_of(CompressOptions)
    def command(settings: dict[str, Any]) -> None:
        seen.update(settings)

    app(["--every", "4", "--ranked-by", "obs"], standalone_mode=False)
    assert seen == {"every": 4, "ranked_by": ["obs"]}
    text = " ".join(CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output.split())
    assert "Compressor throwaway" in text
    assert "Remove every so many-th sublayer." in text
    generated_parts()  # finds the generator
    from generate.settings import settings

    table = settings().partition("## Compressor throwaway")[2]
    assert "| `every` | `--every` | `2` |" in table


def test_a_criterion_after_compress_means_structure_by_it():
    config = resolve({"compress": "silent-neurons", "target_speedup": "2.0@1x16"})
    assert config.compress.compress == "structure"
    assert config.recorded()["criterion"] == "silent-neurons"
    same = resolve({"compress": "obs", "criterion": "obs", "target_speedup": "2.0@1x16"})
    assert same.compress.compress == "structure"
    several = resolve({"compress": "fisher,vocabulary", "target_speedup": "2.0@1x16"})
    assert several.compress.compress == "structure,vocabulary"
    assert several.recorded()["criterion"] == "fisher"
    with pytest.raises(UsageError, match="another criterion"):
        resolve({"compress": "obs", "criterion": "fisher", "target_speedup": "2.0@1x16"})


@pytest.mark.parametrize("block", ["32", "0x8", "8x", "8x8x8", "x8", "-8x8"])
def test_a_block_is_two_sizes(block):
    with pytest.raises(UsageError, match="two sizes"):
        resolve({"block": block})


def test_an_output_is_one_place(tmp_path, monkeypatch):
    (tmp_path / "real" / "below").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "below")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for given, place in (
        (f"{tmp_path}/not/there/../out", tmp_path / "not" / "out"),
        (f"{tmp_path}/link/../out", tmp_path / "real" / "out"),
        (f"{tmp_path}/real/below/..", tmp_path / "real"),
        ("~/out", tmp_path / "home" / "out"),
        ("out/trec/", "out/trec"),
    ):
        assert str(resolve({"output": given}).output.output) == str(place)


def test_true_is_no_number() -> None:
    """`depth: yes` in a file would be one layer."""
    for given in ({"depth": True}, {"seq_lens": [True]}, {"epochs": False}):
        with pytest.raises(UsageError, match="true or false"):
            resolve(given)
    assert resolve({"skip_memory": True}).benchmark.skip_memory

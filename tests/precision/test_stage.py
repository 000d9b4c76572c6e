"""A precision that is not accurate enough: an error if it was named, left out if it was not."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from glp_export.artifact import ArtifactLayout, export_onnx
from glp_export.artifact.reference import Reference
from glp_export.config.files import resolve
from glp_export.core.errors import AccuracyError, UsageError
from glp_export.core.progress import Progress
from glp_export.precision.selection import Wanted
from glp_export.workflows.context import make_context
from glp_export.workflows.stages.export import _first_right, check, export_contender
from glp_export.workflows.stages.precision import add_precisions, calibration_data_of
from glp_export.workflows.stages.trained import Trained
from tests.heard import Heard
from tests.tiny import make_checkpoint


@pytest.fixture(scope="module")
def exported(data, tmp_path_factory):
    """A classifier's plain fp32 file, with the context and the layout it lies in."""
    names = {"id2label": {0: "bad", 1: "good"}}
    classifier = make_checkpoint(tmp_path_factory.mktemp("named"), num_labels=2, **names)
    settings = {"model": str(classifier), "dataset": str(data), "depth": 2, "device": "cpu"}
    small = {"threads": 1, "optimize": "none", "epochs": 1, "max_length": 32, "offline": True}
    context = make_context(resolve({**settings, **small}))
    layout = ArtifactLayout(tmp_path_factory.mktemp("exported"))
    trained = Trained("pruned", "here", classifier, context.tokenizer, context.test)
    work = layout.work_dir
    return context, layout, export_contender(context.execution, trained, layout, work, Progress())


def ask(exported, tmp_path, *, required, max_drop, **settings):
    context, layout, files = exported
    config, wanted = context.config.updated(**settings), Wanted(("int8",), required)
    parts = {"precision": config.precision, "export": config.export}
    execution = replace(context.execution, precisions=wanted, **parts)
    calibration = replace(calibration_data_of(context, files.trained), max_drop=max_drop)
    heard = Heard()
    return add_precisions(execution, files, layout, tmp_path, calibration, heard), heard.said


def test_an_accurate_file_ships_with_what_it_costs(exported, tmp_path):
    found, messages = ask(exported, tmp_path, required=False, max_drop=1.0)
    (lower,) = found.lower
    assert lower.file.path.name == "model_quantized.onnx"
    assert lower.entry.kept_in_float == ()
    assert [file.variant for file in found.parity.files] == ["model.onnx", "model_quantized.onnx"]
    assert "lost on dev" in messages[-1]


def test_a_file_that_computes_something_else_never_wins(exported, tmp_path, caplog):
    context, _, files = exported
    other = make_checkpoint(tmp_path / "other", num_labels=2, seed=1)
    wrong = export_onnx(other, tmp_path / "model_O2.onnx", export_task="text-classification")
    rivals = [files.plain, replace(wrong, optimisation="O2")]
    execution = replace(context.execution, export=context.config.updated(optimize="auto").export)
    reference = Reference(files.trained.checkpoint, execution.kind.auto_class, threads=1)
    found = _first_right(execution, files.trained, rivals, reference, lambda left: left[-1])
    assert found == (files.plain, None)
    assert "O2 is left out" in caplog.text


def test_pytorch_answers_a_batch_once(exported, tmp_path):
    context, _, files = exported
    checkpoint = tmp_path / "checkpoint"
    shutil.copytree(files.trained.checkpoint, checkpoint)
    reference = Reference(checkpoint, context.execution.kind.auto_class, threads=1)
    first = check(context.execution, files.trained, [files.plain], reference=reference)
    shutil.rmtree(checkpoint)  # what was answered is known, and nothing is loaded again
    again = check(context.execution, files.trained, [files.plain], reference=reference)
    assert again == first
    assert again.passed


def test_of_several_recipes_one_ships(exported, tmp_path):
    recipes = ("dynamic", "minmax", "percentile")
    found, _ = ask(exported, tmp_path, required=False, max_drop=1.0, int8=recipes)
    (entry,) = found.entries
    assert entry.recipe.startswith("int8, ")
    assert entry.file == "model_quantized.onnx"


def test_full_int8_ships_with_the_kernels_that_runtimes_have_for_it(exported, tmp_path):
    full = {"int8_scope": "full", "int8": ("minmax",)}
    found, messages = ask(exported, tmp_path, required=True, max_drop=1.0, **full)
    (entry,) = found.entries
    assert (entry.file, entry.scope) == ("model_quantized.onnx", "full")
    (own, *_) = entry.kernels
    assert sum(own.integer.values()) > sum(own.in_float.values()) > 0
    assert "products in integers in onnxruntime" in messages[-1]
    assert [file.variant for file in found.parity.files] == ["model.onnx", "model_quantized.onnx"]


def test_what_cannot_be_accurate_enough_is_left_out_with_the_best_that_was_reached(
    exported, tmp_path
):
    # No file gains two whole points of accuracy: neither mixed precision nor QAT can help.
    found, messages = ask(exported, tmp_path, required=False, max_drop=-2.0)
    assert found.lower == ()
    (entry,) = found.entries
    assert entry.file is None
    assert "no int8 file loses -2 or less" in entry.reason
    assert messages[-1].startswith("int8 is left out")


def test_a_file_that_fails_its_check_is_left_out_and_never_stands_in_the_artifact(
    exported, tmp_path
):
    _, layout, _ = exported
    layout.variant("int8").unlink(missing_ok=True)
    # With a tolerance of their own int8 files are held to the logits, which rounding moves.
    strict = {"atol": 0.0, "rtol": 0.0}
    found, messages = ask(exported, tmp_path, required=False, max_drop=1.0, **strict)
    assert found.lower == ()
    assert not layout.variant("int8").exists()
    assert "does not compute what the PyTorch model computes" in messages[-1]


def test_if_it_was_named_that_is_an_error(exported, tmp_path):
    with pytest.raises(AccuracyError, match="the best of") as caught:
        ask(exported, tmp_path, required=True, max_drop=-2.0)
    assert caught.value.where == "--int8-drop"


def test_without_data_nothing_is_judged_and_ranges_cannot_be_taken(exported, tmp_path):
    context, layout, files = exported
    auto = replace(context.execution, precisions=Wanted(("int8",), required=False))
    assert add_precisions(auto, files, layout, tmp_path, None, Progress()) == files
    static = context.execution.precision.model_copy(update={"int8": ("minmax",)})
    named = replace(context.execution, precision=static, precisions=Wanted(("int8",)))
    with pytest.raises(UsageError, match="without data"):
        add_precisions(named, files, layout, tmp_path, None, Progress())

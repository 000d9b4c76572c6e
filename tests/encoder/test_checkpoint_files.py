"""Checkpoints that cannot be used, each named before anything is trained."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from glp_export.core.errors import ModelError
from glp_export.encoder import ModelSource, load_model, load_tokenizer, match_inputs, task_of_model
from glp_export.encoder.checkpoint import save_checkpoint
from glp_export.encoder.checkpoint_files import (
    checkpoint_files,
    copy_checkpoint,
    require_weights,
)
from glp_export.tasks import Task
from tests.tiny import make_checkpoint, make_tokenizer

LABELS = ("LABEL_0", "LABEL_1")
TASK = Task("animals", "text-classification", ("text",), "label", LABELS, "accuracy")
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 90868376\n"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return make_checkpoint(tmp_path / "model", num_labels=2)


def load(path: Path) -> Any:
    return load_model(ModelSource(str(path), offline=True), TASK)


def refused(path: Path, *words: str) -> None:
    for open_ in (load, load_tokenizer_of, task_of_model):
        with pytest.raises(ModelError) as caught:
            open_(path)
        assert caught.value.exit_code == 7
        for word in words:
            assert word in str(caught.value)


def load_tokenizer_of(path: Path) -> Any:
    return load_tokenizer(ModelSource(str(path), offline=True))


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_git_lfs_pointer(checkpoint: Path, name: str) -> None:
    (checkpoint / name).write_text(POINTER)
    refused(checkpoint, "git lfs pull", name)


@pytest.mark.parametrize("alone", [True, False])
def test_a_peft_adapter(checkpoint: Path, alone: bool) -> None:
    if alone:
        (checkpoint / "config.json").unlink()
    (checkpoint / "adapter_config.json").write_text("{}")
    refused(checkpoint, "merge_and_unload")


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module."])
def test_a_prefix_before_every_weight(checkpoint: Path, prefix: str) -> None:
    from safetensors.torch import load_file, save_file

    path = checkpoint / "model.safetensors"
    weights = {f"{prefix}{name}": tensor for name, tensor in load_file(path).items()}
    save_file(weights, path, metadata={"format": "pt"})
    refused(checkpoint, prefix)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").chmod(0)
    refused(checkpoint, "model.safetensors", "cannot be read")


def test_links_that_lead_nowhere(checkpoint: Path) -> None:
    weights = checkpoint / "model.safetensors"
    weights.unlink()
    weights.symlink_to("gone")
    refused(checkpoint, "link", "model.safetensors")
    weights.unlink()
    weights.symlink_to(weights.name)
    refused(checkpoint, "link", "model.safetensors")


def test_an_architecture_that_brings_its_own_code(checkpoint: Path) -> None:
    code = {"AutoConfig": "configuration_own.OwnConfig"}
    edit(checkpoint / "config.json", model_type="nobodys", auto_map=code)
    with pytest.raises(ModelError) as caught:
        task_of_model(checkpoint)
    assert caught.value.exit_code == 7


def test_a_hole_in_the_names_of_the_labels(checkpoint: Path) -> None:
    edit(checkpoint / "config.json", id2label={"0": "bad", "2": "good"}, label2id=None)
    with pytest.raises(ModelError, match="output 1"):
        task_of_model(checkpoint)


def test_two_outputs_of_one_name(checkpoint: Path) -> None:
    edit(checkpoint / "config.json", id2label={"0": "bad", "1": "bad"}, label2id=None)
    with pytest.raises(ModelError, match="one name"):
        task_of_model(checkpoint)


def test_one_output_that_is_to_choose(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "model", num_labels=1)
    edit(checkpoint / "config.json", problem_type="single_label_classification")
    with pytest.raises(ModelError, match="single_label_classification"):
        task_of_model(checkpoint)


def test_what_belongs_to_a_checkpoint(checkpoint: Path, tmp_path: Path) -> None:
    for name in ("optimizer.pt", "training_args.bin", "pytorch_model.bin", ".env", "README.md"):
        (checkpoint / name).write_text("x")
    (checkpoint / "checkpoint-5").mkdir()
    (checkpoint / "checkpoint-5" / "model.safetensors").write_text("x")
    (checkpoint / "LICENSE").write_text("free")
    elsewhere = tmp_path / "blob"
    (checkpoint / "model.safetensors").rename(elsewhere)
    (checkpoint / "model.safetensors").symlink_to(elsewhere)  # as the hub's cache has it
    elsewhere.chmod(0o600)
    names = ["config.json", "model.safetensors", "LICENSE"]
    assert [str(name) for name in checkpoint_files(checkpoint)] == names
    copy_checkpoint(checkpoint, tmp_path / "copy")
    copied = tmp_path / "copy" / "model.safetensors"
    assert not copied.is_symlink()
    assert copied.read_bytes() == elsewhere.read_bytes()
    assert stat.S_IMODE(copied.stat().st_mode) == _new_mode(tmp_path)


def files_of(path: Path) -> Any:
    return list(checkpoint_files(path))


@pytest.mark.parametrize("name", ["modules.json", "sentence_bert_config.json"])
@pytest.mark.parametrize("text", ["{", "null", "3", '{"a":' * 5000 + "1" + "}" * 5000])
def test_files_of_sentence_transformers_that_cannot_be_read(
    checkpoint: Path, name: str, text: str
) -> None:
    (checkpoint / name).write_text(text)
    read = files_of if name == "modules.json" else load_tokenizer_of
    with pytest.raises(ModelError) as caught:
        read(checkpoint)
    assert caught.value.exit_code == 7
    assert name in str(caught.value.where)


def test_weights_in_several_files_belong(tmp_path: Path) -> None:
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    for name in ("config.json", "model-1.safetensors", "model-2.safetensors", "old.safetensors"):
        (tmp_path / name).write_text("{}")
    found = {str(name) for name in checkpoint_files(tmp_path)}
    assert found == {"config.json", "model.safetensors.index.json", *index["weight_map"].values()}


def test_of_one_file_and_several_the_one_is_read(tmp_path: Path) -> None:
    index = {"weight_map": {"a": "model-1.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    for name in ("config.json", "model-1.safetensors", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    found = {str(name) for name in checkpoint_files(tmp_path)}
    assert found == {"config.json", "model.safetensors"}  # as transformers takes it


def test_weights_of_other_names_are_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["BertForTokenClassification"]}')
    (tmp_path / "model.fp16.safetensors").write_text("")
    with pytest.raises(ModelError, match=r"model\.fp16\.safetensors"):
        require_weights(tmp_path)
    (tmp_path / "pytorch_model.bin").write_text("")
    with pytest.raises(ModelError, match="pickle") as raised:
        require_weights(tmp_path)
    assert "BertForTokenClassification" in str(raised.value)  # with its head


def test_weights_are_saved_with_the_mode_of_any_new_file(checkpoint: Path, tmp_path: Path) -> None:
    saved = save_checkpoint(load(checkpoint), make_tokenizer(), tmp_path / "saved")
    assert stat.S_IMODE((saved / "model.safetensors").stat().st_mode) == _new_mode(tmp_path)


def _new_mode(directory: Path) -> int:
    (directory / "new").write_text("")
    return stat.S_IMODE((directory / "new").stat().st_mode)


def test_a_tokenizer_without_a_fast_form(checkpoint: Path) -> None:
    from transformers import ByT5Tokenizer

    for path in checkpoint.glob("*token*"):
        path.unlink()
    ByT5Tokenizer().save_pretrained(checkpoint)
    with pytest.raises(ModelError, match="fast form") as caught:
        load_tokenizer_of(checkpoint)
    assert caught.value.exit_code == 7


def test_a_tokenizer_that_transformers_5_saved(checkpoint: Path) -> None:
    newer = {"tokenizer_class": "TokenizersBackend", "extra_special_tokens": ["[CLS]"]}
    before = load_tokenizer_of(checkpoint)("the cat is good")["input_ids"]
    edit(checkpoint / "tokenizer_config.json", **newer)
    assert load_tokenizer_of(checkpoint)("the cat is good")["input_ids"] == before


def test_switches_are_set_for_our_use_and_restored(checkpoint: Path, tmp_path: Path) -> None:
    said = {"return_dict": False, "torchscript": True, "chunk_size_feed_forward": 4}
    edit(checkpoint / "config.json", **said)
    model = load(checkpoint)
    assert model(**make_tokenizer()("the cat", return_tensors="pt")).logits.shape == (1, 2)
    for _ in range(2):  # a checkpoint of ours is as good a source
        saved = save_checkpoint(model, make_tokenizer(), tmp_path / "saved")
        content = json.loads((saved / "config.json").read_text())
        assert {name: content[name] for name in said} == said
        model = load(saved)
        assert model.config.chunk_size_feed_forward == 0


def test_ids_past_the_table_of_tokens(checkpoint: Path) -> None:
    model = load(checkpoint)
    tokenizer = make_tokenizer()
    match_inputs(tokenizer, model)
    tokenizer.add_tokens(["elephant"])
    with pytest.raises(ModelError, match="elephant") as caught:
        match_inputs(tokenizer, model, where="here")
    assert caught.value.exit_code == 7


def test_segments_that_the_model_lacks_are_left_out(tmp_path: Path) -> None:
    model = load(make_checkpoint(tmp_path / "m", "roberta", num_labels=2, type_vocab_size=1))
    tokenizer = make_tokenizer()
    match_inputs(tokenizer, model)
    pair = tokenizer("the cat", "is good", return_tensors="pt")
    assert "token_type_ids" not in pair
    assert model(**pair).logits.shape == (1, 2)


def test_a_mask_is_made_also_where_the_tokenizer_names_none(checkpoint: Path) -> None:
    """Padding would be read as text; one text alone has none, and answers right without."""
    tokenizer = make_tokenizer()
    tokenizer.model_input_names = ["input_ids"]
    match_inputs(tokenizer, load(checkpoint))
    assert tokenizer(["the cat", "the"], padding=True)["attention_mask"][1][-1] == 0


def test_attention_kernels_that_are_not_here_are_not_asked_for(checkpoint: Path) -> None:
    path = checkpoint / "config.json"
    said = json.loads(path.read_text())
    path.write_text(json.dumps({**said, "_attn_implementation": "flash_attention_2"}))
    assert load(checkpoint).config._attn_implementation in ("sdpa", "eager")

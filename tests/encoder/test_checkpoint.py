from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from glp_export.core.errors import ModelError
from glp_export.encoder import ModelSource, load_model, load_tokenizer, match_inputs
from glp_export.encoder.checkpoint import checksum, read_config
from glp_export.tasks import Task
from tests.tiny import make_checkpoint, make_config, make_tokenizer

TASK = Task("animals", "text-classification", ("text",), "label", ("bad", "good"), "accuracy")


def load(path):
    return load_model(ModelSource(str(path), offline=True), TASK)


def test_a_bare_encoder_gets_a_head_for_the_labels(encoder):
    model = load(encoder)
    assert model.config.id2label == {0: "bad", 1: "good"}
    assert model.classifier.out_features == 2
    assert model.dtype == torch.float32


def test_a_head_for_other_labels_is_replaced(tmp_path):
    model = load(make_checkpoint(tmp_path, num_labels=5))
    assert model.classifier.out_features == 2


def test_the_head_depends_on_the_seed_alone(encoder):
    from transformers import set_seed

    heads = []
    for _ in range(2):
        set_seed(3)
        heads.append(load(encoder).classifier.weight)
    assert torch.equal(*heads)


def test_a_directory_that_is_not_there():
    with pytest.raises(ModelError, match="no such model directory"):
        load("./nowhere/at/all")


def test_a_name_that_no_hub_answers_for():
    with pytest.raises(ModelError, match="cannot be loaded"):
        load("nobody/nothing")


def test_pickled_weights_are_refused_with_the_command_that_converts_them(encoder, tmp_path):
    shutil.copytree(encoder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "model.safetensors").unlink()
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickle") as caught:
        load(tmp_path)
    assert "save_pretrained" in str(caught.value)


def test_no_weights_at_all(encoder, tmp_path):
    shutil.copytree(encoder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="no weights"):
        load(tmp_path)


def test_attention_whose_form_depends_on_the_length(encoder, tmp_path):
    shutil.copytree(encoder, tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "big_bird", "architectures": ["BigBirdModel"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="block_sparse"):
        load(tmp_path)
    config["attention_type"] = "original_full"
    (tmp_path / "config.json").write_text(json.dumps(config))
    read_config(ModelSource(str(tmp_path), offline=True))


def test_tensors_missing_from_the_encoder(encoder, tmp_path):
    from safetensors.torch import load_file, save_file

    shutil.copytree(encoder, tmp_path, dirs_exist_ok=True)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["encoder.layer.2.output.dense.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 1 tensors.*layer\.2\.output\.dense\.weight"):
        load(tmp_path)


@pytest.mark.parametrize("named", [3, [3], "BertModel"])
def test_architectures_that_are_no_names(encoder, tmp_path, named):
    shutil.copytree(encoder, tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "architectures": named}))
    with pytest.raises(ModelError, match="no list of names"):
        load(tmp_path)


def test_inputs_of_a_tokenizer_that_are_no_names(encoder):
    tokenizer = make_tokenizer()
    tokenizer.model_input_names = 3
    with pytest.raises(ModelError, match="model_input_names"):
        match_inputs(tokenizer, load(encoder))


def test_weights_of_another_width(encoder, tmp_path):
    shutil.copytree(encoder, tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "intermediate_size": 48}))
    with pytest.raises(ModelError, match="lacks"):
        load(tmp_path)


def test_a_truncated_weight_file(encoder, tmp_path):
    shutil.copytree(encoder, tmp_path, dirs_exist_ok=True)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ModelError, match="weights cannot be loaded"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("family", "segments"), [("bert", True), ("deberta-v2", True), ("mpnet", False)]
)
def test_a_tokenizer_makes_segments_where_the_model_reads_them(family, segments):
    from transformers import AutoModel

    tokenizer = make_tokenizer()
    for names in (["input_ids", "attention_mask"], ["input_ids", "token_type_ids"]):
        tokenizer.model_input_names = names
        match_inputs(tokenizer, AutoModel.from_config(make_config(family)))
        assert ("token_type_ids" in tokenizer("the cat", "is good")) == segments


def test_no_tokenizer(encoder, tmp_path):
    for name in ("config.json", "model.safetensors"):
        shutil.copy(encoder / name, tmp_path)
    with pytest.raises(ModelError, match="tokenizer cannot be loaded"):
        load_tokenizer(ModelSource(str(tmp_path), offline=True))


def test_a_directory_without_configuration(tmp_path):
    with pytest.raises(ModelError, match=r"no config\.json"):
        load(tmp_path)


@pytest.mark.parametrize("limit", ["64", -1, 0, 64.5, None, [64]])
def test_a_longest_input_that_is_no_number_of_tokens(encoder, tmp_path, limit):
    directory = _with_limit(encoder, tmp_path, limit)
    if limit is None:
        assert load_tokenizer(ModelSource(str(directory))).model_max_length > 2**31
        return
    with pytest.raises(ModelError, match="no number of tokens"):
        load_tokenizer(ModelSource(str(directory)))


def test_a_longest_input_may_be_written_with_a_point(encoder, tmp_path):
    tokenizer = load_tokenizer(ModelSource(str(_with_limit(encoder, tmp_path, 64.0))))
    assert type(tokenizer.model_max_length) is int
    assert len(tokenizer("the " * 100, truncation=True)["input_ids"]) == 64


def _with_limit(encoder, tmp_path, limit):
    directory = shutil.copytree(encoder, tmp_path / "model")
    path = directory / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_max_length": limit}))
    return directory


def test_a_model_that_does_not_run_on_tokens_says_why(encoder):
    model = load_model(ModelSource(str(encoder)), TASK)
    model.bert.embeddings.LayerNorm = torch.nn.LayerNorm(7)
    with pytest.raises(ModelError, match="cannot be run on tokens alone"):
        match_inputs(make_tokenizer(), model)


def test_a_table_of_positions_that_is_asked_by_shape(tmp_path):
    from transformers import AutoModelForSequenceClassification, RoFormerConfig

    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
    config = RoFormerConfig(
        vocab_size=30, intermediate_size=32, max_position_embeddings=48, pad_token_id=0, **sizes
    )
    tokenizer = make_tokenizer(10**30)
    match_inputs(tokenizer, AutoModelForSequenceClassification.from_config(config))
    assert tokenizer.model_max_length == 48


def test_the_checksum_covers_code_that_comes_with_a_model(tmp_path: Path) -> None:
    """Other code trains another model of the same weights."""
    make_checkpoint(tmp_path, layers=1)
    code = tmp_path / "modeling_own.py"
    found = set()
    for text in ("scale = 1\n", "scale = 2\n"):
        code.write_text(text)
        found.add(checksum(ModelSource(str(tmp_path))))
    assert len(found) == 2

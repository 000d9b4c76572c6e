"""What both majors of transformers have to write alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from glp_export.encoder import ModelSource, load_tokenizer, save_checkpoint
from glp_export.encoder.transformers_compat import training_arguments
from tests.tiny import make_config, make_tokenizer


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    from transformers import AutoModel

    model = AutoModel.from_config(make_config("bert", 1))
    return save_checkpoint(model, make_tokenizer(), tmp_path / "saved")


def test_a_saved_tokenizer_is_one_for_every_reader(saved: Path) -> None:
    config: dict[str, Any] = json.loads((saved / "tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert config["model_input_names"] == ["input_ids", "token_type_ids", "attention_mask"]
    assert config["model_max_length"] == 64
    assert config["pad_token"] == "[PAD]"
    special = json.loads((saved / "special_tokens_map.json").read_text())
    assert special["cls_token"] == "[CLS]"
    again = load_tokenizer(ModelSource(str(saved), offline=True))
    assert again("the cat", "is good") == make_tokenizer()("the cat", "is good")


def test_saving_and_loading_draws_nothing(saved: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from glp_export.artifact.modules import load_fp32

    model = load_fp32(saved, "AutoModel")
    save_checkpoint(model, make_tokenizer(), saved / "again")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("ratio", [0.0, 0.1])
def test_warmup_is_a_share_of_the_steps(ratio: float, tmp_path: Path) -> None:
    arguments = training_arguments(warmup_ratio=ratio, output_dir=str(tmp_path), report_to=[])
    assert arguments.get_warmup_steps(200) == 200 * ratio

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModel

from glp_export.encoder import match_inputs
from glp_export.encoder.positions import longest_input
from glp_export.encoder.tables import tables_of
from tests.tiny import make_config, make_tokenizer

FAMILIES = ("bert", "roberta", "xlm-roberta", "camembert", "electra", "distilbert", "mpnet")
OTHERS = ("data2vec-text", "roberta-prelayernorm", "xlm-roberta-xl", "xmod", "ernie", "layoutlm")
"""Families that no table of ours knows; the first four number positions from the padding on."""


def other_config(family: str) -> Any:
    own = {"default_language": "en_XX", "languages": ["en_XX"]} if family == "xmod" else {}
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    rows = {"vocab_size": 23, "max_position_embeddings": 80, "pad_token_id": 1}
    return AutoConfig.for_model(family, intermediate_size=64, **sizes, **rows, **own)


@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS])
def test_the_longest_input_is_read_and_one_longer_is_not(family: str) -> None:
    config = make_config(family, pad_token_id=1) if family in FAMILIES else other_config(family)
    model = AutoModel.from_config(config).eval()
    longest = longest_input(model.config)
    assert tables_of(model).longest == longest
    ids = torch.full((1, longest + 1), 5)
    with torch.inference_mode():
        assert model(ids[:, :longest])[0].shape[1] == longest
        with pytest.raises((IndexError, RuntimeError)):
            model(ids)


def test_a_tokenizer_without_a_limit_takes_that_of_the_model(tmp_path) -> None:
    from transformers import AutoTokenizer

    model = AutoModel.from_config(make_config())
    for asked, found in ((int(1e30), 80), (512, 80), (64, 64)):
        tokenizer = make_tokenizer(asked)
        match_inputs(tokenizer, model)
        assert tokenizer.model_max_length == found
        tokenizer.save_pretrained(tmp_path)
        assert AutoTokenizer.from_pretrained(tmp_path).model_max_length == found


def test_a_model_without_a_table_of_positions_has_no_limit() -> None:
    from transformers import AutoModelForTextEncoding

    assert longest_input(AutoConfig.for_model("t5")) == 2**31
    sizes = {"d_model": 32, "n_layer": 1, "n_head": 4, "d_inner": 64, "vocab_size": 23}
    xlnet = AutoConfig.for_model("xlnet", **sizes)  # whose table has -1 rows, it says
    assert longest_input(xlnet) == 2**31
    assert tables_of(AutoModel.from_config(xlnet)).longest == 2**31
    # Its positions are relative: their rows are buckets.
    model = AutoModelForTextEncoding.from_config(make_config("t5"))
    assert tables_of(model).longest == 2**31

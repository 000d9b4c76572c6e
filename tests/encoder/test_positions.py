from __future__ import annotations

import pytest
import torch
from transformers import AutoModel

from glp_export.encoder import match_inputs
from glp_export.encoder.positions import longest_input
from tests.tiny import make_config, make_tokenizer

FAMILIES = ("bert", "roberta", "xlm-roberta", "camembert", "electra", "distilbert", "mpnet")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_longest_input_is_read_and_one_longer_is_not(family: str) -> None:
    model = AutoModel.from_config(make_config(family, pad_token_id=1)).eval()
    longest = longest_input(model.config)
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
    from transformers import AutoConfig

    assert longest_input(AutoConfig.for_model("t5")) == 2**31

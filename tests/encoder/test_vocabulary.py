from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import AutoTokenizer

from glp_export.core.errors import ModelError, UsageError
from glp_export.core.factors import PRESETS
from glp_export.encoder.embedding_rows import needed_ids, trim_embeddings
from glp_export.encoder.kronecker import factorize, multiply_out
from glp_export.encoder.piece_models import piece_model
from glp_export.encoder.transformers_compat import save_tokenizer
from glp_export.encoder.vocabulary import (
    kept_token_ids,
    recut,
    tokenizer_content,
    trim_tokenizer,
    write_vocabulary_files,
)
from tests.encoder.vocabularies import KINDS, noise, texts
from tests.tiny import make_config, make_tokenizer, rows

DEMO = Path(__file__).parents[2] / "models" / "demo-encoder"
USED = texts(12, seed=1)


@pytest.fixture(params=KINDS)
def whole(request: pytest.FixtureRequest) -> Any:
    return KINDS[request.param]()


def trimmed(tokenizer: Any, **options: Any) -> tuple[Any, tuple[int, ...]]:
    kept = kept_token_ids(tokenizer, USED, **options)
    return trim_tokenizer(tokenizer, kept), kept


def saved(tokenizer: Any, directory: Path) -> Any:
    save_tokenizer(tokenizer, directory)
    write_vocabulary_files(tokenizer, directory)
    if not (directory / "config.json").exists():
        (directory / "config.json").write_text('{"model_type": "bert"}')
    return AutoTokenizer.from_pretrained(directory)


def ids(tokenizer: Any, text: Any, **options: Any) -> list[int]:
    return tokenizer(text, **options)["input_ids"]


def test_the_used_texts_are_cut_as_before_under_new_numbers(whole):
    smaller, kept = trimmed(whole)
    assert len(kept) < len(whole)
    assert len(smaller) == len(kept)
    for text in USED:
        assert [kept[number] for number in ids(smaller, text)] == ids(whole, text)
    pair = {"text_pair": USED[1]}
    assert [kept[n] for n in ids(smaller, USED[0], **pair)] == ids(whole, USED[0], **pair)
    assert recut(whole, smaller, kept, USED).different == 0


def test_texts_never_seen_have_no_unknown_token_that_they_had_not_before(whole):
    smaller, kept = trimmed(whole)
    unseen = [*texts(100, seed=2), *noise(300, seed=3), "🙂 日 zz"]
    measured = recut(whole, smaller, kept, unseen)
    assert measured.texts == len(unseen)
    assert measured.unknown == 0
    assert 0 < measured.share < 1
    for text in unseen:  # spelled otherwise, but the same text
        old, new = ids(whole, text), ids(smaller, text)
        if whole.unk_token_id not in old:
            said = [
                "".join(one.convert_ids_to_tokens(numbers)).replace("##", "")
                for one, numbers in ((whole, old), (smaller, new))
            ]
            assert said[0] == said[1]


def test_special_tokens_keep_their_parts_everywhere(whole):
    smaller, kept = trimmed(whole)
    for name in ("pad", "unk", "cls", "sep", "mask"):
        new, old = (getattr(one, f"{name}_token_id") for one in (smaller, whole))
        assert kept[new] == old
    batch = smaller(USED[:4], padding=True)
    for row, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True):
        assert all((n == smaller.pad_token_id) == (not m) for n, m in zip(row, mask, strict=True))
    content = tokenizer_content(smaller)
    assert sorted(smaller.get_vocab().values()) == list(range(len(kept)))
    assert {t["content"]: t["id"] for t in content["added_tokens"]}.items() <= (
        smaller.get_vocab().items()
    )


def test_a_saved_one_loads_as_the_same(whole, tmp_path):
    smaller, _ = trimmed(whole)
    again = saved(smaller, tmp_path)
    for text in (*USED, *noise(20, seed=4)):
        assert ids(again, text) == ids(smaller, text)
        assert ids(again, text, text_pair=USED[0]) == ids(smaller, text, text_pair=USED[0])
    assert again.pad_token_id == smaller.pad_token_id
    assert len(again) == len(smaller)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    for number, token in config.get("added_tokens_decoder", {}).items():
        assert smaller.convert_tokens_to_ids(token["content"]) == int(number)


def test_the_whole_tokenizer_stays_as_it_is(whole):
    before = tokenizer_content(whole)
    trimmed(whole)
    assert tokenizer_content(whole) == before


def test_a_size_is_filled_with_the_most_general_pieces(whole):
    needed = kept_token_ids(whole, USED)
    wanted = (len(needed) + len(whole)) // 2
    smaller, kept = trimmed(whole, size=wanted)
    assert set(needed) < set(kept)
    assert wanted - 3 <= len(kept) <= wanted
    unseen = texts(200, seed=5)
    few = recut(whole, trim_tokenizer(whole, needed), needed, unseen)
    assert recut(whole, smaller, kept, unseen).different < few.different
    assert kept_token_ids(whole, USED, size=10) == needed


@pytest.mark.parametrize("kind", ["byte-level", "suffixed", "byte-fallback"])
@pytest.mark.parametrize("size", [None, 280])
def test_merges_and_pieces_agree(kind, size):
    whole = KINDS[kind]()
    smaller, kept = trimmed(whole, size=size)
    model = tokenizer_content(smaller)["model"]
    for left, right in model["merges"]:
        assert {left, right, left + right} <= model["vocab"].keys()
    old, new = piece_model(tokenizer_content(whole)["model"]), piece_model(model)
    for number, before in enumerate(kept):  # made by merges before: made by merges now
        if before in old.pieces and before in old.parts(before):
            assert number in new.parts(number)


@pytest.mark.parametrize("kind", ["wordpiece", "unigram"])
def test_texts_split_into_words_count_as_they_are_cut(kind):
    whole = KINDS[kind]()
    split = [text.split() for text in USED]
    kept = kept_token_ids(whole, split)
    smaller = trim_tokenizer(whole, kept)
    assert recut(whole, smaller, kept, split).different == 0
    for words in split:
        new = ids(smaller, words, is_split_into_words=True)
        assert [kept[n] for n in new] == ids(whole, words, is_split_into_words=True)


def test_what_a_tokenizer_was_last_called_with_does_not_hide_tokens():
    whole = KINDS["wordpiece"]()
    whole(USED, truncation=True, padding="max_length", max_length=4)
    smaller, kept = trimmed(whole)
    assert recut(whole, smaller, kept, USED).different == 0
    assert tokenizer_content(smaller)["padding"]["pad_id"] == smaller.pad_token_id


def test_ids_asked_for_are_kept():
    whole = KINDS["unigram"]()
    unused = max(set(range(len(whole))) - set(kept_token_ids(whole, USED)))
    assert unused in kept_token_ids(whole, USED, also=[unused])
    with pytest.raises(UsageError):
        kept_token_ids(whole, USED, also=[len(whole)])


def test_a_word_list_follows_where_there_was_one(tmp_path):
    whole = KINDS["wordpiece"]()
    smaller, kept = trimmed(whole)
    saved(smaller, tmp_path / "without")
    assert not (tmp_path / "without" / "vocab.txt").exists()
    (tmp_path / "with").mkdir()
    (tmp_path / "with" / "vocab.txt").write_text("stale\n")
    saved(smaller, tmp_path / "with")
    written = (tmp_path / "with" / "vocab.txt").read_text().splitlines()
    assert written == whole.convert_ids_to_tokens(list(kept))


STOCK = {
    "wordpiece": ("bert", "BertTokenizer"),
    "byte-level": ("roberta", "RobertaTokenizer"),
    "unigram": ("xlm-roberta", "XLMRobertaTokenizer"),
}


@pytest.mark.parametrize("kind", STOCK)
def test_the_classes_of_the_families_load_what_is_saved(kind, tmp_path):
    made, (model_type, name) = KINDS[kind](), STOCK[kind]
    made.save_pretrained(tmp_path / "whole")
    path = tmp_path / "whole" / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "tokenizer_class": name}))
    made.backend_tokenizer.model.save(str(tmp_path / "whole"))
    (tmp_path / "whole" / "unigram.json").unlink(missing_ok=True)
    if kind == "unigram":  # a stand-in; tokenizer.json is what is read
        (tmp_path / "whole" / "sentencepiece.bpe.model").write_bytes(b"whole vocabulary")
    (tmp_path / "smaller").mkdir()
    for place in ("whole", "smaller"):
        (tmp_path / place / "config.json").write_text(json.dumps({"model_type": model_type}))
    whole = AutoTokenizer.from_pretrained(tmp_path / "whole")
    smaller, kept = trimmed(whole)
    again = saved(smaller, tmp_path / "smaller")
    assert type(again) is type(whole)
    assert type(whole).__name__.removesuffix("Fast") == name
    assert len(kept) < len(whole)
    for text in (*USED, *noise(20, seed=4)):
        assert ids(again, text) == ids(smaller, text)
        assert ids(again, text, text_pair=USED[0]) == ids(smaller, text, text_pair=USED[0])
    for text in USED:
        assert [kept[number] for number in ids(again, text)] == ids(whole, text)
    lists = {file.name for file in (tmp_path / "whole").glob("*.[tj]*")}
    assert not list((tmp_path / "smaller").glob("*.model"))
    assert lists - {"special_tokens_map.json"} <= {
        file.name for file in (tmp_path / "smaller").iterdir()
    }


def test_ids_that_lack_what_others_are_made_of_are_refused():
    whole = KINDS["byte-level"]()
    model = piece_model(tokenizer_content(whole)["model"])
    kept = kept_token_ids(whole, USED)
    part = next(p for k in kept if k in model.pieces for p in model.parts(k) if p != k)
    with pytest.raises(ModelError, match="needs"):
        trim_tokenizer(whole, [number for number in kept if number != part])
    with pytest.raises(ModelError):
        trim_tokenizer(whole, [number for number in kept if number != whole.pad_token_id])
    with pytest.raises(UsageError):
        trim_tokenizer(whole, kept[::-1])


def test_kinds_that_cannot_be_trimmed_say_why():
    from tokenizers import Tokenizer, models

    words = transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    )
    with pytest.raises(ModelError, match="word-level"):
        kept_token_ids(words, USED)
    with pytest.raises(ModelError, match="slow"):
        kept_token_ids(transformers.CanineTokenizer(), USED)
    with pytest.raises(ModelError, match="spelled"):
        kept_token_ids(make_tokenizer(), ["the cat"])


def test_a_custom_part_in_python_cannot_be_written():
    from tokenizers.pre_tokenizers import PreTokenizer

    class Own:
        def pre_tokenize(self, text: Any) -> None: ...

    whole = KINDS["wordpiece"]()
    whole.backend_tokenizer.pre_tokenizer = PreTokenizer.custom(Own())
    with pytest.raises(ModelError, match="JSON"):
        kept_token_ids(whole, USED)


# --- the model


FAMILY_OF = {
    "wordpiece": ("bert", "electra", "distilbert"),
    "byte-level": ("roberta", "modernbert"),
    "unigram": ("xlm-roberta", "deberta-v2", "t5"),
}
PAIRS = [(kind, family) for kind, families in FAMILY_OF.items() for family in families]


def model_of(family: str, tokenizer: Any, head: str = "AutoModel") -> Any:
    """A tiny encoder of a family over a tokenizer, with three rows more than there are tokens."""
    torch.manual_seed(0)
    config = make_config(
        family,
        2,
        vocab_size=len(tokenizer) + 3,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        cls_token_id=tokenizer.cls_token_id,
        sep_token_id=tokenizer.sep_token_id,
    )
    name = "AutoModelForTextEncoding" if family == "t5" and head == "AutoModel" else head
    return getattr(transformers, name).from_config(config).eval()


def outputs(model: Any, tokenizer: Any, some: list[str]) -> torch.Tensor:
    inputs = tokenizer(some, padding=True, return_tensors="pt")
    with torch.inference_mode():
        return model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])[0]


@pytest.mark.parametrize(("kind", "family"), PAIRS)
def test_the_used_texts_give_the_same_before_and_after(kind, family, tmp_path):
    whole = KINDS[kind]()
    model = model_of(family, whole)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    kept = kept_token_ids(whole, USED, also=needed_ids(model))
    smaller, rows_of = trim_tokenizer(whole, kept), trim_embeddings(model, kept)
    assert torch.equal(outputs(rows_of, smaller, USED), outputs(model, whole, USED))
    assert rows_of.config.vocab_size == len(kept) == len(smaller)
    assert rows_of.config.pad_token_id == smaller.pad_token_id
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
    rows_of.save_pretrained(tmp_path)
    loaded = type(rows_of).from_pretrained(tmp_path).eval()
    again = saved(smaller, tmp_path)
    assert torch.equal(outputs(loaded, again, USED), outputs(model, whole, USED))


@pytest.mark.parametrize(("kind", "family"), PAIRS[:-1])
def test_a_language_model_head_keeps_the_same_rows(kind, family):
    whole = KINDS[kind]()
    model = model_of(family, whole, "AutoModelForMaskedLM")
    with torch.no_grad():  # a bias that tells rows apart
        model.get_output_embeddings().bias.normal_()
    kept = kept_token_ids(whole, USED, also=needed_ids(model))
    smaller = trim_embeddings(model, kept)
    before = outputs(model, whole, USED)[..., list(kept)]
    assert torch.allclose(outputs(smaller, trim_tokenizer(whole, kept), USED), before, atol=1e-6)
    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert tied == (smaller.get_output_embeddings().weight is smaller.get_input_embeddings().weight)


def test_the_padding_row_and_other_ids_follow():
    whole = KINDS["suffixed"]()  # its marks stand behind the pieces
    model = model_of("bert", whole)
    kept = kept_token_ids(whole, USED, also=needed_ids(model))
    smaller, rows_of = trim_tokenizer(whole, kept), trim_embeddings(model, kept)
    assert smaller.pad_token_id < whole.pad_token_id
    assert rows_of.get_input_embeddings().padding_idx == smaller.pad_token_id
    assert rows_of.config.eos_token_id == smaller.sep_token_id
    assert torch.equal(outputs(rows_of, smaller, USED), outputs(model, whole, USED))


def test_positions_that_follow_the_padding_id_hold_it_in_its_place():
    whole = KINDS["byte-level"]()
    model = model_of("roberta", whole)
    model.config.pad_token_id = 40
    model = type(model)(model.config)
    assert needed_ids(model) >= set(range(41))
    bert = model_of("bert", whole)
    assert needed_ids(bert) < set(range(5))


def test_rows_that_do_not_fit_are_refused():
    whole = KINDS["wordpiece"]()
    model = model_of("bert", whole)
    with pytest.raises(ModelError, match="no row"):
        trim_embeddings(model, [0, 1, len(whole) + 3])
    with pytest.raises(ModelError, match="configuration"):
        trim_embeddings(model, [1, 2, 3])
    factored = factorize(model, PRESETS["x8"])
    with pytest.raises(ModelError, match="first"):
        trim_embeddings(factored, range(5))
    model.config.vocab_size += 1
    with pytest.raises(ModelError, match="rows"):
        trim_embeddings(model, [0, 1, 2])


def test_vocabulary_and_factors_follow_each_other():
    whole = KINDS["wordpiece"]()
    model = model_of("bert", whole)
    kept = kept_token_ids(whole, USED, also=needed_ids(model))
    smaller = trim_tokenizer(whole, kept)
    made = factorize(trim_embeddings(model, kept), PRESETS["x8"])
    assert made.get_input_embeddings().num_embeddings == len(kept)
    assert torch.allclose(
        outputs(multiply_out(made), smaller, USED), outputs(made, smaller, USED), atol=1e-5
    )


def test_the_demo_encoder_has_whole_words_only():
    tokenizer = AutoTokenizer.from_pretrained(DEMO)
    model = transformers.AutoModelForMaskedLM.from_pretrained(DEMO).eval()
    some = ["the film was superb.", "a dull, weak book"]
    with pytest.raises(ModelError):
        kept_token_ids(tokenizer, some)
    kept = kept_token_ids(tokenizer, some, also=needed_ids(model), allow_unknown=True)
    assert len(kept) < 25
    smaller, small_model = trim_tokenizer(tokenizer, kept), trim_embeddings(model, kept)
    before = outputs(model, tokenizer, some)[..., list(kept)]
    assert torch.allclose(outputs(small_model, smaller, some), before, atol=1e-5)
    lost = recut(tokenizer, smaller, kept, ["the cheese was superb", "the film was weak"])
    assert (lost.different, lost.unknown) == (1, 1)


def test_a_vocabulary_without_characters_of_its_own_keeps_all_that_it_needs():
    tokenizer = make_tokenizer()
    some = [row["text"] for row in rows(60)]
    kept = kept_token_ids(tokenizer, some, allow_unknown=True)
    assert recut(tokenizer, trim_tokenizer(tokenizer, kept), kept, some).different == 0

from __future__ import annotations

import numpy as np
import pytest

from glp_export.core.errors import DataError
from glp_export.serve.kinds import SERVED, served_kind
from glp_export.serve.kinds.words import TaggedWords, as_words
from glp_export.tasks import KINDS

NAMES = ("O", "B-a", "I-a", "B-b", "I-b")


def tagged(*tags: str | None) -> TaggedWords:
    """An answer with these tags to one text."""
    logits = np.full((len(tags), len(NAMES)), np.nan, dtype=np.float32)
    for word, tag in enumerate(tags):
        if tag is not None:
            logits[word] = [3.0 * (name == tag) for name in NAMES]
    return TaggedWords([[f"w{word}" for word in range(len(tags))]], [logits], NAMES)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (("B-a", "I-a", "O", "B-b"), [("a", 0, 2), ("b", 3, 4)]),
        (("B-a", "B-a"), [("a", 0, 1), ("a", 1, 2)]),
        (("I-a", "I-b", "I-b"), [("a", 0, 1), ("b", 1, 3)]),
        (("B-a", None, "I-a"), [("a", 0, 1), ("a", 2, 3)]),
        (("O", "O"), []),
    ],
)
def test_tags_mark_entities_as_seqeval_counts_them(tags, expected) -> None:
    from seqeval.metrics.sequence_labeling import get_entities

    (found,) = tagged(*tags).entities
    assert [(one.type, one.start, one.stop) for one in found] == expected
    counted = get_entities([tag or "O" for tag in tags])
    assert [(type_, start, last + 1) for type_, start, last in counted] == expected


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (("S-a", "B-a", "E-a", "S-b"), [("a", 0, 1), ("a", 1, 3), ("b", 3, 4)]),
        (("U-a", "U-a", "B-b", "I-b", "L-b"), [("a", 0, 1), ("a", 1, 2), ("b", 2, 5)]),
        (("B-a", "E-a", "I-a"), [("a", 0, 2), ("a", 2, 3)]),
        (("person", "O"), []),
    ],
)
def test_tags_that_mark_ends_and_single_words_mark_entities_too(tags, expected) -> None:
    names = tuple(dict.fromkeys(tags))
    logits = np.eye(len(names), dtype=np.float32)[[names.index(tag) for tag in tags]]
    (found,) = TaggedWords([["w"] * len(tags)], [logits], names).entities
    assert [(one.type, one.start, one.stop) for one in found] == expected


def test_a_word_that_the_model_did_not_see_has_no_tag() -> None:
    answer = tagged("B-a", None)
    assert answer.tags == [["B-a", None]]
    assert answer.probabilities[0][0].sum() == pytest.approx(1.0)


def test_a_text_is_split_at_white_space_and_a_list_is_words() -> None:
    assert as_words("the  cat\tis") == [["the", "cat", "is"]]
    assert as_words(["the cat", ("a b", "c")]) == [["the", "cat"], ["a b", "c"]]
    with pytest.raises(DataError, match="no text and no list of words"):
        as_words([["the", 1]])


def test_every_kind_of_task_is_served() -> None:
    assert SERVED.keys() == KINDS.keys()
    for name, kind in KINDS.items():
        assert SERVED[name].outputs == kind.outputs
        head = kind.auto_class.removeprefix("AutoModel") or "Model"
        assert SERVED[name].head == head
        assert served_kind(None, {"architectures": [f"Bert{head}"]}).outputs == kind.outputs

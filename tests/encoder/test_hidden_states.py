from __future__ import annotations

import pytest
import torch

from glp_export.core.shape import Kept
from glp_export.encoder import HiddenStates
from glp_export.encoder.batches import forward
from glp_export.encoder.compaction import compact
from glp_export.encoder.embedding_rows import trim_embeddings
from glp_export.encoder.hidden_states import gives_states_of
from glp_export.encoder.layer_stack import remove_layers
from tests.encoder.test_compaction import CUTS, batch, model_of


def distance(hidden: HiddenStates, student, given) -> float:
    with torch.no_grad():
        outputs = forward(student, given, output_hidden_states=True)
        return float(hidden.distance(outputs, given))


@pytest.mark.parametrize(
    "family", ["bert", "distilbert", "mpnet", "deberta-v2", "modernbert", "t5"]
)
def test_a_model_is_at_no_distance_from_itself_and_narrowed_at_some(family):
    teacher = model_of(family)
    assert gives_states_of(teacher, 4)
    hidden = HiddenStates.of(teacher, range(4), 4)
    assert hidden.layers == (1, 2, 3, 4)
    assert distance(hidden, teacher, batch()) == 0
    small = compact(teacher, Kept.of(CUTS["uneven"]))
    assert gives_states_of(small, 4)
    assert 0 < distance(hidden, small, batch()) < 10


def test_each_layer_comes_to_what_stands_before_the_next_that_is_kept():
    teacher = model_of("bert")
    student = remove_layers(teacher, [1, 2]).eval()
    hidden = HiddenStates.of(teacher, (0, 3), 4)
    assert hidden.layers == (3, 4)
    states, own = (
        forward(model, batch(), output_hidden_states=True).hidden_states
        for model in (teacher, student)
    )
    real = batch()["attention_mask"].bool()
    expected = [
        ((mine[real] - theirs[real]) ** 2).sum() / (theirs[real] ** 2).sum()
        for mine, theirs in ((own[1], states[3]), (own[2], states[4]))
    ]
    assert distance(hidden, student, batch()) == pytest.approx(
        float(sum(expected).detach() / 2), rel=1e-5
    )


def test_padding_has_no_part_in_it():
    teacher = model_of("bert")
    student = compact(teacher, Kept.of(CUTS["uneven"]))
    hidden = HiddenStates.of(teacher, range(4), 4)
    longer = {name: torch.nn.functional.pad(rows, (0, 5)) for name, rows in batch().items()}
    assert distance(hidden, student, longer) == pytest.approx(
        distance(hidden, student, batch()), rel=1e-4
    )


def test_states_of_other_layers_are_seen_beforehand():
    assert not gives_states_of(model_of("bert"), 3)


def test_tokens_of_a_trimmed_vocabulary_are_those_of_the_teacher():
    teacher, given = model_of("bert"), batch()
    kept = (0, *range(3, 20))
    student = trim_embeddings(teacher, kept)
    own = {
        **given,
        "input_ids": torch.tensor(
            [[kept.index(i) for i in row] for row in given["input_ids"].tolist()]
        ),
    }
    hidden = HiddenStates.of(teacher, range(4), 4, embeddings=True, tokens=kept)
    assert distance(hidden, student, own) == pytest.approx(0, abs=1e-9)
    other = HiddenStates.of(teacher, range(4), 4, embeddings=True)
    assert distance(other, student, own) > 0.1

"""Criteria that train: what they leave is cut and recovered like everything else."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
import torch

from glp_export.compress.compressors.structure.ranked import load_trained, save_trained
from glp_export.compress.criteria import CRITERIA, Trained, Training
from glp_export.compress.pruned_model import InPlace, build_pruned
from glp_export.compress.selection import Selection
from glp_export.core.errors import DataError, UsageError
from glp_export.encoder.regulariser import Regulariser
from glp_export.encoder.sublayers import shape_of
from tests.compress.test_structure import FAMILIES, batches, make_model

TRAINED = [name for name, criterion in CRITERIA.items() if criterion.train is not None]
LAYERS, HEADS, NEURONS = 3, 4, 64


def share(counts: Sequence[tuple[int, int]]) -> float:
    """A machine on which heads and neurons are all that takes time."""
    return sum(heads / HEADS + neurons / NEURONS for heads, neurons in counts) / (2 * LAYERS)


def training_of(model: Any, *, updates: int = 60, wanted: float = 0.5) -> Training:
    """Imitating the model's own answers on a few batches, by the plainest loop there is."""
    with torch.no_grad():
        answers = [model(**inputs).logits for inputs in batches()]

    def teach(student: Any, regulariser: Regulariser) -> None:
        own = {id(one) for one in regulariser.parameters}
        rest = [one for one in student.parameters() if id(one) not in own]
        groups = [
            {"params": rest},
            {"params": list(regulariser.parameters), "lr": regulariser.rate},
        ]
        optimizer = torch.optim.AdamW([group for group in groups if group["params"]], lr=1e-3)
        inputs = batches()
        for done in range(updates):
            regulariser.before_step(done, updates)
            place = done % len(inputs)
            loss = (student(**inputs[place]).logits - answers[place]).square().mean()
            penalty = regulariser.penalty()
            optimizer.zero_grad()
            (loss if penalty is None else loss + penalty).backward()
            optimizer.step()
            regulariser.after_step(done + 1, updates)

    return Training(model, teach, share, wanted, (8, 32), 0)


def train(model: Any, criterion: str, **how: Any) -> Trained:
    made = CRITERIA[criterion].train
    assert made is not None
    return made(training_of(model, **how))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("criterion", TRAINED)
def test_a_trained_model_is_cut_like_any_other(family: str, criterion: str) -> None:
    model = make_model(family)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trained = train(model, criterion, updates=3)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert set(trained.model.state_dict()) == set(before)
    assert not trained.model.training
    assert len(trained.ranking.curves) == 2 * LAYERS
    for curve in trained.ranking.curves:
        assert sorted(curve.order) == list(range(curve.units))
        assert curve.errors[-1] == 0
        assert list(curve.errors) == sorted(curve.errors, reverse=True)
    selection = Selection(((2, 20), (0, 32), (3, 0)), 0.0, 0.0)
    small = build_pruned(trained.model, selection, trained.ranking)
    assert [(one.heads, one.neurons) for one in shape_of(small).layers] == list(selection.layers)
    inputs = batches()[0]
    with torch.no_grad():
        with InPlace.of(trained.model, selection, trained.ranking).applied(trained.model):
            masked = trained.model(**inputs).logits
        assert torch.allclose(masked, small(**inputs).logits, atol=1e-5)


@cache
def steered(criterion: str) -> Trained:
    """To half of the time."""
    return train(make_model("bert"), criterion, updates=50, wanted=0.5)


@pytest.mark.parametrize("criterion", TRAINED)
def test_a_training_is_steered_to_the_wanted_time(criterion: str) -> None:
    trained = steered(criterion)
    assert trained.reached == pytest.approx(0.5, abs=0.1)
    # What the training emptied or masked goes first: the cheapest half costs next to nothing.
    cheap = [curve.relative()[curve.units // 2] for curve in trained.ranking.curves]
    assert sum(cheap) / len(cheap) < 0.3


@pytest.mark.parametrize("criterion", TRAINED)
def test_the_same_training_is_the_same_model_and_is_kept_as_it_is(
    criterion: str, tmp_path: Any
) -> None:
    model = make_model("bert")
    first, second = (train(model, criterion, updates=3) for _ in range(2))
    assert first.ranking.curves == second.ranking.curves
    save_trained(first, tmp_path, seconds=2.5)
    kept, seconds = load_trained(tmp_path, model)
    assert (kept.ranking.curves, kept.reached, seconds) == (
        first.ranking.curves,
        first.reached,
        2.5,
    )
    for other in (second.model, kept.model):
        state = other.state_dict()
        assert all(torch.equal(value, state[k]) for k, value in first.model.state_dict().items())


def test_what_is_kept_and_damaged_is_refused(tmp_path: Any) -> None:
    model = make_model("bert")
    save_trained(train(model, "pdp", updates=2), tmp_path, seconds=1.0)
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(DataError):
        load_trained(tmp_path, model)
    (tmp_path / "ranking.json").write_text("{}")
    with pytest.raises(DataError):
        load_trained(tmp_path, model)


def test_movement_empties_whole_heads_and_fills_the_rest() -> None:
    trained = steered("movement")
    emptied = 0
    for number, layer in enumerate(trained.model.bert.encoder.layer):
        heads = trained.ranking.curves[2 * number]
        alive = {unit for unit in range(HEADS) if unit in heads.order[_free(heads) :]}
        columns = layer.attention.output.dense.weight.detach().reshape(32, HEADS, 8)
        assert {n for n in range(HEADS) if bool((columns[:, n] != 0).any())} == alive
        assert all(bool((columns[:, n] != 0).all()) for n in alive)  # no hole is left
        emptied += HEADS - len(alive)
        neurons = trained.ranking.curves[2 * number + 1]
        gone = neurons.order[: _free(neurons)]
        assert not layer.output.dense.weight[:, list(gone)].any()
        assert not layer.intermediate.dense.weight[list(gone)].any()
        emptied += len(gone)
    assert emptied


def _free(curve: Any) -> int:
    """Units that cost nothing."""
    return sum(error == 0 for error in curve.errors) - 1


def test_a_block_that_does_not_divide_is_refused() -> None:
    check, shape = CRITERIA["movement"].check, shape_of(make_model("bert"))
    for block in ((8, 32), (1, 1), (4, 16)):
        check(shape, block)
    for block in ((32, 32), (3, 32), (8, 5), (16, 8)):
        with pytest.raises(UsageError, match="divide"):
            check(shape, block)

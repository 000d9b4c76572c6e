from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from glp_export.compress.budget import TimeBudget
from glp_export.compress.compressors.structure.choice import Chooser
from glp_export.compress.compressors.structure.options import StructureOptions
from glp_export.compress.compressors.structure.ranked import Ranked
from glp_export.compress.criteria import CRITERIA, Calibration, Ranking, Sublayer
from glp_export.compress.criteria.projections import find_projections
from glp_export.compress.latency_table import LatencyTable, SublayerTimes
from glp_export.compress.pruned_model import InPlace, build_pruned
from glp_export.compress.selection import Selection
from glp_export.compress.sensitivity import divergences, measure_sensitivities
from glp_export.core.errors import DataError, UsageError
from glp_export.encoder.sublayers import shape_of
from tests.compress.test_latency_table import conditions
from tests.families import SPREAD, batch
from tests.tiny import auto_class_of, make_config

FAMILIES = ("bert", "distilbert", "mpnet", "deberta-v2", "modernbert", "t5")


def make_model(family: str) -> Any:
    import transformers

    torch.manual_seed(0)
    config = make_config(family, 3, num_labels=2, **SPREAD)
    if family == "modernbert" and not hasattr(config, "layer_types"):
        pytest.skip("this transformers tells what a layer is by its number")
    return getattr(transformers, auto_class_of(family)).from_config(config).eval()


def batches() -> list[dict[str, torch.Tensor]]:
    return [
        {name: torch.from_numpy(values) for name, values in batch(12, 9, 5, 7, seed=seed).items()}
        for seed in range(4)
    ]


def loss(outputs: Any, inputs: Any) -> torch.Tensor:
    return outputs.logits.float().square().mean()


def distance(outputs: Any, others: Any, inputs: Any) -> torch.Tensor:
    return (outputs.logits - others.logits).square().mean()


def rank(model: Any, criterion: str) -> Ranking:
    calibration = Calibration(model, find_projections(model), batches(), loss)
    return CRITERIA[criterion].rank(calibration)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("criterion", ["obs", "fisher", "magnitude", "silent-neurons"])
def test_every_criterion_ranks_every_family(family: str, criterion: str) -> None:
    model = make_model(family)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    ranking = rank(model, criterion)
    assert len(ranking.curves) == 6
    for curve in ranking.curves:
        assert sorted(curve.order) == list(range(curve.units))
        assert curve.errors[-1] == 0
        assert list(curve.errors) == sorted(curve.errors, reverse=True)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("criterion", ["obs", "magnitude"])
def test_the_model_in_place_computes_what_the_compact_one_does(family: str, criterion: str) -> None:
    model = make_model(family)
    ranking = rank(model, criterion)
    selection = Selection(((2, 20), (0, 32), (3, 0)), 0.0, 0.0)
    compact = build_pruned(model, selection, ranking)
    inputs = batches()[0]
    with torch.no_grad():
        whole = model(**inputs).logits
        with InPlace.of(model, selection, ranking).applied(model):
            masked = model(**inputs).logits
        assert torch.allclose(masked, compact(**inputs).logits, atol=1e-5)
        assert not torch.allclose(masked, whole, atol=1e-3)
        assert torch.equal(whole, model(**inputs).logits)


def test_whole_layers_go_with_heads_and_neurons_of_others() -> None:
    model = make_model("bert")
    ranking = rank(model, "obs")
    selection = Selection(((4, 64), None, (1, 10)), 0.0, 0.0)
    compact = build_pruned(model, selection, ranking)
    assert len(compact.bert.encoder.layer) == 2
    inputs = batches()[0]
    with torch.no_grad(), InPlace.of(model, selection, ranking).applied(model):
        assert torch.allclose(model(**inputs).logits, compact(**inputs).logits, atol=1e-5)


def test_refitted_weights_change_the_output_less_than_the_plain_ones() -> None:
    model = make_model("bert")
    ranking = rank(model, "obs")
    selection = Selection(((2, 24), (2, 24), (2, 24)), 0.0, 0.0)
    plain = Ranking(ranking.curves)
    refitted = divergences(model, ranking, [selection], batches(), distance)[0]
    assert refitted < 0.7 * divergences(model, plain, [selection], batches(), distance)[0]


def test_what_errors_weigh_is_found_once_and_varied_a_little_for_another_table() -> None:
    model, dev = make_model("bert"), batches()
    ranking = rank(model, "obs")
    worth = measure_sensitivities(model, ranking, dev, distance, removable=[0, 1, 2])
    evaluator: Any = SimpleNamespace(
        dev=dev, divergence=distance, seed=0, removable=(0, 1, 2), teacher=model
    )
    times = SublayerTimes(counts=(0, 1, 4), milliseconds=(0.0, 0.1, 0.4))
    widths = SublayerTimes(counts=(0, 8, 64), milliseconds=(0.0, 0.1, 0.6))
    measured = LatencyTable(
        conditions=conditions(),
        base=shape_of(model),
        base_ms=0.1,
        attention=times,
        feed_forward=widths,
        topmost_attention=times,
        topmost_feed_forward=widths,
        measured=(),
        worst_error=0.0,
    )
    time, ranked = TimeBudget(1, 16, speedup=2.0), Ranked(model, ranking, worth)
    options = StructureOptions(mutations=6, neuron_step=8)
    chooser = Chooser(options, time, evaluator, ranked)
    passes: list[int] = []
    model.register_forward_hook(lambda *call: passes.append(1))
    chosen = chooser.by(measured)
    assert len(dev) < len(passes) <= 7 * len(dev)  # of the unpruned model, and of six choices
    passes.clear()
    slower = measured.model_copy(update={"base_ms": 0.5})
    assert chooser.by(slower).layers != chosen.layers  # half of the time leaves less for layers
    assert len(passes) <= 3 * len(dev)
    passes.clear()
    assert chooser.by(measured) == chosen
    assert not passes


@pytest.mark.parametrize("family", FAMILIES)
def test_sensitivities_are_those_of_the_whole_pruned_model(family: str) -> None:
    model = make_model(family)
    ranking = rank(model, "obs")
    # Not the first of T5's, which makes the position bias of all.
    removable = [1, 2]
    found = measure_sensitivities(model, ranking, batches(), distance, removable=removable)
    assert set(found.layers) == set(removable)
    assert len(found.sublayers) == 6
    whole = (4, 64)
    expected = [
        (found.sublayers[Sublayer(1, "attention")], (whole, (0, 64), whole)),
        (found.sublayers[Sublayer(2, "feed-forward")], (whole, whole, (4, 0))),
    ]
    if family != "modernbert":  # whose layers are of two kinds in turn
        expected.append((found.layers[1], (whole, None, whole)))
    for value, choice in expected:
        compact = build_pruned(model, Selection(choice, 0.0, 0.0), ranking)
        with torch.no_grad():
            costs = [distance(compact(**inputs), model(**inputs), inputs) for inputs in batches()]
        assert value == pytest.approx(float(sum(costs)) / 4, rel=1e-3)


def test_what_a_criterion_needs() -> None:
    model = make_model("bert")
    projections = find_projections(model)
    for criterion in ("obs", "silent-neurons"):
        with pytest.raises(DataError):
            CRITERIA[criterion].rank(Calibration(model, projections, []))
    with pytest.raises(UsageError):
        CRITERIA["fisher"].rank(Calibration(model, projections, batches()))


def test_fisher_is_the_squared_gradient_of_each_row() -> None:
    model = make_model("bert")
    ranking = rank(model, "fisher")
    projection = find_projections(model)[0]
    expected = torch.zeros(4)
    count = 0
    for inputs in batches():
        for row in range(len(inputs["input_ids"])):
            one = {name: values[row : row + 1] for name, values in inputs.items()}
            gate = torch.ones(4, requires_grad=True)
            handle = projection.module.register_forward_pre_hook(
                lambda module, x, gate=gate: x[0] * gate.repeat_interleave(8)
            )
            # The batch's loss is the mean of its rows'.
            (gradient,) = torch.autograd.grad(loss(model(**one), one), gate)
            handle.remove()
            expected += gradient.square()
            count += 1
    curve = ranking.curves[0]
    assert curve.errors[3] == pytest.approx(float((expected / count).min()), rel=1e-4)
    assert curve.errors[0] == pytest.approx(float((expected / count).sum()), rel=1e-4)


def test_a_neuron_that_stays_silent_goes_first_and_padding_is_not_heard() -> None:
    model = make_model("bert")
    dense = model.bert.encoder.layer[1].intermediate.dense
    with torch.no_grad():
        dense.weight[[5, 7, 40]] = 0
        dense.bias[[5, 40]], dense.bias[7] = 0, 50
    inputs = batches()
    curve = (
        CRITERIA["silent-neurons"]
        .rank(Calibration(model, find_projections(model), inputs))
        .curve(Sublayer(1, "feed-forward"))
    )
    assert curve.order[:2] == (5, 40)
    assert curve.errors[-3] == 0
    assert curve.order[-1] == 7
    assert curve.errors[0] - curve.errors[1] == pytest.approx(50**2, rel=0.01)
    padded = [
        {
            "input_ids": torch.cat([one["input_ids"], one["input_ids"][:, :1]], 1),
            "attention_mask": torch.cat(
                [one["attention_mask"], torch.zeros_like(one["attention_mask"][:, :1])], 1
            ),
        }
        for one in inputs
    ]
    again = CRITERIA["silent-neurons"].rank(Calibration(model, find_projections(model), padded))
    wanted = CRITERIA["silent-neurons"].rank(Calibration(model, find_projections(model), inputs))
    for one, other in zip(again.curves, wanted.curves, strict=True):
        assert one.errors == pytest.approx(other.errors, rel=1e-4)

"""A model that lost heads and neurons, wherever people read of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from glp_export.artifact.layout import ArtifactLayout
from glp_export.bench import BenchmarkFile, Frontier
from glp_export.compress.edits import TrimVocabulary
from glp_export.report import (
    artifact_view,
    benchmark_table,
    frontier_table,
    plan_view,
    sweep_text,
)
from glp_export.report.card import card_text
from glp_export.report.html import SweepVariant, comparison_page, page, report_data
from glp_export.report.structure import gone_in_pytorch, layers_left, shipped_prediction
from tests.report.helpers import (
    DIFFERENCES,
    make_facts,
    make_latency_table,
    make_parity,
    make_structure_benchmark,
    make_structure_plan,
    printed,
)
from tests.report.html.helpers import Reader, make_report_data

LABEL = "5 layers, 50 % of heads, 67 % of neurons"


def two_models() -> BenchmarkFile:
    """Two pruned models of the same depth."""
    first = make_structure_benchmark()
    plan = make_structure_plan(seed=7, checksum="another")
    second = make_structure_benchmark(plan)

    def both(name: str) -> tuple[object, ...]:
        added = [row for row in getattr(second, name) if row.contender == "pruned"]
        return (*getattr(first, name), *added)

    return first.model_copy(update={"rows": both("rows"), "metrics": both("metrics")})


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> ArtifactLayout:
    layout = ArtifactLayout(tmp_path_factory.mktemp("structure") / "out")
    layout.onnx_dir.mkdir(parents=True)
    layout.onnx_model.write_bytes(b"x" * 2000)
    make_structure_plan().save(layout.plan)
    make_structure_benchmark(differences=DIFFERENCES).save(layout.benchmark)
    make_latency_table().save(layout.latency_table)
    layout.parity.write_text(make_parity().to_json())
    return layout


def card(**facts: object) -> str:
    benchmark = make_structure_benchmark(differences=DIFFERENCES)
    given = make_facts(latency_table=make_latency_table(), **facts)
    return card_text(make_structure_plan(), benchmark, make_parity(), given)


def test_every_layer_is_counted_as_in_the_base_model() -> None:
    layers = layers_left(make_structure_plan())
    assert [layer.removed for layer in layers] == [False] * 5 + [True]
    assert [len(layer.heads) for layer in layers] == [4, 2, 2, 2, 2, 0]
    assert [layer.neurons for layer in layers] == [64, 48, 48, 48, 48, 0]


def test_the_card_says_what_is_left_and_how_it_was_chosen() -> None:
    text = card()
    assert LABEL in text
    assert "2 of 4" in text
    assert "48 of 64" in text
    assert "Order of removal" not in text
    assert "of 6 layers" not in text
    assert "predicted 2.10×, measured 2.22× (2.16–2.29)" in text
    assert "first-token graph" in text
    assert "(top" in text
    assert "0.97" in text
    assert "glp_export.load_torch" in text
    assert "zeros" in text
    assert "structured-pruning" in text
    assert "2302.04089" in text


def test_a_card_without_the_table_still_has_the_prediction() -> None:
    given = make_facts()
    text = card_text(make_structure_plan(), make_structure_benchmark(), make_parity(), given)
    assert "predicted 2.10×" in text
    assert "latency table |" not in text


def test_predicted_is_compared_with_the_file_at_the_tables_conditions() -> None:
    plan, table = make_structure_plan(), make_latency_table()
    found = shipped_prediction(plan, make_structure_benchmark(), table)
    assert found is not None
    assert found.measured == pytest.approx(0.20 / 0.09)
    assert found.error == pytest.approx(2.1 / (0.20 / 0.09) - 1)
    elsewhere = table.conditions.model_copy(update={"sequence_length": 77})
    other = table.model_copy(update={"conditions": elsewhere})
    missing = shipped_prediction(plan, make_structure_benchmark(), other)
    assert missing is not None
    assert missing.measured is None


@pytest.mark.parametrize("width", [60, 80])
def test_inspect_shows_the_picture_and_the_final_round(width: int) -> None:
    text = printed(plan_view(make_structure_plan()), width)
    assert max(map(len, text.splitlines())) <= width
    assert "■■··" in text
    assert "removed" in text
    assert "final round" in text
    assert "structure" in text
    assert "0.2100" in text
    assert make_structure_plan().id in text
    assert "in this order" not in text


def test_an_artifact_is_inspected_and_reported_from_its_files(artifact: ArtifactLayout) -> None:
    assert "■■··" in printed(artifact_view(artifact.root))
    data = report_data(artifact.root)
    assert data.sweep_variants[0].latency_table == make_latency_table()
    seen = Reader(page(data))
    assert f"What is left: {LABEL}" in seen.text
    assert "layer 0 stays" not in seen.text
    assert "predicted and as measured" in seen.text
    assert "The final round" in seen.text
    assert "load_torch" in seen.text
    assert "How near the other candidates came" not in seen.text
    assert "in the order" not in seen.text
    drawings = seen.all("svg", role="img")
    assert len({one["aria-labelledby"] for one in drawings}) == len(drawings)


def test_a_report_without_the_table_has_no_plot_of_predictions() -> None:
    variant = SweepVariant(make_structure_plan(), "", make_parity())
    data = make_report_data(
        plan=make_structure_plan(), benchmark=make_structure_benchmark(), sweep_variants=(variant,)
    )
    text = Reader(page(data)).text
    assert "as predicted and as measured" not in text
    assert "What is left" in text


def test_it_stands_beside_a_model_of_whole_layers() -> None:
    variant = SweepVariant(make_structure_plan(), "", make_parity())
    data = make_report_data(
        name="structure",
        plan=make_structure_plan(),
        benchmark=make_structure_benchmark(),
        sweep_variants=(variant,),
    )
    text = Reader(comparison_page([data, make_report_data(name="layers")])).text
    assert LABEL in text
    assert "3 of 6" in text


@pytest.mark.parametrize("width", [60, 79])
def test_two_models_of_one_depth_are_told_apart(width: int) -> None:
    benchmark = two_models()
    ids = sorted({row.plan_id for row in benchmark.rows if row.contender == "pruned"})
    frontier = Frontier.of(benchmark, {one: f"2.1x-{one[:8]}" for one in ids})
    for view in (benchmark_table(benchmark), frontier_table(frontier)):
        text = printed(view, width)
        assert max(map(len, text.splitlines())) <= width, text
        assert all(one[:8] in text for one in ids)
        assert "50 % of heads" in " ".join(text.split())
    text = sweep_text(frontier)
    assert all(f"`2.1x-{one[:8]}/`" in text for one in ids)
    assert LABEL in text
    assert "depth" not in text


def test_a_final_round_that_whole_layers_won_is_no_order_of_removal() -> None:
    plan = make_structure_plan(edits=make_structure_plan().edits[:1])
    assert plan.layers_only
    facts = make_facts(latency_table=make_latency_table())
    text = card_text(plan, make_structure_benchmark(), make_parity(), facts)
    assert "Order of removal" not in text
    assert "(top" in text
    data = replace(make_report_data(), plan=plan)
    assert "How near the other candidates came" not in page(data)


def test_what_is_gone_from_the_checkpoint_too_is_told_from_its_zeros() -> None:
    plan = make_structure_plan()
    trimmed = plan.model_copy(update={"edits": (*plan.edits, TrimVocabulary(tokens=(0, 1)))})
    assert "lacks the whole layers that" in gone_in_pytorch(plan)
    assert "lacks the whole layers and tokens that" in gone_in_pytorch(trimmed)
    assert gone_in_pytorch(plan.model_copy(update={"edits": plan.edits[1:]})) == ""
    assert gone_in_pytorch(plan) in card()

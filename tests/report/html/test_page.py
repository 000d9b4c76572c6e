"""The report of an artifact or a sweep: what a reader finds, and that the words follow numbers."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from glp_export.bench.target_outcome import TargetOutcome
from glp_export.report.html import page
from tests.report.helpers import MACHINE, make_benchmark, make_parity, make_plan
from tests.report.html.helpers import (
    INT8,
    Reader,
    at_speed,
    failed_parity,
    make_report_data,
    make_sweep_data,
    make_variant,
    usual_page,
    with_changes,
)


def test_the_questions_come_in_the_order_in_which_a_person_asks_them() -> None:
    text = usual_page()
    places = [text.index(f'id="{name}"') for name in ("verdict", "faster", "right", "ship")]
    assert places == sorted(places)
    assert "Is it faster?" in text[: places[1]]
    assert text.index("Speedup by shape") < text.index("What was removed?</h2>")


def test_the_targets_come_first() -> None:
    kept = TargetOutcome(
        target="1.5× at 1×32", kept=True, unit="x", value=2.73, low=2.66, high=2.85, file="m.onnx"
    )
    text = page(make_report_data(benchmark=make_benchmark(targets=(kept,))))
    line = "target: 1.5× at 1×32: kept, 2.73× (2.66–2.85), m.onnx"
    assert text.index(line) < text.index('class="lead"')


def test_everything_that_was_promised_is_there() -> None:
    text = Reader(usual_page()).text
    for words in (
        "2.22 times (2.16–2.29) as fast as the unpruned model",
        "accuracy is lower by 0.036 (−0.058 to −0.014)",
        "parity passed",
        "Accuracy against latency",
        "How latency spreads at 1×task",
        "How near the other candidates came",
        "Differences from the PyTorch model",
        "int8, dynamic ranges, smoothed",
        "layer 2, output",
        "Test CPU",
        "glp-export prune-and-export -m minilm --dataset data/trec --depth 3 -o out",
        "Small test set: 500 examples",
        "3 of 6 layers of nreimers/MiniLM-L6-H384-uncased , in the order 5, 3, 1",
    ):
        assert words in text, words


def test_what_accuracy_does_not_show_is_there() -> None:
    text = Reader(page(with_changes(make_report_data()))).text
    for words in (
        "Classes that lost most",
        "places",
        "−0.120 (−0.200 to −0.040)",
        "Expected calibration error",
        "pruned 6.1 % (4.0–9.0)",
        "12 of 14 in onnxruntime",
    ):
        assert words in text, words


def test_every_plot_has_a_title_a_description_labels_with_units_and_a_table() -> None:
    text = usual_page()
    figures = re.findall(r'<figure class="plot".*?</figure>', text, re.DOTALL)
    assert len(figures) == 5
    for figure in figures:
        seen = Reader(figure)
        drawings = seen.all("svg", role="img")
        assert [one["class"] for one in drawings] == ["wide", "narrow"]
        ids = {str(one.get("id")) for _, one in seen.tags}
        for one in drawings:
            assert set(str(one["aria-labelledby"]).split()) <= ids
        assert len(seen.all("title")) == len(seen.all("desc")) == 2
        labels = re.findall(r'<g class="axis-label"><text[^>]*>([^<]+)</text>', figure)
        assert len(labels) >= 2, figure[:300]
        assert all(re.search(r"\(.+\)$", label) for label in labels), labels
        assert seen.all("table")
        assert seen.all("figcaption")


def test_the_page_stands_alone() -> None:
    text = usual_page()
    assert not re.search(r'(?:src|href)="(?!#|data:)', text)
    assert not re.search(r"@import|url\((?!#)", text)
    assert "<script" not in text
    assert "default-src 'none'" in text
    assert len(text.encode()) < 500_000


def test_the_page_is_whole_and_every_id_is_its_own() -> None:
    text = usual_page()
    seen = Reader(text)
    ids = [str(one["id"]) for _, one in seen.tags if "id" in one]
    assert len(ids) == len(set(ids))
    for target in re.findall(r'(?:href="#|url\(#)([^")]+)', text):
        assert target in ids, target
    for tag in ("section", "figure", "table", "details", "svg", "li", "p", "div"):
        assert len(re.findall(rf"<{tag}[ >]", text)) == text.count(f"</{tag}>"), tag


def test_tables_say_which_cells_are_heads() -> None:
    seen = Reader(usual_page())
    heads = [one.get("scope") for tag, one in seen.tags if tag == "th"]
    assert set(heads) == {"col", "row"}
    assert len(seen.all("caption")) == len(seen.all("table"))


def test_the_same_input_gives_the_same_bytes() -> None:
    assert page(make_report_data()) == page(make_report_data())


def test_the_place_of_the_artifact_leaves_no_trace() -> None:
    assert page(make_report_data(name="out.partial")) == page(make_report_data(name="out"))


def test_colours_are_the_pages_own_in_every_drawing() -> None:
    drawings = re.findall(r"<svg.*?</svg>", usual_page(), re.DOTALL)
    for drawing in drawings:
        assert not re.search(r"(?:fill|stroke): ?#", drawing)
        assert "var(--" in drawing


def test_whatever_stands_in_the_data_is_text() -> None:
    evil = '<script>alert(1)</script> & "quotes"'
    report_data = make_report_data(
        plan=make_plan(task=evil, base_model=evil),
        benchmark=make_benchmark(task=evil, machine=replace(MACHINE, cpu=evil, notes=(evil,))),
        command=f"glp-export --model '{evil}'",
        sweep_variants=(
            make_variant(3, failed_parity(), (INT8.model_copy(update={"recipe": evil}),)),
        ),
        texts={7: evil},
    )
    text = page(report_data)
    assert "<script" not in text
    assert text.count("&lt;script&gt;alert(1)") >= 5


def test_a_dollar_is_no_formula() -> None:
    assert "cost" in page(make_report_data(plan=make_plan(task="cost $5$ _x_")))


def test_without_samples_only_the_percentiles_are_drawn() -> None:
    text = page(make_report_data(samples=None))
    assert "The raw runs were not kept" in text
    assert "How latency spreads" in text


def test_without_differences_the_intervals_are_said_to_be_unpaired() -> None:
    text = Reader(page(make_report_data(benchmark=make_benchmark()))).text
    assert "intervals not paired" in text
    # The half widths 0.025 and 0.020 of the scores, in squares: 0.032.
    assert "−0.036 (−0.068 to −0.004)" in text or "lower by 0.036 (−0.068 to −0.004)" in text


def test_an_artifact_without_any_score_or_paired_speedup_still_has_a_report() -> None:
    bare = make_benchmark(metrics=())
    rows = tuple(
        row.model_copy(
            update={
                "speedup": row.speedup.model_copy(
                    update={
                        "vs_onnxruntime_unpruned": None,
                        "vs_onnxruntime_fp32_unpruned": None,
                    }
                )
            }
        )
        for row in bare.rows
    )
    text = Reader(page(make_report_data(benchmark=make_benchmark(metrics=(), rows=rows)))).text
    assert "Speed was not compared with the unpruned model; accuracy was not compared" in text
    assert "Cannot be said" in text


def test_private_texts_are_left_out_until_they_are_asked_for() -> None:
    sweep_variants = (make_variant(3, failed_parity()),)
    hidden = Reader(page(make_report_data(sweep_variants=sweep_variants))).text
    assert "model.onnx, row 7" in hidden
    assert "--show-texts" in hidden
    shown = Reader(
        page(make_report_data(sweep_variants=sweep_variants, texts={7: "Who was Galileo?"}))
    ).text
    assert "Who was Galileo?" in shown
    assert "--show-texts" not in shown


def test_the_stack_tells_what_went_and_when() -> None:
    text = re.sub(r"<[^>]+>", "", usual_page())
    text = re.sub(r"\s+", " ", text)
    assert (
        "layer 0 stays layer 1 removed, in step 3 layer 2 stays layer 3 removed, in step 2" in text
    )


def test_a_plan_without_steps_or_candidates_is_fine() -> None:
    text = page(make_report_data(plan=make_plan(steps=(), source="the authors' files")))
    assert "Step by step" not in text
    assert "The layers were not searched here" in text


def test_a_sweep_shows_every_depth_and_links_to_their_reports() -> None:
    text = page(make_sweep_data())
    seen = Reader(text)
    links = {str(one.get("href")) for one in seen.all("a")}
    assert {f"../{depth}-layers/glp/report.html" for depth in (5, 4, 3)} <= links
    assert "the fastest that the test examples do not show to be worse" in seen.text
    assert "Said of 4 layers, model_optimized.onnx" in seen.text
    assert "5 layers, model.onnx" in seen.text
    assert "pruned 4" in seen.text
    assert "3 layers: Accuracy" not in seen.text
    assert "3 layers: accuracy of the pruned model less that of the unpruned" in seen.text


def test_a_step_that_is_close_is_said_to_be() -> None:
    plan = make_plan()
    unsure = plan.steps[0].model_copy(update={"probability": 0.55, "lead": 0.001})
    text = Reader(page(make_report_data(plan=make_plan(steps=(unsure, *plan.steps[1:]))))).text
    assert "Close calls in the search: step 1 (55 %)" in text
    assert "0.55" in text


@pytest.mark.parametrize(
    ("speed", "word", "sentence"),
    [
        ((2.0, 1.9, 2.1), "Yes, on this evidence", "2.00 times (1.90–2.10) as fast"),
        (
            (1.02, 0.95, 1.1),
            "Not for its speed",
            "Not significantly faster than the unpruned model",
        ),
        ((0.8, 0.75, 0.85), "Not for its speed", "Slower than the unpruned model, at 0.80 times"),
    ],
)
def test_a_slower_model_is_called_slower(
    speed: tuple[float, float, float], word: str, sentence: str
) -> None:
    text = Reader(page(make_report_data(benchmark=at_speed(*speed)))).text
    assert sentence in text
    assert word in text
    assert ("No, slower" in text) == (speed[2] < 1)


def test_parity_that_failed_forbids_shipping() -> None:
    text = Reader(page(make_report_data(sweep_variants=(make_variant(3, failed_parity()),)))).text
    assert "parity failed" in text
    assert "A file does not compute what the PyTorch model computes." in text
    assert "the largest difference is 0.31" in text
    assert "gives another label than PyTorch for 2 of 64 examples" in text


def test_parity_of_a_file_that_is_judged_by_the_metric_has_no_tolerance() -> None:
    quantised = replace(
        make_parity().files[0],
        variant="model_quantized.onnx",
        precision="int8",
        atol=None,
        rtol=None,
    )
    report = replace(make_parity(), files=(quantised,))
    assert "by the metric" in page(make_report_data(sweep_variants=(make_variant(3, report),)))

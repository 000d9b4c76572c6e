"""Several artifacts side by side."""

from __future__ import annotations

import re
from dataclasses import replace

from glp_export.report.html import comparison_page
from tests.report.helpers import MACHINE, less_unpruned, make_benchmark, make_plan
from tests.report.html.helpers import Reader, at_speed, make_report_data, make_sweep_data


def test_each_stands_beside_its_own_unpruned_model() -> None:
    slow = make_report_data(name="slow", benchmark=at_speed(0.8, 0.75, 0.85))
    text = comparison_page([make_report_data(name="fast"), slow])
    seen = Reader(text)
    assert "2 artifacts side by side" in seen.text
    assert "Yes: 2.22×" in seen.text
    assert "No, slower: 0.80×" in seen.text
    assert "fast: Your call" in seen.text
    assert "measured in runs of their own" in seen.text
    assert len(re.findall(r'<figure class="plot"', text)) == 2
    labels = re.findall(r'<g class="axis-label"><text[^>]*>([^<]+)</text>', text)
    assert all(re.search(r"\(.+\)$", label) for label in labels)


def test_a_sweep_counts_as_its_artifacts() -> None:
    text = Reader(comparison_page([make_sweep_data(), make_report_data()])).text
    assert "4 artifacts side by side" in text
    for depth in (5, 4, 3):
        assert f"sweep/{depth}-layers" in text


def test_what_must_not_be_compared_is_said() -> None:
    other = make_report_data(
        name="other",
        plan=make_plan(task="sst2"),
        benchmark=make_benchmark(
            task="sst2",
            machine=replace(MACHINE, cpu="Another CPU"),
            differences=(less_unpruned(3, 0.0, -0.01, 0.01),),
        ),
    )
    text = Reader(comparison_page([make_report_data(), other])).text
    assert "scored on different tasks, metrics or test sets" in text
    assert "measured on different machines: compare speedups, not milliseconds" in text
    assert "Another CPU" in text


def test_names_are_text() -> None:
    text = comparison_page([make_report_data(name="<b>"), make_report_data(name="a & b")])
    assert "<b>" not in text
    assert "&lt;b&gt;" in text


def test_what_was_not_measured_is_left_open() -> None:
    bare = make_report_data(name="bare", benchmark=make_benchmark(metrics=()))
    assert "Not measured" in Reader(comparison_page([make_report_data(), bare])).text


def test_the_same_input_gives_the_same_bytes() -> None:
    pair = [make_report_data(name="a"), make_sweep_data(name="b")]
    assert comparison_page(pair) == comparison_page(pair)

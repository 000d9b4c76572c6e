"""Reports in a real browser: nothing is fetched, everything can be read and reached."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from glp_export.report.html import comparison_page, page
from tests.browser.conftest import DESKTOP, PHONE, Show
from tests.report.html.helpers import make_report_data, make_sweep_data

pytestmark = pytest.mark.browser

PAGES = ("artifact", "sweep", "comparison")
FURTHER = "GLP_EXPORT_REPORTS"
"""Directories of more reports to look at, parted as a path is."""

LOOKS = [
    pytest.param(screen, scheme, id=f"{name}-{scheme}")
    for name, screen in (("desktop", DESKTOP), ("phone", PHONE))
    for scheme in ("light", "dark")
]


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One report of each sort."""
    root = tmp_path_factory.mktemp("reports")
    made = {
        "artifact": page(make_report_data()),
        "sweep": page(make_sweep_data()),
        "comparison": comparison_page([make_report_data(), make_sweep_data()]),
    }
    for name, text in made.items():
        (root / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: root / f"{name}.html" for name in made}


def named(name: str, reports: dict[str, Path]) -> Path:
    return reports[name] if name in reports else Path(name)


EVERY = [*PAGES, *filter(None, os.environ.get(FURTHER, "").split(os.pathsep))]


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(("screen", "scheme"), LOOKS)
class TestEveryLook:
    """What holds at every width and in both schemes."""

    def test_nothing_is_asked_for_and_nothing_complained_of(
        self, name: str, screen: dict[str, int], scheme: str, reports: dict[str, Path], show: Show
    ) -> None:
        shown = show(named(name, reports), screen=screen, scheme=scheme)
        shown.page.wait_for_load_state("networkidle")
        assert [one for one in shown.asked if not one.startswith("data:")] == []
        assert shown.said == []

    def test_the_page_does_not_scroll_sideways(
        self, name: str, screen: dict[str, int], scheme: str, reports: dict[str, Path], show: Show
    ) -> None:
        shown = show(named(name, reports), screen=screen, scheme=scheme)
        for _ in range(2):
            width = shown.page.evaluate("document.documentElement.scrollWidth")
            assert width <= screen["width"]
            shown.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")

    def test_no_rule_of_accessibility_is_broken(
        self, name: str, screen: dict[str, int], scheme: str, reports: dict[str, Path], show: Show
    ) -> None:
        axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
        shown = show(named(name, reports), screen=screen, scheme=scheme)
        shown.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        found = axe.run(shown.page).response
        broken = [
            (rule["id"], [node["html"][:120] for node in rule["nodes"][:3]])
            for rule in found["violations"]
        ]
        assert broken == []
        assert any(rule["id"] == "color-contrast" for rule in found["passes"])

    def test_every_plot_has_a_title_labels_with_units_and_a_table(
        self, name: str, screen: dict[str, int], scheme: str, reports: dict[str, Path], show: Show
    ) -> None:
        shown = show(named(name, reports), screen=screen, scheme=scheme)
        plots = shown.page.locator("figure.plot")
        assert plots.count() >= 2
        for number in range(plots.count()):
            plot = plots.nth(number)
            assert plot.locator("h3").inner_text()
            drawing = plot.locator("svg:visible")
            assert drawing.count() == 1  # the one for this width
            assert drawing.locator("title").text_content()
            labels = drawing.locator(".axis-label text").all_text_contents()
            assert labels
            assert all(re.search(r"\(.+\)$", label) for label in labels), labels
            plot.locator("summary").click()
            assert plot.locator("table").is_visible()

    def test_letters_in_plots_are_large_enough_and_stay_inside(
        self, name: str, screen: dict[str, int], scheme: str, reports: dict[str, Path], show: Show
    ) -> None:
        shown = show(named(name, reports), screen=screen, scheme=scheme)
        outside = shown.page.evaluate(
            """() => [...document.querySelectorAll('figure.plot svg')]
              .filter(svg => svg.getBoundingClientRect().width)
              .flatMap(svg => [...svg.querySelectorAll('text')].map(text => {
                const box = text.getBoundingClientRect();
                const room = document.documentElement.clientWidth;
                const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
                const size = parseFloat(getComputedStyle(text).fontSize) * scale;
                return box.left < 0 || box.right > room || size < 10
                  ? `${text.textContent}: ${box.left}-${box.right}, ${size}px` : null;
              }).filter(Boolean))"""
        )
        assert outside == []


def focused(page: object) -> str:
    return page.evaluate("document.activeElement.id || document.activeElement.className")  # type: ignore[attr-defined]


def test_the_skip_link_comes_first_and_leads_to_the_verdict(
    reports: dict[str, Path], show: Show
) -> None:
    shown = show(reports["artifact"])
    shown.page.keyboard.press("Tab")
    assert focused(shown.page) == "skip"
    assert shown.page.locator(".skip").bounding_box()["y"] >= 0
    shown.page.keyboard.press("Enter")
    assert shown.page.url.endswith("#verdict")


@pytest.mark.parametrize("screen", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_switch_works_from_the_keyboard(
    screen: dict[str, int], reports: dict[str, Path], show: Show
) -> None:
    shown = show(reports["artifact"], screen=screen)
    cells = {
        name: shown.page.locator(f".speed .{name}").first
        for name in ("latency", "throughput", "over-onnxruntime", "over-pytorch")
    }
    for _ in range(60):
        shown.page.keyboard.press("Tab")
        if focused(shown.page) == "show-latency":
            break
    assert focused(shown.page) == "show-latency"
    outline = shown.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    assert cells["latency"].is_visible()
    assert not cells["throughput"].is_visible()
    shown.page.keyboard.press("ArrowDown")
    assert focused(shown.page) == "show-throughput"
    assert cells["throughput"].is_visible()
    assert not cells["latency"].is_visible()
    shown.page.keyboard.press("Tab")
    assert focused(shown.page) == "over-onnxruntime"
    shown.page.keyboard.press("ArrowDown")
    assert cells["over-pytorch"].is_visible()
    assert not cells["over-onnxruntime"].is_visible()


def test_wide_tables_scroll_in_a_box_that_the_keyboard_reaches(
    reports: dict[str, Path], show: Show
) -> None:
    shown = show(reports["sweep"], screen=PHONE)
    box = shown.page.locator(".scroll:has(table.speed)")
    assert box.evaluate("box => box.scrollWidth > box.clientWidth")
    box.focus()
    shown.page.keyboard.press("ArrowRight")
    shown.page.wait_for_timeout(500)  # scrolling is smooth, and the page lets no script wait
    assert box.evaluate("box => box.scrollLeft") > 0


def test_paper_shows_the_tables_and_both_sides_of_the_switch(
    reports: dict[str, Path], show: Show
) -> None:
    shown = show(reports["artifact"], scheme="dark")
    shown.page.emulate_media(media="print")
    assert shown.page.locator(".speed .latency").first.is_visible()
    assert shown.page.locator(".speed .throughput").first.is_visible()
    assert shown.page.locator("figure.plot table").first.is_visible()
    ground = shown.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert all(int(part) > 240 for part in re.findall(r"\d+", ground)[:3])

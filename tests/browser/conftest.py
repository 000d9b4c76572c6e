"""A headless Chromium, and pages that it shows. Skipped, with the reason, where there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = "GLP_EXPORT_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@dataclass
class Shown:
    """A page in the browser, with what it said and asked for while it was opened.

    Attributes:
        page: playwright's.
        said: errors and warnings on its console.
        asked: addresses that it asked for, its own left out.
    """

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


Show = Callable[..., Shown]


def chromium() -> str | None:
    """The browser to drive: the one that is named, or else one on the path."""
    named = os.environ.get(CHROMIUM)
    return named or next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One browser with a profile of its own."""
    api = pytest.importorskip("playwright.sync_api", reason="needs the extra `browser`")
    path = chromium()
    if path is None:
        pytest.skip(f"no Chromium on the path; {CHROMIUM} may name one")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        yield opened
        opened.close()


@pytest.fixture
def show(browser: Any) -> Iterator[Show]:
    """Open a file as a person would, from disk, on a screen of a size and in a scheme."""
    contexts = []

    def opened(path: Path, *, screen: dict[str, int] = DESKTOP, scheme: str = "light") -> Shown:
        context = browser.new_context(viewport=screen, color_scheme=scheme)
        contexts.append(context)
        shown = Shown(context.new_page())
        shown.page.on("console", lambda said: shown.said.append(said.text))
        shown.page.on("pageerror", lambda error: shown.said.append(str(error)))
        address = path.resolve().as_uri()
        shown.page.on(
            "request",
            lambda asked: shown.asked.append(asked.url) if asked.url != address else None,
        )
        shown.page.goto(address)
        return shown

    yield opened
    for context in contexts:
        context.close()

"""The reference pages as they stand in the repository: text by hand around parts from the package.

A part stands between two comments, `<!-- generated: NAME -->` and `<!-- end of NAME -->`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

_PART = re.compile(
    r"(<!-- generated: (?P<name>[\w-]+) -->\n).*?(<!-- end of (?P=name) -->)", re.DOTALL
)


def filled(text: str, parts: Mapping[str, Callable[[], str]]) -> str:
    """A page with its parts made anew.

    Raises:
        KeyError: the page names a part that there is not.
    """
    return _PART.sub(
        lambda found: f"{found[1]}\n{parts[found['name']]().strip()}\n\n{found[3]}", text
    )


def reference_pages(docs: Path) -> list[Path]:
    """The pages that have such parts."""
    pages = sorted((docs / "reference").glob("*.md"))
    return [page for page in pages if _PART.search(page.read_text(encoding="utf-8"))]

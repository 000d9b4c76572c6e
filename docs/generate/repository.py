"""The repository's other pages as pages of the documentation, and links between all of them.

Pages are written to be read in the repository, so their links are paths in it. In the built pages
those that leave docs/ lead to copies of the files that they name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
COPIES = "_generated/repository"
"""Below docs/."""

_ROOMS = ("benchmarks", "integrations", "models")
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")
_ELSEWHERE = re.compile(r"[a-z]+:|#")


def pages() -> Iterator[Path]:
    """The pages outside docs/."""
    yield from (ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))
    for room in _ROOMS:
        yield from sorted((ROOT / room).rglob("*.md"))


def copies() -> Iterator[tuple[str, str]]:
    """Each of them as a path below docs/ and its text, links changed."""
    for page in pages():
        text = page.read_text(encoding="utf-8")
        yield f"{COPIES}/{page.relative_to(ROOT).as_posix()}", with_links(text, page)


def with_links(text: str, page: Path) -> str:
    """A page's text with links that hold in the built pages.

    Args:
        text: of the page.
        page: where it stands in the repository.
    """
    known = {path.resolve() for path in pages()}

    def changed(match: re.Match[str]) -> str:
        words, target = match[1], match[2]
        if _ELSEWHERE.match(target):
            return match[0]
        name, mark, anchor = target.partition("#")
        path = (page.parent / name).resolve()
        if path.suffix == ".md" and DOCS in path.parents:
            return f"[{words}](/{path.relative_to(DOCS).as_posix()}{mark}{anchor})"
        inside = path.relative_to(ROOT).as_posix()
        if path in known:
            return f"[{words}](/{COPIES}/{inside}{mark}{anchor})"
        return f"{words} (`{inside}`)"

    return _LINK.sub(changed, text)

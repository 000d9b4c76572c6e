"""Markdown pages as their readers see them: fenced blocks, links, flags.

A comment of one line before a block, or at the head of a page, tells the tests what the text does
not say. All are listed here:

    <!-- given: checkout, out/mine -->       what is there before the page's first block
    <!-- not run: it needs a GPU -->         why a block cannot run where the tests run
    <!-- exit: 5 -->                         the exit code that the text promises, if not 0
    <!-- edited: out/mine/glp/budget.toml --> a budget that a busy machine keeps takes its place
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

NOTES = ("given", "not run", "exit", "edited")
_NOTE = re.compile(rf"<!--\s*({'|'.join(NOTES)}):\s*(.*?)\s*-->", re.DOTALL)
_NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: that it stands on.
        line: of its fence, counted from 1.
        language: after the fence.
        text: inside.
        notes: of the comments right before it, by their name.
    """

    page: Path
    line: int
    language: str
    text: str
    notes: dict[str, str]

    @property
    def place(self) -> str:
        """For messages."""
        return f"{self.page.relative_to(ROOT)}, line {self.line}"

    @property
    def runs(self) -> bool:
        """Whether it is a command or a program that the tests can run."""
        return self.language in ("bash", "python") and "not run" not in self.notes


@dataclass(frozen=True)
class Page:
    """A page, read once."""

    path: Path
    blocks: tuple[Block, ...]
    links: tuple[str, ...]
    anchors: frozenset[str]
    spans: tuple[str, ...]
    given: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """Its path in the repository."""
        return self.path.relative_to(ROOT).as_posix()


def read_page(path: Path) -> Page:
    """Parse a page with a CommonMark parser."""
    text = path.read_text(encoding="utf-8")
    tokens, generated = _parser().parse(text), _generated_lines(text)
    inline = [child for token in tokens for child in token.children or ()]
    given = [notes["given"] for notes in _notes_of(tokens) if "given" in notes]
    return Page(
        path=path,
        blocks=tuple(b for b in _blocks(path, tokens) if b.line not in generated),
        links=(
            *(str(child.attrs["href"]) for child in inline if child.type == "link_open"),
            *_contents(path, tokens),
        ),
        anchors=frozenset(_anchors(tokens)),
        spans=tuple(child.content for child in inline if child.type == "code_inline"),
        given=tuple(name.strip() for names in given for name in names.split(",")),
    )


def pages() -> list[Path]:
    """The pages whose commands run: the README's family and everything in docs/."""
    written = sorted(path for path in DOCS.rglob("*.md") if "_generated" not in path.parts)
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *written]


def other_pages() -> list[Path]:
    """Those beside the files that they are about, whose links have to lead somewhere too."""
    rooms = ("benchmarks", "integrations", "models")
    beside = [path for room in rooms for path in sorted((ROOT / room).rglob("README.md"))]
    return [ROOT / "CHANGELOG.md", *beside]


@cache
def generated_parts() -> dict[str, str]:
    """What the documentation's generator writes, by the name of its file."""
    sys.path.insert(0, str(DOCS))
    try:
        from generate import PARTS
    finally:
        sys.path.remove(str(DOCS))
    return {f"{name}.md": make() for name, make in PARTS.items()}


def _generated_lines(text: str) -> set[int]:
    """Lines that the package's own texts stand on, counted from 1: their blocks are not run."""
    found: set[int] = set()
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        inside = inside or line.startswith("<!-- generated: ")
        if inside:
            found.add(number)
        inside = inside and not line.startswith("<!-- end of ")
    return found


def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark").enable("table")


def _notes_of(tokens: list[Token]) -> Iterator[dict[str, str]]:
    for token in tokens:
        if token.type == "html_block":
            yield dict(_NOTE.findall(token.content))


def _blocks(path: Path, tokens: list[Token]) -> Iterator[Block]:
    notes: dict[str, str] = {}
    for token in tokens:
        if token.type == "html_block":
            notes |= dict(_NOTE.findall(token.content))
        elif token.type == "fence":
            line = token.map[0] + 1 if token.map else 0
            yield Block(path, line, token.info.strip(), token.content, notes)
            notes = {}
        elif token.type == "paragraph_open":
            notes = {}


def _contents(path: Path, tokens: list[Token]) -> Iterator[str]:
    """The pages that a page's tables of contents name, as links."""
    for token in tokens:
        if token.type == "fence" and token.info.strip() == "{toctree}":
            for line in token.content.splitlines():
                # What the generator makes has been read where it comes from.
                if line.strip() and not line.startswith((":", "_generated/")):
                    found = sorted(path.parent.glob(f"{line.strip()}.md"))
                    yield from (str(one.relative_to(path.parent)) for one in found)


def _anchors(tokens: list[Token]) -> Iterator[str]:
    """Heading anchors as GitHub and MyST make them."""
    for heading, content in pairwise(tokens):
        if heading.type == "heading_open":
            words = "".join(
                child.content for child in content.children or () if child.type != "html_inline"
            )
            yield _NOT_IN_ANCHORS.sub("", words.strip().lower()).replace(" ", "-")

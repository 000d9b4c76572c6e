"""Every command and program of the README and of docs/ runs, page by page, from top to bottom.

`make test-docs` runs all pages; the ordinary suite those that take seconds.
"""

from __future__ import annotations

import pytest

from tests.docs.pages import ROOT, Block, generated_parts, pages, read_page
from tests.docs.place import EASY, furnish, run_block
from tests.publish.hub_server import running
from tests.publish.test_push import settings

QUICK = frozenset(
    {
        "docs/howto/deploy-onnxruntime.md",
        "docs/howto/deploy-optimum.md",
        "docs/reference/files.md",
    }
)
"""Pages that need no training, so that they take seconds."""


def _page_of(path):
    name = path.relative_to(ROOT).as_posix()
    marks = () if name in QUICK else (pytest.mark.docs,)
    return pytest.param(path, id=name, marks=marks)


def _with_blocks():
    return [path for path in pages() if any(block.runs for block in read_page(path).blocks)]


@pytest.mark.parametrize("path", [_page_of(path) for path in _with_blocks()])
def test_a_page_does_what_it_says(path, request, tmp_path):
    page = read_page(path)
    if any("optimum.onnxruntime" in block.text for block in page.blocks if block.runs):
        pytest.importorskip("optimum.onnxruntime")
    artifacts = [name for name in page.given if name != "checkout"]
    shelf = request.getfixturevalue("full_shelf" if artifacts else "shelf")
    scratch = furnish(tmp_path / "here", shelf, page.given)
    for block in page.blocks:
        if block.runs:
            run_block(block, scratch)


@pytest.mark.docs
def test_the_examples_of_the_help_texts_run_one_after_another(shelf, tmp_path, monkeypatch):
    """As `--help` and the reference of the command line show them.

    The question that one asks is answered; a browser that shows nothing is there for another.
    """
    text = generated_parts()["commands.md"]
    examples = [line for line in text.splitlines() if line.startswith("glp-export ")]
    assert len(examples) >= 10
    scratch = furnish(tmp_path / "here", shelf, ())
    makers = [line for line in examples if "prune-and-export" in line]
    pushes = [line for line in examples if line.startswith("glp-export push ")]
    others = [line for line in examples if line not in (*makers, *pushes)]

    def run(line):
        run_block(Block(ROOT / "docs/reference/cli.md", 0, "bash", line, {}), scratch)

    monkeypatch.setenv("BROWSER", "true")
    with running() as hub, monkeypatch.context() as place:
        for line in makers:
            run(line)
        for name, value in settings(hub).items():
            place.setenv(name, value)
        for line in pushes:
            run(f"{line} --yes")
    for line in others:
        (scratch / "out/trec/glp/budget.toml").write_text(EASY)
        run(line)

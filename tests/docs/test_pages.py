"""What can be told of a page without running it: links, flags, languages, reasons."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from itertools import dropwhile, takewhile

import pytest
import yaml

from glp_export.cli.flags import spread
from tests.docs.pages import DOCS, ROOT, other_pages, pages, read_page


def _read(paths):
    return [pytest.param(read_page(path), id=path.relative_to(ROOT).as_posix()) for path in paths]


PAGES, OTHERS = _read(pages()), _read(other_pages())
LANGUAGES = {"bash", "python", "text", "yaml", "toml", "json", "xml", "javascript", "make"}
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
ASSIGNMENT = re.compile(r"[A-Z_]+=")
SHELL = (">", ">>", "2>", "|", "||", "&&", ";")
NOT_RUN = {
    "README.md": ['pip install "torch>=2.6,<2.14"'],
    "CONTRIBUTING.md": ["make install    # .venv with the package and its tools"],
    "docs/howto/ci-gate.md": ["jobs:", "gate:", "repos:"],
    "docs/howto/deploy-onnxruntime.md": [
        "pip install onnxruntime tokenizers numpy",
        'pip install "openvino>=2026.4"          # or the extra: pip install -e ".[openvino]"',
    ],
    "docs/howto/deploy-transformers-js.md": [
        'import { env, pipeline } from "@huggingface/transformers";'
    ],
    "docs/howto/gpu.md": [
        "pip uninstall --yes onnxruntime",
        "glp-export prune-and-export --model path/to/encoder --dataset path/to/data --depth 3 \\",
    ],
    "docs/howto/own-data.md": [
        "glp-export prune-and-export --model path/to/served --dataset logs.jsonl --depth 3 "
        "--output out/logs",
        "glp-export prune-and-export --model google-bert/bert-base-uncased --task rte --depth 6 "
        "--output out/rte",
    ],
    "docs/howto/plans.md": [
        "glp-export prune-and-export --model google-bert/bert-base-uncased --task rte --depth 6 \\"
    ],
    "docs/howto/ray-cluster.md": ['pip install -e ".[optimum,ray]"'],
    "docs/howto/settings-and-cache.md": ["glp-export prune-and-export --resume --output out/mine"],
    # General texts, and minutes of training.
    "docs/method/kronecker.md": [
        "glp-export prune-and-export --model my-classifier --dataset data/mine \\"
    ],
    "docs/method/vocabulary.md": [
        "glp-export prune-and-export --model my-classifier --dataset data/mine \\"
    ],
    "docs/tutorial.md": ["make install                  # Python 3.11 or later, into .venv"],
    "docs/howto/share-on-the-hub.md": ["glp-export push out/mine me/my-model --private"],
}
"""Blocks that nothing here can run, by their first line: one more is a decision and not a slip."""
READERS = {"yaml": yaml.safe_load, "toml": tomllib.loads, "json": json.loads}


def _group():
    import typer

    from glp_export.cli.app import app

    return typer.main.get_command(app)


def _commands(command=None):
    """Every command below the whole one, the whole one too."""
    command = command or _group()
    yield command
    for part in getattr(command, "commands", {}).values():
        yield from _commands(part)


@pytest.fixture(scope="module")
def known_flags():
    own = {flag for one in _commands() for parameter in one.params for flag in parameter.opts}
    plugin = (ROOT / "glp_export" / "gate" / "pytest_plugin.py").read_text()
    return own | {"--help"} | set(re.findall(r'"(--glp-[a-z-]+)"', plugin))


def _calls(text):
    """The calls of glp-export in a shell text, as lists of words."""
    joined = text.replace("\\\n", " ")
    for line in joined.splitlines():
        words = shlex.split(line, comments=True)
        words = list(dropwhile(lambda word: ASSIGNMENT.match(word), words))
        if words and words[0].rsplit("/", 1)[-1] == "glp-export":
            yield list(takewhile(lambda word: word not in SHELL, words[1:]))


@pytest.mark.parametrize("page", PAGES)
def test_every_block_names_its_language_and_can_be_read_as_it(page):
    for block in page.blocks:
        if block.language.startswith("{"):  # a directive of the generator
            continue
        assert block.language in LANGUAGES, block.place
        if block.language == "python":
            compile(block.text, block.place, "exec")
        elif block.language in READERS:
            assert READERS[block.language](block.text), block.place


def test_the_blocks_that_do_not_run_are_these_and_each_says_why():
    found = {}
    for path in pages():
        for block in read_page(path).blocks:
            if "not run" in block.notes:
                assert len(block.notes["not run"].split()) > 3, block.place
                first = block.text.splitlines()[0]
                found.setdefault(path.relative_to(ROOT).as_posix(), []).append(first)
            elif block.language == "javascript":
                pytest.fail(f"{block.place}: nothing runs it, and it does not say so")
    assert found == NOT_RUN


@pytest.mark.parametrize("page", PAGES)
def test_every_call_of_the_command_can_be_parsed(page):
    for block in page.blocks:
        for words in _calls(block.text) if block.language == "bash" else ():
            command, rest = _group(), spread(words)
            while rest and rest[0] in getattr(command, "commands", {}):
                command = command.commands[rest.pop(0)]
            command.make_context("glp-export", rest, resilient_parsing=False)


@pytest.mark.parametrize("page", PAGES)
def test_no_page_names_a_flag_that_does_not_exist(page, known_flags):
    for span in page.spans:
        words = span.split()
        foreign = words[0] not in ("glp-export", "pytest") and not words[0].startswith("-")
        wrong = set() if foreign else set(FLAG.findall(span)) - known_flags
        assert not wrong, f"{page.name}: `{span}` has {', '.join(wrong)}"


@pytest.mark.parametrize("page", [*PAGES, *OTHERS])
def test_every_link_within_the_repository_leads_somewhere(page):
    for link in page.links:
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.path.parent / name).resolve() if name else page.path
        assert target.exists(), f"{page.name}: {link}"
        if anchor and target.suffix == ".md":
            assert anchor in read_page(target).anchors, f"{page.name}: {link}"


def test_every_page_can_be_reached_from_the_first():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        reached.add(path)
        for link in read_page(path).links:
            target = (path.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target.is_file() and target not in reached:
                waiting.append(target)
    written = {path for path in pages() if DOCS in path.parents}
    assert not written - reached

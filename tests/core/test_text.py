"""Names and labels of any content, on a terminal and in Markdown."""

from __future__ import annotations

import pytest

from glp_export.core.errors import DataError
from glp_export.core.text import markdown, plain, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("good", "good"),
        ("not good", "not good"),
        ("caf\u00e9 \u65e5\u672c", "caf\u00e9 \u65e5\u672c"),
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("\x1b]0;title\x07x", "]0;titlex"),
        ("\x9b31mred", "31mred"),
        ("a\r\nb\tc\u2028d\x85e", "a b c d e"),
        ("a\u202eb\u200eb\u2066c", "abbc"),
        ("nul\x00 del\x7f bs\x08", "nul del bs"),
        ("\ufeffzero\u200bwidth", "zerowidth"),
        ("\U0001f469\u200d\U0001f4bb", "\U0001f469\u200d\U0001f4bb"),
        ("a\u200db", "ab"),
        ("half \ud83d", "half "),
        ("\ue000private", "private"),
    ],
)  # fmt: skip
def test_only_what_can_be_seen_is_shown(text: str, shown: str) -> None:
    assert plain(text) == shown
    plain(text).encode()


def test_a_long_name_is_cut() -> None:
    assert len(plain("x" * 100_000)) == 200
    assert plain("x" * 100_000).endswith("…")
    assert plain("x" * 200) == "x" * 200


HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "a | b",
    "`code`",
    "**bold** _it_ ~~gone~~",
    "[link](javascript:alert(1))",
    "![image](https://example.org/x.png)",
    "# title\n- item\n> quote",
    "--- \n***",
    "1. one",
    "https://example.org",
    "www.example.org",
    "&lt;b&gt; &#60;",
    "$x$ and $$y$$",
    "back\\slash \\* star",
    "<!-- comment -->",
    "{{ 7 * 7 }} {% x %}",
    "\x1b[2J<b>",
    "==mark== ++ins++",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_shows_the_text_and_does_nothing(text: str) -> None:
    from html import unescape
    from re import sub

    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    page = parser.render(f"The label {markdown(text)} of a table\n")
    assert unescape(sub(r"^<p>|</p>\s*$", "", page)) == f"The label {plain(text)} of a table"
    row = parser.render(f"| a | b |\n|---|---|\n| {markdown(text)} | end |\n")
    assert row.count("<td>") == 2
    assert "<td>end</td>" in row


@pytest.mark.parametrize("name", ["not_entailment", "B-PER", "GPT-2", "a.b", "50 %", "it's"])
def test_usual_names_stay_readable(name: str) -> None:
    assert markdown(name) == name


def test_a_message_keeps_its_lines_and_nothing_that_a_terminal_obeys() -> None:
    error = DataError("label '\x1b[2J\u202eevil'", where="file\x07, row 1", fix="correct it")
    assert str(error) == "label '[2Jevil'\n  where: file, row 1\n  do:    correct it"
    assert printable("\U0001f469\u200d\U0001f4bb\nx") == "\U0001f469\u200d\U0001f4bb\nx"

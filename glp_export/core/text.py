"""Names and labels from data, made safe for a terminal and for Markdown."""

from __future__ import annotations

import re
import unicodedata

MOST_CHARACTERS = 200
"""What a message quotes of one value at most."""

_SPACES = re.compile(r"[\t-\r\x1c-\x1f\x85\u2028\u2029]+")
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn")
_OBEYED = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_JOINERS = "\u200c\u200d"
_TAGS = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_MARKUP = re.compile(r"([\\`*\[\]{}()#!|~$])|(?<!\w)([-+_=])|([-_])(?!\w)|(:)(?=//)|(?<=www)(\.)")


def plain(text: str, most: int = MOST_CHARACTERS) -> str:
    """One line of what can be seen: no control, no direction mark, no escape sequence.

    Line ends and tabs become spaces. A joiner stays between two characters past ASCII, where
    emoji and some scripts need it.

    Args:
        text: of any content.
        most: characters that are kept; an ellipsis stands for the rest.
    """
    spaced = _SPACES.sub(" ", text[: 4 * most])
    kept = "".join(
        character
        for place, character in enumerate(spaced)
        if unicodedata.category(character) not in _UNSEEN or _joins(spaced, place)
    )
    return kept if len(kept) <= most else f"{kept[: most - 1]}…"


def markdown(text: str, most: int = MOST_CHARACTERS) -> str:
    """The same as text of a Markdown page: no markup, HTML, link or border of a table."""
    return _MARKUP.sub(lambda match: f"\\{match[0]}", plain(text, most)).translate(_TAGS)


def printable(text: str) -> str:
    """A message of several lines without what a terminal would obey."""
    return _OBEYED.sub("", text)


def capital(text: str) -> str:
    """A sentence with its first letter in capital; the name of a file stays as it is."""
    first = text.partition(" ")[0]
    return text if "." in first or "_" in first else text[:1].upper() + text[1:]


def _joins(text: str, place: int) -> bool:
    if text[place] not in _JOINERS or not 0 < place < len(text) - 1:
        return False
    return not (text[place - 1].isascii() or text[place + 1].isascii())

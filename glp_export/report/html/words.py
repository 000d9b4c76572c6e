"""Words at the start of a sentence."""

from __future__ import annotations


def capital(text: str) -> str:
    """A sentence with its first letter in capital; the name of a file stays as it is."""
    first = text.partition(" ")[0]
    return text if "." in first or "_" in first else text[:1].upper() + text[1:]

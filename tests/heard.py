"""A progress that remembers what was said."""

from __future__ import annotations

from glp_export.core.progress import Progress


class Heard(Progress):
    """Keeps the messages, in their order."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)

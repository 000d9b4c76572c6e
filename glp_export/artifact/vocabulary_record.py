"""`glp/vocabulary.json`: how many tokens a trimmed artifact has, and what that does to texts."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from glp_export.core.records import Record

VOCABULARY = Path("glp") / "vocabulary.json"


class VocabularyRecord(Record):
    """A trimmed vocabulary beside the whole one.

    Attributes:
        schema_version: of the file.
        tokens: that stay.
        of: tokens of the unpruned model.
        texts: of the test set.
        different: of them cut into other tokens than before.
        unknown: of them with an unknown token where there was none.
    """

    schema_version: Literal[1] = 1
    tokens: int = Field(ge=1)
    of: int = Field(ge=1)
    texts: int = Field(ge=0)
    different: int = Field(ge=0)
    unknown: int = Field(ge=0)

    def __str__(self) -> str:
        share = f"{100 * self.different / self.texts:.1f} %" if self.texts else "none"
        lost = "none has" if not self.unknown else f"{self.unknown} have"
        return (
            f"{self.tokens} of {self.of} tokens stay; {self.different} of {self.texts} texts of "
            f"the test set ({share}) are cut into other tokens than before, {lost} an unknown "
            "token that was known before"
        )

    def save(self, root: Path) -> Path:
        """Write it into an artifact."""
        return self.write(root / VOCABULARY)


def read_vocabulary(root: Path) -> VocabularyRecord | None:
    """The record of an artifact; None where all tokens are left.

    Raises:
        DataError: it is broken.
    """
    fix = "make the artifact again"
    return VocabularyRecord.read_optional(root / VOCABULARY, what="the vocabulary", fix=fix)

"""`make reference`: the parts of the reference pages anew, from the package."""

from __future__ import annotations

from generate import PARTS
from generate.pages import filled, reference_pages
from generate.repository import DOCS

for page in reference_pages(DOCS):
    page.write_text(filled(page.read_text(encoding="utf-8"), PARTS), encoding="utf-8")

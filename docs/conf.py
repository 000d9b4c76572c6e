"""Sphinx: `make docs` builds these pages into out/docs, with warnings as errors."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from generate import write_all
from generate.repository import COPIES, with_links

from glp_export import __version__

# Written before Sphinx looks for files, so that what it includes and copies is there.
write_all()

project = "glp-export"
author = "the glp-export authors"
copyright = "the glp-export authors, Apache-2.0"
release = version = __version__

extensions = ["myst_parser"]
exclude_patterns = ["generate"]
source_suffix = {".md": "markdown"}

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
smartquotes = False  # it would make one dash of the two that a flag begins with

html_theme = "furo"
html_title = f"glp-export {__version__}"
html_extra_path = ["_generated/extra"]
html_copy_source = False
html_show_sphinx = False


def setup(app):
    """Let links that leave these pages lead to the copies of what they name."""
    app.connect("source-read", _with_links)


def _with_links(app, name, source):
    if not name.startswith(COPIES):
        source[0] = with_links(source[0], HERE / f"{name}.md")

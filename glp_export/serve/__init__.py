"""Using an artifact: onnxruntime, tokenizers and numpy are all that this room needs.

Everything here must import without the libraries that make an artifact, so that a machine that
only serves can do without them.
"""

from __future__ import annotations

from glp_export.serve.answers import Answers
from glp_export.serve.model import ServedModel
from glp_export.serve.opening import OpenOptions, open_artifact

__all__ = ["Answers", "OpenOptions", "ServedModel", "open_artifact"]

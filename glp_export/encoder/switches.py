"""Settings of a configuration that change what a model hands back, set for our use and restored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SWITCHES: dict[str, Any] = {
    "return_dict": True,
    "torchscript": False,
    "chunk_size_feed_forward": 0,
    "output_attentions": False,
    "output_hidden_states": False,
}
"""Named outputs, those that are asked for alone, and layers that compute a text in one piece."""

_PLAIN_ATTENTION = ("None", "eager", "sdpa")
_KEPT = "glp_switches"


def switched(config: Any) -> Any:
    """Set the switches of a configuration; what they were travels with it.

    Kernels of attention that a GPU or a package is needed for are not asked for either.
    """
    if str(getattr(config, "_attn_implementation", None)) not in _PLAIN_ATTENTION:
        config._attn_implementation = None
    before = {
        name: getattr(config, name)
        for name, value in SWITCHES.items()
        if getattr(config, name, value) not in (value, None)
    }
    for name in before:
        setattr(config, name, SWITCHES[name])
    if before:
        setattr(config, _KEPT, before)
    return config


def restore_switches(config: Path) -> None:
    """Let a saved `config.json` say what the configuration said that the model came from."""
    content = json.loads(config.read_text(encoding="utf-8"))
    before = content.pop(_KEPT, None)
    if before is not None:
        text = json.dumps({**content, **before}, indent=2, sort_keys=True)
        config.write_text(text + "\n", encoding="utf-8")

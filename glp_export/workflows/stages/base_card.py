"""What the base model's own card says that holds for a model made from it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from glp_export.encoder import ModelSource

logger = logging.getLogger(__name__)

CARD = "README.md"


def told_by_card(source: ModelSource) -> dict[str, Any]:
    """The licence and the language that the base model's card names, as far as it does.

    The card is looked for beside a local model, or in the hub's cache; nothing is fetched for it.

    Returns:
        `license`, an identifier or None, and `language`, a code, several or None.
    """
    card = _card(source)
    metadata = _metadata(card) if card else {}
    license_, language = metadata.get("license"), metadata.get("language")
    several = isinstance(language, list) and all(isinstance(code, str) for code in language)
    return {
        "license": license_ if isinstance(license_, str) else None,
        "language": language if several or isinstance(language, str) else None,
    }


def _card(source: ModelSource) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    if source.directory:
        path = source.directory / CARD
        return path if path.is_file() else None
    found = try_to_load_from_cache(
        source.name, CARD, cache_dir=source.cache_dir, revision=source.revision
    )
    return Path(found) if isinstance(found, str) else None


def _metadata(card: Path) -> dict[str, Any]:
    import yaml
    from huggingface_hub.repocard import metadata_load

    try:
        return metadata_load(card) or {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        logger.info("the card of the base model cannot be read: %s: %s", card, error)
        return {}

from __future__ import annotations

from pathlib import Path

import pytest

from glp_export.encoder import ModelSource
from glp_export.workflows.stages.base_card import told_by_card


@pytest.mark.parametrize(
    ("card", "license_", "language"),
    [
        ("---\nlicense: mit\nlanguage: en\n---\n# A model\n", "mit", "en"),
        ("---\nlanguage:\n- en\n- de\n---\n", None, ["en", "de"]),
        ("---\nlicense: [mit, apache-2.0]\nlanguage: 5\n---\n", None, None),
        ("# A model without metadata\n", None, None),
        ("---\nlicense: [mit\n---\n", None, None),
        (None, None, None),
    ],
)
def test_what_the_card_beside_a_local_model_says(card, license_, language, tmp_path: Path):
    if card is not None:
        (tmp_path / "README.md").write_text(card)
    found = told_by_card(ModelSource(str(tmp_path)))
    assert found == {"license": license_, "language": language}


def test_a_model_of_the_hub_is_looked_up_in_the_cache_only(tmp_path: Path):
    source = ModelSource("nobody/nothing", cache_dir=str(tmp_path))
    assert told_by_card(source) == {"license": None, "language": None}
    snapshot = tmp_path / "models--nobody--nothing" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    refs = tmp_path / "models--nobody--nothing" / "refs"
    refs.mkdir()
    (refs / "main").write_text("a" * 40)
    assert told_by_card(source)["license"] == "apache-2.0"

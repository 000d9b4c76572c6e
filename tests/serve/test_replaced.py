"""An artifact that a run replaces while it is opened: all of it is the old one, or the new one."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import glp_export
from glp_export.artifact import ArtifactLayout
from glp_export.core.checksums import staying
from glp_export.core.errors import ModelError, ParityError
from tests.serve.conftest import LABELS, edit, settle

NEW = ("this", "that", "more")


class Replacing:
    """Puts another directory in the place of one at a chosen look at a file there."""

    def __init__(self) -> None:
        self.place, self.other, self.looks, self.at = Path(), Path(), 0, 0
        sys.addaudithook(self._seen)

    def _seen(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.at or event != "open" or not str(arguments[0]).startswith(str(self.place)):
            return
        self.looks += 1
        if self.looks == self.at:
            self.at = 0
            self.place.rename(self.place.with_name("replaced"))
            self.other.rename(self.place)


_REPLACING = Replacing()


@pytest.fixture
def replacing() -> Iterator[Replacing]:
    yield _REPLACING
    _REPLACING.at = 0


def relabelled(root: Path) -> Path:
    """The same artifact with other names of labels."""
    layout = ArtifactLayout(root)
    edit(
        layout.config,
        id2label=dict(enumerate(NEW)),
        label2id={name: place for place, name in enumerate(NEW)},
    )
    return settle(layout, labels=NEW)


def test_what_is_opened_is_of_one_artifact(
    artifact: Callable[..., Path], tmp_path: Path, replacing: Replacing
) -> None:
    opened = []
    for at in range(1, 30):
        place = tmp_path / str(at) / "live"
        other = relabelled(shutil.copytree(artifact("bert"), tmp_path / str(at) / "other"))
        shutil.copytree(artifact("bert"), place)
        replacing.place, replacing.other, replacing.looks, replacing.at = place, other, 0, at
        names = glp_export.load(place).head.names
        if replacing.at:  # it was opened with fewer looks
            assert names == LABELS
            break
        assert names == NEW, at
        opened.append(at)
    assert len(opened) > 5


def test_what_is_replaced_again_and_again_is_refused(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glp_export.serve import opening

    kept = iter(range(100))

    def replaced(root: Path, *given: Any, **more: Any) -> None:
        (root / "glp" / "SHA256SUMS").write_text(f"{next(kept):064}  config.json\n")
        raise ParityError("of two artifacts")

    monkeypatch.setattr(opening, "require_agreement", replaced)
    with pytest.raises(ModelError, match="again and again"):
        glp_export.load(copy, verify=False)


def test_a_look_at_two_artifacts_is_none(copy: Path) -> None:
    def look(broken: bool, replace: bool) -> None:
        with staying(copy):
            if replace:
                (copy / "glp" / "SHA256SUMS").write_text(f"{broken}\n")
            if broken:
                raise KeyError("labels")

    look(broken=False, replace=False)
    with pytest.raises(KeyError):
        look(broken=True, replace=False)
    for broken in (True, False):
        with pytest.raises(ModelError, match="replaced"):
            look(broken=broken, replace=True)

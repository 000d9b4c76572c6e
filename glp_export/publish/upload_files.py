"""Which files of an artifact are uploaded: those that its checksums vouch for."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from glp_export.artifact.opened import recorded_settings
from glp_export.core.checksums import CHECKSUMS, listed_files, settle
from glp_export.core.errors import ModelError, ParityError
from glp_export.core.numbers import file_size

if TYPE_CHECKING:
    from glp_export.artifact import ArtifactLayout


@dataclass(frozen=True)
class UploadFiles:
    """The files that go: those that the checksums vouch for, the list itself, the budget.

    Attributes:
        names: below the artifact's root.
        bytes: of all of them.
        staying: files that are there and stay.
        telling: settings in `glp/run.yaml` that are paths of this machine.
    """

    root: Path
    names: tuple[str, ...]
    bytes: int
    staying: tuple[str, ...]
    telling: tuple[str, ...]

    @classmethod
    def of(cls, layout: ArtifactLayout) -> UploadFiles:
        """Gather them.

        Raises:
            ParityError: a file is not the one that was verified.
            ModelError: there is no model among them.
        """
        if not layout.shipped():
            raise ModelError(
                "there is no ONNX file to upload",
                where=str(layout.onnx_dir),
                fix="give a directory that prune-and-export or export wrote",
            )
        with suppress(OSError):
            settle(layout.root)
        try:
            layout.verify_checksums()
        except ModelError as error:
            raise ParityError(
                error.what,
                where=error.where,
                fix="nothing was uploaded: make the artifact again, or change it on the hub",
            ) from error
        budget = layout.budget.relative_to(layout.root).as_posix()
        names = {*listed_files(layout.root), CHECKSUMS}
        names |= {budget} if layout.budget.is_file() else set()
        there = {path.relative_to(layout.root).as_posix() for path in layout.files()}
        return cls(
            root=layout.root,
            names=tuple(sorted(names)),
            bytes=sum((layout.root / name).stat().st_size for name in names),
            staying=tuple(sorted(there - names)),
            telling=_paths_told(layout),
        )

    @property
    def size(self) -> str:
        """`14 files, 178.9 MB`."""
        return f"{len(self.names)} files, {file_size(self.bytes)}"


def _paths_told(layout: ArtifactLayout) -> tuple[str, ...]:
    return tuple(
        f"--{name.replace('_', '-')} {value}"
        for name, value in recorded_settings(layout).items()
        if isinstance(value, str) and Path(value).is_absolute()
    )

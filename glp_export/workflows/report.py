"""Writing reports: of an artifact or a sweep into it, of several artifacts into one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from glp_export.artifact import ArtifactLayout, write_file, writing
from glp_export.bench import Frontier
from glp_export.config.files import read_file, resolve
from glp_export.core.checksums import enter, verify_files
from glp_export.core.errors import DataError, OutputError, UsageError
from glp_export.report.html import ReportData, comparison_page, page, read_by, report_data
from glp_export.tasks.own_metric import is_own
from glp_export.workflows.sources import data_spec

TOGETHER = Path("report.html")
"""Where the report of several artifacts goes by default."""


def write_report(root: Path) -> Path:
    """Write `glp/report.html` of an artifact that is under way, from its files.

    Raises:
        GlpError: see `glp_export.core.errors`.
    """
    layout = ArtifactLayout(root)
    _write(layout.report, page(report_data(root)))
    return layout.report


def report(
    artifacts: Sequence[Path], output: Path | None = None, *, show_texts: bool = False
) -> Path:
    """Make the report of one finished artifact or sweep anew, or one of several side by side.

    What it is made from is checked against the checksums first. A report that replaces an
    artifact's own is entered there; nothing else in the list is touched, so a file that was
    changed is not vouched for.

    Args:
        artifacts: directories that `prune-and-export` wrote.
        output: where it goes; None is the artifact itself, for several `report.html` here.
        show_texts: also show the texts whose labels flip, read from the data of the run.

    Returns:
        The file.

    Raises:
        DataError: a file that it is made from is missing or broken, or the data cannot be read.
        ModelError: a file is not the one that was written.
        OutputError: the report cannot be written.
        UsageError: there is no artifact.
    """
    if not artifacts:
        raise UsageError("no artifact was named", fix="give a directory, or several to compare")
    whole = [_finished(root, show_texts) for root in artifacts]
    if len(whole) > 1:
        output = output or TOGETHER
        _write(output, comparison_page(_told_apart(whole, artifacts)))
        return output
    if output is not None:
        _write(output, page(whole[0]))
        return output
    return _renew(artifacts[0], whole[0], show_texts)


def _finished(root: Path, show_texts: bool) -> ReportData:
    """What the report of a finished artifact is made from, checked."""
    layout = ArtifactLayout(root)
    if not layout.benchmark.is_file():
        raise DataError(
            "there is nothing to report: no glp/benchmark.json",
            where=str(root),
            fix="give a directory that prune-and-export wrote",
        )
    needed, perhaps = read_by(root)
    verify_files(root, needed, perhaps=perhaps)
    found = report_data(root)
    return _with_texts(layout, found) if show_texts else found


def _renew(root: Path, whole: ReportData, show_texts: bool) -> Path:
    """Write an artifact's own report; of a sweep also those of its depths."""
    layout = ArtifactLayout(root)
    renewed = []
    for sweep_variant in whole.sweep_variants if whole.is_sweep else ():
        own = layout.sweep_variant(sweep_variant.directory)
        _enter(own.root, own.report, page(_finished(own.root, show_texts)))
        renewed += [own.report, own.checksums]
    _enter(root, layout.report, page(whole), renewed)
    above = ArtifactLayout(root.resolve().parent)
    if above.frontier.is_file() and any(
        point.directory == root.resolve().name for point in Frontier.load(above.frontier).points
    ):
        own = ArtifactLayout(root.resolve())
        with writing(above.root):
            enter(above.root, _names(above.root, [own.report, own.checksums]))
    return layout.report


def _enter(root: Path, report: Path, text: str, renewed: Sequence[Path] = ()) -> None:
    """Put a report into its place and enter it into the list, with others that were renewed."""
    half = _half(report, text)
    (name,) = _names(root, [report])
    with writing(root):
        enter(root, _names(root, renewed), new={name: half})


def _names(root: Path, files: Sequence[Path]) -> list[str]:
    return [path.relative_to(root).as_posix() for path in files]


def _write(path: Path, text: str) -> None:
    """Put a file into place as a whole, so that a reader never finds half of one.

    Raises:
        OutputError: it cannot be written.
    """
    half = _half(path, text)
    with writing(path.parent):
        half.replace(path)


def _half(path: Path, text: str) -> Path:
    """The file beside its place, not yet there.

    Raises:
        OutputError: it cannot be written.
    """
    if path.is_dir():
        raise OutputError(
            "the report is a file, and there is a directory of this name",
            where=str(path),
            fix="name a file: --output report.html",
        )
    half = path.with_name(f".{path.name}.partial")
    write_file(half, text)
    return half


def _told_apart(whole: Sequence[ReportData], paths: Sequence[Path]) -> list[ReportData]:
    """With the paths as names where directories are called alike."""
    names = [one.name for one in whole]
    return [
        one if names.count(one.name) == 1 else replace(one, name=str(path))
        for one, path in zip(whole, paths, strict=True)
    ]


def _with_texts(layout: ArtifactLayout, found: ReportData) -> ReportData:
    """The report data with the texts of the test rows whose labels flip."""
    from glp_export.encoder import task_of_model
    from glp_export.tasks import load_task_data

    rows = sorted(
        {
            row
            for sweep_variant in found.sweep_variants
            for file in sweep_variant.parity.files
            for row in file.disagreements
        }
    )
    if not rows:
        return found
    config = resolve(read_file(layout.run_config))
    spec = data_spec(config.data, config.model, config.training.seed)
    if is_own(spec.metric):  # code that nobody named now; texts are shown, nothing is scored
        spec = replace(spec, metric=None)
    data = load_task_data(spec, task_of_model(layout.root))
    if found.plan.data_checksum not in (None, data.checksum):
        raise DataError(
            "the data is not what the artifact was made from, so its rows are others",
            where=data.source,
            fix="put the data back as it was, or leave --show-texts out",
        )
    columns = [name for name in ("text", "text_pair") if name in data.test.column_names]
    texts = {row: " ⏐ ".join(str(data.test[row][name]) for name in columns) for row in rows}
    return replace(found, texts=texts)

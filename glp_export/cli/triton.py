"""`glp-export triton`: a finished artifact in a model repository, beside other models."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from glp_export.core.errors import OutputError


def triton_command(
    artifact: Annotated[Path, typer.Argument(help="Directory that prune-and-export wrote.")],
    repository: Annotated[
        Path, typer.Option("--output", "-o", help="Model repository; it may hold other models.")
    ],
    name: Annotated[
        str | None, typer.Option(help="Name of the model. Default: the artifact's.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace that model.")] = False,
) -> None:
    """Add an artifact to a model repository of Triton.

    Example: glp-export triton out/trec -o models
    """
    print(add_to_repository(artifact, repository, name, overwrite=overwrite))


def add_to_repository(
    artifact: Path, repository: Path, name: str | None = None, *, overwrite: bool = False
) -> Path:
    """Add an artifact to a model repository; the artifact itself is left as it is.

    Args:
        artifact: directory that prune-and-export wrote.
        repository: made where there is none.
        name: of the model; by default the artifact's own.
        overwrite: replace a model of that name.

    Returns:
        The model's directory.

    Raises:
        ModelError: it is no artifact, or a file was changed.
        OutputError: the repository has such a model, or cannot be written.
        UsageError: it is a sweep, which holds several artifacts.
    """
    from glp_export.artifact import one_artifact, triton_name, write_triton

    layout = one_artifact(artifact)
    layout.verify_checksums()
    own = triton_name(name or Path(os.path.abspath(artifact)).name)
    if (repository / own).exists() and not overwrite:
        raise OutputError(
            "the repository has a model of that name",
            where=str(repository / own),
            fix="give it another with --name, or replace it: --overwrite",
        )
    return write_triton(layout, repository, name=own)

"""The auxiliary tasks of a run, read and checked before any work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from glp_export.config.run_config import RunConfig
from glp_export.core.errors import UsageError
from glp_export.encoder import with_head_for
from glp_export.tasks import KINDS, AuxiliaryData, DataSpec, TaskData, TaskKind, load_auxiliary

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def read_auxiliary(
    config: RunConfig, spec: DataSpec, data: TaskData, model: PreTrainedModel, as_is: bool
) -> tuple[AuxiliaryData, ...]:
    """Read the auxiliary tasks of a run, and check that its model can learn them.

    Args:
        config: of the run.
        spec: of its own data.
        data: its own data.
        model: the unpruned one; a head for each task is tried on it.
        as_is: whether it is the teacher unchanged.

    Raises:
        DataError: rows that cannot be read or learned from.
        ModelError: the architecture has no such head.
        UsageError: uses that the run has no place for.
    """
    wanted = config.auxiliary
    if not wanted.auxiliary:
        return ()
    _require_uses(wanted.transfer, KINDS[data.task.kind], as_is, data.labelled)
    held = (data.select, data.test, *data.other_tests.values())
    read = (
        load_auxiliary(name, spec, wanted.max_auxiliary_samples, *held)
        for name in dict.fromkeys(wanted.auxiliary)
    )
    found = tuple({one.checksum: one for one in read}.values())  # one file may have two names
    for one in found:
        with_head_for(model, one.task, config.training.seed)
    return found


def _require_uses(uses: Sequence[str], kind: TaskKind, as_is: bool, labelled: bool) -> None:
    taught = [use for use in uses if use in ("before", "joint")]
    if as_is and taught:
        can_learn = kind.loss is not None and labelled
        raise UsageError(
            "the unpruned model is taken as it is, so that it learns nothing more",
            where=f"--transfer {taught[0]}",
            fix="add --teacher finetune, or take --transfer recovery"
            if can_learn
            else "take --transfer recovery",
        )
    if "structure" in uses and kind.predictions is None:
        raise UsageError(
            f"no teacher labels other texts for {kind.name}",
            where="--transfer structure",
            fix="leave structure out",
        )

"""How large a batch may be that is timed."""

from __future__ import annotations

from glp_export.core.errors import UsageError

MOST_TOKENS = 2**20
"""Of one batch: 768 wide, one tensor of hidden states has 3.2 GB."""


def require_batch(batch_size: int, sequence_length: int, where: str) -> None:
    """Check that a batch can be made.

    Raises:
        UsageError: it has too many tokens.
    """
    if batch_size * sequence_length > MOST_TOKENS:
        raise UsageError(
            f"a batch of {batch_size} × {sequence_length} tokens is too large to be timed",
            where=where,
            fix=f"at most {MOST_TOKENS:,} tokens: {max(1, MOST_TOKENS // sequence_length)} rows",
        )

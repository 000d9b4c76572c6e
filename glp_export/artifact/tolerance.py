"""How far the logits of a file may be from PyTorch's, by its precision."""

from __future__ import annotations

from glp_export.core.errors import ModelError
from glp_export.core.tolerance import Tolerance

TOLERANCES: dict[str, Tolerance | None] = {
    # One rounding is 6e-8 of a value. Summed in another order over a few hundred to a few thousand
    # products, through layers whose LayerNorms pull the scale back to one, logits differ by 1e-6
    # (a trained six-layer MiniLM) to 1e-5. A lost bias, a wrong mask or a frozen shape moves them
    # by 1e-2 and more; Gelu's tanh formula by 1e-3. The bound lies in the gap below all of those.
    "fp32": Tolerance(1e-4, 1e-3),
    # One rounding is 5e-4 of a value, 8000 times that of fp32; sums are kept in fp32, hence less.
    # Measured on the CPU: 0.002 to 0.015 on tiny encoders of seven families whose logits vary by
    # 0.1 to 1, and 0.001 on a trained MiniLM. A rounded position index moved them by 0.26.
    "fp16": Tolerance(5e-2, 1e-2),
    # 8 bits of mantissa where fp16 has 11.
    "bf16": Tolerance(2e-1, 5e-2),
    # Rounds to 256 steps: the logits do move, and only the task's metric can say if it matters.
    "int8": None,
}
"""None: the difference is reported and does not judge."""

SAME_NOISE = 1.5
"""Times as far from PyTorch, on average, as in ONNX Runtime, that a file which only the metric
judges may be in another runtime. The metric was taken in ONNX Runtime, and rounding that is as
large costs as much. Single logits tell nothing: the integers are the same until sums in another
order put one value over the edge of its step, and the layers above carry that on (MiniLM int8,
hidden states of spread 0.3: 1e-6 on most batches, 0.13 at the largest and 0.009 on average on
one)."""


def tolerance_for(
    precision: str, *, atol: float | None = None, rtol: float | None = None
) -> Tolerance | None:
    """The tolerance of a precision; a value given takes the place of the table's.

    A precision that the table does not judge is judged where a value is given.

    Raises:
        ModelError: the precision is not in the table.
    """
    if precision not in TOLERANCES:
        raise ModelError(
            f"There is no tolerance for the precision {precision!r}.",
            fix=f"It must be one of {', '.join(TOLERANCES)}.",
        )
    default = TOLERANCES[precision]
    if default is None:
        if atol is None and rtol is None:
            return None
        default = Tolerance(0.0, 0.0)
    return Tolerance(
        default.atol if atol is None else atol,
        default.rtol if rtol is None else rtol,
        asked=atol is not None,
    )

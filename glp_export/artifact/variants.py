"""The ONNX files that an artifact may hold: one row a variant.

A new precision is one more row here, one row in `parity.TOLERANCES` and the code that builds it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """A kind of ONNX file that an artifact may ship.

    Attributes:
        name: what flags and tables call it.
        file_name: its name below `onnx/`, as transformers.js and optimum look for it.
        precision: the arithmetic of its large matrix products.
    """

    name: str
    file_name: str
    precision: str


VARIANTS: dict[str, Variant] = {
    variant.name: variant
    for variant in (
        # Standard operators only, never fused: the one file that every consumer can load.
        Variant("fp32", "model.onnx", "fp32"),
        # May use ONNX Runtime's own operators, hence not under the standard name.
        Variant("fp32-optimized", "model_optimized.onnx", "fp32"),
        # Integer products; the name that transformers.js loads by default.
        Variant("int8", "model_quantized.onnx", "int8"),
    )
}

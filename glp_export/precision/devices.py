"""Which precisions of an ONNX file are worth building for a device, and why the others are not.

What a chip can multiply fast decides it, and what ONNX Runtime has kernels for.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from glp_export.core.machine import INT8_PRODUCTS

Capability = tuple[int, int]
"""CUDA compute capability, (8, 0) for an A100."""


@dataclass(frozen=True)
class Precision:
    """What one precision asks of a device.

    Attributes:
        name: `fp32`, `fp16`, `bf16` or `int8`.
        cpu_features: instruction sets, by the kernel's names, one of which makes it fast in
            hardware; empty where none is needed.
        cuda_capability: the least compute capability that computes it fast.
        not_on_cpu: why ONNX Runtime gains nothing by it on any CPU; None where it does.
        not_on_cuda: likewise on a CUDA device.
    """

    name: str
    cpu_features: frozenset[str] = frozenset()
    cuda_capability: Capability = (0, 0)
    not_on_cpu: str | None = None
    not_on_cuda: str | None = None


PRECISIONS: dict[str, Precision] = {
    precision.name: precision
    for precision in (
        Precision(
            "int8",
            cpu_features=INT8_PRODUCTS,
            not_on_cuda="ONNX Runtime's CUDA provider has no DynamicQuantizeLinear, so a "
            "dynamically quantised file goes through the CPU at every product; fp16 is the "
            "precision for a GPU",
        ),
        Precision(
            "fp16",
            cpu_features=frozenset({"avx512_fp16", "amx_fp16", "asimdhp"}),
            cuda_capability=(7, 0),
            # MiniLM-L6, plain and fused, at 1x128 and 8x32 on one AVX512 core: 1 to 6 % slower.
            not_on_cpu="ONNX Runtime's CPU provider has no fp16 kernel for most of an encoder and "
            "computes it in fp32 between casts, which is no faster than fp32; int8 is the "
            "precision for a CPU",
        ),
        Precision(
            "bf16",
            cpu_features=frozenset({"avx512_bf16", "amx_bf16", "bf16"}),
            cuda_capability=(8, 0),
            not_on_cpu="ONNX Runtime's CPU provider has no bf16 MatMul at all",
            not_on_cuda="ONNX Runtime's converter writes no bf16 and its EmbedLayerNormalization "
            "has no bf16 kernel; fp16 is as fast on the same GPUs",
        ),
        Precision("fp32"),
    )
}
"""The fastest first, where the device has it."""


def advised(
    device: str, features: Collection[str] = (), capability: Capability | None = None
) -> tuple[str, ...]:
    """The precisions that pay on a device in ONNX Runtime, the likely fastest first.

    "Pay" is what hardware and kernels allow. Whether a file is faster is measured, and whether it
    is good enough is for the task's metric.

    Args:
        device: `cpu` or `cuda`.
        features: instruction sets of the CPU (`machine.cpu_features`).
        capability: of the GPU (`gpu_capability`); None where it is not known.
    """
    return tuple(name for name in PRECISIONS if why_not(name, device, features, capability) is None)


def why_not(
    precision: str,
    device: str,
    features: Collection[str] = (),
    capability: Capability | None = None,
) -> str | None:
    """Why a precision does not pay in ONNX Runtime on a device, in plain words; None if it does.

    Args:
        precision: a key of `PRECISIONS`.
        device: `cpu` or `cuda`.
        features: instruction sets of the CPU.
        capability: of the GPU.

    Raises:
        KeyError: there is no such precision.
    """
    row = PRECISIONS[precision]
    barred = row.not_on_cuda if device == "cuda" else row.not_on_cpu
    return barred or not_in_hardware(precision, device, features, capability)


def not_in_hardware(
    precision: str,
    device: str,
    features: Collection[str] = (),
    capability: Capability | None = None,
) -> str | None:
    """Why the device itself has no fast arithmetic of a precision, whoever asks; None if it has.

    Args and errors as of `why_not`.
    """
    row = PRECISIONS[precision]
    if device == "cuda":
        if capability is None or capability >= row.cuda_capability:
            return None
        least, here = (".".join(map(str, pair)) for pair in (row.cuda_capability, capability))
        return f"{precision} needs a GPU of compute capability {least}; this one has {here}"
    if not row.cpu_features or row.cpu_features & set(features):
        return None
    return (
        f"this CPU has none of {', '.join(sorted(row.cpu_features))}, so {precision} is computed "
        "in steps that take longer than fp32"
    )


def gpu_capability() -> Capability | None:
    """Compute capability of the first CUDA device as PyTorch sees it; None without one."""
    import torch

    if not torch.cuda.is_available():
        return None
    major, minor = torch.cuda.get_device_capability(0)
    return int(major), int(minor)

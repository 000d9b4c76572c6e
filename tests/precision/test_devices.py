from __future__ import annotations

import pytest

from glp_export.precision.devices import advised, gpu_capability, not_in_hardware, why_not

SERVER = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16")
OLD = ("avx", "avx2", "fma")


@pytest.mark.parametrize(
    "features", [SERVER, ("avx2", "avx_vnni"), ("asimd", "asimddp"), ("i8mm",)]
)
def test_int8_pays_on_cpus_that_multiply_bytes(features: tuple[str, ...]) -> None:
    assert advised("cpu", features) == ("int8", "fp32")


def test_int8_does_not_pay_on_an_old_cpu_and_the_reason_names_what_it_lacks() -> None:
    assert advised("cpu", OLD) == ("fp32",)
    assert "avx512_vnni" in (why_not("int8", "cpu", OLD) or "")


@pytest.mark.parametrize(
    ("capability", "expected"),
    [((6, 1), ("fp32",)), ((7, 0), ("fp16", "fp32")), ((9, 0), ("fp16", "fp32"))],
)
def test_fp16_pays_on_gpus_with_tensor_cores(
    capability: tuple[int, int], expected: tuple[str, ...]
) -> None:
    assert advised("cuda", capability=capability) == expected


def test_fp16_on_a_cpu_is_refused_whatever_it_can_do() -> None:
    assert "casts" in (why_not("fp16", "cpu", ("avx512_fp16",)) or "")


def test_bf16_is_in_hardware_and_yet_not_for_onnx_runtime() -> None:
    """PyTorch can use it where ONNX Runtime cannot."""
    assert not_in_hardware("bf16", "cpu", SERVER) is None
    assert not_in_hardware("bf16", "cuda", capability=(8, 0)) is None
    assert why_not("bf16", "cpu", SERVER) is not None
    assert why_not("bf16", "cuda", capability=(8, 0)) is not None
    assert "8.0" in (not_in_hardware("bf16", "cuda", capability=(7, 5)) or "")


def test_an_unknown_gpu_is_given_the_benefit_of_the_doubt() -> None:
    assert advised("cuda") == ("fp16", "fp32")


def test_fp32_needs_nothing() -> None:
    assert why_not("fp32", "cpu") is why_not("fp32", "cuda", capability=(5, 0)) is None


def test_no_gpu_has_no_capability() -> None:
    import torch

    assert (gpu_capability() is None) == (not torch.cuda.is_available())

"""Versions of the packages that results depend on."""

from __future__ import annotations

_PACKAGES = (
    *("glp-export", "torch", "transformers", "optimum", "optimum-onnx"),
    *("onnx", "onnxruntime", "onnxruntime-gpu", "openvino", "datasets", "numpy"),
)


def package_versions() -> dict[str, str]:
    """Versions of the packages that results depend on; absent ones are left out."""
    import importlib.metadata

    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found

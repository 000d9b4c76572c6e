"""Which precisions a run makes: those asked for, or those that pay on its device."""

from __future__ import annotations

from dataclasses import dataclass

from glp_export.core.errors import UsageError
from glp_export.core.machine import cpu_features
from glp_export.precision.devices import (
    PRECISIONS,
    advised,
    gpu_capability,
    not_in_hardware,
    why_not,
)

AUTO, ALWAYS = "auto", "fp32"


@dataclass(frozen=True)
class Wanted:
    """The precisions of a run beside fp32, which always ships.

    Attributes:
        names: in the order asked for, or the likely fastest first.
        required: they were named, so one that cannot be had is an error and not left out.
        notes: what the user should know of them, in sentences.
    """

    names: tuple[str, ...]
    required: bool = True
    notes: tuple[str, ...] = ()


def wanted_precisions(asked: tuple[str, ...], device: str) -> Wanted:
    """Settle `--precision` on a device.

    `auto` takes what the device computes fast. A precision that was named and that this device
    computes slowly is made and measured all the same, with a note; one that ONNX Runtime has no
    use for on such a device is refused.

    Args:
        asked: names, or `auto` alone.
        device: `cpu` or `cuda`.

    Raises:
        UsageError: an unknown precision, or one that makes no sense on the device.
    """
    features = cpu_features()
    capability = gpu_capability() if device == "cuda" else None
    if AUTO in asked:
        if len(asked) > 1:
            raise UsageError("auto stands alone", where="--precision", fix="leave the others out")
        pays = advised(device, features, capability)
        slow = why_not("int8", device, features, capability) if device == "cpu" else None
        note = f"int8 is left out: {slow}; --precision int8 measures it"
        names = tuple(name for name in pays if name != ALWAYS)
        return Wanted(names, required=False, notes=(note,) if slow else ())
    for name in asked:
        _require_sensible(name, device)
    notes = tuple(
        f"{name} will not pay here: {slow}; it is made and measured all the same"
        for name in asked
        if (slow := not_in_hardware(name, device, features, capability))
    )
    names = tuple(name for name in dict.fromkeys(asked) if name != ALWAYS)
    return Wanted(names, required=True, notes=notes)


def _require_sensible(name: str, device: str) -> None:
    if name not in PRECISIONS:
        raise UsageError(
            f"there is no precision {name}",
            where="--precision",
            fix=f"choose from {AUTO}, {', '.join(PRECISIONS)}",
        )
    barred = why_not(name, device, features=PRECISIONS[name].cpu_features)
    if barred:
        raise UsageError(
            f"{name} makes no sense on {device}: {barred}",
            where=f"--precision {name}",
            fix=f"choose from {', '.join(_sensible(device))}, or another --device",
        )


def _sensible(device: str) -> list[str]:
    return [name for name, row in PRECISIONS.items() if not why_not(name, device, row.cpu_features)]

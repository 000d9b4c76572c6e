"""The machine on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from glp_export.core.tables import facts_table

if TYPE_CHECKING:
    from glp_export.core.machine import Machine


def machine_table(machine: Machine) -> RenderableType:
    """Cores, instruction sets, providers and versions, and what makes measuring here doubtful."""
    table = facts_table()
    for name, value in machine_facts(machine).items():
        table.add_row(name, Text(value))
    return Group(table, *(Text(f"! {note}", style="yellow") for note in machine.notes))


def machine_line(machine: Machine) -> str:
    """The machine in one line: processor, cores, instruction sets, GPU."""
    parts = [machine.cpu, f"{machine.usable_cores} of {machine.logical_cores} cores usable"]
    best = [name for name in machine.features if name.startswith(("amx", "avx512", "avx_vnni"))]
    if best:
        parts.append(" ".join(best))
    if machine.gpu:
        parts.append(machine.gpu)
    return ", ".join(parts)


def machine_facts(machine: Machine) -> dict[str, str]:
    """Everything that is known of the machine, in words by its name."""
    return {
        "processor": machine.cpu,
        "cores": f"{machine.usable_cores} usable of {machine.logical_cores}",
        "instructions": " ".join(machine.features) or "none that matter were found",
        "memory": f"{machine.memory_gb:.1f} GiB",
        "load": f"{machine.load_average:.2f}",
        "gpu": machine.gpu or "none",
        "system": f"{machine.os}, Python {machine.python}",
        "providers": ", ".join(machine.providers) or "onnxruntime is not installed",
        "packages": ", ".join(f"{name} {version}" for name, version in machine.versions.items()),
    }

"""The machine that a measurement was taken on: usable cores, instruction set, providers, versions.

Thread pools that are sized from the host instead of the container oversubscribe it, so the cores
come from the affinity mask and the cgroup's CPU quota, never from the number of processors.
Serving asks for the cores alone and wants to start at once, so what only the description of a
machine needs is imported there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from glp_export.core.errors import DeviceError, UsageError
from glp_export.core.versions import package_versions

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"

# What decides the speed of int8, bf16 and fp16 arithmetic; the names are the kernel's.
_FEATURES = (
    *("avx", "avx2", "fma", "f16c", "avx_vnni", "avx_vnni_int8"),
    *("avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_int8", "amx_bf16", "amx_fp16"),
    *("asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme"),
)
INT8_PRODUCTS = frozenset(
    ("avx_vnni", "avx_vnni_int8", "avx512_vnni", "amx_int8", "asimddp", "i8mm")
)
"""Instruction sets that sum products of int8 in 32 bits. Without them x86 sums pairs in 16, where
they can saturate (microsoft/onnxruntime #6004), and int8 is often slower than fp32."""

# A process of another's on every second core already shows in the medians.
_BUSY_SHARE = 0.5


MOST_THREADS = 1024
"""Past it libraries end the process rather than refuse."""


@dataclass(frozen=True)
class Machine:
    """What `describe` found.

    Attributes:
        cpu: the processor's name.
        logical_cores: processors of the host.
        usable_cores: those that this process may use (see `usable_cores`).
        features: instruction sets that matter for inference (see `cpu_features`).
        memory_gb: physical memory, in GiB.
        os: operating system and kernel.
        python: version.
        gpu: name of the first CUDA device, None without one.
        providers: what the installed ONNX Runtime was built with.
        versions: of the packages that the measurement depends on; absent ones are left out.
        load_average: processes running or waiting, over the last minute (this one included).
        notes: what makes a measurement on this machine doubtful, in sentences.
    """

    cpu: str
    logical_cores: int
    usable_cores: int
    features: tuple[str, ...]
    memory_gb: float
    os: str
    python: str
    gpu: str | None
    providers: tuple[str, ...]
    versions: dict[str, str]
    load_average: float = 0.0
    notes: tuple[str, ...] = field(default=())


def describe() -> Machine:
    """Look at the machine; takes as long as importing torch and onnxruntime."""
    import platform

    import psutil

    cores = usable_cores()
    load = psutil.getloadavg()[0]
    return Machine(
        cpu=_cpu_model(),
        logical_cores=os.cpu_count() or 1,
        usable_cores=cores,
        features=cpu_features(),
        memory_gb=round(psutil.virtual_memory().total / 2**30, 1),
        os=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        gpu=_gpu_name(),
        providers=_providers(),
        versions=package_versions(),
        load_average=round(load, 2),
        notes=load_notes(load, cores),
    )


def is_like_this(recorded: Machine) -> bool:
    """Whether a file takes about as long on the CPU of a recorded machine as it does here.

    Asked of processor, usable cores and version of ONNX Runtime; what else ran is not.
    """
    here = (_cpu_model(), usable_cores(), package_versions().get("onnxruntime"))
    return here == (recorded.cpu, recorded.usable_cores, recorded.versions.get("onnxruntime"))


def load_notes(load: float, cores: int) -> tuple[str, ...]:
    """A sentence if the load average says that others compute here too, else nothing."""
    if load <= _BUSY_SHARE * cores:
        return ()
    return (
        f"the load average was {load:.1f} on {cores} usable core{'s' if cores > 1 else ''} "
        "before measuring: other processes, or this one's own work of the last minute",
    )


def usable_cores(root: Path = Path("/")) -> int:
    """The cores that this process may use: affinity mask, cut by the cgroup's CPU quota.

    A fractional quota is rounded down, at least to 1.
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows have no affinity mask to ask
        cores = os.cpu_count() or 1
    quota = cgroup_cpu_quota(root)
    return cores if quota is None else max(1, min(cores, int(quota)))


def cgroup_cpu_quota(root: Path = Path("/")) -> float | None:
    """The CPU quota of this process's cgroup in cores, None if there is none.

    Reads version 2 (`cpu.max`) and version 1 (`cpu.cfs_quota_us`, `cpu.cfs_period_us`), and takes
    the tightest of the group and its ancestors, each of which limits it.

    Args:
        root: where `proc` and `sys` are; another directory in tests.
    """
    quotas = [quota for group in _cgroups(root) if (quota := _quota(group)) is not None]
    return min(quotas, default=None)


def cpu_features(root: Path = Path("/")) -> tuple[str, ...]:
    """Instruction sets that matter for inference, by the Linux kernel's names; () elsewhere."""
    match = re.search(r"^(?:flags|Features)\s*:(.*)$", _cpuinfo(root), re.MULTILINE)
    present = set(match.group(1).split()) if match else set()
    return tuple(name for name in _FEATURES if name in present)


def multiplies_int8(features: Collection[str]) -> bool:
    """Whether a CPU sums products of int8 in 32 bits, so that they cannot overflow."""
    return bool(INT8_PRODUCTS.intersection(features))


def int8_doubt(recorded: Sequence[str] | None, here: Sequence[str]) -> str | None:
    """Why an int8 file that was chosen on one CPU may be wrong or slow on this one; None if not.

    Args:
        recorded: instruction sets of the CPU that it was chosen on; None where nobody wrote them
            down.
        here: those of this one; () where the system does not tell.

    Returns:
        A clause without its end.
    """
    if not recorded or not here:
        return None
    lost = sorted(INT8_PRODUCTS.intersection(recorded))
    if not lost or INT8_PRODUCTS.intersection(here):
        return None
    return (
        f"int8 was chosen on a CPU with {', '.join(lost)}, and this one has no such instructions: "
        "its sums can saturate and it may be slower than fp32"
    )


def resolve_device(device: str) -> str:
    """Turn `auto`, `cpu`, `cuda` or `cuda:0` into `cpu` or `cuda`.

    `auto` is `cuda` where both PyTorch and ONNX Runtime can use it.

    Raises:
        UsageError: another name.
        DeviceError: CUDA is asked for, and one of the two cannot use it.
    """
    if device not in ("auto", "cpu") and not re.fullmatch(r"cuda(:\d+)?", device):
        raise UsageError(
            f"there is no device {device!r}", where="--device", fix="use auto, cpu or cuda"
        )
    if device == "cpu":
        return "cpu"
    missing = _missing_for_cuda()
    if device == "auto":
        return "cpu" if missing else "cuda"
    if missing:
        raise DeviceError(
            f"CUDA was asked for, but {missing}",
            where=f"--device {device}",
            fix="install the CUDA builds of torch and onnxruntime-gpu, or use --device cpu",
        )
    if device not in ("cuda", "cuda:0"):
        raise DeviceError(
            f"only the first visible CUDA device is used, not {device}",
            where=f"--device {device}",
            fix=f"set CUDA_VISIBLE_DEVICES={device.removeprefix('cuda:')} and use --device cuda",
        )
    return "cuda"


def provider_for(device: str) -> str:
    """The ONNX Runtime execution provider of a device (`cpu` or `cuda`).

    Raises:
        UsageError: another name.
        DeviceError: the installed ONNX Runtime was built without it.
    """
    providers = {"cpu": CPU, "cuda": CUDA}
    if device not in providers:
        raise UsageError(f"there is no device {device!r}", fix="use cpu or cuda")
    provider, available = providers[device], _providers()
    if provider not in available:
        raise DeviceError(
            f"the installed ONNX Runtime has no {provider}, only {', '.join(available) or 'none'}",
            where=f"--device {device}",
            fix="install onnxruntime-gpu in place of onnxruntime"
            if device == "cuda"
            else "install onnxruntime",
        )
    return provider


def _missing_for_cuda() -> str | None:
    """Why CUDA cannot be used, as the end of a sentence; None if it can."""
    import torch

    if not torch.cuda.is_available():
        return f"PyTorch {torch.__version__} finds no CUDA device"
    if CUDA not in _providers():
        return f"the installed ONNX Runtime has no {CUDA}"
    return None


def _cgroups(root: Path) -> Iterator[Path]:
    """Directories that may hold a CPU quota: this process's groups and their ancestors."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    mounts = root / "sys/fs/cgroup"
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        hierarchies = (controllers, "cpu") if controllers else ("", "unified")
        inside = PurePosixPath(*(part for part in path.split("/") if part not in ("", "..")))
        # A container often sees its group's path on the host and only its own group mounted, at
        # the top; paths that are not there are passed over.
        for hierarchy in hierarchies:
            for group in (inside, *inside.parents):
                yield mounts / hierarchy / group


def _quota(group: Path) -> float | None:
    """The quota that one cgroup directory sets, in cores."""
    try:
        if (group / "cpu.max").is_file():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text().strip()
            period = (group / "cpu.cfs_period_us").read_text().strip()
        return None if quota in ("max", "-1") else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _cpuinfo(root: Path) -> str:
    try:
        return (root / "proc/cpuinfo").read_text()
    except OSError:
        return ""


def _cpu_model() -> str:
    import platform

    match = re.search(r"^model name\s*:\s*(.+)$", _cpuinfo(Path("/")), re.MULTILINE)
    return match.group(1).strip() if match else platform.processor() or platform.machine()


def _gpu_name() -> str | None:
    try:
        import torch
    except ImportError:
        return None
    return str(torch.cuda.get_device_name(0)) if torch.cuda.is_available() else None


def _providers() -> tuple[str, ...]:
    try:
        import onnxruntime
    except ImportError:
        return ()
    return tuple(onnxruntime.get_available_providers())

"""The machine: cores from affinity and cgroup, devices that are there or refused."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from glp_export.core import machine, sharing
from glp_export.core.errors import DeviceError, UsageError


def put(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, None),
        ({"proc/self/cgroup": "0::/\n"}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "250000 100000\n"}, 2.5),
        (
            {"proc/self/cgroup": "0::/pod/job\n", "sys/fs/cgroup/pod/job/cpu.max": "50000 100000"},
            0.5,
        ),
        (
            {"proc/self/cgroup": "1:cpu,cpuacct:/\n", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1"},
            None,
        ),
        (
            {
                "proc/self/cgroup": "9:name=systemd:/\n4:cpu,cpuacct:/docker/abc\n0::/\n",
                "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "300000\n",
                "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000\n",
            },
            3.0,
        ),
        # A container that sees its path on the host, with only its own group mounted on top.
        (
            {
                "proc/self/cgroup": "4:cpu:/docker/abc\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "150000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            1.5,
        ),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "garbage\n"}, None),
    ],
)
def test_quota_is_read_from_both_versions_of_cgroups(
    tmp_path: Path, files: dict[str, str], quota: float | None
) -> None:
    assert machine.cgroup_cpu_quota(put(tmp_path, files)) == quota


def test_the_tightest_group_up_the_tree_decides(tmp_path: Path) -> None:
    root = put(
        tmp_path,
        {
            "proc/self/cgroup": "0::/pod/job\n",
            "sys/fs/cgroup/pod/job/cpu.max": "max 100000\n",
            "sys/fs/cgroup/pod/cpu.max": "200000 100000\n",
            "sys/fs/cgroup/cpu.max": "800000 100000\n",
        },
    )
    assert machine.cgroup_cpu_quota(root) == 2.0


def test_a_path_that_climbs_out_of_the_mount_is_not_followed(tmp_path: Path) -> None:
    root = put(
        tmp_path,
        {"proc/self/cgroup": "0::/../../x\n", "sys/fs/x/cpu.max": "100000 100000\n"},
    )
    (root / "sys/fs/cgroup").mkdir()
    assert machine.cgroup_cpu_quota(root) is None


@pytest.mark.parametrize(
    ("affinity", "limit", "cores"),
    [(8, "max", 8), (8, "250000", 2), (8, "50000", 1), (2, "800000", 2)],
)
def test_usable_cores_are_affinity_cut_by_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, affinity: int, limit: str, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(affinity)), raising=False)
    root = put(
        tmp_path,
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": f"{limit} 100000\n"},
    )
    assert machine.usable_cores(root) == cores


def test_features_come_from_cpuinfo_of_x86_and_arm(tmp_path: Path) -> None:
    put(tmp_path, {"proc/cpuinfo": "model name\t: X\nflags\t\t: fpu avx2 avx512_vnni sse2\n"})
    assert machine.cpu_features(tmp_path) == ("avx2", "avx512_vnni")
    put(tmp_path, {"proc/cpuinfo": "Features\t: fp asimd i8mm\n"})
    assert machine.cpu_features(tmp_path) == ("asimd", "i8mm")
    assert machine.cpu_features(tmp_path / "elsewhere") == ()


def have_cuda(monkeypatch: pytest.MonkeyPatch, *, torch_has: bool, ort_has: bool) -> None:
    import onnxruntime
    import torch

    providers = [machine.CUDA, machine.CPU] if ort_has else [machine.CPU]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: torch_has)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)


@pytest.mark.parametrize(("torch_has", "ort_has"), [(False, False), (True, False), (False, True)])
def test_cuda_needs_both_runtimes(
    monkeypatch: pytest.MonkeyPatch, torch_has: bool, ort_has: bool
) -> None:
    have_cuda(monkeypatch, torch_has=torch_has, ort_has=ort_has)
    assert machine.resolve_device("auto") == "cpu"
    with pytest.raises(DeviceError, match="CUDA was asked for") as caught:
        machine.resolve_device("cuda")
    assert caught.value.exit_code == 6


def test_cuda_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    have_cuda(monkeypatch, torch_has=True, ort_has=True)
    assert [machine.resolve_device(name) for name in ("auto", "cuda", "cuda:0")] == ["cuda"] * 3
    assert machine.resolve_device("cpu") == "cpu"
    assert machine.provider_for("cuda") == machine.CUDA
    with pytest.raises(DeviceError, match="first visible"):
        machine.resolve_device("cuda:1")


def test_other_devices_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    have_cuda(monkeypatch, torch_has=False, ort_has=False)
    with pytest.raises(UsageError, match="tpu"):
        machine.resolve_device("tpu")
    with pytest.raises(DeviceError, match="CUDAExecutionProvider"):
        machine.provider_for("cuda")
    assert machine.provider_for("cpu") == machine.CPU


def test_a_description_is_plain_json() -> None:
    described = machine.describe()
    assert json.loads(json.dumps(asdict(described)))["usable_cores"] == machine.usable_cores()
    assert described.cpu
    assert {"torch", "transformers", "onnxruntime"} <= described.versions.keys()


def test_a_machine_of_the_same_speed() -> None:
    here = machine.describe()
    assert machine.is_like_this(replace(here, load_average=3.0, notes=("busy",)))
    assert not machine.is_like_this(replace(here, cpu="another"))
    assert not machine.is_like_this(replace(here, usable_cores=here.usable_cores + 1))
    assert not machine.is_like_this(replace(here, versions={**here.versions, "onnxruntime": "1.0"}))


def test_a_busy_machine_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.load_notes(0.4, 2) == ()
    assert "1.6" in machine.load_notes(1.6, 2)[0]
    now, others = [100.0], [40.0]
    monkeypatch.setattr(sharing.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sharing, "cpu_seconds_of_others", lambda: others[0])
    monitor = sharing.SharingMonitor()
    now[0], others[0] = 110.0, 40.5
    assert (monitor.seconds, monitor.share, monitor.notes()) == (10.0, 0.0, ())
    assert monitor.words() == "idle"
    others[0] = 43.0
    assert monitor.share == pytest.approx(0.3)
    assert "0.3 cores" in monitor.notes()[0]
    monkeypatch.setattr(sharing.os, "cpu_count", lambda: 64)
    assert "0.3 of the machine's 64" in monitor.words()  # whatever this process may use

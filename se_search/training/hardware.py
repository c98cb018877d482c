"""Describes the hardware on which trainings can run: accelerator, cores and fast precision."""

from __future__ import annotations

import os
import platform
import re
import resource
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import torch

from se_search.device import Device, Hardware
from se_search.ground import PACKAGES, Ground
from se_search.record import RanOn
from se_search.training.rank import ALONE, Rank

CPU_INFO = Path("/proc/cpuinfo")
NVIDIA_VERSION = Path("/proc/driver/nvidia/version")
FAST_CPU_FLAGS = ("avx512_bf16", "amx_bf16")  # of a CPU that computes in bfloat16


def describe_hardware(cpu_info: Path = CPU_INFO) -> Hardware:
    """Return the accelerator that Lightning's ``auto`` would take, and the machine's cores.

    Args:
        cpu_info: Linux's list of cores; other systems do not have it.
    """
    if torch.cuda.is_available():
        has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return Hardware(
            accelerator="cuda",
            num_devices=torch.cuda.device_count(),
            num_cores=_count_cores(),
            name=torch.cuda.get_device_name(0),
            auto_precision="bf16-mixed" if has_bfloat16 else "16-mixed",
        )
    if torch.backends.mps.is_available():
        name = platform.processor() or "Apple GPU"
        return Hardware("mps", 1, _count_cores(), name, auto_precision="32-true")
    # On a CPU without these instructions bfloat16 is tens of times slower than float32.
    flags = _read_field(cpu_info, "flags").split()
    return Hardware(
        accelerator="cpu",
        num_devices=1,
        num_cores=_count_cores(),
        name=_name_cpu(cpu_info),
        auto_precision="bf16-mixed" if any(f in flags for f in FAST_CPU_FLAGS) else "32-true",
    )


def describe_ground(device: Device) -> Ground:
    """Return what a training on a device would run on, as far as that can change its numbers.

    Several GPUs that train one network are named with their number, as ``2 x NVIDIA H100``.
    """
    is_cuda = device.accelerator == "cuda"
    if is_cuda:
        name = torch.cuda.get_device_name(device.index)
    elif device.accelerator == "cpu":
        name = _name_cpu(CPU_INFO)
    else:
        name = platform.processor() or "Apple GPU"
    if device.num_devices > 1:
        name = f"{device.num_devices} x {name}"
    # PyTorch gives this function no types.
    cudnn = torch.backends.cudnn.version() if is_cuda else None  # type: ignore[no-untyped-call]
    return Ground(
        device=name,
        precision=device.precision,
        threads=device.threads if device.accelerator == "cpu" else None,
        torch=str(torch.__version__),
        cuda=torch.version.cuda if is_cuda else None,
        cudnn=None if cudnn is None else str(cudnn),
        packages=", ".join(f"{package} {metadata.version(package)}" for package in PACKAGES),
    )


def describe_training(
    device: Device, micro_batch: int, unrepeatable: Iterable[str], rank: Rank = ALONE
) -> RanOn:
    """Return what this process has trained on; the peak of memory is that of its whole life.

    Args:
        device: the device that it trained on.
        micro_batch: images that were trained at a time.
        unrepeatable: operators of CUDA that ran without a repeatable version.
        rank: of this process among those that train together, the most of whose peaks is told.
    """
    if device.accelerator == "cuda":
        peak_memory: int | None = torch.cuda.max_memory_allocated(device.index + rank.index)
    else:  # of Apple's GPUs PyTorch does not keep the peak
        peak_memory = _read_peak_memory() if device.accelerator == "cpu" else None
    peaks = [peak for peak in rank.gather(peak_memory) if peak is not None]
    ground = describe_ground(device)
    return RanOn(
        device=ground.device,
        driver=read_driver() if device.accelerator == "cuda" else None,
        cuda=ground.cuda,
        cudnn=ground.cudnn,
        precision=ground.precision,
        torch=ground.torch,
        peak_memory=max(peaks, default=None),
        threads=ground.threads,
        packages=ground.packages,
        micro_batch=micro_batch,
        unrepeatable=", ".join(sorted(unrepeatable)) or None,
    )


def read_driver(path: Path = NVIDIA_VERSION) -> str | None:
    """Return the version of NVIDIA's driver; None where the system does not tell it.

    Args:
        path: the file in which Linux's kernel module tells it.
    """
    try:
        text = path.read_text()
    except OSError:
        return None
    found = re.search(r"Kernel Module\b.*?\b(\d+(?:\.\d+)+)", text)
    return found[1] if found else None


def _read_peak_memory() -> int:
    """Return the most bytes of memory that this process has taken."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _name_cpu(cpu_info: Path) -> str:
    return _read_field(cpu_info, "model name") or platform.processor() or platform.machine()


def _count_cores() -> int:
    """Count the cores that this process may use, which can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read_field(cpu_info: Path, field: str) -> str:
    """Return a field of the first core in the list; empty if there is no list or no such field."""
    try:
        lines = cpu_info.read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == field:
            return value.strip()
    return ""

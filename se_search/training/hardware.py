"""Describes the hardware on which trainings can run: accelerator, cores and fast precision."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

from se_search.device import Hardware

CPU_INFO = Path("/proc/cpuinfo")
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
        name=_read_field(cpu_info, "model name") or platform.processor() or platform.machine(),
        auto_precision="bf16-mixed" if any(f in flags for f in FAST_CPU_FLAGS) else "32-true",
    )


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

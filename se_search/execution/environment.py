"""Describes what trainings run on: versions, hardware and devices, as plain data."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from se_search.device import Device, Hardware
from se_search.ground import PACKAGES, Ground

VERSIONED = ("torch", *PACKAGES, "optuna", "fvcore", "se-search")


def read_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that trainings depend on."""
    return {
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in VERSIONED},
    }


def describe_hardware(hardware: Hardware) -> dict[str, Any]:
    """Return the machine as ``config.yaml`` has it."""
    return {
        "accelerator": hardware.accelerator,
        "name": hardware.name,
        "devices": hardware.num_devices,
        "cores": hardware.num_cores,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def describe_environment(
    hardware: Hardware, devices: Sequence[Device], grounds: Sequence[Ground]
) -> dict[str, Any]:
    """Return what could change the numbers of a training, as a log of trainings has it.

    Args:
        hardware: what the machine has.
        devices: what trainings run on.
        grounds: what these are.
    """
    return {
        **read_versions(),
        "hardware": ", ".join(dict.fromkeys(ground.device for ground in grounds)),
        "cores": hardware.num_cores,
        "system": f"{platform.system()} {platform.machine()}",
        "accelerator": devices[0].accelerator,
        "threads": devices[0].threads,
        "precision": devices[0].precision,
        "workers": len(devices),
    }

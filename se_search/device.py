"""What trainings run on: a device, and the hardware that a machine has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Device:
    """Where a trial trains, and how.

    Attributes:
        accelerator: ``cpu``, ``cuda`` or ``mps``.
        index: which one of them; 0 for the CPU.
        threads: CPU threads that the training may use.
        precision: Lightning's word: ``32-true``, ``bf16-mixed`` or ``16-mixed``.
        num_loaders: processes that read images for it, where they are files; 0: none.
    """

    accelerator: str
    index: int
    threads: int
    precision: str
    num_loaders: int = 0


@dataclass(frozen=True, slots=True)
class Hardware:
    """What trainings can run on.

    Attributes:
        accelerator: ``cpu``, ``cuda`` or ``mps``.
        num_devices: GPUs; 1 for the CPU.
        num_cores: CPU cores that this process may use.
        name: the device's model.
        auto_precision: what the precision ``auto`` means here, in Lightning's words.
    """

    accelerator: str
    num_devices: int
    num_cores: int
    name: str
    auto_precision: str

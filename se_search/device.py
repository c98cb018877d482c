"""Values that describe a device on which one training runs, and a machine's hardware."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Device:
    """The device on which a trial trains, its threads and its precision.

    Attributes:
        accelerator: ``cpu``, ``cuda`` or ``mps``.
        index: number of the GPU, from 0; 0 for the CPU.
        threads: CPU threads that the training may use.
        precision: in Lightning's words: ``32-true``, ``bf16-mixed`` or ``16-mixed``.
        num_loaders: processes that read the images of a folder; 0: the training process does.
        num_devices: GPUs, from ``index`` on, that one training takes, with a process and its
            loaders for each; on a CPU, processes.
    """

    accelerator: str
    index: int
    threads: int
    precision: str
    num_loaders: int = 0
    num_devices: int = 1

    @property
    def name(self) -> str:
        """Which device of the machine it is, as ``cuda:1`` or ``cuda:2-3``; the CPU is one."""
        if self.accelerator == "cpu":
            return "cpu"
        last = self.index + self.num_devices - 1
        return f"{self.accelerator}:{self.index}" + (f"-{last}" if last > self.index else "")


@dataclass(frozen=True, slots=True)
class Hardware:
    """The hardware of a machine on which trainings can run.

    Attributes:
        accelerator: ``cpu``, ``cuda`` or ``mps``.
        num_devices: number of GPUs; 1 for the CPU.
        num_cores: number of CPU cores that this process may use.
        name: the model of the GPU or CPU.
        auto_precision: the precision that a recipe's ``auto`` selects, in Lightning's words.
    """

    accelerator: str
    num_devices: int
    num_cores: int
    name: str
    auto_precision: str

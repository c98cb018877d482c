"""Describes what a training's numbers depend on besides its network, recipe, data and seed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# Besides PyTorch: they draw, decode and resize images, or build and train networks.
PACKAGES = ("numpy", "pillow", "pytorch-lightning", "timm", "torchvision")


@dataclass(frozen=True, slots=True)
class Ground:
    """The hardware, arithmetic and versions on which equal trainings have equal bits.

    NVIDIA's driver is not part of it: kernels come compiled with PyTorch, and the driver runs them
    as they are. Neither is Python, nor se-search, whose protocol is part of a run's identity.

    Attributes:
        device: model of the GPU or CPU.
        precision: in Lightning's words, as ``32-true``.
        threads: CPU threads of the training; None on a GPU, where they change no number.
        torch: version of PyTorch, as it tells it itself.
        cuda: version of CUDA that PyTorch was built for; None on a CPU.
        cudnn: version of cuDNN; None on a CPU.
        packages: other packages that change numbers, as ``numpy 2.4.1, pillow 13.0.0``.
    """

    device: str
    precision: str
    threads: int | None
    torch: str
    cuda: str | None
    cudnn: str | None
    packages: str | None

    def facts(self) -> dict[str, str]:
        """Return what is known, by the names of the parts and of the packages."""
        parts = {
            "device": self.device,
            "precision": self.precision,
            "threads": self.threads,
            "torch": self.torch,
            "CUDA": self.cuda,
            "cuDNN": self.cudnn,
        }
        packages = dict(each.split(" ", 1) for each in (self.packages or "").split(", ") if each)
        return {name: str(value) for name, value in parts.items() if value is not None} | packages


def list_differences(grounds: Iterable[Ground]) -> list[str]:
    """Return the names of the facts in which grounds differ; an unknown one differs from none.

    Example:
        >>> cpu = Ground("a CPU", "32-true", 1, "2.14.1", None, None, "numpy 2.4.1")
        >>> gpu = Ground("a GPU", "32-true", None, "2.14.1", "13.0", "9.19", "numpy 2.4.2")
        >>> list_differences([cpu, gpu])
        ['device', 'numpy']
    """
    values: dict[str, set[str]] = {}
    for ground in grounds:
        for name, value in ground.facts().items():
            values.setdefault(name, set()).add(value)
    return [name for name, found in values.items() if len(found) > 1]

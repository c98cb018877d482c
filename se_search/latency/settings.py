"""What a latency is of: batch, threads, arithmetic, memory layout, compiler, device, versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from se_search.errors import LatencyError, suggest_nearest

Arithmetic = Literal["float32", "bfloat16", "float16"]
Compile = Literal["off", "default", "reduce-overhead", "max-autotune"]
ARITHMETICS: tuple[Arithmetic, ...] = get_args(Arithmetic)
COMPILES: tuple[Compile, ...] = get_args(Compile)
BUDGET = 120.0  # seconds of a measurement
CPU_BATCH, GPU_BATCH = 1, 64  # one image at a time; enough images to keep a GPU busy


@dataclass(frozen=True, slots=True)
class LatencySettings:
    """How networks are run while they are timed; always untrained, in eval mode, without gradients.

    Attributes:
        device: ``cpu``, ``cuda:0`` or another GPU by its number.
        batch: images at a time.
        threads: CPU threads; on a GPU they start its kernels.
        precision: ``float32``, ``bfloat16`` or ``float16``: of all weights and images.
        channels_last: whether images and weights lie in memory with the channels last.
        compile: mode of ``torch.compile``, or ``off``.

    Raises:
        LatencyError: a value is not allowed.
    """

    device: str
    batch: int
    threads: int
    precision: Arithmetic = "float32"
    channels_last: bool = False
    compile: Compile = "off"

    def __post_init__(self) -> None:
        """Check the values."""
        for name, value in (("batch", self.batch), ("threads", self.threads)):
            if value < 1:
                raise LatencyError(f"{name} {value} is not a positive integer")
        for name, text, allowed in (
            ("precision", self.precision, ARITHMETICS),
            ("compile", self.compile, COMPILES),
        ):
            if text not in allowed:
                hint = suggest_nearest(text, allowed)
                raise LatencyError(f"{name} {text!r} is not one of {', '.join(allowed)}{hint}")
        kind, _, number = self.device.partition(":")
        if self.device != "cpu" and (kind != "cuda" or (number and not number.isdigit())):
            raise LatencyError(f"device {self.device!r} is neither cpu nor cuda nor as cuda:1")

    @property
    def is_gpu(self) -> bool:
        """Whether the networks run on a GPU."""
        return self.device != "cpu"

    @property
    def counts_cpu_time(self) -> bool:
        """Whether time is the thread's CPU time: of one thread on a CPU.

        On an idle machine that is the time that passes. Other processes that take turns on the
        core are not counted.
        """
        return self.device == "cpu" and self.threads == 1

    def describe(self) -> str:
        """Say how networks are run, as ``batch 1, 1 thread, float32, channels last``."""
        parts = [
            f"batch {self.batch}",
            f"{self.threads} thread{'s' * (self.threads != 1)}",
            self.precision,
            *(["channels last"] if self.channels_last else []),
            "not compiled" if self.compile == "off" else f"torch.compile {self.compile}",
        ]
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class LatencyGround:
    """All that a latency depends on besides the network.

    Attributes:
        settings: how the networks are run.
        hardware: model of the CPU or GPU.
        versions: of PyTorch, CUDA and cuDNN, by name.
    """

    settings: LatencySettings
    hardware: str
    versions: Mapping[str, str]

    def describe(self) -> str:
        """Say on what and how the networks are run, in one line."""
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return f"{self.hardware}, {self.settings.describe()}, {versions}"

    def to_json(self) -> dict[str, Any]:
        """Return plain data, from which ``from_json`` makes an equal ground."""
        return asdict(self) | {"versions": dict(self.versions)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LatencyGround:
        """Return the ground that ``to_json`` made plain data of."""
        settings = LatencySettings(**data["settings"])
        return cls(settings, data["hardware"], dict(data["versions"]))

"""The options that say how latencies are measured: those of ``se-search latency``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from se_search.latency.settings import (
    ARITHMETICS,
    BUDGET,
    COMPILES,
    CPU_BATCH,
    GPU_BATCH,
    Arithmetic,
    Compile,
    LatencySettings,
)
from se_search.options import AtLeast, OneOf, Positive, check_options

DEVICE_HELP = "cpu, cuda or as cuda:1; default: the GPU, or the CPU where there is none"
BATCH_HELP = f"images at a time; default: {CPU_BATCH} on a CPU, {GPU_BATCH} on a GPU"
THREADS_HELP = "CPU threads of the networks that are timed"
PRECISION_HELP = "of weights and images: float32, bfloat16 or float16"
LAYOUT_HELP = "lay weights and images out with the channels last"
COMPILE_HELP = "mode of torch.compile: default, reduce-overhead or max-autotune; off"
SECONDS_HELP = "that the measurement shall take, if that leaves ten rounds for each network"
REMEASURE_HELP = "measure again what was measured before on this device"


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyOptions:
    """How latencies are measured.

    Raises:
        LatencyError, RunError: a value is not allowed.
    """

    device: Annotated[str | None, typer.Option(help=DEVICE_HELP)] = None
    batch: Annotated[int | None, typer.Option(help=BATCH_HELP), AtLeast(1)] = None
    threads: Annotated[int, typer.Option(help=THREADS_HELP), AtLeast(1)] = 1
    precision: Annotated[str, typer.Option(help=PRECISION_HELP), OneOf(ARITHMETICS)] = "float32"
    channels_last: Annotated[
        bool, typer.Option("--channels-last/--no-channels-last", help=LAYOUT_HELP)
    ] = False
    compile: Annotated[str, typer.Option(help=COMPILE_HELP), OneOf(COMPILES)] = "off"
    seconds: Annotated[float, typer.Option(help=SECONDS_HELP), Positive()] = BUDGET
    remeasure: Annotated[bool, typer.Option("--remeasure", help=REMEASURE_HELP)] = False

    def __post_init__(self) -> None:
        """Check each value."""
        check_options(self)

    def choose(self, accelerator: str) -> LatencySettings:
        """Return how networks are run, on a machine with this accelerator by default.

        Raises:
            LatencyError: the device is neither a CPU nor a GPU of CUDA.
        """
        device = self.device or ("cuda:0" if accelerator == "cuda" else "cpu")
        device = "cuda:0" if device == "cuda" else device
        precision: Arithmetic = self.precision  # type: ignore[assignment]  # checked
        compiled: Compile = self.compile  # type: ignore[assignment]  # checked
        return LatencySettings(
            device,
            self.batch or (CPU_BATCH if device == "cpu" else GPU_BATCH),
            self.threads,
            precision,
            self.channels_last,
            compiled,
        )

    def choose_here(self, log: Path) -> LatencySettings:
        """Return how networks are run on this machine, after a look at what it has.

        Args:
            log: file that takes what is printed meanwhile.

        Raises:
            SESearchError: the device is neither a CPU nor a GPU of CUDA.
        """
        from se_search.execution.child import call_in_child
        from se_search.training.task import probe_hardware

        if self.device is not None:
            return self.choose("")
        return self.choose(call_in_child(probe_hardware, log).accelerator)

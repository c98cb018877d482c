"""Loads untrained networks on a device and times them; ``latency.measure`` says in which order."""

from __future__ import annotations

import gc
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils import benchmark
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.errors import LatencyError
from se_search.latency.measure import WARM_RUNS, Probe
from se_search.latency.settings import LatencyGround, LatencySettings
from se_search.models.memory_layout import lay_channels_last
from se_search.models.surgery import build
from se_search.training.hardware import describe_ground

FIRST_RUNS = 3
PROBE_RUNS = 5


@dataclass(frozen=True, slots=True)
class LoadedNetwork:
    """A network that is ready to run; see ``latency.measure.Loaded``.

    Attributes:
        peak_bytes: on a GPU the most that PyTorch had allocated for it while it ran, work space of
            its kernels included. On a CPU, whose allocator keeps no such count, the most that its
            weights, its images and all feature maps alive at one moment take, without work space.
    """

    model: nn.Module
    images: Tensor
    settings: LatencySettings
    peak_bytes: int

    def run(self, number: int) -> float:
        """Run a batch that many times; return the seconds that one run took.

        Where it is run several times, two runs go before that are not timed: they fill caches
        that the network before it has emptied.
        """
        clock = _choose_clock(self.settings)
        with _as_timed(self.settings):
            for _ in range(WARM_RUNS if number > 1 else 0):
                self.model(self.images)
            begin = clock()
            for _ in range(number):
                self.model(self.images)
            return (clock() - begin) / number


@dataclass(frozen=True, slots=True)
class TorchBench:
    """Loads networks as the settings say; see ``latency.measure.Bench``.

    Attributes:
        settings: how they are run.
    """

    settings: LatencySettings

    def load(self, candidate: Candidate) -> LoadedNetwork:
        """Build an untrained network, measure its memory, and run it until it is warm.

        Raises:
            LatencyError: the device is not there, or the network does not run as it was asked for.
        """
        settings = self.settings
        device = find_device(settings)
        gc.collect()
        before = _count_allocated(device)
        try:
            model = build(candidate, seed=0).eval().requires_grad_(requires_grad=False)
            images = _draw_images(candidate, settings)
            dtype = getattr(torch, settings.precision)
            model, images = model.to(device, dtype), images.to(device, dtype)
            if settings.channels_last:
                lay_channels_last(model)
                images = images.contiguous(memory_format=torch.channels_last)
            with _as_timed(settings):
                peak = measure_peak(model, images, before)
                if settings.compile != "off":
                    torch.compiler.reset()
                    model = torch.compile(model, mode=settings.compile)  # type: ignore[assignment]  # called alike
                for _ in range(FIRST_RUNS):
                    model(images)
        except (RuntimeError, NotImplementedError) as cause:
            reason = str(cause).strip().split("\n")[0]
            raise LatencyError(
                f"{candidate} does not run with {settings.describe()} on {settings.device}: "
                f"{reason}"
            ) from cause
        return LoadedNetwork(model, images, settings, peak)


def probe_latency(candidate: Candidate, settings: LatencySettings) -> Probe:
    """Find out what a measurement is planned by.

    Args:
        candidate: the plain network.
        settings: how networks are run.

    Raises:
        LatencyError: the device is not there, or the network does not run as it was asked for.
    """
    device = find_device(settings)
    foreign = _count_foreign(device)
    begin = time.perf_counter()
    loaded = TorchBench(settings).load(candidate)
    loaded.run(1)
    loading = time.perf_counter() - begin
    seconds = min(loaded.run(1) for _ in range(PROBE_RUNS))
    return Probe(
        describe_latency_ground(settings),
        seconds,
        loading,
        _measure_launches(loaded) if settings.is_gpu else None,
        foreign,
    )


def find_device(settings: LatencySettings) -> torch.device:
    """Return PyTorch's device.

    Raises:
        LatencyError: it is not there.
    """
    device = torch.device(settings.device)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise LatencyError(f"device {settings.device} is not there; there are {count} GPUs")
    return device


def describe_latency_ground(settings: LatencySettings) -> LatencyGround:
    """Return what latencies depend on, of this machine."""
    kind, _, number = settings.device.partition(":")
    trained = describe_ground(Device(kind, int(number or 0), settings.threads, settings.precision))
    versions = {
        "PyTorch": trained.torch,
        "CUDA": trained.cuda,
        "cuDNN": trained.cudnn,
        "Python": platform.python_version(),
    }
    known = {name: version for name, version in versions.items() if version is not None}
    return LatencyGround(settings, trained.device, known)


def _choose_clock(settings: LatencySettings) -> Callable[[], float]:
    if settings.is_gpu:
        return benchmark.timer  # waits for the device
    # The first leaves out the turns of other processes; it knows one thread alone.
    return time.thread_time if settings.counts_cpu_time else time.perf_counter


def _draw_images(candidate: Candidate, settings: LatencySettings) -> Tensor:
    backbone = candidate.backbone
    shape = settings.batch, backbone.in_channels, backbone.image_size, backbone.image_size
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@contextmanager
def _as_timed(settings: LatencySettings) -> Iterator[None]:
    """Set what holds while a network runs, and put it back: threads, no gradients, no collector."""
    threads, collects = torch.get_num_threads(), gc.isenabled()
    chooses = torch.backends.cudnn.benchmark
    torch.set_num_threads(settings.threads)
    torch.backends.cudnn.benchmark = True  # the fastest kernels, chosen while it warms up
    torch.set_flush_denormal(True)  # numbers that a trained network hardly has are slow
    gc.disable()
    # PyTorch's clock waits for the current GPU alone.
    current = torch.cuda.device(settings.device) if settings.is_gpu else nullcontext()
    try:
        with torch.inference_mode(), current:
            yield
    finally:
        torch.set_num_threads(threads)
        torch.backends.cudnn.benchmark = chooses
        torch.set_flush_denormal(False)
        if collects:
            gc.enable()


def _count_allocated(device: torch.device) -> int:
    return int(torch.cuda.memory_allocated(device)) if device.type == "cuda" else 0


def _count_foreign(device: torch.device) -> int:
    """Return the bytes of a GPU that were taken before this process used it; 0 on a CPU."""
    if device.type != "cuda":
        return 0
    free, total = map(int, torch.cuda.mem_get_info(device))
    return total - free


def _measure_launches(loaded: LoadedNetwork, number: int = 20) -> float:
    """Return the share of a GPU's time in which the CPU starts kernels."""
    with _as_timed(loaded.settings):
        begin = float(benchmark.timer())  # waits for the device
        for _ in range(number):
            loaded.model(loaded.images)
        started = time.perf_counter() - begin  # PyTorch's clock is this one, after waiting
        return min(1.0, started / (float(benchmark.timer()) - begin))


def measure_peak(model: nn.Module, images: Tensor, before: int) -> int:
    """Return the greatest memory that a network takes while a batch runs through it, in bytes."""
    if images.device.type == "cuda":
        model(images)  # cuDNN chooses its kernels, and tries some that take more
        torch.cuda.synchronize(images.device)
        torch.cuda.reset_peak_memory_stats(images.device)
        model(images)
        torch.cuda.synchronize(images.device)
        return int(torch.cuda.max_memory_allocated(images.device)) - before
    storages = [tensor.untyped_storage() for tensor in (*model.parameters(), *model.buffers())]
    held: dict[int, int] = {storage._cdata: storage.nbytes() for storage in storages}
    with _LiveMemory(set(held)) as live:
        live.add(images)
        model(images)
    return sum(held.values()) + int(live.peak)


class _LiveMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]  # PyTorch's
    """Counts the memory of tensors while they live, those of some storages left out.

    Attributes:
        peak: the most that lived after any operator, in bytes.
    """

    def __init__(self, left_out: set[int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # PyTorch's
        self.peak: int = 0
        self._left_out = left_out
        self._live: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator, and count what it returns."""
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.add(leaf)
        self._live = {at: own for at, own in self._live.items() if not _is_gone(own[0])}
        self.peak = max(self.peak, sum(size for _, size in self._live.values()))
        return result

    def add(self, tensor: Tensor) -> None:
        """Count a tensor from now on."""
        storage = tensor.untyped_storage()
        if storage._cdata not in self._left_out:
            reference = StorageWeakRef(storage)  # type: ignore[no-untyped-call]  # PyTorch's
            self._live[storage._cdata] = reference, storage.nbytes()


def _is_gone(reference: StorageWeakRef) -> bool:
    return bool(reference.expired())  # type: ignore[no-untyped-call]  # PyTorch's

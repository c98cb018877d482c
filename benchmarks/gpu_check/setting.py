"""What all checks share: the device, the data, the recipe, a folder, and how much is done."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.execution.child import without_main
from se_search.execution.executor import Executor
from se_search.models.catalogue import describe_backbone
from se_search.models.memory_layout import lay_channels_last
from se_search.recipe import Augmentation, Optimizer, Recipe, Schedule, Split, read_recipe
from se_search.record import Assignment, EpochRow, Evaluation, Failure
from se_search.training.datasets import PreparedData, prepare_data
from se_search.training.hardware import describe_hardware
from se_search.training.repeatable import make_cuda_repeatable

GPU_RECIPE = Path(__file__).parents[2] / "studies/recipes/gpu.yaml"
DIGITS_RECIPE = Recipe(
    description="digits: 200 steps of 64 images",
    epochs=12,
    batch_size=64,
    optimizer=Optimizer(lr=0.05, weight_decay=0.0005, nesterov=True),
    schedule=Schedule(warmup=0.25),
    split=Split(validation=280),
    validate_every=0,
    precision="float32",
)
EVERYTHING_DRAWN = Augmentation(crop_padding=2, flip=True)


@dataclass(frozen=True)
class Amount:
    """How much is done.

    Attributes:
        backbones: whose trainings are compared, the quickest last.
        epochs: of trainings whose accuracy is compared.
        short: epochs of packed trainings.
        timed: epochs of trainings that are timed against a plain loop.
        pairs: trainings that are timed, each with a plain loop before and after it.
        resumed: network of the trainings that are killed and go on.
        packed: trainings at a time on one device.
        alone: trainings one at a time, which packed ones are compared with.
        latency_backbone: name, channels, pixels and classes of what is measured for its latency.
        latency_batch: images at a time.
        latency_seconds: of the measurement.
        consumer: name of the network that the input is held against.
        batch: its images at a time.
        read_batch: images in a batch that is read; small ones leave processes idle for less time
            between two epochs.
        pixels: a side of the images that it takes.
        drawn: number of drawn images.
        drawn_size: width and height of a drawn image.
        loaders: numbers of processes that read images; those above the cores are left out.
        input_seconds: that each of them reads for.
        memory_backbone: network of the trainings that lack memory.
        memory_batch: its images at a time.
        memory_pixels: a side of the images that it takes.
        left_bytes: what a training that shall lack memory finds.
    """

    backbones: tuple[str, ...]
    epochs: int
    short: int
    timed: int
    pairs: int
    resumed: str
    packed: int
    alone: int
    latency_backbone: tuple[str, int, int, int]
    latency_batch: int
    latency_seconds: float
    consumer: str
    batch: int
    read_batch: int
    pixels: int
    drawn: int
    drawn_size: tuple[int, int]
    loaders: tuple[int, ...]
    input_seconds: float
    memory_backbone: str
    memory_batch: int
    memory_pixels: int
    left_bytes: int


GPU_AMOUNT = Amount(
    backbones=("resnet20_bottleneck", "mobilenet_small"),
    epochs=3,
    short=3,
    timed=3,
    pairs=3,
    resumed="mobilenet_v3_small",  # its dropout draws from the device's generator
    packed=8,
    alone=2,
    latency_backbone=("resnet50", 3, 224, 1000),
    latency_batch=64,
    latency_seconds=35.0,
    consumer="resnet50",
    batch=128,
    read_batch=32,
    pixels=224,
    drawn=6_000,
    drawn_size=(400, 350),
    loaders=(1, 4, 8, 15),
    input_seconds=3.0,
    memory_backbone="resnet20_bottleneck",  # 2.5 MB an image
    memory_batch=3072,
    memory_pixels=64,
    left_bytes=3_000_000_000,  # CUDA itself takes 0.5 GB of them for each process
)
CPU_AMOUNT = Amount(
    backbones=("resnet20_bottleneck",),
    epochs=6,
    short=1,
    timed=1,
    pairs=1,
    resumed="resnet20_bottleneck",
    packed=2,
    alone=2,
    latency_backbone=("resnet20_bottleneck", 1, 28, 10),
    latency_batch=1,
    latency_seconds=2.0,
    consumer="resnet20_bottleneck",
    batch=8,
    read_batch=8,
    pixels=32,
    drawn=400,
    drawn_size=(60, 50),
    loaders=(1, 2),
    input_seconds=0.3,
    memory_backbone="resnet20_bottleneck",
    memory_batch=256,
    memory_pixels=64,
    left_bytes=1_700_000_000,
)


@dataclass(frozen=True)
class Setting:
    """What checks run on.

    Attributes:
        accelerator: ``cuda``, or ``cpu`` for a rehearsal.
        cores: of the CPU.
        data: small images.
        data_name: their name.
        data_dir: folder that has them; None: the usual ones.
        recipe: how they are trained.
        amount: how much is done.
        folder: takes whatever is written.
    """

    accelerator: str
    cores: int
    data: PreparedData
    data_name: str
    data_dir: Path | None
    recipe: Recipe
    amount: Amount
    folder: Path

    @property
    def is_cuda(self) -> bool:
        """Whether this is the real thing: on a CPU others run, too, and times prove nothing."""
        return self.accelerator == "cuda"

    @property
    def epochs(self) -> int:
        """Epochs after which a training has learned so much that accuracies can be compared."""
        is_small = self.is_cuda and self.data_name == "digits"
        return self.recipe.epochs if is_small else self.amount.epochs

    @property
    def torch_device(self) -> torch.device:
        """The device in PyTorch's words."""
        return torch.device("cuda", 0) if self.is_cuda else torch.device("cpu")

    @property
    def log(self) -> Path:
        """File that takes what trainings in processes of their own print."""
        return self.folder / "worker.log"

    def device(self, precision: str = "32-true") -> Device:
        """Return the device as trainings take it."""
        return Device(self.accelerator, 0, 1, precision)

    def candidate(self, name: str, blocks: str = "/all=standard:r16") -> Candidate:
        """Return a network for the small images."""
        info = self.data.info
        channels = 3 if name.startswith("mobilenet_v") else info.channels
        backbone = describe_backbone(name, channels, info.image_size, info.num_classes)
        return Candidate.parse(f"{name}{blocks}", backbone)

    def drawing_recipe(self, **changes: object) -> Recipe:
        """Return a recipe with all augmentation and an evaluation after each epoch."""
        update = {"augmentation": EVERYTHING_DRAWN, "validate_every": 1, **changes}
        return self.recipe.model_copy(update=update)

    def lay_out(self, model: nn.Module, precision: str = "32-true") -> nn.Module:
        """Return a network on the device as ``evaluate`` trains it."""
        if self.is_cuda:
            make_cuda_repeatable(precision)
        lay_channels_last(model)
        return model.to(self.torch_device).train()

    def wait(self) -> None:
        """Wait until the device has done what it was given."""
        if self.is_cuda:
            torch.cuda.synchronize()

    def clean_up(self) -> None:
        """Give the device's memory back."""
        gc.collect()
        if self.is_cuda:
            torch.cuda.empty_cache()


def make_setting(accelerator: str, data_name: str, data_dir: Path | None, folder: Path) -> Setting:
    """Find the data and decide how much is done."""
    recipe = DIGITS_RECIPE if data_name == "digits" else read_recipe(str(GPU_RECIPE))
    is_cuda = accelerator == "cuda"
    amount = GPU_AMOUNT if is_cuda else CPU_AMOUNT
    data = prepare_data(data_name, data_dir, None, recipe)
    cores = describe_hardware().num_cores
    return Setting(accelerator, cores, data, data_name, data_dir, recipe, amount, folder)


def is_same(first: Evaluation, second: Evaluation) -> bool:
    """Tell whether two trainings gave the same numbers, to the bit."""
    return (first.history, first.correct) == (second.history, second.correct)


def train_all(
    executor: Executor[Candidate], assignments: Sequence[Assignment[Candidate]]
) -> tuple[list[Evaluation | Failure], float]:
    """Train assignments by an executor; return how each ended, and the seconds that all took."""
    ended: dict[int, Evaluation | Failure] = {}
    waiting = list(enumerate(assignments))
    began = time.monotonic()
    try:
        # Trainings need nothing of this program, which they would import.
        with without_main():
            while len(ended) < len(assignments):
                while waiting and executor.has_room():
                    executor.submit(*waiting.pop(0))
                for number, outcome in executor.wait(1.0):
                    if not isinstance(outcome, EpochRow):
                        ended[number] = outcome
    finally:
        executor.kill()
    return [ended[number] for number in range(len(assignments))], time.monotonic() - began


def demand(outcome: Evaluation | Failure) -> Evaluation:
    """Return the result of a training; raise a RuntimeError if it failed."""
    if isinstance(outcome, Failure):
        raise RuntimeError(f"a training failed: {outcome.reason}")
    return outcome


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that is removed at the end, as far as files are not still written."""
    return tempfile.TemporaryDirectory(prefix="se-search-gpu-check-", ignore_cleanup_errors=True)

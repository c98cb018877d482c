"""What a command's trainings need, and where they run, as plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from se_search.candidate import Candidate
from se_search.device import Device, Hardware
from se_search.execution.executor import Executor
from se_search.execution.options import ClusterOptions
from se_search.ground import Ground
from se_search.recipe import Recipe
from se_search.training.task import Rehearsal, TrainingTask

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """What a command's trainings need.

    Attributes:
        data: name of the data set, as ``fashion_mnist`` or ``folder:PATH``.
        backbone: name of the network whose weights are looked for.
        worker_log: file that takes what trainings print, and the tracebacks of failed ones.
        data_dir: folder that holds the data set; None: the usual ones.
        weights: what the backbone starts from, a file or ``DEFAULT``; None: all are drawn.
        freeze_backbone: whether only what is not in the weights is trained.
        workers: trainings at a time; None: a GPU each, or ``threads`` CPU cores each.
        threads: CPU threads of each training.
        accelerator: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        timeout: seconds after which a training is killed; None: never.
        rehearsal: what is built and run before anything is trained; None: nothing.
        preload: modules that the server of the trainings imports besides PyTorch and Lightning.
        tensorboard: folder that takes what TensorBoard shows of each training; None: nothing does.
        cluster: where the trainings run.
        mix_environments: whether nodes of several kinds may train.
        ran_on: what the run's trainings so far have run on: nodes of it are chosen.
    """

    data: str
    recipe: Recipe
    backbone: str
    worker_log: Path
    data_dir: Path | None = None
    weights: str | None = None
    freeze_backbone: bool = False
    workers: int | None = None
    threads: int = 1
    accelerator: str = "auto"
    timeout: float | None = None
    rehearsal: Rehearsal | None = None
    preload: tuple[str, ...] = ()
    tensorboard: Path | None = None
    cluster: ClusterOptions = field(default_factory=ClusterOptions)
    mix_environments: bool = False
    ran_on: tuple[Ground, ...] = ()


@dataclass(frozen=True, slots=True)
class Trainers:
    """Where trainings run.

    Attributes:
        hardware: what the machine has, or the first node.
        devices: what trainings run on, one each at a time; at least one.
        grounds: what the devices are, as far as it can change numbers, each kind once.
        make_executor: returns what trains by a task on the devices.
    """

    hardware: Hardware
    devices: tuple[Device, ...]
    grounds: tuple[Ground, ...]
    make_executor: Callable[[TrainingTask], Executor[Candidate]]

"""The session: finds the data, the weights and the devices that a command's trainings need.

Commands are handed ``open_session``; a test hands in a function that returns a Session whose
executor makes trainings up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor as PoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from se_search.candidate import Candidate
from se_search.device import Device, Hardware
from se_search.errors import RunError
from se_search.execution.child import call_in_child, warm_up
from se_search.execution.cluster import find_elsewhere
from se_search.execution.environment import describe_environment
from se_search.execution.executor import Executor
from se_search.execution.gpu_sharing import share_gpus
from se_search.execution.local import local_executor
from se_search.execution.node_data import digest_file
from se_search.execution.options import refuse_together
from se_search.execution.rehearsal import rehearse_once
from se_search.execution.request import Note, SessionRequest, Trainers
from se_search.ground import Ground
from se_search.training.checkpointing import Checkpointing
from se_search.training.datasets import prepare_data
from se_search.training.task import (
    PRELOAD,
    FindGrounds,
    FindWeights,
    TouchDevices,
    TrainingTask,
    probe_hardware,
)

STATES_SUFFIX = ".states"  # of the folder that keeps the states of trainings under way


@dataclass(frozen=True, slots=True)
class Session:
    """All that trainings need, found and ready.

    Attributes:
        task: trains on the data by the recipe, from the weights.
        hardware: what the machine has.
        devices: what trainings run on, one each at a time; at least one.
        grounds: what the devices are, as far as it can change numbers, each kind once.
        weights_digest: twelve hexadecimal digits over the file of weights; None: there is none.
        make_executor: returns what trains by a task on the devices.
    """

    task: TrainingTask
    hardware: Hardware
    devices: tuple[Device, ...]
    grounds: tuple[Ground, ...]
    weights_digest: str | None
    make_executor: Callable[[TrainingTask], Executor[Candidate]]

    @property
    def precision(self) -> str:
        """Lightning's word for the arithmetic of the trainings, as ``32-true``."""
        return self.devices[0].precision

    @property
    def environment(self) -> dict[str, Any]:
        """What could change the numbers of a training, as plain data."""
        return describe_environment(self.hardware, self.devices, self.grounds)

    def executor(
        self, *, with_test: bool = False, validate_every: int | None = None
    ) -> Executor[Candidate]:
        """Return what trains; nothing is started before the first assignment is submitted.

        Args:
            with_test: whether the test images are evaluated along with the validation images.
            validate_every: epochs between two evaluations, 0: one after the last epoch; None: the
                recipe's.
        """
        recipe = self.task.recipe
        if validate_every is not None:
            recipe = recipe.model_copy(update={"validate_every": validate_every})
        return self.make_executor(replace(self.task, recipe=recipe, with_test=with_test))


OpenSession = Callable[[SessionRequest, Note], Session]


def open_session(request: SessionRequest, note: Note, pool: PoolExecutor | None = None) -> Session:
    """Find what trainings need, start their server, and rehearse the networks on this machine.

    Args:
        request: what they need.
        note: told where the data lies.
        pool: an executor that runs the trainings; None: as the request says.

    Raises:
        SESearchError: the data, the weights or the accelerator are not there, or something is
            wrong with a network.
    """
    prepared = prepare_data(request.data, request.data_dir, None, request.recipe)
    note(f"Data: {prepared.source}. Starting PyTorch ...")
    warm_up((*PRELOAD, *request.preload), request.threads)
    if pool is None and request.cluster.executor == "local":
        trainers = _find_here(request, note)
    else:
        trainers = find_elsewhere(request, note, pool)
    if request.rehearsal is not None:
        rehearse_once(request.rehearsal, request.worker_log, note)
    weights = _find_weights(request)
    return Session(
        task=TrainingTask(
            prepared,
            request.recipe,
            weights,
            request.freeze_backbone,
            checkpointing=Checkpointing(request.worker_log.with_suffix(STATES_SUFFIX).absolute()),
            tensorboard=request.tensorboard,
        ),
        hardware=trainers.hardware,
        devices=trainers.devices,
        grounds=trainers.grounds,
        weights_digest=None if weights is None else digest_file(weights),
        make_executor=trainers.make_executor,
    )


def _find_here(request: SessionRequest, note: Note) -> Trainers:
    hardware = call_in_child(probe_hardware, request.worker_log)
    devices = choose_devices(hardware, request)
    together = devices[0].num_devices
    if idle := hardware.num_devices % together:
        note(f"{idle} of {hardware.num_devices} GPUs stay idle: each training takes {together}")
    grounds = call_in_child(FindGrounds(tuple(devices)), request.worker_log)

    def touch(environment: Mapping[str, str]) -> None:
        call_in_child(TouchDevices(tuple(devices)), request.worker_log, environment)

    sharing = share_gpus(devices, note, touch)

    def make_executor(task: TrainingTask) -> Executor[Candidate]:
        return local_executor(
            task,
            devices,
            request.worker_log,
            None if request.timeout is None else request.timeout * task.num_trainings,
            note,
            images=task.recipe.count_at_a_time(devices[0].num_devices),
            forget=task.forget,
            sharing=sharing,
        )

    return Trainers(hardware, tuple(devices), grounds, make_executor)


def choose_devices(hardware: Hardware, request: SessionRequest) -> list[Device]:
    """Choose what trainings run on: a GPU or several each, or ``threads`` CPU cores each.

    Raises:
        RunError: the accelerator or the number of GPUs that was asked for is not there.
    """
    accelerator = hardware.accelerator if request.accelerator == "auto" else request.accelerator
    if accelerator not in (hardware.accelerator, "cpu"):
        raise RunError(f"accelerator {accelerator!r} is not there; {hardware.accelerator!r} is")
    is_found = accelerator == hardware.accelerator
    is_auto = request.recipe.precision == "auto"
    precision = hardware.auto_precision if is_found and is_auto else "32-true"
    together = int(request.cluster.gpus_per_trial or 1)
    if together > 1:
        refuse_together(together, accelerator, request.recipe.batch_size)
    if accelerator == "cpu":
        if request.cluster.trials_per_gpu > 1:
            raise RunError(
                f"trials_per_gpu {request.cluster.trials_per_gpu}: trainings run on the CPU here; "
                "--workers says how many do so at a time"
            )
        num_workers = request.workers or max(1, hardware.num_cores // request.threads)
        return [Device("cpu", 0, request.threads, precision) for _ in range(num_workers)]
    num_groups = hardware.num_devices // together
    if not num_groups:
        raise RunError(f"gpus_per_trial {together}: this machine has {hardware.num_devices}")
    num_workers = request.workers or num_groups * request.cluster.trials_per_gpu
    if together > 1 and num_workers > num_groups:
        raise RunError(
            f"workers {num_workers}: with {together} GPUs for each training {num_groups} train at "
            f"a time on {hardware.num_devices}"
        )
    num_loaders = max(0, hardware.num_cores // (num_workers * together) - 1)
    return [
        Device(
            accelerator,
            index % num_groups * together,
            request.threads,
            precision,
            num_loaders,
            together,
        )
        for index in range(num_workers)
    ]


def _find_weights(request: SessionRequest) -> Path | None:
    if request.weights is None:
        return None
    find = FindWeights(request.weights, request.backbone)
    return call_in_child(find, request.worker_log).absolute()

"""The options of every command that trains, with their help and limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from se_search.errors import RunError
from se_search.options import OneOf, Positive, Within

ACCELERATORS = ("auto", "cpu", "cuda", "mps")

DataDir = Annotated[Path | None, typer.Option(help="folder that holds the data set")]
Workers = Annotated[
    int | None,
    typer.Option(help="trainings at a time; default: GPUs, or CPU cores"),
    Within(1, 10_000),
]
Threads = Annotated[int, typer.Option(help="CPU threads of each training"), Within(1, 4096)]
Accelerator = Annotated[str, typer.Option(help="auto, cpu, cuda or mps"), OneOf(ACCELERATORS)]
Timeout = Annotated[
    float | None,
    typer.Option(help="seconds that a training may take; three times the usual or more"),
    Positive(),
]
MixEnvironments = Annotated[
    bool,
    typer.Option(
        "--mix-environments",
        help="go on with trainings that were made on other hardware or with other versions",
    ),
]
AllowCode = Annotated[
    bool,
    typer.Option("--allow-code", help="run code of your own: --backbone module:callable"),
]
Sites = Annotated[
    Path | None, typer.Option(help="YAML file that says where SE can go in the backbone")
]

EXECUTORS = ("local", "ray", "submitit")

Executor = Annotated[
    str,
    typer.Option(help="where trainings run: local, ray (a cluster) or submitit (Slurm)"),
    OneOf(EXECUTORS),
]
RayAddress = Annotated[
    str | None,
    typer.Option(help="of a Ray cluster, or auto; default: RAY_ADDRESS, or one on this machine"),
]
CpusPerTrial = Annotated[
    float | None,
    typer.Option(help="cores of a cluster for each training; default: its threads"),
    Positive(),
]
GpusPerTrial = Annotated[
    float | None,
    typer.Option(help="GPUs for each training; 2 train it together, of a cluster 0.5 is a share"),
    Positive(),
]
TrialsPerGpu = Annotated[
    int | None,
    typer.Option(help="trainings that share a GPU of this machine; default: one"),
    Within(1, 10_000),
]
Submitit = Annotated[
    str | None,
    typer.Option(help="parameters of submitit, as slurm_partition=gpu,timeout_min=240"),
]


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """Where trainings run.

    Attributes:
        executor: one of ``EXECUTORS``.
        ray_address: of a Ray cluster; None: ``RAY_ADDRESS``, or one that is started here.
        cpus_per_trial: cores of a cluster for each training; None: its threads.
        gpus_per_trial: GPUs for each training; None: one, if there are some. Of a cluster it may be
            a share of one.
        trials_per_gpu: trainings that share a GPU of this machine.
        submitit: parameters of submitit.
    """

    executor: str = "local"
    ray_address: str | None = None
    cpus_per_trial: float | None = None
    gpus_per_trial: float | None = None
    trials_per_gpu: int = 1
    submitit: Mapping[str, str] = field(default_factory=dict)


def read_cluster(options: Any) -> ClusterOptions:
    """Return where the trainings of a command run.

    Args:
        options: of the command: they have a field for each option that is declared here.

    Raises:
        RunError: an option is of another executor than the one that is asked for, or can't be.
    """
    for name, executor in _OWNERS.items():
        if getattr(options, name) is not None and options.executor not in executor:
            raise RunError(
                f"{name} {getattr(options, name)} is for executor {' or '.join(executor)}, and "
                f"this one is {options.executor}"
            )
    for name in ("cpus_per_trial", "gpus_per_trial"):
        if getattr(options, name) == math.inf:
            raise RunError(f"{name} {math.inf} is not finite")
    gpus = options.gpus_per_trial
    if gpus is not None and gpus > 1 and gpus != int(gpus):
        raise RunError(f"gpus_per_trial {gpus:g}: a training takes whole GPUs, or a share of one")
    if options.executor == "local" and gpus is not None and gpus < 1:
        raise RunError(f"gpus_per_trial {gpus:g}: --trials-per-gpu has trainings share a GPU here")
    if options.trials_per_gpu and gpus is not None and gpus > 1:
        raise RunError(f"gpus_per_trial {gpus:g} and trials_per_gpu: GPUs are shared, or joined")
    parameters = {}
    for each in (options.submitit or "").split(","):
        name, equals, value = each.strip().partition("=")
        if name and not equals:
            raise RunError(f"submitit {each!r} is not of the form NAME=VALUE")
        if name:
            parameters[name] = value
    return ClusterOptions(
        options.executor,
        options.ray_address,
        options.cpus_per_trial,
        gpus,
        options.trials_per_gpu or 1,
        parameters,
    )


def refuse_together(together: int, accelerator: str, batch_size: int) -> None:
    """Refuse to train a network by several GPUs where that can't be done.

    Raises:
        RunError: there are no GPUs of NVIDIA, or too few images in a batch.
    """
    if accelerator != "cuda":
        raise RunError(
            f"gpus_per_trial {together}: several train one network on cuda, not on {accelerator}"
        )
    if batch_size < 2 * together:  # batch norm needs two
        raise RunError(
            f"gpus_per_trial {together}: each needs two images of a batch, of {batch_size}"
        )


_OWNERS = {
    "ray_address": ("ray",),
    "cpus_per_trial": ("ray", "submitit"),
    "trials_per_gpu": ("local",),
    "submitit": ("submitit",),
}

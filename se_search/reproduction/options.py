"""The options of ``se-search reproduce``, with their help and limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from se_search.completion import begin_with
from se_search.execution.options import (
    Accelerator,
    CpusPerTrial,
    DataDir,
    Executor,
    GpusPerTrial,
    MixEnvironments,
    RayAddress,
    Submitit,
    Threads,
    Timeout,
    TrialsPerGpu,
    Workers,
    read_cluster,
)
from se_search.options import AtLeast, Positive, check_options


def _complete_study(incomplete: str) -> list[str]:
    from se_search.reproduction.study_file import study_names

    return begin_with(incomplete, [*study_names(), "all"])


@dataclass(frozen=True, slots=True, kw_only=True)
class ReproduceOptions:
    """What carrying out studies takes: the options of ``se-search reproduce``.

    Raises:
        RunError: a number is below its limit.
    """

    names: Annotated[
        tuple[str, ...],
        typer.Argument(
            help="studies, by name or folder; all: every shipped one",
            autocompletion=_complete_study,
        ),
    ]
    scale: Annotated[
        str,
        typer.Option(
            help="desk (a fifth of Fashion-MNIST, a CPU), gpu (all of it, one GPU), paper "
            "(ImageNet, GPUs), or what a study calls another one"
        ),
    ] = "desk"
    data: Annotated[str | None, typer.Option(help="instead of the scale's, as imagenet:PATH")] = (
        None
    )
    data_dir: DataDir = None
    replicates: Annotated[
        int | None,
        typer.Option(help="replicates at the last look, up to 20; default: the scale's"),
        AtLeast(2),
    ] = None
    store: Annotated[
        Path,
        typer.Option(help="folder of trainings and results; studies: the ones that were landed"),
    ] = Path("runs/studies")
    train: Annotated[
        bool,
        typer.Option(
            help="whether missing trainings are made; if not, the finished ones are judged"
        ),
    ] = True
    only_plan: Annotated[
        bool,
        typer.Option(
            "--plan",
            help="say what the missing trainings would take and could find out, and make none; "
            "needs no images",
        ),
    ] = False
    force: Annotated[
        bool,
        typer.Option("--force", help="train even if no claim of a study is likely to be decided"),
    ] = False
    minutes: Annotated[
        float | None,
        typer.Option(help="no training starts later than this; the command goes on when repeated"),
        Positive(),
    ] = None
    workers: Workers = None
    threads: Threads = 1
    accelerator: Accelerator = "auto"
    timeout: Timeout = None
    executor: Executor = "local"
    ray_address: RayAddress = None
    cpus_per_trial: CpusPerTrial = None
    gpus_per_trial: GpusPerTrial = None
    trials_per_gpu: TrialsPerGpu = None
    submitit: Submitit = None
    mix_environments: MixEnvironments = False

    def __post_init__(self) -> None:
        """Check each number."""
        check_options(self)
        read_cluster(self)

"""The options of ``se-search run`` and ``se-search confirm``, with their help and limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from se_search.commands.latency_options import (
    BATCH_HELP,
    COMPILE_HELP,
    DEVICE_HELP,
    LAYOUT_HELP,
    PRECISION_HELP,
    REMEASURE_HELP,
    SECONDS_HELP,
    THREADS_HELP,
    LatencyOptions,
)
from se_search.completion import (
    complete_backbone,
    complete_data,
    complete_recipe,
    complete_sampler,
    complete_space,
)
from se_search.errors import RunError
from se_search.execution.options import (
    ACCELERATORS,
    Accelerator,
    AllowCode,
    CpusPerTrial,
    DataDir,
    Executor,
    GpusPerTrial,
    MixEnvironments,
    RayAddress,
    Sites,
    Submitit,
    Threads,
    Timeout,
    TrialsPerGpu,
    Workers,
    read_cluster,
)
from se_search.latency.settings import ARITHMETICS, BUDGET, COMPILES
from se_search.options import AtLeast, ByteSize, OneOf, Positive, check_options, read_values

EVALUATORS = ("train", "supernet", "ladder")


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """What a search takes: the options of ``se-search run``.

    Raises:
        RunError: a number is below its limit, or two options contradict each other.
    """

    space: Annotated[
        str,
        typer.Option(
            help="name of a shipped space, or path of a YAML file", autocompletion=complete_space
        ),
    ] = "stages_ratio"
    trials: Annotated[
        int,
        typer.Option(
            help="trainings that the run is to have, those of earlier commands and what supernets "
            "are worth included"
        ),
        AtLeast(1),
    ] = 200  # fmt: skip
    backbone: Annotated[
        str,
        typer.Option(
            help="as resnet50; one of torchvision, timm or the paper, or module:callable",
            autocompletion=complete_backbone,
        ),
    ] = "resnet20_bottleneck"
    data: Annotated[
        str,
        typer.Option(
            help="fashion_mnist, cifar10, cifar100, digits, folder:PATH or imagenet:PATH",
            autocompletion=complete_data,
        ),
    ] = "fashion_mnist"
    data_dir: DataDir = None
    recipe: Annotated[
        str,
        typer.Option(
            help="quick, cifar, imagenet, or path of a YAML file", autocompletion=complete_recipe
        ),
    ] = "quick"
    epochs: Annotated[
        int | None,
        typer.Option(help="instead of the recipe's; the schedule is fitted to it"),
        AtLeast(1),
    ] = None
    image_size: Annotated[
        int | None,
        typer.Option(help="pixels a side, for folders of images, instead of the recipe's"),
        AtLeast(8),
    ] = None
    objectives: Annotated[
        str, typer.Option(help="accuracy with one or two of params, macs and latency")
    ] = "accuracy,params"
    latency: Annotated[
        bool,
        typer.Option(
            "--latency",
            help="measure latencies before the first trial, if none is an objective, too",
        ),
    ] = False
    latency_device: Annotated[str | None, typer.Option(help=f"of latencies: {DEVICE_HELP}")] = None
    latency_batch: Annotated[int | None, typer.Option(help=BATCH_HELP), AtLeast(1)] = None
    latency_threads: Annotated[int, typer.Option(help=THREADS_HELP), AtLeast(1)] = 1
    latency_precision: Annotated[str, typer.Option(help=PRECISION_HELP), OneOf(ARITHMETICS)] = (
        "float32"
    )
    latency_channels_last: Annotated[
        bool, typer.Option("--latency-channels-last/--no-latency-channels-last", help=LAYOUT_HELP)
    ] = False
    latency_compile: Annotated[str, typer.Option(help=COMPILE_HELP), OneOf(COMPILES)] = "off"
    latency_seconds: Annotated[float, typer.Option(help=SECONDS_HELP), Positive()] = BUDGET
    remeasure: Annotated[bool, typer.Option("--remeasure", help=REMEASURE_HELP)] = False
    sampler: Annotated[
        str,
        typer.Option(help="pareto, tpe, nsga2, random or grid", autocompletion=complete_sampler),
    ] = "pareto"
    evaluator: Annotated[
        str,
        typer.Option(
            help="train: candidates are trained for themselves; supernet: they are scored by "
            "networks that hold all of them; ladder: both, and trainings test the scores"
        ),
        OneOf(EVALUATORS),
    ] = "train"
    promotion: Annotated[
        str,
        typer.Option(
            help="rungs of epochs x replicates that the best climb, as 1x1,3x1; off, or auto"
        ),
    ] = "off"
    eta: Annotated[
        int, typer.Option(help="one candidate in ETA is promoted to the next rung"), AtLeast(2)
    ] = 3
    replicates: Annotated[
        int | None,
        typer.Option(
            help="replicates among which trials take turns, each beginning with the plain "
            "network; default: one for each 12 trials, but 2 to 8"
        ),
        AtLeast(1),
    ] = None
    repeat_candidates: Annotated[
        bool,
        typer.Option(
            help="whether pareto trains candidates that it is undecided about in further "
            "replicates, and grid all of them"
        ),
    ] = True
    stop_when_settled: Annotated[
        bool,
        typer.Option(
            "--stop-when-settled",
            help="end when at no cost another trained candidate can be better than the one "
            "found best there by TOLERANCE",
        ),
    ] = False
    tolerance: Annotated[
        float,
        typer.Option(help="points of accuracy that do not matter: less counts as settled"),
        Positive(),
    ] = 0.2
    seed: Annotated[
        int, typer.Option(help="of the sampler and of the first replicate"), AtLeast(0)
    ] = 0
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
    max_failures: Annotated[
        int,
        typer.Option(help="stop when this many trials in a row have failed"),
        AtLeast(1),
    ] = 5
    weights: Annotated[
        str | None,
        typer.Option(help="file to start the backbone from (.pth, .safetensors), or DEFAULT"),
    ] = None
    freeze_backbone: Annotated[
        bool, typer.Option("--freeze-backbone", help="train only what is not in the weights")
    ] = False
    sites: Sites = None
    allow_code: AllowCode = False
    logger: Annotated[
        str | None,
        typer.Option(help="tensorboard: keep curves of each training in the run's folder"),
        OneOf(("tensorboard",)),
    ] = None
    keep_weights: Annotated[
        str,
        typer.Option(
            help="front: of candidates that may be recommended; all: of all; none. Of each the "
            "weights of its longest training in its first replicate, for se-search export"
        ),
        OneOf(("front", "all", "none")),
    ] = "front"
    weights_budget: Annotated[
        str,
        typer.Option(help="what kept weights may take on the disk; least likely ones go first"),
        ByteSize(),
    ] = "2GB"
    name: Annotated[str | None, typer.Option(help="name of the run; default: the space's")] = None
    runs_dir: Annotated[Path, typer.Option(help="folder of the runs")] = Path("runs")
    storage: Annotated[
        str | None,
        typer.Option(
            help="where the trials of a new run are kept: postgresql://USER@HOST/DATABASE, or "
            "file:PATH of a file that holds it; default: SE_SEARCH_STORAGE, or the run's folder"
        ),
    ] = None

    @property
    def measures_latency(self) -> bool:
        """Whether latencies are measured before the first trial."""
        return self.latency or "latency" in self.objectives.replace(" ", "").split(",")

    @property
    def latency_options(self) -> LatencyOptions:
        """How latencies are measured."""
        return LatencyOptions(
            device=self.latency_device,
            batch=self.latency_batch,
            threads=self.latency_threads,
            precision=self.latency_precision,
            channels_last=self.latency_channels_last,
            compile=self.latency_compile,
            seconds=self.latency_seconds,
            remeasure=self.remeasure,
        )

    @property
    def num_replicates(self) -> int:
        """How many replicates take turns."""
        from se_search.search.rotation import count_replicates

        if self.sampler == "grid":
            return 1
        return self.replicates or count_replicates(self.trials)

    def __post_init__(self) -> None:
        """Check each number, and that no two options contradict each other."""
        check_options(self)
        read_cluster(self)
        if self.replicates is not None and self.sampler == "grid":
            raise RunError(
                f"sampler grid trains every candidate in one replicate before the next, so "
                f"replicates {self.replicates} can't take turns; trials says how far it gets"
            )
        asked = self.latency_options != LatencyOptions() and not self.measures_latency
        if asked:
            raise RunError(
                "options of latency, and --remeasure, change nothing where none is measured; "
                "--latency measures it, and so does --objectives accuracy,latency"
            )
        if self.freeze_backbone and self.weights is None:
            raise RunError("a frozen backbone needs --weights: nobody would train it")


def read_search_options(given: Mapping[str, Any]) -> SearchOptions:
    """Return the options of a search by their names; a path may be a text.

    Raises:
        TypeError: there is no option of a name; the message names the known ones.
        RunError: a value is of another type, a number is below its limit, or two options
            contradict each other.
    """
    known = [field.name for field in fields(SearchOptions)]
    unknown = ", ".join(name for name in given if name not in known)
    if unknown:
        raise TypeError(f"search has no option {unknown}; it takes {', '.join(known)}")
    return SearchOptions(**read_values(SearchOptions, given))


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmOptions:
    """What a confirmation takes: the options of ``se-search confirm``.

    Raises:
        RunError: a number is below its limit.
    """

    replicates: Annotated[
        int | None,
        typer.Option(help="replicates at the last look, up to 20, which no trial had; default: 20"),
        AtLeast(2),
    ] = None
    until_decided: Annotated[
        bool,
        typer.Option(
            "--until-decided", help="take all looks that open claims need, not the next one alone"
        ),
    ] = False
    candidates: Annotated[
        tuple[str, ...],
        typer.Option(
            help="front, all-credible, recommended, best, a bound as 'params <= 3 %', or one as "
            "resnet50/stage2=standard:r16; repeatable"
        ),
    ] = ("front",)
    workers: Workers = None
    threads: Annotated[
        int | None,
        typer.Option(help="CPU threads of each training; default: the run's"),
        AtLeast(1),
    ] = None
    accelerator: Annotated[
        str | None,
        typer.Option(help="auto, cpu, cuda or mps; default: the run's"),
        OneOf(ACCELERATORS),
    ] = None
    timeout: Timeout = None
    executor: Executor = "local"
    ray_address: RayAddress = None
    cpus_per_trial: CpusPerTrial = None
    gpus_per_trial: GpusPerTrial = None
    trials_per_gpu: TrialsPerGpu = None
    submitit: Submitit = None
    mix_environments: MixEnvironments = False
    data_dir: Annotated[
        Path | None, typer.Option(help="folder that holds the data set; default: the run's")
    ] = None
    allow_code: AllowCode = False

    def __post_init__(self) -> None:
        """Check each number."""
        check_options(self)
        read_cluster(self)

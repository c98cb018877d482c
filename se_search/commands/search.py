"""Wires a search together: from what a user asked for to a finished run folder."""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from se_search.candidate import Candidate
from se_search.cost import Cost, count_cost
from se_search.device import Device, Hardware
from se_search.errors import RunError
from se_search.execution.local import LocalExecutor, call_in_child, warm_up
from se_search.execution.signals import StopSignals
from se_search.models.catalogue import backbone_in_channels, describe_backbone
from se_search.recipe import Recipe, read_recipe
from se_search.record import Evaluation, Rung
from se_search.report.display import Display
from se_search.report.run_report import Findings, write_report
from se_search.run_config import RunConfig, parse_objectives
from se_search.search.loop import Budget, Ending, run_search
from se_search.search.promotion import Promotion, parse_rungs
from se_search.search.registry import SAMPLERS, Setup
from se_search.search.samplers import IsAllowed
from se_search.space.bound import BoundSpace, magnitude
from se_search.space.schema import Limits, SearchSpace, read_space
from se_search.store.files import write_bytes
from se_search.store.run_folder import RunFolder
from se_search.store.run_space import write_backbone
from se_search.store.trials import TrialStore
from se_search.training.datasets import DataInfo, describe_data, prepare_data
from se_search.training.task import PRELOAD, FindWeights, TrainingTask, probe_hardware

VERSIONED = (
    *("torch", "torchvision", "timm", "pytorch-lightning", "optuna", "fvcore", "numpy"),
    "se-search",
)


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """What a user asks for; the fields are the options of ``se-search run``."""

    space: str = "stages_ratio"
    backbone: str = "resnet20_bottleneck"
    data: str = "fashion_mnist"
    data_dir: Path | None = None
    recipe: str = "quick"
    epochs: int | None = None
    objectives: str = "accuracy,params"
    sampler: str = "pareto"
    promotion: str = "off"
    eta: int = 3
    trials: int = 200
    seed: int = 0
    workers: int | None = None
    threads: int = 1
    accelerator: str = "auto"
    timeout: float | None = None
    max_failures: int = 5
    allow_code: bool = False
    sites: Path | None = None
    weights: str | None = None
    freeze_backbone: bool = False
    replicates: bool = True
    stop_when_settled: bool = False
    tolerance: float = 0.01
    name: str | None = None
    runs_dir: Path = Path("runs")

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        least = {"trials": 1, "seed": 0, "threads": 1, "max_failures": 1, "eta": 2}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise RunError(f"{name} {getattr(self, name)} is below {low}")
        for name in ("epochs", "workers", "timeout", "tolerance"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise RunError(f"{name} {value} is not positive")
        if self.sampler not in SAMPLERS:
            raise RunError(f"sampler {self.sampler!r} is not one of {', '.join(SAMPLERS)}")
        if self.accelerator not in ("auto", "cpu", "cuda", "mps"):
            raise RunError(f"accelerator {self.accelerator!r} is not one of auto, cpu, cuda, mps")
        if self.freeze_backbone and self.weights is None:
            raise RunError("a frozen backbone needs --weights: nobody would train it")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a search ended.

    Attributes:
        signal: what stopped it; None if it has all its trials.
    """

    folder: RunFolder
    findings: Findings
    signal: int | None


def launch(options: SearchOptions, display: Display) -> Outcome:
    """Run a search, or continue it, until the study has all its trials.

    Raises:
        SESearchError: something that was asked for is not to be had; each kind has its class.
    """
    space = read_space(options.space)
    recipe = read_recipe(options.recipe)
    rungs = parse_rungs(options.promotion, options.epochs or recipe.epochs)
    study = describe_study(space, recipe, options)
    bound = BoundSpace(space, study.backbone)
    folder = RunFolder.named(options.runs_dir, options.name or Path(options.space).stem)
    with folder.lock():
        # What is known before PyTorch has started is compared before it: a refusal is immediate.
        recorded = folder.read_config()
        if recorded:
            folder.refuse_changes(assume_recorded(study, recorded["identity"]).identity)
        display.note(
            f"{study.backbone.name} on {study.data['name']}: {magnitude(bound.size)} candidates, "
            f"{len(study.backbone.sites)} sites; {study.data['train']:,} images train, "
            f"{study.data['validation']:,} validate"
        )
        if len(rungs) > 1 or rungs[0].seeds > 1:
            names = ", ".join(map(str, rungs))
            display.note(f"Rungs of epochs x seeds: {names}; 1 in {options.eta} is promoted")
        study, task, hardware, devices = prepare(study, options, folder, display.note)
        folder.refuse_changes(study.identity)
        write_backbone(folder, study.backbone)
        folder.write_config(_make_config(study, options, rungs, hardware, devices))
        return _search(folder, study, bound, task, devices, rungs, options, display)


def describe_study(space: SearchSpace, recipe: Recipe, options: SearchOptions) -> RunConfig:
    """Describe a study as far as it is known before PyTorch has started.

    Raises:
        SESearchError: the data or the backbone are not to be had.
    """
    info = describe_data(options.data, recipe)
    backbone = describe_backbone(
        options.backbone,
        in_channels=backbone_in_channels(
            options.backbone, info.channels, allow_code=options.allow_code
        ),
        image_size=info.image_size,
        num_classes=info.num_classes,
        allow_code=options.allow_code,
        sites=options.sites,
    )
    return RunConfig(
        space=space,
        backbone=backbone,
        recipe=recipe,
        data=_describe_split(info),
        objectives=parse_objectives(options.objectives),
        epochs=options.epochs or recipe.epochs,
        seed=options.seed,
        precision="",
        freeze_backbone=options.freeze_backbone,
    )


def assume_recorded(study: RunConfig, recorded: Mapping[str, Any]) -> RunConfig:
    """Take what is not known before PyTorch has started from what a run recorded."""
    backbone = recorded.get("backbone") or {}
    return replace(study, precision=recorded.get("precision", ""), weights=backbone.get("weights"))


def prepare(
    study: RunConfig, options: SearchOptions, folder: RunFolder, note: Callable[[str], None]
) -> tuple[RunConfig, TrainingTask, Hardware, list[Device]]:
    """Find the data, the weights and what to train on; the study then has all of its identity.

    Raises:
        SESearchError: something is not to be had.
    """
    prepared = prepare_data(options.data, options.data_dir, None, study.recipe)
    note(f"Data: {prepared.source}. Starting PyTorch ...")
    warm_up(PRELOAD, options.threads)
    hardware = call_in_child(probe_hardware, folder.worker_log)
    devices = choose_devices(hardware, study.recipe, options)
    weights = _find_weights(options, folder)
    study = replace(study, precision=devices[0].precision, weights=_digest(weights))
    task = TrainingTask(prepared, study.recipe, weights, options.freeze_backbone)
    return study, task, hardware, devices


def choose_devices(hardware: Hardware, recipe: Recipe, options: SearchOptions) -> list[Device]:
    """Choose what trials train on: a GPU each, or ``threads`` CPU cores each.

    Raises:
        RunError: the accelerator that was asked for is not there.
    """
    accelerator = hardware.accelerator if options.accelerator == "auto" else options.accelerator
    if accelerator not in (hardware.accelerator, "cpu"):
        raise RunError(f"accelerator {accelerator!r} is not there; {hardware.accelerator!r} is")
    is_found = accelerator == hardware.accelerator
    precision = hardware.auto_precision if is_found and recipe.precision == "auto" else "32-true"
    if accelerator == "cpu":
        num_workers = options.workers or max(1, hardware.num_cores // options.threads)
        return [Device("cpu", 0, options.threads, precision) for _ in range(num_workers)]
    num_workers = options.workers or hardware.num_devices
    num_loaders = max(0, hardware.num_cores // num_workers - 1)
    return [
        Device(accelerator, index % hardware.num_devices, options.threads, precision, num_loaders)
        for index in range(num_workers)
    ]


def make_limit(
    limits: Limits, price: Callable[[Candidate], Cost] = count_cost
) -> IsAllowed[Candidate]:
    """Return whether a candidate is within the limits of a space."""

    def is_allowed(candidate: Candidate) -> bool:
        cost = price(candidate)
        shares = (
            (limits.added_params, cost.added_params_pct / 100),
            (limits.added_macs, cost.added_macs_pct / 100),
            (limits.params, cost.params),
            (limits.macs, cost.macs),
        )
        return all(limit is None or value <= limit for limit, value in shares)

    return is_allowed


def _search(
    folder: RunFolder,
    study: RunConfig,
    bound: BoundSpace,
    task: TrainingTask,
    devices: Sequence[Device],
    rungs: tuple[Rung, ...],
    options: SearchOptions,
    display: Display,
) -> Outcome:
    store = TrialStore(folder.database, study.objectives, study.directions)

    def keep(number: int, evaluation: Evaluation) -> None:
        write_bytes(folder.correct_file(number), evaluation.correct)

    executor = LocalExecutor(task, devices, folder.worker_log, options.timeout)
    sampler = SAMPLERS[options.sampler](
        Setup(
            bound,
            make_limit(study.space.limits),
            study.seed,
            count_cost,
            study.objectives,
            study.epochs,
            options.replicates,
        )
    )
    gain = None
    try:
        with StopSignals(display.stopping) as stop:
            ending = run_search(
                space=bound,
                store=store,
                sampler=sampler,
                executor=executor,
                count_cost=count_cost,
                objectives=study.objectives,
                budget=Budget(
                    options.trials, study.epochs, study.seed, options.max_failures, rungs
                ),
                promotion=Promotion(options.eta),
                tolerance=options.tolerance / 100 if options.stop_when_settled else None,
                stop=stop,
                observe=display.update,
                keep=keep,
            )
        gain = sampler.expected_gain(store.optuna_study)
    finally:
        executor.kill()
        store.close()
        display.close()
        findings = write_report(folder)
    display.finish(folder, replace(findings, gain=gain, tolerance=options.tolerance / 100))
    return Outcome(folder, findings, stop.number if ending == Ending.STOPPED else None)


def _find_weights(options: SearchOptions, folder: RunFolder) -> Path | None:
    if options.weights is None:
        return None
    find = FindWeights(options.weights, options.backbone)
    return call_in_child(find, folder.worker_log).absolute()


def _digest(path: Path | None) -> str | None:
    if path is None:
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def _describe_split(info: DataInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "channels": info.channels,
        "image_size": info.image_size,
        "num_classes": info.num_classes,
        "train": info.num_used,
        "validation": info.num_validation,
        "test": info.num_test,
    }


def _make_config(
    study: RunConfig,
    options: SearchOptions,
    rungs: Sequence[Rung],
    hardware: Hardware,
    devices: Sequence[Device],
) -> dict[str, Any]:
    return {
        "identity": study.identity,
        "hash": study.hash,
        "search": {
            "space": options.space,
            "sampler": options.sampler,
            "promotion": "off" if options.promotion == "off" else ",".join(map(str, rungs)),
            "eta": options.eta,
            "trials": options.trials,
            "workers": len(devices),
            "threads": options.threads,
            "accelerator": devices[0].accelerator,
            "recipe": options.recipe,
            "data_dir": None if options.data_dir is None else str(options.data_dir),
            "weights": options.weights,
            "sites": None if options.sites is None else str(options.sites),
            "recipe_hash": study.recipe.hash,
            "max_failures": options.max_failures,
            "timeout": options.timeout,
        },
        "versions": read_versions(),
        "hardware": {
            "accelerator": hardware.accelerator,
            "name": hardware.name,
            "devices": hardware.num_devices,
            "cores": hardware.num_cores,
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        },
        "command": ["se-search", *sys.argv[1:]],
    }


def read_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that trainings depend on."""
    return {
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in VERSIONED},
    }

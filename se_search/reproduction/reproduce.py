"""Carries out studies: trains what their store does not have yet, judges claims, writes results.

Studies that train the same candidates in the same way share their trainings: those of one backbone,
data set, recipe and number of epochs lie in one log, keyed by candidate and seed.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from se_search.analysis.claims import Claim
from se_search.candidate import Backbone, Candidate
from se_search.commands.search import SearchOptions, choose_devices
from se_search.device import Device, Hardware
from se_search.errors import SESearchError, StudyFileError
from se_search.execution.batch import list_assignments, train_missing
from se_search.execution.local import LocalExecutor, call_in_child, warm_up
from se_search.execution.signals import StopSignals
from se_search.models.catalogue import backbone_in_channels, describe_backbone
from se_search.recipe import Recipe
from se_search.record import Assignment
from se_search.reproduction.judge import Setting, StudyReport, judge_study
from se_search.reproduction.report import write_results, write_summary
from se_search.reproduction.study_file import (
    StudyFile,
    find_study,
    read_scale_recipe,
    read_study,
    study_names,
)
from se_search.store.training_log import LogContents, TrainingLog, read_log
from se_search.training.datasets import DataInfo, describe_data, prepare_data
from se_search.training.task import PRELOAD, TrainingTask, probe_hardware

VERSIONED = ("torch", "torchvision", "pytorch-lightning", "numpy", "se-search")
FORMAT = 1


@dataclass(frozen=True, slots=True)
class ReproduceOptions:
    """What a user asks for; the fields are the options of ``se-search reproduce``.

    Attributes:
        names: of studies, or folders of the user's; ``all``: every shipped one.
        data: instead of the scale's, as ``imagenet:PATH``.
        seeds: instead of the scale's number.
        store: folder of the logs of trainings, and of the results.
        train: whether missing trainings are made; else what there is is reported.
    """

    names: tuple[str, ...]
    scale: str = "desk"
    data: str | None = None
    data_dir: Path | None = None
    seeds: int | None = None
    store: Path = Path("runs/studies")
    train: bool = True
    workers: int | None = None
    threads: int = 1
    accelerator: str = "auto"
    timeout: float | None = None
    mix_environments: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """One study at one scale.

    Attributes:
        name: of the study's folder.
        claims: of its candidates.
        candidates: by their names in the study.
        seeds: that each of them is trained with.
        log: file of the trainings; several plans may share it.
    """

    name: str
    protocol: StudyFile
    claims: tuple[Claim, ...]
    scale_name: str
    recipe: Recipe
    info: DataInfo
    data: str
    candidates: Mapping[str, Candidate]
    seeds: tuple[int, ...]
    epochs: int
    log: Path

    @property
    def backbone(self) -> Backbone:
        """The backbone of all candidates."""
        return next(iter(self.candidates.values())).backbone

    @property
    def identity(self) -> dict[str, Any]:
        """What the trainings of a log have in common, as plain data."""
        return {
            "format": FORMAT,
            "backbone": {
                "name": self.backbone.name,
                "in_channels": self.backbone.in_channels,
                "image_size": self.backbone.image_size,
                "num_classes": self.backbone.num_classes,
                "params": sum(part.params for part in self.backbone.parts),
                "macs": sum(sum(part.macs.values()) for part in self.backbone.parts),
            },
            "data": {
                "name": self.info.name,
                "train": self.info.num_used,
                "validation": self.info.num_validation,
                "test": self.info.num_test,
            },
            "recipe": self.recipe.model_dump(mode="json", exclude={"description", "epochs"}),
        }

    @property
    def assignments(self) -> list[Assignment[Candidate]]:
        """All trainings that the study needs; each candidate's come in the order of the seeds."""
        return list_assignments(list(self.candidates.values()), self.seeds, self.epochs)


def reproduce(
    options: ReproduceOptions, note: Callable[[str], None]
) -> tuple[list[StudyReport], int | None]:
    """Carry out studies and write their results.

    Args:
        options: what is asked for.
        note: is told how it goes.

    Returns:
        A report for each study that has any trainings, and the signal that stopped it before
        its time.

    Raises:
        SESearchError: something that was asked for is not to be had.
    """
    plans = [make_plan(name, options) for name in _list_names(options)]
    by_log: dict[Path, list[Plan]] = {}
    for plan in plans:
        by_log.setdefault(plan.log, []).append(plan)
    number = None
    for sharing in by_log.values() if options.train else ():
        number = _train(sharing, options, note)
        if number is not None:
            break
    reports = []
    for plan in plans:
        contents = read_log(plan.log) if plan.log.exists() else None
        if contents is not None:
            reports.append(report_plan(plan, contents, options.store))
        elif number is None:
            raise StudyFileError(f"there are no trainings of {plan.name} yet: no {plan.log}")
    if len(reports) > 1:
        write_summary(options.store / f"{options.scale}.md", reports)
    return reports, number


def make_plan(name: str, options: ReproduceOptions) -> Plan:
    """Return what carrying out a study means.

    Raises:
        SESearchError: the study, its scale, its data or a candidate is not to be had.
    """
    file = find_study(name)
    protocol = read_study(file)
    if options.scale not in protocol.scales:
        raise StudyFileError(
            f"{file}: scale {options.scale!r} is not one of {', '.join(protocol.scales)}"
        )
    scale = protocol.scales[options.scale]
    recipe = read_scale_recipe(scale, file.parent)
    data = options.data or scale.data
    if data == "imagenet":
        raise StudyFileError(
            f"{file}: the scale {options.scale!r} needs ImageNet: --data imagenet:PATH"
        )
    info = describe_data(data, recipe)
    backbone = describe_backbone(
        scale.backbone,
        in_channels=backbone_in_channels(scale.backbone, info.channels, allow_code=False),
        image_size=info.image_size,
        num_classes=info.num_classes,
        allow_code=False,
    )
    return Plan(
        name=file.parent.name,
        protocol=protocol,
        claims=parse_claims(protocol, file),
        scale_name=options.scale,
        recipe=recipe,
        info=info,
        data=data,
        candidates=parse_candidates(protocol, backbone),
        seeds=tuple(range(options.seeds or scale.seeds)),
        epochs=scale.epochs or recipe.epochs,
        log=options.store / f"{backbone.name}-{info.name}-{recipe.hash}.jsonl",
    )


def parse_candidates(protocol: StudyFile, backbone: Backbone) -> dict[str, Candidate]:
    """Return a study's candidates on a backbone, by their names."""
    return {
        name: Candidate.parse(f"{backbone.name}/{text}", backbone)
        for name, text in protocol.candidates.items()
    }


def parse_claims(protocol: StudyFile, file: Path) -> tuple[Claim, ...]:
    """Read a study's claims.

    Raises:
        StudyFileError: one is not of the form, or is about something else than a candidate.
    """
    claims = []
    for text in protocol.claims:
        try:
            claim = Claim.parse(text)
        except SESearchError as cause:
            raise StudyFileError(f"{file}: {cause}") from cause
        for name in (claim.a, claim.b):
            if name not in protocol.candidates:
                known = ", ".join(protocol.candidates)
                raise StudyFileError(f"{file}: claim {text!r}: {name!r} is not one of {known}")
        claims.append(claim)
    return tuple(claims)


def report_plan(plan: Plan, contents: LogContents, store: Path) -> StudyReport:
    """Judge a study's claims by the trainings that there are, and write its results."""
    ids = {(a.candidate.key, a.epochs, a.seed) for a in plan.assignments}
    trainings = [training for training in contents.trainings if training.id in ids]
    setting = Setting(
        name=plan.name,
        scale=plan.scale_name,
        backbone=plan.backbone.name,
        data=plan.info.name,
        epochs=plan.epochs,
        recipe_hash=plan.recipe.hash,
        seeds=plan.seeds,
        num_images=(plan.info.num_used, plan.info.num_validation, plan.info.num_test),
    )
    folder = store / plan.name / plan.scale_name
    report = judge_study(
        folder,
        setting,
        plan.protocol,
        plan.claims,
        plan.candidates,
        trainings,
        contents.environments,
    )
    write_results(report)
    return report


def _list_names(options: ReproduceOptions) -> list[str]:
    names = [n for name in options.names for n in (study_names() if name == "all" else [name])]
    return list(dict.fromkeys(names))


def _train(
    plans: Sequence[Plan], options: ReproduceOptions, note: Callable[[str], None]
) -> int | None:
    """Train what the plans' log is missing; return the signal that ended it before its time."""
    first = plans[0]
    # All candidates with the first seed come first: a study that is stopped is balanced.
    union = {(a.candidate.key, a.epochs, a.seed): a for plan in plans for a in plan.assignments}
    assignments = sorted(union.values(), key=lambda a: a.seed)
    contents = read_log(first.log) if first.log.exists() else None
    done = {training.id for training in contents.trainings} if contents else set()
    missing = [a for key, a in union.items() if key not in done]
    names = ", ".join(plan.name for plan in plans)
    note(
        f"{names}: {len(union)} trainings of {first.epochs} epochs, {len(missing)} of them missing"
    )
    if not missing:
        return None
    first.log.parent.mkdir(parents=True, exist_ok=True)
    prepared = prepare_data(first.data, options.data_dir, None, first.recipe)
    worker_log = first.log.with_suffix(".worker.log")
    warm_up(PRELOAD, options.threads)
    hardware = call_in_child(probe_hardware, worker_log)
    devices = choose_devices(
        hardware,
        first.recipe,
        SearchOptions(
            workers=options.workers, threads=options.threads, accelerator=options.accelerator
        ),
    )
    environment = _describe_environment(hardware, devices)
    task = TrainingTask(prepared, first.recipe, with_test=True)
    executor = LocalExecutor(task, devices, worker_log, options.timeout)
    started = time.monotonic()
    with (
        TrainingLog(first.log, first.identity, environment, options.mix_environments) as log,
        StopSignals(lambda urgency: note(f"stopping: {urgency.name}")) as stop,
    ):
        try:
            train_missing(assignments, log, executor, stop, note)
        finally:
            executor.kill()
    note(f"{time.monotonic() - started:.0f} s on {len(devices)} x {devices[0].accelerator}")
    return stop.number


def _describe_environment(hardware: Hardware, devices: Sequence[Device]) -> dict[str, Any]:
    """Return what trainings run on, as plain data."""
    return {
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in VERSIONED},
        "hardware": hardware.name,
        "cores": hardware.num_cores,
        "system": f"{platform.system()} {platform.machine()}",
        "accelerator": devices[0].accelerator,
        "threads": devices[0].threads,
        "precision": devices[0].precision,
        "workers": len(devices),
    }

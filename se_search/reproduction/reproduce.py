"""Carries out studies: trains what their store does not have yet, judges claims, writes results.

Studies that train candidates of one backbone by one recipe on one data set share their trainings:
these lie in one log, keyed by candidate, epochs and seed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from se_search.candidate import Candidate
from se_search.errors import RunError, StudyFileError
from se_search.execution.missing import id_of, train_missing
from se_search.execution.session import OpenSession, Session, SessionRequest, open_session
from se_search.execution.signals import StopSignals
from se_search.record import Assignment
from se_search.report.format import count
from se_search.reproduction.judge import Setting, StudyReport, judge_study
from se_search.reproduction.options import ReproduceOptions
from se_search.reproduction.plan import Plan, earlier_hash, make_plan
from se_search.reproduction.report import write_results, write_summary
from se_search.reproduction.study_file import study_names
from se_search.space.designs import collect_designs
from se_search.store.files import explaining_write
from se_search.store.training_log import LogContents, TrainingLog, read_log
from se_search.training.task import Rehearsal

Note = Callable[[str], None]


def reproduce(
    options: ReproduceOptions, note: Note, open_session: OpenSession = open_session
) -> tuple[list[StudyReport], int | None]:
    """Carry out studies and write their results.

    Args:
        options: what is asked for.
        note: told what goes on.
        open_session: finds what the trainings need.

    Returns:
        A report for each study that has any trainings, and the number of the signal that stopped
        the trainings, if one did.

    Raises:
        SESearchError: something that was asked for is not there.
        TooManyFailuresError: three trainings in a row failed.
    """
    plans = [make_plan(name, options) for name in _list_names(options)]
    by_log: dict[Path, list[Plan]] = {}
    for plan in plans:
        by_log.setdefault(plan.log, []).append(plan)
    number = None
    for sharing in by_log.values() if options.train else ():
        number = _train(sharing, options, note, open_session)
        if number is not None:
            break
    reports = []
    for plan in plans:
        contents = read_trainings(plan)
        if contents is not None:
            reports.append(report_plan(plan, contents, options.store))
        elif number is None:
            raise StudyFileError(f"there are no trainings of {plan.name} yet: no {plan.log}")
    if len(reports) > 1:
        write_summary(options.store / f"{options.scale}.md", reports)
    return reports, number


def read_trainings(plan: Plan) -> LogContents | None:
    """Return the trainings of a plan: those of its log, else those of protocol 1; None: neither.

    Those of protocol 1 count only if backbone, data, sizes and recipe are the plan's.
    """
    if plan.log.exists():
        return read_log(plan.log)
    earlier = read_log(plan.earlier_log) if plan.earlier_log.exists() else None
    if earlier is None or earlier.identity != plan.earlier_identity:
        return None
    return earlier


def report_plan(plan: Plan, contents: LogContents, store: Path) -> StudyReport:
    """Judge a study's claims by the trainings that there are, and write its results."""
    ids = {id_of(assignment) for assignment in plan.assignments}
    trainings = [training for training in contents.trainings if training.id in ids]
    setting = Setting(
        name=plan.name,
        scale=plan.scale_name,
        backbone=plan.backbone.name,
        data=plan.info.name,
        epochs=plan.epochs,
        recipe_hash=(
            earlier_hash(plan.recipe)
            if contents.identity == plan.earlier_identity
            else plan.recipe.hash
        ),
        seeds=plan.seeds,
        num_images=(plan.info.num_used, plan.info.num_validation, plan.info.num_test),
    )
    folder = store / plan.name / plan.scale_name
    report = judge_study(
        folder,
        setting,
        plan.study,
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
    plans: Sequence[Plan], options: ReproduceOptions, note: Note, open_session: OpenSession
) -> int | None:
    """Train what the plans' log is missing; return the signal that stopped it, if any."""
    first = plans[0]
    # All candidates with the first seed come first: a study that is stopped is balanced.
    union = {id_of(assignment): assignment for plan in plans for assignment in plan.assignments}
    assignments = sorted(union.values(), key=lambda assignment: assignment.seed)
    contents = read_trainings(first)
    done = {training.id for training in contents.trainings} if contents else set()
    num_missing = len(union.keys() - done)
    names = ", ".join(plan.name for plan in plans)
    note(
        f"{names}: {count(len(union), 'training')} of {count(first.epochs, 'epoch')}, "
        f"{num_missing} of them missing"
    )
    if not num_missing:
        return None
    if contents is not None and contents.identity == first.earlier_identity:
        raise RunError(
            f"{first.earlier_log} holds trainings of an earlier protocol: images were split, shown "
            "and networks initialised otherwise, so that no training of now can be added. "
            "--no-train judges them; another --store takes new trainings"
        )
    with explaining_write(first.log):
        first.log.parent.mkdir(parents=True, exist_ok=True)
    session = open_session(_make_request(first, assignments, options), note)
    started = time.monotonic()
    with (
        TrainingLog(
            first.log, _complete(first, session), session.environment, options.mix_environments
        ) as log,
        StopSignals(note) as stop,
    ):
        train_missing(
            assignments,
            log,
            session.executor(with_test=True),
            stop=stop,
            observe=lambda ended: note(str(ended)),
        )
    devices = session.devices
    note(f"{time.monotonic() - started:.0f} s on {len(devices)} x {devices[0].accelerator}")
    return stop.number


def _complete(plan: Plan, session: Session) -> dict[str, Any]:
    """Return the identity with the fingerprint of the images, which a session knows."""
    fingerprint = session.task.data.info.fingerprint
    return {**plan.identity, "data": {**plan.identity["data"], "fingerprint": fingerprint}}


def _make_request(
    plan: Plan, assignments: Sequence[Assignment[Candidate]], options: ReproduceOptions
) -> SessionRequest:
    candidates = [assignment.candidate for assignment in assignments]
    return SessionRequest(
        data=plan.data,
        recipe=plan.recipe,
        backbone=plan.backbone.name,
        worker_log=plan.log.with_suffix(".worker.log"),
        data_dir=options.data_dir,
        workers=options.workers,
        threads=options.threads,
        accelerator=options.accelerator,
        timeout=options.timeout,
        rehearsal=Rehearsal(plan.backbone, collect_designs(candidates)),
    )

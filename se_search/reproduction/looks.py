"""Trains studies from look to look: only what claims that are still open need."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from se_search.candidate import Candidate
from se_search.errors import RunError
from se_search.execution.deadline import Deadline
from se_search.execution.missing import id_of, name_training, train_missing
from se_search.execution.options import read_cluster
from se_search.execution.request import SessionRequest
from se_search.execution.session import OpenSession, Session
from se_search.execution.signals import StopSignals
from se_search.execution.storing import Room
from se_search.record import Assignment, EpochRow, Stop
from se_search.report.epoch_lines import EpochLines
from se_search.report.format import count
from se_search.reproduction.judge import (
    count_wanted,
    group_trainings,
    list_cases,
    measure_replicates,
)
from se_search.reproduction.options import ReproduceOptions
from se_search.reproduction.plan import Plan
from se_search.reproduction.statement import make_statement, read_statement, write_statement
from se_search.space.designs import collect_designs
from se_search.store.files import explaining_write
from se_search.store.progress_log import ProgressLog
from se_search.store.room import Reserve, estimate_room
from se_search.store.training_log import (
    LogContents,
    Training,
    TrainingId,
    TrainingLog,
    read_log,
)
from se_search.training.task import Rehearsal

Note = Callable[[str], None]


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


def is_earlier(plan: Plan, contents: LogContents | None) -> bool:
    """Tell whether trainings are of protocol 1: they are judged, and none is added to them."""
    return contents is not None and contents.identity == plan.earlier_identity


def say_earlier(plans: Sequence[Plan]) -> str:
    """Say that plans which share a log of protocol 1 have their trainings judged as they are."""
    return (
        f"{', '.join(plan.name for plan in plans)}: {plans[0].earlier_log} holds trainings of an "
        "earlier protocol, which are judged as they are. Another --store takes new trainings"
    )


def train_looks(
    plans: Sequence[Plan],
    options: ReproduceOptions,
    note: Note,
    open_session: OpenSession,
    deadline: Deadline,
) -> int | None:
    """Train what the looks of plans need that share a log; return the signal that stopped it.

    A deadline that passes while trainings are missing counts as Ctrl-C: those that run end.
    Trainings of an earlier protocol are not continued: nothing is trained where there are any.

    Raises:
        RunError: a number of replicates is asked for that trainings of an earlier protocol lack.
    """
    first = plans[0]
    contents = read_trainings(first)
    if contents is not None and is_earlier(first, contents):
        _refuse_to_continue(plans, contents, options, note)
        return None
    trainings = contents.trainings if contents else ()
    wanted = list_wanted(plans, trainings)
    missing = _list_missing(wanted, trainings)
    if not missing:
        _note_look(plans, wanted, 0, note)
        return None
    if deadline.has_passed:
        return _say_time_is_up(plans, len(missing), note)
    with explaining_write(first.log):
        first.log.parent.mkdir(parents=True, exist_ok=True)
    session = open_session(_make_request(plans, options), note)
    _state(plans, trainings, options.store)
    started = time.monotonic()
    num_images = first.info.num_validation + first.info.num_test
    needed = estimate_room(len(missing), first.epochs, num_images)
    with (
        Reserve(first.log.with_suffix(".reserve")) as reserve,
        TrainingLog(
            first.log, _complete(first, session), session.environment, options.mix_environments
        ) as log,
        StopSignals(note) as stop,
    ):
        reserve.refuse_lack(needed)
        progress, lines = ProgressLog(first.log.with_suffix(".progress")), EpochLines(note)

        def advance(assignment: Assignment[Candidate], row: EpochRow) -> None:
            progress.append_fresh(assignment, row)
            lines.update(name_training(assignment), row)

        while missing and stop.number is None and not deadline.has_passed:
            _note_look(plans, wanted, len(missing), note)
            train_missing(
                wanted,
                log,
                session.executor(with_test=True),
                stop=lambda: max(stop(), Stop.AFTER_RUNNING if deadline.has_passed else Stop.NO),
                observe=lambda ended: note(str(ended)),
                advance=advance,
                room=Room(reserve.release, note),
            )
            before = len(trainings)
            trainings = _read(first.log)
            if len(trainings) == before:
                break  # all that is missing failed: the next command tries it again
            wanted = list_wanted(plans, trainings)
            missing = _list_missing(wanted, trainings)
    devices = session.devices
    note(f"{time.monotonic() - started:.0f} s on {len(devices)} x {devices[0].accelerator}")
    if stop.number is None and missing and deadline.has_passed:
        return _say_time_is_up(plans, len(missing), note)
    return stop.number


def list_wanted(
    plans: Iterable[Plan], trainings: Iterable[Training]
) -> list[Assignment[Candidate]]:
    """Return what the next looks of plans need, finished trainings too, one replicate first."""
    found: dict[TrainingId, Assignment[Candidate]] = {}
    listed = list(trainings)
    for plan in plans:
        ids = {id_of(assignment) for assignment in plan.assignments}
        own = group_trainings(plan.candidates, (t for t in listed if t.id in ids))
        cases = list_cases(plan.claims, measure_replicates(own, plan.info.num_test))
        numbers = count_wanted(plan.candidates, cases, plan.looks)
        for name, candidate in plan.candidates.items():
            for replicate in range(numbers[name]):
                assignment = Assignment(candidate, replicate, plan.epochs)
                found[id_of(assignment)] = assignment
    return sorted(found.values(), key=lambda assignment: assignment.seed)


def _say_time_is_up(plans: Sequence[Plan], num_missing: int, note: Note) -> int:
    """Say that trainings are missing; return the signal that a command ends with then."""
    names = ", ".join(plan.name for plan in plans)
    note(f"{names}: the time is up; {count(num_missing, 'training')} missing up to the next look")
    return signal.SIGINT


def _list_missing(
    wanted: Iterable[Assignment[Candidate]], trainings: Iterable[Training]
) -> list[Assignment[Candidate]]:
    done = {training.id for training in trainings}
    return [assignment for assignment in wanted if id_of(assignment) not in done]


def _read(log: Path) -> tuple[Training, ...]:
    contents = read_log(log)
    return contents.trainings if contents else ()


def _refuse_to_continue(
    plans: Sequence[Plan], contents: LogContents, options: ReproduceOptions, note: Note
) -> None:
    """Say that trainings of an earlier protocol are judged alone; refuse to add to them."""
    done = {training.id for training in contents.trainings}
    asked = {id_of(assignment) for plan in plans for assignment in plan.assignments}
    file = plans[0].earlier_log
    if options.replicates is not None and asked - done:
        raise RunError(
            f"{file} holds trainings of an earlier protocol: images were split, shown "
            "and networks initialised otherwise, so that no training of now can be added. "
            "Without --replicates they are judged; another --store takes new trainings"
        )
    note(say_earlier(plans))


def _state(plans: Sequence[Plan], trainings: Sequence[Training], store: Path) -> None:
    """Keep the looks and claims of plans that have not been stated yet."""
    for plan in plans:
        if read_statement(plan, store) is None:
            ids = {id_of(assignment) for assignment in plan.assignments}
            num_before = sum(training.id in ids for training in trainings)
            write_statement(plan, store, make_statement(plan, num_before))


def _note_look(
    plans: Sequence[Plan],
    wanted: Sequence[Assignment[Candidate]],
    num_missing: int,
    note: Note,
) -> None:
    names = ", ".join(plan.name for plan in plans)
    numbers: dict[str, int] = {}
    for assignment in wanted:
        numbers[assignment.candidate.key] = numbers.get(assignment.candidate.key, 0) + 1
    note(
        f"{names}: {count(len(numbers), 'candidate')}, up to "
        f"{count(max(numbers.values()), 'replicate')}: {count(len(wanted), 'training')} of "
        f"{count(plans[0].epochs, 'epoch')}, {num_missing} of them missing"
    )


def _complete(plan: Plan, session: Session) -> dict[str, Any]:
    """Return the identity with the fingerprint of the images, which a session knows."""
    fingerprint = session.task.data.info.fingerprint
    return {**plan.identity, "data": {**plan.identity["data"], "fingerprint": fingerprint}}


def _make_request(plans: Sequence[Plan], options: ReproduceOptions) -> SessionRequest:
    first = plans[0]
    candidates = [candidate for plan in plans for candidate in plan.candidates.values()]
    return SessionRequest(
        data=first.data,
        recipe=first.recipe,
        backbone=first.backbone.name,
        worker_log=first.log.with_suffix(".worker.log"),
        data_dir=options.data_dir,
        workers=options.workers,
        threads=options.threads,
        accelerator=options.accelerator,
        timeout=options.timeout,
        cluster=read_cluster(options),
        mix_environments=options.mix_environments,
        rehearsal=Rehearsal(first.backbone, collect_designs(candidates)),
    )

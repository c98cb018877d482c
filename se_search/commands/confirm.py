"""Trains what a search has found again, with fresh seeds, and reads the test images for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from se_search.backbone import Backbone
from se_search.candidate import Candidate
from se_search.commands.confirm_candidates import choose_candidates, usual_position
from se_search.commands.confirm_round import begin_round, close_round, plan_round, read_trainings
from se_search.commands.options import ConfirmOptions
from se_search.commands.recorded_run import (
    describe_recorded_run,
    read_recorded_options,
    refuse_differences,
    refuse_other_backbone,
)
from se_search.commands.search import complete, make_request, refuse_without_test
from se_search.commands.settings import find_code
from se_search.execution.environment import read_versions
from se_search.execution.missing import EndedTraining, id_of, list_assignments, train_missing
from se_search.execution.session import OpenSession, Session, open_session
from se_search.execution.signals import StopSignals
from se_search.record import Assignment
from se_search.report.checklist import write_checklist
from se_search.report.confirmation import write_confirmation
from se_search.report.format import count
from se_search.report.run_report import write_report
from se_search.run_config import RunConfig
from se_search.space.designs import collect_designs
from se_search.store.confirmations import Round, count_readings, read_rounds, write_rounds
from se_search.store.run_folder import RunFolder
from se_search.store.training_log import TrainingLog
from se_search.store.trials import read_records

Note = Callable[[str], None]
Observe = Callable[[EndedTraining], None]


@dataclass(frozen=True, slots=True)
class ConfirmOutcome:
    """How a confirmation ended.

    Attributes:
        rounds: all confirmations of the run, this one last.
        signal: number of the signal that stopped it; None: it ended by itself.
    """

    folder: RunFolder
    rounds: Sequence[Round]
    signal: int | None


def confirm(
    folder: RunFolder,
    options: ConfirmOptions,
    note: Note = lambda _: None,
    observe: Observe = lambda _: None,
    open_session: OpenSession = open_session,
) -> ConfirmOutcome:
    """Train a run's candidates, the plain backbone and SE everywhere with seeds it never had.

    Trainings of earlier confirmations are not made again. Validation and test images are evaluated
    after the last epoch only.

    Args:
        folder: of the run.
        options: what is asked for.
        note: told what goes on.
        observe: told of each training that ends.
        open_session: finds what the trainings need.

    Raises:
        SESearchError: the run can't be confirmed: it has no front, or something has changed.
        TooManyFailuresError: three trainings in a row failed.
    """
    with folder.lock():
        config = folder.read_config()
        find_code(config, allow_code=options.allow_code, first=True)
        recorded = read_recorded_options(config, options)
        run = describe_recorded_run(folder, config, recorded)
        refuse_without_test(folder, recorded.data, run)
        posterior = write_report(folder).credible
        records = read_records(folder.database)
        chosen = choose_candidates(options.candidates, run.backbone, posterior)
        planned = plan_round(run, chosen, records, options)
        candidates = [Candidate.parse(c.candidate, run.backbone) for c in planned.chosen]
        assignments = list_assignments(candidates, planned.seeds, run.epochs)
        before = read_trainings(folder).keys()
        rounds = begin_round(read_rounds(folder), planned)
        session = None
        if any(id_of(assignment) not in before for assignment in assignments):
            # What can't be done is refused before any work is announced.
            refuse_other_backbone(folder, run, recorded)
            _note_choice(planned, run.backbone, note)
            request = make_request(run, recorded, folder, collect_designs(candidates))
            session = open_session(request, note)
            run = complete(run, session)
            refuse_differences(folder, config["identity"], run)
            _note_versions(config, note)
            _note_readings(rounds, note)
            # It stands there before the first test image is read, whatever comes after.
            write_rounds(folder, [*rounds[:-1], replace(rounds[-1], reads_test=True)])
        failures: list[str] = []

        def watch(ended: EndedTraining) -> None:
            if ended.reason is not None:
                failures.append(f"{ended.placement}, seed {ended.seed}: {ended.reason}")
            observe(ended)

        signal = None
        try:
            if session is not None:
                signal = _train(folder, run, session, assignments, note, watch)
        finally:
            trainings = read_trainings(folder)
            rounds[-1] = close_round(rounds[-1], trainings, run.objectives[1:], failures, before)
            write_rounds(folder, rounds)
            write_confirmation(folder, rounds)
            write_checklist(folder.checklist, config, records, rounds)
        return ConfirmOutcome(folder, rounds, signal)


def _train(
    folder: RunFolder,
    run: RunConfig,
    session: Session,
    assignments: Sequence[Assignment[Candidate]],
    note: Note,
    observe: Observe,
) -> int | None:
    """Train what is missing; return the signal that stopped it, if any."""
    # One evaluation, after the last epoch: the test images are read once a training, and no
    # number of the training depends on how often it is validated.
    executor = session.executor(with_test=True, validate_every=0)
    # Networks are trained alike whatever the space; the log says which training ran where.
    identity = {"run": {key: v for key, v in run.identity.items() if key != "space"}}
    log = TrainingLog(folder.confirmation_log, identity, session.environment, mix=True)
    with log, StopSignals(note) as stop:
        train_missing(assignments, log, executor, stop=stop, observe=observe)
    return stop.number


def _note_choice(planned: Round, backbone: Backbone, note: Note) -> None:
    positions = dict.fromkeys(usual_position(backbone, i) for i in range(len(backbone.sites)))
    if set(positions) != {"standard"}:
        note(
            f"{backbone.name} has no standard position at some sites; SE everywhere is "
            f"{', '.join(positions)} there."
        )
    seeds = planned.seeds
    note(
        f"Confirming {count(len(planned.chosen), 'candidate')} with {len(seeds)} fresh "
        + (f"seed, {seeds[0]:,}" if len(seeds) == 1 else f"seeds, {seeds[0]:,} to {seeds[-1]:,}")
    )


def _note_readings(rounds: Sequence[Round], note: Note) -> None:
    before = count_readings(rounds[:-1])
    if before:
        times = "once" if before == 1 else f"{before} times"
        note(
            f"The test images have been read before, by other confirmations of this run: {times}. "
            "This one reads them again."
        )


def _note_versions(config: Mapping[str, Any], note: Note) -> None:
    """Say which versions have changed since the search: numbers may differ a little by them."""
    before, now = config.get("versions") or {}, read_versions()
    changes = [
        f"{name} {before[name]} -> {now[name]}"
        for name in now
        if name in before and before[name] != now[name]
    ]
    if changes:
        note(f"Other versions than in the search: {', '.join(changes)}")

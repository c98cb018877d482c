"""Trains what a search has found again, in fresh replicates, and reads the test images for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from se_search.analysis.power import fewest_replicates
from se_search.backbone import Backbone
from se_search.candidate import Candidate
from se_search.commands.confirm_candidates import choose_candidates, usual_position
from se_search.commands.confirm_round import (
    begin_round,
    close_round,
    list_new,
    list_next_look,
    plan_round,
)
from se_search.commands.grounds import check_grounds
from se_search.commands.options import ConfirmOptions
from se_search.commands.recorded_run import (
    describe_recorded_run,
    read_recorded_options,
    refuse_differences,
    refuse_other_backbone,
)
from se_search.commands.run_identity import complete
from se_search.commands.search import make_request
from se_search.commands.settings import find_code, refuse_without_test
from se_search.errors import RunError, SESearchError, UnwritableError
from se_search.execution.environment import read_versions
from se_search.execution.missing import EndedTraining, id_of, name_training, train_missing
from se_search.execution.session import OpenSession, Session, open_session
from se_search.execution.signals import StopSignals
from se_search.execution.storing import Room
from se_search.record import Assignment, EpochRow
from se_search.report.checklist import write_checklist
from se_search.report.confirmation import list_confirmation_files
from se_search.report.epoch_lines import EpochLines
from se_search.report.estimate import Estimate, foretell_trainings
from se_search.report.format import count
from se_search.report.hardware import count_all_grounds
from se_search.report.page.write import write_pages
from se_search.report.run_report import Findings, write_report
from se_search.report.source import read_source
from se_search.run_config import RunConfig
from se_search.space.designs import Designs, collect_designs
from se_search.store.confirmations import (
    Round,
    count_readings,
    read_fresh,
    read_rounds,
    write_rounds,
)
from se_search.store.files import WrittenFiles
from se_search.store.front_cache import read_question
from se_search.store.progress_log import ProgressLog
from se_search.store.room import Reserve, estimate_room
from se_search.store.round_trainings import read_trainings
from se_search.store.run_folder import RunFolder
from se_search.store.run_trials import find_trials
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
        unwritten: why figures, tables or pages can't be written.
    """

    folder: RunFolder
    rounds: Sequence[Round]
    signal: int | None
    unwritten: Sequence[UnwritableError] = ()


def confirm(
    folder: RunFolder,
    options: ConfirmOptions,
    note: Note = lambda _: None,
    observe: Observe = lambda _: None,
    open_session: OpenSession = open_session,
    estimate: Callable[[Estimate], None] = lambda _: None,
) -> ConfirmOutcome:
    """Train a run's candidates, the plain network and SE everywhere in replicates it never had.

    A confirmation goes to the next look of its plan, or until each of its claims is decided or
    given up. Trainings of earlier confirmations are not made again. Validation and test images are
    evaluated after the last epoch only.

    Args:
        folder: of the run.
        options: what is asked for.
        note: told what goes on.
        observe: told of each training that ends.
        open_session: finds what the trainings need.
        estimate: told what the trainings of each look will take.

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
        findings = write_report(folder)
        posterior = findings.credible
        records = read_records(find_trials(folder))
        _refuse_untrained(findings)
        taken = findings.answer.candidate
        chosen = choose_candidates(
            *(options.candidates, run.backbone, posterior, taken),
            latency=read_question(folder).latency,
        )
        earlier = read_rounds(folder)
        tolerance = posterior.settled.tolerance
        planned = plan_round(run, chosen, records, options, earlier, tolerance)
        rounds = begin_round(earlier, planned)
        before = read_trainings(folder)
        look = list_next_look(rounds[-1], run.backbone, before)
        session = None
        if any(id_of(assignment) not in before for assignment in look):
            # What can't be done is refused before any work is announced.
            refuse_other_backbone(folder, run, recorded)
            _note_choice(rounds, run.backbone, note)
            request = make_request(run, recorded, folder, _collect_designs(rounds[-1], run))
            used = sum(count_all_grounds(records, read_fresh(folder)), Counter())
            session = open_session(replace(request, ran_on=tuple(used)), note)
            mixed = check_grounds(folder.path, used, session.grounds, mix=options.mix_environments)
            if mixed:
                note(mixed)
            run = complete(run, session, config["identity"]["precision"] if used else None)
            refuse_differences(folder, config["identity"], run)
            _note_versions(config, note)
            _note_readings(rounds, note)
            # It stands there before the first test image is read, whatever comes after.
            rounds[-1] = replace(rounds[-1], reads_test=True)
            write_rounds(folder, rounds)
        failures: list[str] = []

        def watch(ended: EndedTraining) -> None:
            if ended.reason is not None:
                failures.append(f"{ended.placement}, replicate {ended.seed}: {ended.reason}")
            observe(ended)

        def foretell(num_trainings: int, at_a_time: int) -> None:
            known = foretell_trainings(records, run.epochs, num_trainings, at_a_time)
            if known is not None:
                estimate(known)

        def judge() -> WrittenFiles:
            rounds[-1] = close_round(
                rounds[-1],
                read_trainings(folder),
                run.objectives[1:],
                failures,
                before.keys(),
            )
            write_rounds(folder, rounds)
            files = WrittenFiles()
            for write, path, *contents in list_confirmation_files(folder, rounds):
                files.attempt(write, path, *contents)
            checked = (config, records, rounds, read_fresh(folder))
            files.attempt(write_checklist, folder.checklist, *checked)
            write_pages(files, folder, read_source(folder))
            return files

        signal = None
        try:
            if session is not None:
                last = rounds[-1]
                signal = _take_looks(folder, run, session, last, options, note, watch, foretell)
        except BaseException:
            with suppress(SESearchError):  # the first error is the one to be told
                judge()
            raise
        files = judge()
        return ConfirmOutcome(folder, rounds, signal, files.unwritten)


def _take_looks(
    folder: RunFolder,
    run: RunConfig,
    session: Session,
    last: Round,
    options: ConfirmOptions,
    note: Note,
    observe: Observe,
    foretell: Callable[[int, int], None],
) -> int | None:
    """Train what one look needs, or all looks; return the signal that stopped it, if any."""
    # Networks are trained alike whatever the space; the log says which training ran where.
    identity = {"run": {key: v for key, v in run.identity.items() if key != "space"}}
    log = TrainingLog(folder.confirmation_log, identity, session.environment, mix=True)
    num_trainings = last.stated.plan.looks[-1] * len(last.chosen)
    needed = estimate_room(num_trainings, run.epochs, sum(last.num_images))
    progress, lines = ProgressLog(folder.progress_log), EpochLines(note)

    def advance(assignment: Assignment[Candidate], row: EpochRow) -> None:
        progress.append_fresh(assignment, row)
        lines.update(name_training(assignment), row)

    with Reserve(folder.path / ".reserve") as reserve, log, StopSignals(note) as stop:
        reserve.refuse_lack(needed)
        room = Room(reserve.release, note)
        while True:
            before = read_trainings(folder)
            look = list_next_look(last, run.backbone, before)
            missing = sum(id_of(assignment) not in before for assignment in look)
            if not missing:
                break
            _note_look(last, look, missing, note)
            foretell(missing, len(session.devices))
            # One evaluation, after the last epoch: the test images are read once a training, and
            # no number of the training depends on how often it is validated.
            executor = session.executor(with_test=True, validate_every=0)
            train_missing(
                look, log, executor, stop=stop, observe=observe, advance=advance, room=room
            )
            has_progressed = len(read_trainings(folder)) > len(before)
            if stop.number is not None or not options.until_decided or not has_progressed:
                break
    return stop.number


def _collect_designs(last: Round, run: RunConfig) -> Designs:
    return collect_designs([Candidate.parse(c.candidate, run.backbone) for c in last.chosen])


def _note_look(
    last: Round, look: Sequence[Assignment[Candidate]], missing: int, note: Note
) -> None:
    number = last.stated.plan.looks.index(len({assignment.seed for assignment in look})) + 1
    note(
        f"Look {number} of {len(last.stated.plan.looks)}: "
        f"{count(len({a.candidate for a in look}), 'candidate')} in "
        f"{count(last.stated.plan.looks[number - 1], 'replicate')}, "
        f"{count(missing, 'training')} missing"
    )


def _refuse_untrained(findings: Findings) -> None:
    """Refuse a run of supernets alone, which has an order and nothing that could be confirmed."""
    evidence, step = findings.evidence, findings.answer.next_step
    if evidence is not None and evidence.is_alone:
        raise RunError(
            f"{findings.run} has scores of supernets alone, and no candidate that was trained: "
            f"there is nothing to confirm. {step.text}\n  {step.command or ''}".rstrip()
        )


def _note_choice(rounds: Sequence[Round], backbone: Backbone, note: Note) -> None:
    last = rounds[-1]
    positions = dict.fromkeys(usual_position(backbone, i) for i in range(len(backbone.sites)))
    if set(positions) != {"standard"}:
        note(
            f"{backbone.name} has no standard position at some sites; SE everywhere is "
            f"{', '.join(positions)} there."
        )
    plan, fewest = last.stated.plan, fewest_replicates()
    note(
        f"Confirming {count(len(last.chosen), 'candidate')} in fresh replicates (from "
        f"{last.seeds[0]:,}): {plan}"
    )
    if plan.looks[-1] < fewest:
        note(
            f"{plan.looks[-1]} replicates can't decide any claim; {fewest} are the fewest that can"
        )
    if new := list_new(rounds):
        note(
            f"The front has moved since the last confirmation: {', '.join(new)} "
            f"{'is' if len(new) == 1 else 'are'} confirmed now; the others keep their trainings."
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

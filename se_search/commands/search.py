"""Searches a space: from the options of ``se-search run`` to a finished run folder."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from se_search.candidate import Candidate
from se_search.commands.grounds import check_grounds
from se_search.commands.keeping import begin_keeping, finish_keeping
from se_search.commands.options import SearchOptions
from se_search.commands.run_identity import (
    assume_recorded,
    complete,
    describe_run,
    refuse_changes,
)
from se_search.commands.run_latency import (
    LatencyMeasuring,
    TimesFront,
    measure_for_run,
)
from se_search.commands.settings import (
    describe_replicates,
    describe_settings,
    find_code,
    find_lag,
    make_config,
    record_settings,
    refuse_missing_logger,
    refuse_without_test,
)
from se_search.commands.supernet_search import SupernetSearch, describe_setting, refuse_unfit
from se_search.commands.supernet_setting import Setting
from se_search.cost import find_allowed
from se_search.errors import RunError, SESearchError, suggest_nearest
from se_search.execution.options import read_cluster
from se_search.execution.request import SessionRequest
from se_search.execution.session import OpenSession, Session, open_session
from se_search.execution.signals import StopSignals
from se_search.execution.storing import Room
from se_search.recipe import read_recipe
from se_search.record import Assignment, EpochRow, Evaluation, Progress, Rung, TrialRecord
from se_search.report.display import Display
from se_search.report.estimate import Estimates
from se_search.report.hardware import count_grounds
from se_search.report.run_report import Findings, write_report
from se_search.report.spaces import describe_amount, describe_size
from se_search.run_config import RunConfig
from se_search.score import Score
from se_search.search.loop import Budget, Ending, refuse_all_failed, run_search
from se_search.search.pareto_sampler import ParetoSampler
from se_search.search.promotion import Promotion, parse_rungs
from se_search.search.registry import SAMPLERS, Setup
from se_search.search.rotation import Rotation, list_replicates_without_control
from se_search.search.weights_keeper import KeepingExecutor, WeightsKeeper
from se_search.space.allowed import AllowedCandidates
from se_search.space.bound import bind
from se_search.space.designs import Designs, list_designs
from se_search.space.everywhere import nearest_everywhere
from se_search.space.schema import read_space
from se_search.store.files import write_bytes
from se_search.store.front_cache import read_question
from se_search.store.places import TrialsPlace
from se_search.store.progress_log import ProgressLog
from se_search.store.room import Reserve, estimate_room
from se_search.store.run_folder import RunFolder
from se_search.store.run_space import write_backbone
from se_search.store.run_trials import choose_storage, make_place
from se_search.store.storage_url import find_storage_url
from se_search.store.supernets import SupernetFiles, Supernets, read_supernets
from se_search.store.trials import TrialStore, read_records
from se_search.surrogate.fit_front import fit_front
from se_search.training.image_listing import printable
from se_search.training.image_scan import Watch
from se_search.training.task import Rehearsal


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a search ended.

    Attributes:
        signal: number of the signal that stopped it; None: it ended by itself.
    """

    folder: RunFolder
    findings: Findings
    signal: int | None


def search(
    options: SearchOptions,
    display: Display,
    open_session: OpenSession = open_session,
    *,
    is_confirmed: bool = False,
    measuring: LatencyMeasuring = LatencyMeasuring(),  # noqa: B008  # frozen
) -> Outcome:
    """Run a search, or continue it, until the run has all its trials.

    Args:
        options: what is asked for.
        display: told what goes on.
        open_session: finds what the trainings need.
        is_confirmed: whether the front is to be confirmed at the end.
        measuring: measures latencies, where that is asked for.

    Raises:
        SESearchError: something that was asked for is not there; each kind has its class.
    """
    if options.sampler not in SAMPLERS:
        hint = suggest_nearest(options.sampler, SAMPLERS)
        raise RunError(f"sampler {options.sampler!r}{hint} is not one of {', '.join(SAMPLERS)}")
    refuse_missing_logger(options.logger)
    url = find_storage_url(options.storage)
    space = read_space(options.space)
    recipe = read_recipe(options.recipe)
    rungs = parse_rungs(options.promotion, options.epochs or recipe.epochs)
    folder = RunFolder.named(
        options.runs_dir, Path(options.space).stem if options.name is None else options.name
    )
    find_code(folder.read_config(), allow_code=options.allow_code, first=False)
    run = describe_run(space, recipe, options, watch=Watch(display.note, display.scanning))
    if is_confirmed:
        refuse_without_test(folder, options.data, run)
    bound = bind(space, run.backbone, f"space {options.space}")
    allowed = find_allowed(bound)
    with folder.lock(), Reserve(folder.path / ".reserve") as reserve:
        # What is known before PyTorch has started is compared before it: a refusal is immediate.
        recorded = folder.read_config()
        refuse_unfit(options, recorded, folder)
        if recorded:
            refuse_changes(folder, assume_recorded(run, recorded["identity"]))
        storage = choose_storage(folder, recorded, url, is_asked=options.storage is not None)
        place = make_place(folder, storage)
        records = read_records(place) if place.exists() else []
        num_trials = len(records)
        num_new = max(0, options.trials - num_trials)
        setting = None if options.evaluator == "train" else Setting.of(run, allowed)
        if setting is not None:
            setting = setting.planned(SupernetFiles(folder.path), run, options)
        reserve.refuse_lack(estimate_room(num_new, run.epochs, run.data["validation"]))
        display.note(
            f"{run.backbone.name} on {printable(options.data)}: {describe_size(allowed)}, "
            f"{len(run.backbone.sites)} sites; {run.data['train']:,} images train, "
            f"{run.data['validation']:,} validate, of which a constant answer has "
            f"{100 * run.data['chance']:.2f} % right"
        )
        if options.evaluator != "supernet":  # otherwise nothing is trained in them
            display.note(describe_replicates(options, run.recipe.split.draw))
        if setting is not None:
            display.note(describe_setting(setting, options.evaluator))
        if len(rungs) > 1 or rungs[0].replicates > 1:
            names = ", ".join(map(str, rungs))
            display.note(f"Rungs of epochs x replicates: {names}; 1 in {options.eta} is promoted")
        used = count_grounds(records)
        request = make_request(run, options, folder, list_designs(bound))
        session = open_session(replace(request, ran_on=tuple(used)), display.note)
        is_broken_off = any(record.state in ("RUNNING", "WAITING") for record in records)
        has_budget = num_trials + (setting.supernets.worth if setting else 0) < options.trials
        trains = is_broken_off or has_budget
        if trains:
            mixed = check_grounds(folder.path, used, session.grounds, mix=options.mix_environments)
            if mixed:
                display.note(mixed)
        began_with = recorded["identity"]["precision"] if recorded and used else None
        run = complete(run, session, began_with)
        if options.measures_latency:
            if options.executor != "local":
                display.note("Latencies are this machine's, though trainings run elsewhere")
            run = measure_for_run(
                *(folder, run, allowed, options.latency_options, num_trials),
                *(session.devices[0].accelerator, measuring.table, display.note),
            )
        refuse_changes(folder, run)
        write_backbone(folder, run.backbone)
        settings = describe_settings(options, rungs)
        lag = find_lag(recorded, num_trials, len(session.devices))
        if lag < len(session.devices):
            display.note(
                f"The run began with fewer workers: as its trials are chosen by results up to a "
                f"lag of {lag} trials, at most {lag} of {len(session.devices)} workers train"
            )
        history, change = record_settings(recorded, settings, num_trials)
        if change:
            display.note(change)
        settings = {**settings, "history": history, "lag": lag}
        config = make_config(run, options, settings, session)
        if storage is not None:
            config["storage"] = storage
        if recorded and not trains:  # what the trainings there are ran on stays
            config |= {name: recorded[name] for name in ("versions", "hardware")}
        folder.write_config(config)
        room = Room(reserve.release, display.note)
        timing = TimesFront(folder, allowed, options.latency_options, measuring.whole, display.note)
        return _search(
            *(folder, place, run, allowed, session, rungs, lag, room, options, display, timing),
            setting,
        )


def make_request(
    run: RunConfig, options: SearchOptions, folder: RunFolder, designs: Designs
) -> SessionRequest:
    """Return what the trainings of a run need, for SE blocks that each site may get."""
    return SessionRequest(
        data=options.data,
        recipe=run.recipe,
        backbone=options.backbone,
        worker_log=folder.worker_log,
        data_dir=options.data_dir,
        weights=options.weights,
        freeze_backbone=options.freeze_backbone,
        workers=options.workers,
        threads=options.threads,
        accelerator=options.accelerator,
        timeout=options.timeout,
        cluster=read_cluster(options),
        mix_environments=options.mix_environments,
        rehearsal=Rehearsal(run.backbone, designs),
        tensorboard=folder.tensorboard.absolute() if options.logger else None,
    )


def _search(
    folder: RunFolder,
    place: TrialsPlace,
    run: RunConfig,
    allowed: AllowedCandidates,
    session: Session,
    rungs: tuple[Rung, ...],
    lag: int,
    room: Room,
    options: SearchOptions,
    display: Display,
    time_front: TimesFront,
    setting: Setting | None,
) -> Outcome:
    def keep(number: int, evaluation: Evaluation) -> None:
        write_bytes(folder.correct_file(number), evaluation.correct)

    question = read_question(folder)
    control = Candidate.plain(run.backbone)
    everywhere = nearest_everywhere(allowed.space)
    setup = Setup(
        *(allowed.space, allowed, run.seed, question.count_cost, run.objectives, run.epochs),
        repeat_candidates=options.repeat_candidates,
        control=control,
        first=(everywhere,) if everywhere in allowed else (),
    )

    def is_settled(records: Sequence[TrialRecord]) -> bool:
        question = read_question(folder, records)
        return fit_front(records, allowed.space, question).settled.is_settled

    progress = ProgressLog(folder.progress_log)

    def advance(record: TrialRecord, row: EpochRow) -> None:
        progress.append(record, row)
        display.advance(record, row)

    store = TrialStore(place, run.objectives, run.directions)
    keeper = begin_keeping(folder, options, allowed.space, store, display.note)
    estimates = Estimates(store.records, min(lag, len(session.devices)), display.estimate)

    so_far = Progress(options.trials, 0, 0, 0, None, 0)

    def observe(progress: Progress) -> None:
        nonlocal so_far
        so_far = progress
        if setting is not None:
            refresh(read_supernets(SupernetFiles(folder.path)), progress.changed)
            return
        display.update(progress)
        estimates.update(progress)

    def refresh(supernets: Supernets, changed: TrialRecord | None = None) -> None:
        progress = replace(
            so_far,
            total=options.trials,
            changed=changed,
            num_supernets=supernets.num_ended,
            supernets_worth=supernets.spent,
        )
        display.update(progress)
        estimates.update(progress)

    rotation = Rotation(options.num_replicates, run.seed, control)

    def search_to(
        num_trials: int,
        probes: Sequence[Assignment[Candidate]] = (),
        scores: Sequence[Score] = (),
    ) -> Ending:
        sampler = SAMPLERS[options.sampler](setup)
        if isinstance(sampler, ParetoSampler):
            sampler.take_scores(scores)
        return run_search(
            space=allowed.space,
            store=store,
            sampler=sampler,
            executor=KeepingExecutor(session.executor(), keeper),
            count_cost=question.count_cost,
            objectives=run.objectives,
            budget=Budget(num_trials, run.epochs, options.max_failures, rungs),
            rotation=rotation,
            lag=lag,
            promotion=Promotion(options.eta),
            probes=probes,
            is_settled=is_settled if options.stop_when_settled else None,
            stop=stop,
            observe=observe,
            keep=keep,
            advance=advance,
            room=room,
        )

    try:
        with StopSignals(display.note) as stop:
            if setting is None:
                ending = search_to(options.trials)
            else:
                shared = SupernetSearch(folder, run, allowed, setting, session, options, display)
                ending = shared.go(search_to, setup, rotation, store, stop, room, refresh)
        if ending != Ending.STOPPED:
            _record_ending(folder, ending)
            refuse_all_failed(store.records)
    except BaseException:
        with suppress(SESearchError):  # the first error is the one to be told
            _close(store, display, folder, keeper)
        raise
    findings = _close(store, display, folder, keeper)
    if ending != Ending.STOPPED and time_front():
        findings = write_report(folder)
    without = list_replicates_without_control(store.records)
    if without:
        display.note(
            f"The plain network has no training in the replicates of seed "
            f"{', '.join(map(str, without))}: it failed there. Gains in them rest on the others."
        )
    if ending == Ending.EXHAUSTED:
        display.note(
            f"All {describe_amount(allowed.amount)} candidates within the limits have been trained "
            f"or have failed, so the search ends before its {options.trials} trials."
        )
    if kept := keeper.describe():
        display.note(kept)
    display.finish(folder, findings)
    return Outcome(folder, findings, stop.number if ending == Ending.STOPPED else None)


def _close(
    store: TrialStore, display: Display, folder: RunFolder, keeper: WeightsKeeper
) -> Findings:
    store.close()
    display.close()
    finish_keeping(keeper, folder, store)
    return write_report(folder)


def _record_ending(folder: RunFolder, ending: Ending) -> None:
    """Write how the search has ended, for reports; a search that was stopped has not."""
    config = folder.read_config()
    config["search"]["ending"] = ending.name.lower()
    folder.write_config(config)

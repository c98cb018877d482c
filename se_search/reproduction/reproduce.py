"""Carries out studies: trains what their store does not have yet, judges claims, writes results.

Studies that train candidates of one backbone by one recipe on one data set share their trainings:
these lie in one log, keyed by candidate, epochs and seed.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from se_search.errors import StudyFileError
from se_search.execution.deadline import Deadline
from se_search.execution.missing import id_of
from se_search.execution.session import OpenSession, open_session
from se_search.reproduction.forecast import (
    Forecast,
    describe_forecast,
    make_forecast,
    refuse_hopeless,
)
from se_search.reproduction.judge import Setting, StudyReport, judge_study
from se_search.reproduction.looks import (
    is_earlier,
    read_trainings,
    say_earlier,
    train_looks,
)
from se_search.reproduction.options import ReproduceOptions
from se_search.reproduction.plan import Plan, earlier_hash, make_plan
from se_search.reproduction.prospects import StudyProspects
from se_search.reproduction.report import write_results
from se_search.reproduction.statement import keep_to_statement, read_statement
from se_search.reproduction.study_file import find_study, read_study, study_names
from se_search.reproduction.summary import write_summary
from se_search.store.training_log import LogContents

Note = Callable[[str], None]


def reproduce(
    options: ReproduceOptions,
    note: Note,
    open_session: OpenSession = open_session,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[list[StudyReport], int | None]:
    """Carry out studies and write their results.

    Args:
        options: what is asked for.
        note: told what goes on.
        open_session: finds what the trainings need.
        clock: gives the time in seconds, which ``options.minutes`` is about.

    Returns:
        A report for each study that has any trainings, and the number of the signal that stopped
        the trainings, if one did. The end of ``options.minutes`` stops them as Ctrl-C does.

    Raises:
        SESearchError: something that was asked for is not there, or no study has any trainings.
        TooManyFailuresError: three trainings in a row failed.
    """
    by_log = _make_plans(options, note)
    if options.train:
        _forewarn(by_log.values(), options, note)
    number = None
    deadline = Deadline(options.minutes, clock)
    for sharing in by_log.values() if options.train else ():
        number = train_looks(sharing, options, note, open_session, deadline)
        if number is not None:
            break
    reports, untrained = [], []
    for plan in itertools.chain.from_iterable(by_log.values()):
        contents = read_trainings(plan)
        if contents is None:
            untrained.append(f"there are no trainings of {plan.name} yet: no {plan.log}")
        elif not _has_begun(plan, contents, options.store):
            untrained.append(
                f"{plan.name} has not been begun: {plan.log} has just the trainings that other "
                "studies need, too"
            )
        else:
            reports.append(report_plan(plan, contents, options.store))
    if not reports and number is None:
        raise StudyFileError(untrained[0])
    for text in untrained:
        note(text)
    if len(reports) > 1:
        summary = options.store / f"{options.scale}.md"
        write_summary(summary, reports)
    return reports, number


def _has_begun(plan: Plan, contents: LogContents, store: Path) -> bool:
    """Tell whether a study was stated, or has a training of each of its candidates all the same."""
    trained = {training.key for training in contents.trainings}
    wanted = {candidate.key for candidate in plan.candidates.values()}
    return read_statement(plan, store) is not None or wanted <= trained


def forecast_studies(options: ReproduceOptions, note: Note) -> list[Forecast]:
    """Tell what the trainings that studies lack would take and could find out; make none.

    Args:
        options: what is asked for.
        note: told what is left out.

    Returns:
        A forecast for all studies that share a log; none where nothing is missing.

    Raises:
        SESearchError: something that was asked for is not there.
    """
    groups = list(_make_plans(options, note).values())
    for plans in groups:
        if is_earlier(plans[0], read_trainings(plans[0])):
            note(say_earlier(plans))
    return [found for plans in groups if (found := _forecast(plans, options)) is not None]


def report_plan(plan: Plan, contents: LogContents, store: Path) -> StudyReport:
    """Judge a study's claims by the trainings that there are, and write its results."""
    from_before = is_earlier(plan, contents)
    if from_before:
        keys = {candidate.key for candidate in plan.candidates.values()}
        trainings = [t for t in contents.trainings if t.key in keys and t.epochs == plan.epochs]
        replicates = tuple(sorted({training.seed for training in trainings}))
    else:
        ids = {id_of(assignment) for assignment in plan.assignments}
        trainings = [training for training in contents.trainings if training.id in ids]
        replicates = tuple(range(plan.looks.looks[-1]))
    stated = None if from_before else read_statement(plan, store)
    # What was never stated is stated by this judgement, when all trainings are there.
    num_before = stated.num_before if stated else 0 if from_before else len(trainings)
    setting = Setting(
        name=plan.name,
        scale=plan.scale_name,
        backbone=plan.backbone.name,
        data=plan.info.name,
        epochs=plan.epochs,
        recipe_hash=earlier_hash(plan.recipe) if from_before else plan.recipe.hash,
        looks=None if from_before else plan.looks,
        replicates=replicates,
        num_images=(plan.info.num_used, plan.info.num_validation, plan.info.num_test),
        num_before=num_before,
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


def _make_plans(options: ReproduceOptions, note: Note) -> dict[Path, list[Plan]]:
    """Return the plans of the studies that are asked for, by their logs."""
    by_log: dict[Path, list[Plan]] = {}
    for name in choose_studies(options.names, study_names(), options.scale, note):
        plan = keep_to_statement(make_plan(name, options), options, note)
        by_log.setdefault(plan.log, []).append(plan)
    return by_log


def _forewarn(groups: Iterable[Sequence[Plan]], options: ReproduceOptions, note: Note) -> None:
    """Say what the missing trainings would take and could find out.

    Raises:
        RunError: a plan that has not begun is likely to decide nothing, and is not forced.
    """
    new: dict[str, StudyProspects] = {}
    for plans in groups:
        forecast = _forecast(plans, options)
        if forecast is not None:
            note("\n".join(describe_forecast(forecast)))
            new |= {
                plan.name: forecast.studies[plan.name]
                for plan in plans
                if read_statement(plan, options.store) is None
            }
    if not options.force:
        refuse_hopeless(new)


def _forecast(plans: Sequence[Plan], options: ReproduceOptions) -> Forecast | None:
    """Return the forecast of plans that share a log; None: they lack no training."""
    contents = read_trainings(plans[0])
    if is_earlier(plans[0], contents):
        return None
    found = make_forecast(plans, contents.trainings if contents else (), options.accelerator)
    return found if found.num_next else None


def choose_studies(asked: Sequence[str], every: Sequence[str], scale: str, note: Note) -> list[str]:
    """Return the studies that are carried out at a scale, each once.

    Args:
        asked: names or folders of studies; ``all`` stands for ``every``.
        every: names or folders. Those that lack the scale are left out and named in a note, unless
            all of them lack it, or they were asked for by themselves.
        scale: name of the scale.
        note: told what is left out.
    """
    lacking = [
        name
        for name in every
        if name not in asked and scale not in read_study(find_study(name)).scales
    ]
    if "all" not in asked or len(lacking) == len(every):
        lacking = []
    if lacking:
        note(f"Left out, as they have no scale {scale!r}: {', '.join(lacking)}")
    names = [n for name in asked for n in (every if name == "all" else [name])]
    return [name for name in dict.fromkeys(names) if name not in lacking]

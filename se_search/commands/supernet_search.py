"""Searches with supernets: from the options of ``se-search run --evaluator`` to their segments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Protocol, cast

from se_search.analysis.rung_test import judge_scores
from se_search.candidate import Candidate
from se_search.commands.options import SearchOptions
from se_search.commands.supernet_setting import Setting, price_scores
from se_search.errors import RunChangedError, RunError
from se_search.execution.drive import drive
from se_search.execution.executor import Executor
from se_search.execution.session import Session
from se_search.execution.storing import Room
from se_search.record import ENDED_WELL, Assignment, EpochRow, Stop, TrialRecord
from se_search.report.display import Display
from se_search.report.epoch_lines import EpochLines
from se_search.report.format import count
from se_search.run_config import RunConfig
from se_search.score import Score
from se_search.search.loop import Ending
from se_search.search.offers import Offers
from se_search.search.probes import assign_probes
from se_search.search.registry import Setup
from se_search.search.rotation import Rotation
from se_search.search.segment_loop import Missing, SegmentLoop
from se_search.search.segments import Evaluator, Gains, Offer, Plan
from se_search.search.supernet_advice import SupernetAdvice
from se_search.search.supernet_work import SupernetWork
from se_search.space.allowed import AllowedCandidates
from se_search.space.subspace import Subspace
from se_search.store.run_folder import RunFolder
from se_search.store.supernets import (
    Segment,
    SupernetFiles,
    Supernets,
    write_supernets,
)
from se_search.store.trials import TrialStore
from se_search.training.supernet_evaluation import SupernetName
from se_search.training.supernet_run import SupernetTask


def refuse_unfit(options: SearchOptions, recorded: Mapping[str, Any], folder: RunFolder) -> None:
    """Refuse options that supernets do not go with, and runs of another evaluator.

    A run of supernets may go on as a ladder, and a ladder as one of supernets.

    Args:
        options: what is asked for.
        recorded: the run's ``config.yaml``; empty if there is no run yet.
        folder: of the run.

    Raises:
        RunChangedError: the run was searched without supernets, and is to have some, or vice versa.
        RunError: an option has a value that supernets can't be searched with.
    """
    if recorded:
        before = recorded["search"].get("evaluator", "train")
        if (before == "train") != (options.evaluator == "train"):
            raise RunChangedError(
                f"{folder.path} was searched with --evaluator {before}; it can't go on with "
                f"--evaluator {options.evaluator}, which takes another --name"
            )
    if options.evaluator == "train":
        return
    allowed = {"sampler": "pareto", "promotion": "off", "executor": "local"}
    for name, value in allowed.items():
        given = getattr(options, name)
        if given != value:
            raise RunError(
                f"evaluator {options.evaluator} with {name} {given}: it takes {name} {value} "
                "alone; --evaluator train takes all"
            )


class Train(Protocol):
    """Searches until the run has some number of trials."""

    def __call__(
        self, num_trials: int, probes: Sequence[Assignment[Candidate]], scores: Sequence[Score]
    ) -> Ending:
        """Search with trainings: probes first; by scores that are in use."""


@dataclass(slots=True)
class SupernetSteps:
    """The steps of a search with supernets, on the devices of a session.

    Attributes:
        files: of the supernets.
        run: what is searched.
        setting: of the supernets.
        session: trains them.
        probes: their trainings.
        search: searches with trainings.
        advice: of the accuracy model.
        read_records: returns all trials.
        stop: asked before each start.
        room: what is done when results can't be stored.
        max_failures: supernets that may fail in a row, where nothing else is made; None: any.
        note: told of each supernet that ends: all of the run, and the seed of this one.
        tell: told of each epoch of a supernet, with its number.
    """

    files: SupernetFiles
    run: RunConfig
    allowed: AllowedCandidates
    setting: Setting
    session: Session
    probes: Sequence[Assignment[Candidate]]
    search: Train
    advice: SupernetAdvice
    read_records: Callable[[], Sequence[TrialRecord]]
    stop: Callable[[], Stop]
    room: Room
    max_failures: int | None
    note: Callable[[Supernets, int], None]
    tell: Callable[[int, EpochRow], None]

    def train(self, until: int, scores: Sequence[Score]) -> Ending:
        """Search until the run has ``until`` trials."""
        return self.search(until, self.probes, scores)

    def make_supernets(self, supernets: Supernets, missing: Missing) -> tuple[Supernets, Stop]:
        """Train supernets and score what they miss."""
        own = {
            field.name: getattr(self.session.task, field.name)
            for field in fields(self.session.task)
        }
        task = SupernetTask(
            **own,
            subspace=Subspace.whole(self.allowed.space),
            settings=self.setting.settings,
            scored={seed: tuple(candidates) for seed, candidates in missing.items()},
            worth=max(supernets.find(seed).worth for seed in missing),
        )
        has_results = any(record.state in ENDED_WELL for record in self.read_records())
        work = SupernetWork(
            *(self.files, supernets, missing, self.run.epochs, has_results),
            observe=self.note,
            tell=self.tell,
        )
        executor = cast("Executor[SupernetName]", self.session.make_executor(task))
        stop = drive(work, executor, max_failures=self.max_failures, stop=self.stop, room=self.room)
        return work.supernets, stop

    def judge(self, scores: Sequence[Score], supernets: Supernets) -> Sequence[Score]:
        """Return the scores of the rungs that trainings say are worth having."""
        untouched = supernets.list_untouched(self.read_records())
        tests = judge_scores(scores, untouched, self.allowed.space)
        used = {test.name for test in tests if test.is_used}
        return [score for score in scores if score.rung in used]

    def weigh(self, scores: Sequence[Score], offer: Offer) -> Gains | None:
        """Return what a further supernet and trainings of its worth are expected to bring."""
        return self.advice.weigh(scores, offer)

    def choose(
        self, scores: Sequence[Score], known: Sequence[Candidate], most: int
    ) -> Sequence[Candidate]:
        """Return candidates that supernets should score beside those known, best first."""
        return self.advice.choose(scores, known, most)


@dataclass(frozen=True, slots=True)
class SupernetSearch:
    """A search with supernets.

    Attributes:
        folder: of the run.
        run: what is searched.
        allowed: the candidates within the limits.
        setting: of its supernets.
        session: trains.
        options: what is asked for.
        display: told what goes on.
    """

    folder: RunFolder
    run: RunConfig
    allowed: AllowedCandidates
    setting: Setting
    session: Session
    options: SearchOptions
    display: Display

    def go(
        self,
        search: Train,
        setup: Setup[Candidate],
        rotation: Rotation[Candidate],
        store: TrialStore,
        stop: Callable[[], Stop],
        room: Room,
        refresh: Callable[[Supernets], None],
    ) -> Ending:
        """Spend the budget on trainings and supernets; see ``SegmentLoop``.

        Args:
            search: searches with trainings.
            setup: what samplers are made from.
            rotation: the replicates of the search.
            store: holds the trials.
            stop: asked before each start.
            room: what is done when results can't be stored.
            refresh: told the supernets of the run whenever one has ended.
        """
        files = SupernetFiles(self.folder.path)
        setting, options = self.setting, self.options
        write_supernets(files, setting.supernets)
        probes = assign_probes(setting.supernets.probes, self.allowed.space, self.run.epochs)
        lines = EpochLines(self.display.note)
        is_alone = options.evaluator == "supernet"

        def note_ended(supernets: Supernets, seed: int) -> None:
            self.display.note(describe_ended(supernets, seed))
            refresh(supernets)

        steps = SupernetSteps(
            files=files,
            run=self.run,
            allowed=self.allowed,
            setting=setting,
            session=self.session,
            probes=probes,
            search=search,
            advice=SupernetAdvice(setup, rotation, store),
            read_records=lambda: store.records,
            stop=stop,
            room=room,
            max_failures=options.max_failures if is_alone else None,
            note=note_ended,
            tell=lambda number, row: lines.update(f"supernet {number}", row),
        )
        loop = SegmentLoop(
            plan=Plan(cast(Evaluator, options.evaluator), options.trials, self.run.seed),
            files=files,
            offers=Offers(
                *(self.allowed.space, setting.drawn, partial(price_scores, self.run)),
                *(setting.worth.training, setting.most_chosen),
            ),
            probes=probes,
            rotation=rotation,
            steps=steps,
            read_records=steps.read_records,
            note=lambda segment, known: self.display.note(describe_segment(segment, known)),
        )
        return loop.go()


def describe_setting(setting: Setting, evaluator: str) -> str:
    """Say what a supernet costs and scores, and what tests its scores."""
    worth, supernets = setting.worth, setting.supernets
    probes = {probe.candidate for probe in supernets.probes}
    num_scored = 1 + len(probes | set(map(str, setting.drawn)))
    text = (
        f"A supernet is worth {worth.total:.1f} trainings ({worth.training:.1f} to train it, "
        f"{worth.scoring:.1f} to score {num_scored:,} candidates)"
    )
    if evaluator == "supernet":
        return f"{text}; no candidate is trained for itself"
    replicates = {probe.seed for probe in supernets.probes}
    return (
        f"{text}; {count(len(probes), 'probe')} in "
        f"{count(len(replicates), 'replicate')} of their own test its scores"
    )


def describe_segment(segment: Segment, supernets: Supernets) -> str:
    """Say what a segment spends the budget on, and why."""
    why = ""
    if segment.train_gain is not None and segment.supernet_gain is not None:
        first, second = 100 * segment.train_gain, 100 * segment.supernet_gain
        why = (
            f": for what a supernet is worth, trainings are expected to raise the front by "
            f"{first:.3f} points, a supernet by {second:.3f}"
        )
    if segment.kind == "train":
        number = segment.until - segment.begun
        is_first = len(supernets.segments) == 1 and bool(supernets.probes)
        what = f"{count(number, 'training')}{' of probes' if is_first else ''}"
        if segment.rungs:
            what += " by scores, which have passed their test"
        elif supernets.scored:
            what += " without scores, which have not passed their test and are tested again then"
        return f"Next: {what}{why}"
    if not segment.seeds:
        number = len(supernets.scored)
        return (
            f"Next: scores of what was trained by {count(number, 'supernet')}, to test them again"
        )
    known = len(supernets.supernets) - len(segment.seeds)
    more = "further " if known else ""
    what = count(len(segment.seeds), more + "supernet")
    if segment.chosen:
        chosen = count(len(segment.chosen), "candidate")
        what += f", and scores by all of {chosen} that the accuracy model would know better"
    return f"Next: {what}{why}"


def describe_ended(supernets: Supernets, seed: int) -> str:
    """Say how the supernet of a seed ended."""
    record = supernets.find(seed)
    name = f"supernet {supernets.number(seed)} (seed {seed})"
    if record.state == "FAIL":
        return f"{name} failed: {record.reason}"
    return (
        f"{name}: {record.num_scored:,} candidates scored, trained in "
        f"{record.train_seconds or 0.0:.1f} s, scored in {record.score_seconds or 0.0:.1f} s"
    )

"""Trains what a search has found again, with fresh seeds, and reads the test images for it."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count, islice
from pathlib import Path
from typing import Any

from se_search.analysis.confirmation import (
    CREDIBLE,
    EVERYWHERE,
    FRONT,
    NAMED,
    PLAIN,
    Chosen,
    judge_candidates,
)
from se_search.candidate import Backbone, Candidate
from se_search.commands.search import (
    SearchOptions,
    assume_recorded,
    describe_study,
    prepare,
    read_versions,
)
from se_search.cost import count_cost
from se_search.device import Device, Hardware
from se_search.errors import RecipeError, RunError
from se_search.execution.batch import Executor, list_assignments, train_missing
from se_search.execution.local import LocalExecutor
from se_search.execution.signals import StopSignals
from se_search.recipe import Recipe
from se_search.record import Assignment, Evaluation, Failure, Stop, TrialRecord
from se_search.report.checklist import write_checklist
from se_search.report.confirmation import write_confirmation
from se_search.report.run_report import write_report
from se_search.run_config import RunConfig
from se_search.store.confirmations import Round, count_readings, read_rounds, write_rounds
from se_search.store.replicates import replicates_by_key
from se_search.store.run_folder import RunFolder, compare_identities
from se_search.store.run_space import read_recorded_space
from se_search.store.training_log import Training, TrainingId, TrainingLog, read_log
from se_search.store.trials import read_records
from se_search.surrogate.posterior_front import PosteriorCandidate, PosteriorFront

FIRST_SEED = 1_000_000  # plus the study's seed; a search counts up from the study's seed
ALL_FRONT, ALL_CREDIBLE = "front", "all-credible"
REDUCTION = 16  # of SE everywhere, the default of Hu et al. 2019, sec. 6.4


@dataclass(frozen=True, slots=True)
class ConfirmOptions:
    """What a user asks for; the fields are the options of ``se-search confirm``.

    Attributes:
        candidates: ``front``, ``all-credible`` or texts of candidates.
        threads: None: as many as the run had.
    """

    seeds: int = 5
    candidates: tuple[str, ...] = (ALL_FRONT,)
    workers: int | None = None
    threads: int | None = None
    timeout: float | None = None
    data_dir: Path | None = None
    allow_code: bool = False

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        for name in ("seeds", "workers", "threads", "timeout"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise RunError(f"{name} {value} is not positive")


@dataclass(frozen=True, slots=True)
class Ended:
    """A training that has ended; if it failed, it has a reason and no accuracy.

    Attributes:
        done: how many of ``total`` have ended well.
    """

    done: int
    total: int
    candidate: str
    placement: str
    seed: int
    accuracy: float | None
    seconds: float | None
    reason: str | None

    def __str__(self) -> str:
        head = f"{self.done} of {self.total}: {self.placement} (seed {self.seed:,})"
        if self.accuracy is None or self.seconds is None:
            return f"{head} failed: {self.reason}"
        return f"{head} {100 * self.accuracy:.2f} % in {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class ConfirmOutcome:
    """How a confirmation ended.

    Attributes:
        rounds: all confirmations of the run, this one last.
        signal: what stopped it; None if nothing did.
    """

    folder: RunFolder
    rounds: Sequence[Round]
    signal: int | None


def confirm(
    folder: RunFolder,
    options: ConfirmOptions,
    note: Callable[[str], None] = lambda _: None,
    observe: Callable[[Ended], None] = lambda _: None,
) -> ConfirmOutcome:
    """Train a run's candidates, the plain backbone and SE everywhere with seeds it never had.

    What has been trained before is not trained again. Validation and test images are evaluated
    after the last epoch only.

    Args:
        folder: of the run.
        options: what is asked for.
        note: told what goes on.
        observe: told of each training that ends.

    Raises:
        SESearchError: the run can't be confirmed: it has no front, or something has changed.
        TooManyFailuresError: three trainings in a row failed.
    """
    with folder.lock():
        config = folder.read_config()
        asked = _recall(config, options)
        study = _recall_study(folder, config, asked)
        credible = write_report(folder).credible
        records = read_records(folder.database)
        chosen = choose_candidates(options.candidates, study.backbone, credible)
        planned = _plan_round(study, chosen, records, options)
        _note_choice(planned, study.backbone, note)
        assignments = list_assignments(
            [Candidate.parse(c.candidate, study.backbone) for c in planned.chosen],
            planned.seeds,
            study.epochs,
        )
        before = _finished(folder)
        rounds = _begin_round(read_rounds(folder), planned)
        train = None
        if any(_id_of(assignment) not in before for assignment in assignments):
            train = _get_ready(folder, config, study, asked, note)
            _note_readings(rounds, note)
            # It stands there before the first test image is read, whatever comes after.
            write_rounds(folder, [*rounds[:-1], replace(rounds[-1], reads_test=True)])
        failures: list[str] = []
        signal = None
        try:
            if train is not None:
                signal = train(assignments, failures, observe)
        finally:
            rounds[-1] = _close_round(folder, rounds[-1], study, failures, set(before))
            write_rounds(folder, rounds)
            write_confirmation(folder, rounds)
            write_checklist(folder.checklist, config, records, rounds)
        return ConfirmOutcome(folder, rounds, signal)


def choose_candidates(
    wanted: Sequence[str], backbone: Backbone, credible: PosteriorFront
) -> list[Chosen]:
    """Return each candidate that is to be trained once, cheapest first, with why it is.

    Args:
        wanted: ``front``, ``all-credible`` (what is on the front with a probability of at least
            0.05) or texts of candidates.
        backbone: what they are of.
        credible: what the search has found.

    Raises:
        CandidateError: a text is no candidate of the backbone.
        RunError: there is no front, or no credible set.
    """
    members = [c.summary.candidate for c in credible.front]
    if ALL_FRONT in wanted and not members:
        raise RunError("no full training has ended yet, so there is no front to confirm")
    if ALL_CREDIBLE in wanted and not credible.credible_set:
        raise RunError(f"there is no credible set to confirm: {credible.reason}")
    credible_set = credible.credible_set if ALL_CREDIBLE in wanted else []
    lists = {
        FRONT: members if ALL_FRONT in wanted else [],
        CREDIBLE: [c.summary.candidate for c in credible_set],
        NAMED: [text for text in wanted if text not in (ALL_FRONT, ALL_CREDIBLE)],
        PLAIN: [str(Candidate.plain(backbone))],
        EVERYWHERE: [str(se_everywhere(backbone))],
    }
    roles: dict[Candidate, list[str]] = {}
    for role, texts in lists.items():
        for text in texts:
            roles.setdefault(Candidate.parse(text, backbone), []).append(role)
    # A member is one, however it was asked for.
    for candidate in roles.keys() & {Candidate.parse(text, backbone) for text in members}:
        roles[candidate] = list(dict.fromkeys([FRONT, *roles[candidate]]))
    found = {c.summary.key: c for c in credible.candidates}
    chosen = [
        _describe(candidate, tuple(why), found.get(candidate.key), credible.is_modelled)
        for candidate, why in roles.items()
    ]
    return sorted(chosen, key=lambda c: (c.params, c.macs, c.key))


def _describe(
    candidate: Candidate,
    roles: tuple[str, ...],
    found: PosteriorCandidate | None,
    is_modelled: bool,
) -> Chosen:
    cost = count_cost(candidate)
    return Chosen(
        candidate=str(candidate),
        key=candidate.key,
        placement=candidate.placement,
        roles=roles,
        params=cost.params,
        added_params=cost.added_params,
        added_params_pct=round(cost.added_params_pct, 4),
        macs=cost.macs,
        added_macs=cost.added_macs,
        search_accuracy=None if found is None else found.summary.accuracy,
        search_seeds=0 if found is None else found.summary.num_seeds,
        search_estimate=found.estimate if found and is_modelled else None,
    )


def se_everywhere(backbone: Backbone) -> Candidate:
    """Return SE with r = 16 at every site: standard, or where there is none the first position."""
    settings = [
        f"{site.name}={_usual_position(backbone, index)}:r{REDUCTION}"
        for index, site in enumerate(backbone.sites)
    ]
    return Candidate.parse("/".join([backbone.name, *settings]), backbone)


def fresh_seeds(study_seed: int, used: Collection[int], number: int) -> tuple[int, ...]:
    """Return the first seeds from 1,000,000 plus the study's on that no trial has had."""
    free = (seed for seed in count(FIRST_SEED + study_seed) if seed not in used)
    return tuple(islice(free, number))


def read_recorded_recipe(config: Mapping[str, Any]) -> Recipe:
    """Return the recipe that a run was made by, as it recorded it: its file may have changed.

    Raises:
        RecipeError: this version reads it otherwise than the one that ran it.
    """
    recorded = config["identity"]
    try:
        recipe = Recipe.model_validate({**recorded["recipe"], "epochs": recorded["epochs"]})
    except ValueError as cause:  # pydantic's is one
        raise RecipeError(f"the run's recipe is none of this version's: {cause}") from cause
    before = config["search"].get("recipe_hash", recipe.hash)
    if recipe.hash != before:
        raise RecipeError(
            f"the run's recipe was {before} and reads as {recipe.hash} here: this version of "
            "se-search trains otherwise than the one that ran it"
        )
    return recipe


class Watched:
    """An executor that tells of what ends, and takes an accuracy that is not finite as a failure.

    Args:
        executor: does the work.
        done: how many of ``total`` trainings there are already.
        total: how many there are to be.
        observe: told of each training that ends.
        failures: takes why trainings failed.
    """

    def __init__(
        self,
        executor: Executor,
        done: int,
        total: int,
        observe: Callable[[Ended], None],
        failures: list[str],
    ) -> None:
        self._executor = executor
        self._done, self._total = done, total
        self._observe, self._failures = observe, failures
        self._running: dict[int, Assignment[Candidate]] = {}

    def has_room(self) -> bool:
        """Tell whether another training can start now."""
        return self._executor.has_room()

    def submit(self, number: int, assignment: Assignment[Candidate]) -> None:
        """Start a training."""
        self._running[number] = assignment
        self._executor.submit(number, assignment)

    def wait(self, timeout: float) -> list[tuple[int, Evaluation | Failure]]:
        """Return what has ended, and tell of it."""
        ended = [(n, _check(outcome)) for n, outcome in self._executor.wait(timeout)]
        for number, outcome in ended:
            self._tell(self._running.pop(number), outcome)
        return ended

    def _tell(self, assignment: Assignment[Candidate], outcome: Evaluation | Failure) -> None:
        candidate, seed = assignment.candidate, assignment.seed
        accuracy, seconds, reason = None, None, None
        if isinstance(outcome, Failure):
            reason = outcome.reason
            self._failures.append(f"{candidate.placement}, seed {seed}: {reason}")
        else:
            self._done += 1
            accuracy, seconds = outcome.accuracy, outcome.seconds
        self._observe(
            Ended(
                self._done,
                self._total,
                str(candidate),
                candidate.placement,
                seed,
                accuracy,
                seconds,
                reason,
            )
        )


def _check(outcome: Evaluation | Failure) -> Evaluation | Failure:
    if isinstance(outcome, Failure):
        return outcome
    numbers = (outcome.accuracy, outcome.loss)
    if all(map(math.isfinite, numbers)):
        return outcome
    return Failure(f"accuracy {outcome.accuracy}, loss {outcome.loss}: not finite")


def _get_ready(
    folder: RunFolder,
    config: Mapping[str, Any],
    study: RunConfig,
    asked: SearchOptions,
    note: Callable[[str], None],
) -> Callable[[Sequence[Assignment[Candidate]], list[str], Callable[[Ended], None]], int | None]:
    """Find all that the trainings need; return what makes those that are missing.

    What is returned adds failures to its list, and hands back the signal that ended it before its
    time.
    """
    study, task, hardware, devices = prepare(study, asked, folder, note)
    _refuse_changes(folder, config["identity"], study)
    _note_versions(config, note)
    # One evaluation, after the last epoch: the test images are read once a training, and no
    # number of the training depends on how often it is validated.
    recipe = task.recipe.model_copy(update={"validate_every": 0})
    executor = LocalExecutor(
        replace(task, recipe=recipe, with_test=True), devices, folder.worker_log, asked.timeout
    )
    # Networks are trained alike whatever the space; which training ran where stands in the log.
    identity = {"study": {key: v for key, v in study.identity.items() if key != "space"}}
    environment = _describe_environment(hardware, devices)
    log = TrainingLog(folder.confirmation_log, identity, environment, mix=True)

    def train(
        assignments: Sequence[Assignment[Candidate]],
        failures: list[str],
        observe: Callable[[Ended], None],
    ) -> int | None:
        with log, StopSignals(lambda urgency: note(_describe_stop(urgency))) as stop:
            done = sum(_id_of(assignment) in log.done for assignment in assignments)
            watched = Watched(executor, done, len(assignments), observe, failures)
            try:
                train_missing(assignments, log, watched, stop, lambda _: None)
            finally:
                executor.kill()
        return stop.number

    return train


def _plan_round(
    study: RunConfig,
    chosen: Sequence[Chosen],
    records: Sequence[TrialRecord],
    options: ConfirmOptions,
) -> Round:
    return Round(
        started=datetime.now().astimezone().isoformat(timespec="seconds"),
        asked_for=options.candidates,
        chosen=tuple(chosen),
        seeds=fresh_seeds(study.seed, {record.seed for record in records}, options.seeds),
        epochs=study.epochs,
        num_trials=len(records),
        num_images=(study.data["validation"], study.data["test"]),
        reads_test=False,
        command=("se-search", *sys.argv[1:]),
    )


def _begin_round(rounds: list[Round], planned: Round) -> list[Round]:
    """Add a round, unless it only continues the last one."""
    is_continued = bool(rounds) and rounds[-1].subject == planned.subject
    return rounds if is_continued else [*rounds, planned]


def _close_round(
    folder: RunFolder,
    last: Round,
    study: RunConfig,
    failures: Sequence[str],
    before: Collection[TrainingId],
) -> Round:
    """Judge a round by all of its trainings that there are; ``before`` it had those already."""
    keys = {c.key for c in last.chosen}
    trainings = {
        id_: training
        for id_, training in _finished(folder).items()
        if training.key in keys and training.epochs == last.epochs and training.seed in last.seeds
    }
    result = judge_candidates(
        last.chosen,
        replicates_by_key(trainings.values(), "accuracy", last.num_images[0]),
        replicates_by_key(trainings.values(), "test_accuracy", last.num_images[1]),
        study.objectives[1:],
    )
    return replace(
        last,
        reads_test=last.reads_test or any(id_ not in before for id_ in trainings),
        failures=tuple(failures),
        seconds=round(sum(training.seconds for training in trainings.values()), 1),
        result=result,
    )


def _finished(folder: RunFolder) -> dict[TrainingId, Training]:
    path = folder.confirmation_log
    contents = read_log(path) if path.is_file() else None
    return {training.id: training for training in contents.trainings} if contents else {}


def _recall(config: Mapping[str, Any], options: ConfirmOptions) -> SearchOptions:
    """Return what the run was asked for, with how it is to be trained now."""
    study, search = config["identity"], config.get("search")
    if not isinstance(search, dict):
        raise RunError("config.yaml does not say how the run was made: it has no 'search'")
    data_dir = search.get("data_dir")
    return SearchOptions(
        space=search["space"],
        backbone=study["backbone"]["name"],
        data=study["data"]["name"],
        data_dir=options.data_dir or (Path(data_dir) if data_dir else None),
        recipe=search["recipe"],
        epochs=study["epochs"],
        objectives=",".join(study["objectives"]),
        seed=study["seed"],
        workers=options.workers,
        threads=options.threads or search.get("threads", 1),
        accelerator=search.get("accelerator", "auto"),
        timeout=options.timeout,
        allow_code=options.allow_code,
        sites=Path(search["sites"]) if search.get("sites") else None,
        weights=search.get("weights"),
        freeze_backbone=study["backbone"].get("frozen", False),
    )


def _recall_study(folder: RunFolder, config: Mapping[str, Any], asked: SearchOptions) -> RunConfig:
    """Describe the run's study anew, as far as it is known before PyTorch has started."""
    recorded = config["identity"]
    study = describe_study(
        read_recorded_space(recorded["space"]), read_recorded_recipe(config), asked
    )
    _refuse_changes(folder, recorded, assume_recorded(study, recorded))
    return study


def _refuse_changes(folder: RunFolder, recorded: Mapping[str, Any], study: RunConfig) -> None:
    differences = compare_identities(recorded, study.identity)
    if differences:
        lines = "\n".join(f"  {line}" for line in differences)
        raise RunError(
            f"{folder.path} can't be confirmed, for what it was made with is no longer the "
            f"same:\n{lines}"
        )


def _usual_position(backbone: Backbone, index: int) -> str:
    positions = list(backbone.sites[index].feature_maps)
    return "standard" if "standard" in positions else positions[0]


def _note_choice(planned: Round, backbone: Backbone, note: Callable[[str], None]) -> None:
    positions = dict.fromkeys(_usual_position(backbone, i) for i in range(len(backbone.sites)))
    if set(positions) != {"standard"}:
        note(
            f"{backbone.name} has no standard position at some sites; SE everywhere is "
            f"{', '.join(positions)} there."
        )
    seeds = planned.seeds
    note(
        f"Confirming {len(planned.chosen)} candidates with {len(seeds)} fresh "
        + (f"seed, {seeds[0]:,}" if len(seeds) == 1 else f"seeds, {seeds[0]:,} to {seeds[-1]:,}")
    )


def _note_readings(rounds: Sequence[Round], note: Callable[[str], None]) -> None:
    before = count_readings(rounds[:-1])
    if before:
        times = "once" if before == 1 else f"{before} times"
        note(
            f"The test images have been read before, by other confirmations of this run: {times}. "
            "This one reads them again."
        )


def _note_versions(config: Mapping[str, Any], note: Callable[[str], None]) -> None:
    """Say which versions are others than in the search: numbers may differ a little by them."""
    before, now = config.get("versions") or {}, read_versions()
    changes = [
        f"{name} {before[name]} -> {now[name]}"
        for name in now
        if name in before and before[name] != now[name]
    ]
    if changes:
        note(f"Other versions than in the search: {', '.join(changes)}")


def _describe_environment(hardware: Hardware, devices: Sequence[Device]) -> dict[str, Any]:
    return {
        **read_versions(),
        "hardware": hardware.name,
        "cores": hardware.num_cores,
        "accelerator": devices[0].accelerator,
        "threads": devices[0].threads,
        "precision": devices[0].precision,
        "workers": len(devices),
    }


def _describe_stop(urgency: Stop) -> str:
    if urgency == Stop.AFTER_RUNNING:
        return "Stopping when the running trainings have ended; Ctrl-C again stops them now."
    return "Stopping now; the trainings that are broken off will be made again."


def _id_of(assignment: Assignment[Candidate]) -> TrainingId:
    return assignment.candidate.key, assignment.epochs, assignment.seed

"""What an answer says of a run besides its front: trainings, times, images, and its commands."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from se_search.latency.table import LatencyTable
from se_search.record import ENDED_WELL, TrialRecord
from se_search.report.format import count
from se_search.report.hardware import count_all_grounds, describe_mixed
from se_search.report.ladder import Evidence, read_evidence
from se_search.run_config import holds_for_other_images
from se_search.shell import join_words
from se_search.space.bound import BoundSpace
from se_search.store.confirmations import read_fresh
from se_search.store.latency import read_latency
from se_search.store.run_folder import RunFolder, is_run_name
from se_search.store.run_space import read_space
from se_search.store.run_trials import find_trials
from se_search.store.training_log import LogContents
from se_search.store.trials import read_records

RUNS = Path("runs")  # the folder of runs that commands take without being told


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What an answer says of a run besides its front.

    Attributes:
        run: the run's folder, as it was named.
        space: that the run searches.
        costs: ``params`` and/or ``macs``: what it minimises.
        epochs: of a full training.
        num_trainings: trainings that have ended well, of any length.
        num_trials: trials that have ended, well or not.
        num_wanted: trials, or with supernets trainings' worth, that the run was last asked for.
        has_ended: whether the search has ended by itself, be it before it had as many.
        is_exhausted: whether no candidate is left to be trained.
        trial_seconds: mean wall time of a training of any length; None: none has ended well.
        full_seconds: mean wall time of a full training; None: none has ended.
        workers: trainings at a time.
        num_validation: validation images of a training.
        draws_images: whether each replicate draws which images train and validate.
        holds_for_others: whether gains hold for images that the run has not seen.
        has_test: whether the data have test images, which a confirmation needs.
        arguments: the space and all else by which the ``run`` command differs from its defaults,
            as words; without the run's name and folder and the number of trials.
        working_directory: where that command was given.
        has_code: whether the network is of the user's own, so that its code must be allowed.
        mixed: a sentence about the hardware and versions that trainings mix; None: they mix none.
        latency: what SE takes in time; None: the run has measured none.
        evidence: what the run has besides trainings; None: it was searched without supernets.
    """

    run: Path
    space: BoundSpace
    costs: tuple[str, ...]
    epochs: int
    num_trainings: int
    num_trials: int
    num_wanted: int
    has_ended: bool
    is_exhausted: bool
    trial_seconds: float | None
    full_seconds: float | None
    workers: int
    num_validation: int
    draws_images: bool
    holds_for_others: bool
    has_test: bool
    arguments: tuple[str, ...]
    working_directory: Path
    has_code: bool
    mixed: str | None = None
    latency: LatencyTable | None = None
    evidence: Evidence | None = None

    @property
    def num_failed(self) -> int:
        """How many trials have failed."""
        return self.num_trials - self.num_trainings

    @property
    def num_spent(self) -> int:
        """The trainings' worth of trials and supernets that have ended, rounded up."""
        spent = 0.0 if self.evidence is None else self.evidence.supernets.spent
        return self.num_trials + math.ceil(spent - 1e-9)

    def name_budget(self, number: int, *, more: bool = False) -> str:
        """Return a part of the budget with its noun: ``3 more trials``, ``9 trainings' worth``.

        Args:
            number: trials, or with supernets trainings' worth.
            more: whether they come on top of the budget.
        """
        added = "more " if more else ""
        if self.evidence is None:
            return count(number, f"{added}trial")
        worth = "training's worth" if number == 1 else "trainings' worth"
        return f"{number:,} {added}{worth}"

    def time(self, trainings: int, seconds: float | None) -> float | None:
        """Return the wall time in seconds of as many trainings of ``seconds`` each."""
        return None if seconds is None else trainings * seconds / min(self.workers, trainings)

    def confirm_command(self, *more: str) -> str:
        """Return the command that confirms what the run has found."""
        allow = ["--allow-code"] if self.has_code else []
        return join_words(["se-search", "confirm", self.run, *more, *allow])

    def continue_command(self, trials: int, *more: str) -> str | None:
        """Return the command that goes on with the run to a total number of trials.

        It begins with ``cd`` if it must be given in another folder than the present one. None: the
        run's folder has been renamed to what no run can be called.

        Args:
            trials: the total.
            more: further words; an option that the run was started with gives way to its like.
        """
        run = self.run.resolve()
        return self._run_command(run, trials, *more) if is_run_name(run.name) else None

    def anew_command(self, suffix: str, trials: int, *more: str) -> str:
        """Return the command of a new run beside this one, whose name has a suffix.

        A suffix of the same kind gives way: ``own-16-epochs`` comes after ``own-8-epochs``.
        """
        run = self.run.resolve()
        stem = re.sub(re.sub(r"\d+", r"\\d+", f"-{suffix}$"), "", run.name) or run.name
        name = stem if is_run_name(f"{stem}-{suffix}") else "run"
        return self._run_command(run.with_name(f"{name}-{suffix}"), trials, *more)

    def _run_command(self, run: Path, trials: int, *more: str) -> str:
        here = Path.cwd()
        folder = self.working_directory if self.working_directory.is_dir() else here
        words: list[str | Path] = ["se-search", "run"]
        options = _group(self.arguments) | _group(more)
        words += [word for option in options.values() for word in option]
        words += ["--trials", str(trials)]
        if run.name != Path(options["--space"][1]).stem:
            words += ["--name", run.name]
        if run.parent != (folder / RUNS).resolve():
            root = folder.resolve()
            inside = run.parent.is_relative_to(root)
            words += ["--runs-dir", run.parent.relative_to(root) if inside else run.parent]
        first = "" if folder.resolve() == here.resolve() else f"{join_words(['cd', folder])} && "
        return first + join_words(words)


def read_run_facts(folder: RunFolder) -> RunFacts:
    """Return the facts of the run in a folder.

    Raises:
        RunError: a file of the run can't be read.
    """
    records = read_records(find_trials(folder))
    config, space = folder.read_config(), read_space(folder)
    return read_facts(folder.path, config, records, space, read_fresh(folder))


def read_facts(
    run: Path,
    config: Mapping[str, Any],
    records: Sequence[TrialRecord],
    space: BoundSpace,
    fresh: LogContents | None,
) -> RunFacts:
    """Return the facts of a run.

    Args:
        run: the run's folder, as it was named.
        config: its ``config.yaml``.
        records: all of its trials.
        space: that it searches.
        fresh: the trainings of its confirmations; None: there are none.
    """
    identity, search = config["identity"], config["search"]
    ended = [record for record in records if record.state in ENDED_WELL]
    full = [record for record in ended if record.state == "COMPLETE"]
    return RunFacts(
        run=run,
        space=space,
        costs=tuple(name for name in identity["objectives"] if name != "accuracy"),
        epochs=identity["epochs"],
        num_trainings=len(ended),
        num_trials=len(ended) + sum(record.state == "FAIL" for record in records),
        num_wanted=search["trials"],
        has_ended=search.get("ending") is not None,
        is_exhausted=search.get("ending") == "exhausted",
        trial_seconds=_mean_seconds(ended),
        full_seconds=_mean_seconds(full),
        workers=search["workers"],
        num_validation=identity["data"]["validation"],
        draws_images=identity["recipe"]["split"]["draw"] == "replicate",
        holds_for_others=holds_for_other_images(identity),
        has_test=bool(identity["data"]["test"]),
        arguments=tuple(search["arguments"]),
        working_directory=Path(config["working_directory"]),
        has_code=bool(search.get("code")),
        mixed=describe_mixed(*count_all_grounds(records, fresh)),
        latency=read_latency(RunFolder(run)),
        evidence=_read_evidence(run, config, records, space),
    )


def _read_evidence(
    run: Path, config: Mapping[str, Any], records: Sequence[TrialRecord], space: BoundSpace
) -> Evidence | None:
    identity = config["identity"]
    settings = identity.get("supernets", {})
    num_images = min(identity["data"]["validation"], settings.get("num_scoring", math.inf))
    return read_evidence(RunFolder(run), records, space, config["search"]["trials"], num_images)


def _mean_seconds(records: Sequence[TrialRecord]) -> float | None:
    known = [record.seconds for record in records if record.seconds is not None]
    return fmean(known) if known else None


def _group(words: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the words of a command by option: each option with its values behind it."""
    groups: dict[str, tuple[str, ...]] = {}
    name = ""
    for word in words:
        if word.startswith("--"):
            name = word.partition("=")[0].replace("--no-", "--")
            groups[name] = (*groups.get(name, ()), word)
        else:
            groups[name] = (*groups[name], word)
    return groups

"""The runs of a folder, a line each: what they search, how far they are, and their answer."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from se_search.errors import RunError, SESearchError
from se_search.report.format import count
from se_search.report.run_state import State, describe_state, judge_state
from se_search.report.short_answer import find_best, shorten_answer
from se_search.report.table import Column, ResultTable
from se_search.run_config import name_data
from se_search.store.front_cache import is_kept_by_another_version, read_kept_front
from se_search.store.holder import Holder, find_holder
from se_search.store.run_folder import RunFolder
from se_search.store.run_trials import find_trials
from se_search.store.supernets import SupernetFiles, read_supernets
from se_search.store.trial_times import TrialTimes, read_times
from se_search.surrogate.posterior_front import PosteriorFront
from se_search.terminal import one_line

SECONDS_BEFORE_NOTE = 2.0  # of reading, before it is said how far that has come


@dataclass(frozen=True, slots=True)
class Overview:
    """A run in a few words.

    Attributes:
        name: of its folder.
        path: of its folder.
        state: how far it is; ``broken``: it can't be read, and ``problem`` says why.
        changed: when its trials last changed.
        holder: the process that works on it; None: nobody does.
        problem: why it can't be read; None: it can.
        space: name of the space.
        backbone: name of the network.
        data: name of the data set.
        epochs: of a full training.
        trials: how many trials there are in each state.
        num_wanted: trials, or with supernets trainings' worth, that it was last asked for.
        supernets_worth: trainings' worth of supernets that have ended; None: it has none.
        answer: its answer in a few words; None: no report has been made of it.
        placement: the candidate that stands for its front; None: there is none.
        gain: of that candidate over the plain network, a share; None: there is none.
        low: lower end of the gain's 95 % interval; None: not known.
        high: upper end of the gain's 95 % interval; None: not known.
        num_answered: full trainings that the answer rests on.
        is_settled: whether the front of these is settled.
        is_outdated: whether the last report is of another version of the model, and its answer is
            left out therefore.
    """

    name: str
    path: str
    state: State
    changed: datetime
    holder: Holder | None = None
    problem: str | None = None
    space: str | None = None
    backbone: str | None = None
    data: str | None = None
    epochs: int | None = None
    trials: Mapping[str, int] = field(default_factory=dict)
    num_wanted: int | None = None
    answer: str | None = None
    placement: str | None = None
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    num_answered: int = 0
    is_settled: bool = False
    is_outdated: bool = False
    supernets_worth: float | None = None

    @property
    def spent(self) -> float:
        """What of ``num_wanted`` trials and supernets that have ended have taken."""
        return self.num_ended + (self.supernets_worth or 0.0)

    @property
    def num_ended(self) -> int:
        """How many trials have ended, well or not."""
        return sum(n for state, n in self.trials.items() if state not in ("RUNNING", "WAITING"))


def read_overviews(
    runs_dir: Path,
    note: Callable[[int, int], None] = lambda *_: None,
    clock: Callable[[], float] = time.monotonic,
) -> list[Overview]:
    """Return the runs of a folder, the one that changed last behind all others.

    Args:
        runs_dir: the folder; that of a run stands for itself.
        note: told how many runs of how many have been read, if that takes seconds.
        clock: tells the seconds.

    Raises:
        RunError: there is no folder.
    """
    if not runs_dir.is_dir():
        raise RunError(f"no folder {runs_dir}; se-search run makes it, with a run in it")
    folders = [runs_dir] if _is_run(runs_dir) else sorted(filter(_is_run, runs_dir.iterdir()))
    rows, due = [], clock() + SECONDS_BEFORE_NOTE
    for number, folder in enumerate(folders):
        if clock() >= due:
            due = clock() + SECONDS_BEFORE_NOTE
            note(number, len(folders))
        rows.append(read_overview(RunFolder(folder)))
    return sorted(rows, key=lambda row: (row.changed, row.name))


def read_overview(folder: RunFolder) -> Overview:
    """Return a run in a few words; nothing is computed, and a broken one is no error."""
    name, path, changed = folder.path.absolute().name, str(folder.path), _find_change(folder)
    try:
        config = RunFolder.existing(folder.path.absolute()).read_config()
        place = find_trials(folder)
        trials = read_times(place) if place.exists() else []
        supernets = read_supernets(SupernetFiles(folder.path))
    except SESearchError as error:
        return Overview(name, path, "broken", changed, problem=str(error))
    identity, search = config["identity"], config["search"]
    evaluator = search.get("evaluator", "train")
    holder, front = find_holder(folder.lock_file), read_kept_front(folder)
    return Overview(
        name=name,
        path=path,
        state=judge_state(search, trials, holder, is_settled=is_of_all(front, trials)),
        changed=changed,
        holder=holder,
        space=Path(search["space"]).stem,
        backbone=identity["backbone"]["name"],
        data=name_data(config),
        epochs=identity["epochs"],
        trials=dict(Counter(trial.state for trial in trials)),
        num_wanted=search["trials"],
        supernets_worth=None if evaluator == "train" else supernets.spent,
        is_outdated=front is None and is_kept_by_another_version(folder),
        **_list_answer(front, is_alone=bool(supernets.scored) and not trials),
    )


def is_of_all(front: PosteriorFront | None, trials: Sequence[TrialTimes]) -> bool:
    """Tell whether a front is settled and of all full trainings that there are."""
    if front is None or not front.settled.is_settled:
        return False
    return front.num_trainings == sum(trial.state == "COMPLETE" for trial in trials)


def _list_answer(front: PosteriorFront | None, *, is_alone: bool) -> dict[str, Any]:
    """Return the fields of an answer; empty: there is none.

    Args:
        front: of the last report; None: there is none.
        is_alone: whether supernets have scored, and there is no trial.
    """
    if is_alone:
        return {"answer": "an order, no gains"}
    if front is None:
        return {}
    best = find_best(front)
    return {
        "answer": shorten_answer(front),
        "num_answered": front.num_trainings,
        "is_settled": front.settled.is_settled,
        "placement": None if best is None else best.summary.placement,
        "gain": None if best is None else best.gain,
        "low": None if best is None else best.low,
        "high": None if best is None else best.high,
    }


def overviews_table(rows: Sequence[Overview], runs_dir: Path) -> ResultTable:
    """Lay runs out for a terminal, a row each."""
    table = ResultTable(
        [
            Column("run", is_number=False, is_name=True),
            Column("state", is_number=False, least=8),
            Column("trials", rank=1),
            Column("answer, points (95 %)", is_number=False, least=16),
            Column("changed", rank=2),
            Column("space", is_number=False, rank=5),
            Column("backbone", is_number=False, rank=4),
            Column("data", is_number=False, rank=3),
        ],
        title=f"{count(len(rows), 'run')} in {one_line(str(runs_dir))}",
    )
    for row in rows:
        table.add_row(
            one_line(row.name),
            describe_state(row.state, row.holder),
            "" if row.num_wanted is None else f"{_describe_spent(row)}/{row.num_wanted:,}",
            _describe_answer(row),
            f"{row.changed:%Y-%m-%d %H:%M}",
            *(one_line(text or "") for text in (row.space, row.backbone, row.data)),
        )
    return table


def describe_problems(rows: Sequence[Overview]) -> list[str]:
    """Return a line for each run that can't be read."""
    return [f"{row.name} can't be read: {row.problem}" for row in rows if row.problem is not None]


def overviews_event(rows: Sequence[Overview], runs_dir: Path) -> dict[str, Any]:
    """Return runs as plain data, for a program; times are ISO 8601 with their zone."""
    return {"event": "runs", "folder": str(runs_dir), "runs": [_to_plain(row) for row in rows]}


def _to_plain(row: Overview) -> dict[str, Any]:
    holder = None if row.holder is None else asdict(row.holder)
    if holder is not None:
        holder["since"] = holder["since"].isoformat(timespec="seconds")
    changed = row.changed.isoformat(timespec="seconds")
    known = {"spent": row.spent, "num_ended": row.num_ended}
    return {**asdict(row), **known, "changed": changed, "holder": holder}


def _describe_spent(row: Overview) -> str:
    """Return how many trials have ended, or trainings' worth, of which ladders have parts."""
    return f"{row.num_ended:,}" if row.supernets_worth is None else f"{row.spent:,.1f}"


def _describe_answer(row: Overview) -> str:
    if row.answer is None:
        if row.num_ended == 0:
            return ""
        return "reported by another version" if row.is_outdated else "no report yet"
    is_old = row.num_answered != row.trials.get("COMPLETE", 0)
    old = f" (of {count(row.num_answered, 'training')})" if is_old else ""
    return f"{row.answer}{old}"


def _is_run(folder: Path) -> bool:
    return (folder / "config.yaml").is_file() or (folder / "trials.db").is_file()


def _find_change(folder: RunFolder) -> datetime:
    database = folder.database
    files = (database, database.with_name(f"{database.name}-wal"), folder.config_file)
    times = [file.stat().st_mtime for file in files if file.exists()]
    return datetime.fromtimestamp(max(times, default=0.0)).astimezone()

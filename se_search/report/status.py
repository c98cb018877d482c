"""How a run stands, also while it goes on: trials, time left, trainings, what is best so far."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from statistics import fmean
from typing import Any

from rich.console import Console

from se_search.record import ENDED_WELL, TrialRecord
from se_search.report.confirming import Confirming, read_confirming
from se_search.report.console import print_text
from se_search.report.event import front_fields
from se_search.report.format import count, duration
from se_search.report.overview import is_of_all
from se_search.report.run_report import describe_search
from se_search.report.run_state import State, describe_state, judge_state
from se_search.report.running import RunningTraining, is_since, running_table, with_epoch
from se_search.report.short_answer import find_best, shorten_answer
from se_search.store.holder import Holder, find_holder
from se_search.store.progress_log import find_last, read_progress
from se_search.store.run_folder import RunFolder
from se_search.store.run_trials import find_trials
from se_search.store.supernets import SupernetFiles, Supernets, read_supernets
from se_search.store.trial_times import TrialTimes, read_times
from se_search.store.trials import read_records
from se_search.surrogate.posterior_front import PosteriorFront
from se_search.terminal import one_line

FEWEST_TIMED = 3  # trials of the running command from which its own rate is told
RECENT = 50  # trials whose times foretell those of the next ones
MAX_REASONS = 3  # of failures that are listed
ENDED = (*ENDED_WELL, "FAIL")


@dataclass(frozen=True, slots=True)
class Status:
    """How a run stands.

    Attributes:
        run: its folder.
        title: what it searches, in a phrase.
        state: how far it is.
        holder: the process that works on it; None: nobody does.
        trials: how many there are in each state.
        num_wanted: what it was last asked for: trials, or with supernets trainings' worth.
        seconds_a_trial: wall time between the ends of two trials; None: not known.
        seconds_left: wall time until it has all its trials; None: not known, or it has ended.
        running: the trainings that run now.
        confirming: how far the confirmation is that goes on; None: none does.
        failures: how often trials failed for a reason, the most frequent first.
        is_settled: whether the front of all of its trainings is known to be settled.
        supernets: those of the run; empty without any.
        evaluator: ``train``, ``supernet`` or ``ladder``: what the run is searched by.
        records: all trials, by number.
    """

    run: str
    title: str
    state: State
    holder: Holder | None
    trials: Mapping[str, int]
    num_wanted: int
    seconds_a_trial: float | None
    seconds_left: float | None
    running: tuple[RunningTraining, ...]
    confirming: Confirming | None
    failures: tuple[tuple[str, int], ...]
    is_settled: bool
    records: Sequence[TrialRecord]
    supernets: Supernets = Supernets()  # noqa: RUF009  # frozen
    evaluator: str = "train"

    @property
    def spent(self) -> float:
        """What of ``num_wanted`` trials and supernets that have ended have taken."""
        return self.num_ended + self.supernets.spent

    @property
    def num_ended(self) -> int:
        """How many trials have ended, well or not."""
        return sum(self.trials.get(state, 0) for state in ENDED)

    @property
    def num_full(self) -> int:
        """How many full trainings have ended."""
        return self.trials.get("COMPLETE", 0)


def read_status(
    folder: RunFolder, kept: PosteriorFront | None = None, now: datetime | None = None
) -> Status:
    """Return how a run stands; its lock is not touched, and no model is fitted.

    Args:
        folder: of the run.
        kept: its front as it was last computed, if it was.
        now: the time; None: the system's.

    Raises:
        RunError: a file of the run can't be read.
    """
    config = folder.read_config()
    search = config["search"]
    now = now or datetime.now().astimezone()
    place = find_trials(folder)
    has_trials = place.exists()
    times = read_times(place) if has_trials else []
    records = read_records(place) if has_trials else []
    holder = find_holder(folder.lock_file)
    trials: dict[str, int] = dict(Counter(trial.state for trial in times))
    running = _list_running(folder, records, times) if holder is not None else ()
    confirming = None if holder is None else read_confirming(folder, holder, search["workers"])
    pace = _find_pace(times, records, holder, search["workers"], now)
    if pace is None:  # of the first trainings, before one has ended
        pace = _foretell_pace(running, search["workers"])
    state = judge_state(search, times, holder, is_settled=is_of_all(kept, times))
    supernets = read_supernets(SupernetFiles(folder.path))
    spent = sum(trials.get(each, 0) for each in ENDED) + supernets.spent
    left = math.floor(search["trials"] - spent + 1e-9)  # less than a training is left over
    goes_on = left > 0 and state in ("running", "waiting")
    failed = Counter(record.reason or "no reason" for record in records if record.state == "FAIL")
    return Status(
        run=str(folder.path),
        title=describe_search(config),
        state=state,
        holder=holder,
        trials=trials,
        num_wanted=search["trials"],
        seconds_a_trial=pace,
        seconds_left=pace * left if goes_on and pace is not None else None,
        running=running if confirming is None else (*running, *confirming.running),
        confirming=confirming,
        failures=tuple(failed.most_common()),
        is_settled=is_of_all(kept, times),
        records=records,
        supernets=supernets,
        evaluator=search.get("evaluator", "train"),
    )


def _find_pace(
    times: Sequence[TrialTimes],
    records: Sequence[TrialRecord],
    holder: Holder | None,
    workers: int,
    now: datetime,
) -> float | None:
    """Return the wall time between the ends of two trials, in seconds; None: not known.

    It is that of the command that runs now since its first training began, once this has ended a
    few trials; otherwise trials last as long as the last ones did.
    """
    if holder is not None:
        here = [each for each in times if each.ended is not None and each.ended >= holder.since]
        begun = [each.began for each in here if each.began is not None]
        if len(here) >= FEWEST_TIMED and begun:
            return (now - max(holder.since, min(begun))).total_seconds() / len(here)
    lasted = [each.wall_seconds or each.seconds for each in records if each.state in ENDED_WELL]
    known = [seconds for seconds in lasted if seconds is not None][-RECENT:]
    return fmean(known) / workers if known else None


def _foretell_pace(running: Sequence[RunningTraining], workers: int) -> float | None:
    """Return the wall time between the ends of two trials as far as those that run foretell it."""
    whole = [
        each.seconds + each.seconds_left
        for each in running
        if each.seconds is not None and each.seconds_left is not None
    ]
    return fmean(whole) / workers if whole else None


def _list_running(
    folder: RunFolder, records: Sequence[TrialRecord], times: Sequence[TrialTimes]
) -> tuple[RunningTraining, ...]:
    last = find_last(read_progress(folder.progress_log))
    began = {each.number: each.began for each in times}
    running = []
    for record in records:
        if record.state != "RUNNING":
            continue
        row = last.get((record.number, record.placement, record.seed))
        if row is not None and is_since(row, began.get(record.number)):
            running.append(with_epoch(row))
        else:
            running.append(
                RunningTraining(record.number, record.placement, record.seed, record.epochs)
            )
    return tuple(running)


def print_status(console: Console, status: Status) -> None:
    """Print what takes no model: state, trials, rate, time left, running trainings, failures."""
    print_text(console, f"{one_line(status.run)}: {one_line(status.title)}")
    print_text(console, _describe_state(status))
    print_text(console, _describe_trials(status))
    if status.supernets.supernets:
        print_text(console, _describe_supernets(status))
    if status.confirming is not None:
        print_text(console, str(status.confirming))
    if status.running:
        console.print(running_table(status.running))
    for reason, number in status.failures[:MAX_REASONS]:
        print_text(console, f"Failed {count(number, 'time')}: {one_line(reason)}")
    if len(status.failures) > MAX_REASONS:
        more = len(status.failures) - MAX_REASONS
        print_text(console, f"Failed for {count(more, 'other reason')}, too: trials.csv has them.")


def print_front(console: Console, front: PosteriorFront | None, why: str | None = None) -> None:
    """Print what is best so far, and whether that is settled.

    Args:
        console: what is printed on.
        front: of the trials so far; None: there is none.
        why: why there is none.
    """
    if front is None or not front.candidates:
        print_text(console, f"Nothing is known so far: {why or 'no full training has ended'}.")
        return
    unsure = "" if front.reason is None else f" ({front.reason}: plain means)"
    print_text(console, f"Best so far, points (95 %): {shorten_answer(front)}{unsure}")
    settled = front.settled
    if settled.is_settled:
        print_text(console, "It is settled.")
    else:
        print_text(console, f"It is not settled: {'; '.join(settled.missing)}.")


def status_event(
    status: Status, front: PosteriorFront | None, why: str | None = None
) -> dict[str, Any]:
    """Return how a run stands as plain data, for a program; times are ISO 8601 with their zone.

    Args:
        status: of the run.
        front: of its trials so far; None: there is none.
        why: why it can't be told; None: it can, or no full training has ended.
    """
    holder = None if status.holder is None else asdict(status.holder)
    if holder is not None:
        holder["since"] = holder["since"].isoformat(timespec="seconds")
    best = None if front is None else find_best(front)
    return {
        "event": "status",
        "run": status.run,
        "state": status.state,
        "holder": holder,
        "trials": dict(status.trials),
        "num_ended": status.num_ended,
        "num_wanted": status.num_wanted,
        "spent": status.spent,
        "seconds_a_trial": status.seconds_a_trial,
        "seconds_left": status.seconds_left,
        "running": [asdict(each) for each in status.running],
        "supernets": {
            "states": dict(Counter(one.state for one in status.supernets.supernets)),
            "worth": status.supernets.worth,
        },
        "confirming": None if status.confirming is None else status.confirming.to_json(),
        "failures": [{"reason": reason, "count": number} for reason, number in status.failures],
        "answer": None if front is None else shorten_answer(front),
        "best": None if best is None else best.flat(),
        "settled": None if front is None else front_fields(front)["settled"],
        "without_front": why,
    }


def _describe_state(status: Status) -> str:
    text = describe_state(status.state, status.holder)
    if status.holder is not None:
        text += f" since {status.holder.since:%Y-%m-%d %H:%M}"
        if not status.holder.is_sure:
            text += "; whether it lives can't be seen from this machine"
    if status.state == "waiting":
        text += ": nobody works on it; the command that began it goes on"
    return f"State: {text}"


def _describe_supernets(status: Status) -> str:
    """Say how the supernets stand: ``Supernets: 2 scored, 1 failed; worth 23.7 trainings``."""
    states: Counter[str] = Counter(one.state for one in status.supernets.supernets)
    words = {"SCORED": "scored", "DECIDED": "under way or to be made", "FAIL": "failed"}
    parts = [f"{states[state]} {word}" for state, word in words.items() if states[state]]
    return f"Supernets: {', '.join(parts)}; worth {status.supernets.worth:.1f} trainings"


def _describe_trials(status: Status) -> str:
    """Say how many trials there are, or what of the budget is spent, and how long it goes on."""
    parts = [f"{status.num_ended:,} of {status.num_wanted:,}"]
    named = {"RUNNING": "running", "WAITING": "waiting", "FAIL": "failed", "PRUNED": "short"}
    own = [
        f"{status.trials[state]:,} {word}"
        for state, word in named.items()
        if status.trials.get(state)
    ]
    if own:
        parts[0] += f" ({', '.join(own)})"
    if status.seconds_a_trial is not None:
        hourly = 3600 / status.seconds_a_trial
        parts.append(f"one in {duration(status.seconds_a_trial)} ({hourly:,.0f} an hour)")
    if status.seconds_left is not None:
        parts.append(f"about {duration(status.seconds_left)} left")
    if status.evaluator == "train":
        return f"Trials: {'; '.join(parts)}"
    spent = f"Spent: {status.spent:.1f} of {status.num_wanted:,} trainings' worth"
    if status.evaluator == "supernet" and not status.trials:
        return f"{spent}, on supernets alone: no candidate is trained for itself"
    trials = count(status.num_ended, "trial") + (f" ({', '.join(own)})" if own else "")
    supernets = count(status.supernets.num_ended, "supernet")
    rate = [part.replace("one in", "one trial in", 1) for part in parts[1:]]
    return "; ".join([f"{spent}, on {trials} and {supernets}", *rate])

"""Shows a search while it runs: a display for terminals, lines for logs, JSON for programs."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import asdict
from typing import Any, Protocol

from rich import progress as bars
from rich.console import Console

from se_search.record import ENDED_WELL, EpochRow, Progress, TrialRecord
from se_search.report.confirmed import describe_confirmation
from se_search.report.console import (
    make_console,
    print_folder,
    print_line,
    print_text,
)
from se_search.report.epoch_lines import EpochLines
from se_search.report.estimate import Estimate
from se_search.report.event import front_fields
from se_search.report.format import count
from se_search.report.front_table import front_table
from se_search.report.json_text import to_json
from se_search.report.ladder import describe_ladder, ladder_fields
from se_search.report.print_answer import print_answer
from se_search.report.run_report import Findings
from se_search.report.rungs import rung_warnings, rungs_table
from se_search.store.run_folder import RunFolder
from se_search.terminal import say

BAR_WIDTH = 24  # columns of the terminal, as all that follow
TIMES_WIDTH = 28  # of the time that has passed, the time left and the gaps
WITH_BAR = 110  # a narrower terminal shows no bar: its facts tell more
ENDED = (*ENDED_WELL, "FAIL")
LONG = 10.0  # seconds after which a training's epochs are shown
ROLES = {
    "control": "control",
    "probe": "probe",
    "promotion": "promoted",
}  # that are told of a trial


class Display(Protocol):
    """What a search is shown on."""

    def note(self, text: str) -> None:
        """Show a sentence about what goes on besides the trials."""

    def scanning(self, done: int, total: int) -> None:
        """Show how many of a folder's images have been read."""

    def estimate(self, estimate: Estimate) -> None:
        """Show what it all takes."""

    def update(self, progress: Progress) -> None:
        """Show how far the search has come."""

    def advance(self, record: TrialRecord, row: EpochRow) -> None:
        """Show how far a training that runs has come, if it is a long one."""

    def finish(self, folder: RunFolder, findings: Findings) -> None:
        """Show what has been found."""

    def close(self) -> None:
        """Leave the terminal as it was."""


class QuietDisplay:
    """Shows nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""

    def scanning(self, done: int, total: int) -> None:
        """Show nothing."""

    def estimate(self, estimate: Estimate) -> None:
        """Show nothing."""

    def update(self, progress: Progress) -> None:
        """Show nothing."""

    def advance(self, record: TrialRecord, row: EpochRow) -> None:
        """Show nothing."""

    def finish(self, folder: RunFolder, findings: Findings) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Do nothing."""


class JsonDisplay(QuietDisplay):
    """Prints a JSON object a line: estimates, each trial as it ends, the front at the end."""

    def estimate(self, estimate: Estimate) -> None:
        """Print what it all takes."""
        self._print(estimate.to_json())

    def update(self, progress: Progress) -> None:
        """Print a trial that has ended."""
        if progress.changed is not None and progress.changed.state in ENDED:
            self._print({"event": "trial", **asdict(progress.changed)})

    def finish(self, folder: RunFolder, findings: Findings) -> None:
        """Print the front."""
        rungs = {"rungs": [asdict(rung) for rung in findings.rungs]} if findings.rungs else {}
        evidence = findings.evidence
        ladder = {} if evidence is None else {"ladder": ladder_fields(evidence)}
        self._print(
            {
                "event": "end",
                "run": str(folder.path),
                "answer": findings.answer.to_json(),
                **front_fields(findings.credible),
                **rungs,
                **ladder,
            }
        )

    def _print(self, event: dict[str, Any]) -> None:
        say(to_json(event))


class PlainDisplay(QuietDisplay):
    """Prints a line for each trial that ends: for logs and pipes.

    Args:
        console: what is printed on.
        with_front: whether the table of the front is printed behind the answer.
    """

    def __init__(self, console: Console, *, with_front: bool = False) -> None:
        self._console = console
        self._with_front = with_front
        self._clock = _Clock()
        self._scan = ScanLines()
        self._epoch_lines = EpochLines(self.note)

    def note(self, text: str) -> None:
        """Print the text."""
        print_line(self._console, text)

    def scanning(self, done: int, total: int) -> None:
        """Print a line to stderr, if reading takes seconds."""
        self._scan.update(done, total)

    def estimate(self, estimate: Estimate) -> None:
        """Print it in a sentence."""
        self.note(str(estimate))

    def update(self, progress: Progress) -> None:
        """Print a line if a trial has ended."""
        self._clock.update(progress)
        record = progress.changed
        if record is not None and record.state in ENDED:
            self.note(f"{_describe(record)} | {_summarize(progress)}{self._clock.time_left()}")

    def advance(self, record: TrialRecord, row: EpochRow) -> None:
        """Print a line each minute of a training, unless it has just ended."""
        name = f"trial {record.number}: {record.placement} (seed {record.seed})"
        self._epoch_lines.update(name, row)

    def finish(self, folder: RunFolder, findings: Findings) -> None:
        """Print the answer, and where everything lies."""
        print_findings(self._console, findings, with_front=self._with_front)


class LiveDisplay(PlainDisplay):
    """Keeps one line at the foot of a terminal up to date, and prints failures above it."""

    def __init__(self, console: Console, *, with_front: bool = False) -> None:
        super().__init__(console, with_front=with_front)
        self._bar = bars.Progress(
            bars.TextColumn("{task.description}", markup=False),
            *([bars.BarColumn(bar_width=BAR_WIDTH)] if console.width >= WITH_BAR else []),
            bars.TimeElapsedColumn(),
            bars.TextColumn("{task.fields[left]}", markup=False),
            console=console,
        )
        self._task: bars.TaskID | None = None
        self._last: Progress | None = None
        self._epochs: dict[int, EpochRow] = {}  # of the long trainings that run, by trial

    def update(self, progress: Progress) -> None:
        """Move the bar."""
        self._last = progress
        if progress.changed is not None:  # it begins or has ended
            self._epochs.pop(progress.changed.number, None)
        self._clock.update(progress)
        if self._task is None:
            self._task = self._bar.add_task("", total=progress.total, left="")
            self._bar.start()
        self._bar.update(
            self._task,
            description=_summarize(progress, self._room(), self._epochs.values()),
            total=progress.total,
            completed=progress.spent,
            left=self._clock.time_left().removeprefix(", "),
        )
        record = progress.changed
        if record is not None and record.state == "FAIL":
            self.note(_describe(record))

    def advance(self, record: TrialRecord, row: EpochRow) -> None:
        """Show the epoch in the line at the foot, once a training has become a long one."""
        if row.seconds < LONG or self._last is None or self._task is None:
            return
        self._epochs[record.number] = row
        text = _summarize(self._last, self._room(), self._epochs.values())
        self._bar.update(self._task, description=text)

    def close(self) -> None:
        """Stop the bar."""
        self._bar.stop()

    def _room(self) -> int:
        """Return the columns of the terminal that a line has beside the bar and the times."""
        width = self._console.width
        return width - TIMES_WIDTH - (BAR_WIDTH + 1 if width >= WITH_BAR else 0)


def make_display(
    *, quiet: bool = False, as_json: bool = False, with_front: bool = False
) -> Display:
    """Return the display for ``--quiet``, ``--json`` and ``--front``, and for where output goes."""
    if as_json:
        return JsonDisplay()
    if quiet:
        return QuietDisplay()
    console = make_console()
    # A terminal that can't go back to the start of a line ("dumb") takes lines, as a file does.
    is_live = console.file.isatty() and not console.is_dumb_terminal
    kind = LiveDisplay if is_live else PlainDisplay
    return kind(console, with_front=with_front)


class ScanLines:
    """Prints how far the reading of images has come to stderr: first after 2 s, then every 5 s.

    Args:
        clock: returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due: float | None = None

    def update(self, done: int, total: int) -> None:
        """Print a line if one is due."""
        now = self._clock()
        if self._due is None:
            self._due = now + 2
        if now >= self._due:
            self._due = now + 5
            print(f"Reading images: {done:,} of {total:,}", file=sys.stderr, flush=True)


class _Clock:
    """Guesses the time left from the trials and supernets that have ended since it was made."""

    def __init__(self) -> None:
        self._started: float | None = None
        self._spent_before = 0.0
        self._seconds_left: float | None = None

    def update(self, progress: Progress) -> None:
        now = time.monotonic()
        if self._started is None:
            self._started, self._spent_before = now, progress.spent
        elif progress.spent > self._spent_before:
            pace = (now - self._started) / (progress.spent - self._spent_before)
            # What is worth less than a training is left over.
            self._seconds_left = pace * math.floor(progress.total - progress.spent + 1e-9)

    def time_left(self) -> str:
        if self._seconds_left is None:
            return ""
        minutes, seconds = divmod(round(self._seconds_left), 60)
        hours, minutes = divmod(minutes, 60)
        if hours:
            return f", {hours} h {minutes:02d} min left"
        return f", {minutes} min {seconds:02d} s left"


def print_findings(console: Console, findings: Findings, *, with_front: bool = False) -> None:
    """Print the answer of a run, what a confirmation has found, and where its files lie.

    Args:
        console: what is printed on.
        findings: of the run.
        with_front: whether the table of the front is printed, too, and that of the rungs.
    """
    print_answer(console, findings.answer)
    for line in (
        *rung_warnings(findings.rungs, findings.full_epochs),
        *([] if findings.evidence is None else describe_ladder(findings.evidence)),
        *describe_confirmation(findings.rounds, findings.credible),
    ):
        print_text(console, line)
    if with_front:
        console.print(front_table(findings.credible))
        if findings.rungs:
            console.print(rungs_table(findings.rungs))
    print_folder(console, findings.run, findings.files, findings.unwritten)


def _describe(record: TrialRecord) -> str:
    # Where all trainings are full ones, their epochs go without saying.
    facts = [f"seed {record.seed}"]
    if record.state == "PRUNED":
        facts.append("1 epoch" if record.epochs == 1 else f"{record.epochs} epochs")
    if record.role in ROLES:
        facts.append(ROLES[record.role])
    head = f"trial {record.number}: {record.placement} ({', '.join(facts)})"
    if record.accuracy is None or record.seconds is None:
        return f"{head} failed: {record.reason}"
    return f"{head} {100 * record.accuracy:.2f} % in {record.seconds:.1f} s"


def _summarize_epochs(rows: Collection[EpochRow]) -> str:
    """Say where the trainings that run are: ``epoch 3 of 40``, ``epochs 3 to 7 of 40``."""
    epochs = sorted(row.epoch for row in rows)
    total = max(row.epochs for row in rows)
    if epochs[0] == epochs[-1]:
        return f"epoch {epochs[0]} of {total}"
    return f"epochs {epochs[0]} to {epochs[-1]} of {total}"


def _summarize(
    progress: Progress, room: int | None = None, epochs: Collection[EpochRow] = ()
) -> str:
    """Say how far the search has come, in as many columns of the terminal as there are.

    Facts are left out, the least important first; what of the total is there is always told.

    Args:
        progress: of the search.
        room: columns that there are; None: as many as it takes.
        epochs: how far long trainings have come.
    """
    best = progress.best_accuracy
    shorter = f" ({progress.shorter} short)" if progress.shorter else ""
    facts = {f"{progress.num_ended} of {progress.total} trials{shorter}": 0}
    if progress.num_supernets is not None:
        facts = {
            f"{progress.spent:.1f} of {progress.total} trainings' worth": 0,
            count(progress.num_ended, "trial"): 2,
            count(progress.num_supernets, "supernet"): 2,
        }
    if progress.num_supernets is None or progress.num_ended or progress.running:
        facts |= {
            **({_summarize_epochs(epochs): 1} if epochs else {}),
            f"{progress.running} running": 4,
            f"{progress.failed} failed": 2,
            f"best {'-' if best is None else f'{100 * best:.2f} %'}": 1,
            f"front {progress.front_size}": 3,
        }
    while room is not None and len(facts) > 1 and len(", ".join(facts)) > room:
        del facts[max(facts, key=lambda fact: facts[fact])]
    return ", ".join(facts)

"""What the dashboard of a run shows, as a WSGI application: made anew when the run has changed."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication

from se_search.errors import SESearchError
from se_search.report.format import count
from se_search.report.page.contents import Page, prepare_page
from se_search.report.page.render import render_html, render_note
from se_search.report.rungs import list_rungs
from se_search.report.source import read_source
from se_search.report.trial_words import OBJECTIVES, list_attributes
from se_search.store.mirror import Mirror, ShownObjective
from se_search.store.run_folder import RunFolder
from se_search.store.run_trials import find_trials
from se_search.store.trials import list_records, read_trials

REPORT = "5e5ea4c4-0000-4000-8000-000000000001"  # a UUID, as the dashboard asks of a file's name
STATES = {
    "COMPLETE": "in full",
    "PRUNED": "shorter",
    "FAIL": "failed",
    "RUNNING": "running",
    "WAITING": "waiting",
}


@dataclass(frozen=True, slots=True)
class Findings:
    """What is known of a run's candidates: as a page, and what is drawn of it.

    Attributes:
        page: what the report shows.
        figures: of plotly, by name.
        html: the report.
    """

    page: Page
    figures: Mapping[str, Any]
    html: bytes


@dataclass(frozen=True, slots=True)
class Board:
    """What is served at one time.

    Attributes:
        app: Optuna's dashboard of a copy of the trials.
        study_id: of the copy.
        figures: names of the figures, in reading order.
    """

    app: WSGIApplication
    study_id: int
    figures: tuple[str, ...]


class Boards:
    """Makes the boards of a run, as its trials come in.

    Trials are copied when a file of the run has changed; the answer, the figures and the page are
    made when more trainings have ended. Nothing is written into the run's folder.

    Args:
        folder: the run's.
        show: is handed each new board.
        complain: is handed a sentence when the run can't be read any more.
        least_seconds: between two looks that read something.
        share: of the time that reading and computing may take.
        clock: returns seconds.
    """

    def __init__(
        self,
        folder: RunFolder,
        show: Callable[[Board], None],
        complain: Callable[[str], None],
        least_seconds: float = 5.0,
        share: float = 0.1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._place = find_trials(folder)
        self._show = show
        self._complain = complain
        self._least_seconds = least_seconds
        self._share = share
        self._clock = clock
        self._stamp: object = None
        self._known: object = None  # what the findings follow from
        self._trials: Sequence[Any] = ()
        self._findings: Findings | None = None
        self._problem = ""
        self._reading = threading.Lock()
        self._next_copy = self._next_findings = -float("inf")

    def look(self) -> None:
        """Show what is new, if it is time; a run that can't be read stays as it was seen last."""
        try:
            self.copy_trials()
            self.find()
        except SESearchError as cause:
            if str(cause) != self._problem:
                self._complain(str(cause))
                self._problem = str(cause)
                self._publish()

    def close(self) -> None:
        """Wait until the trials are not being read, and read them no more.

        A process that ends while it reads leaves files of SQLite's in the run's folder.
        """
        self._reading.acquire()

    def copy_trials(self) -> None:
        """Show the trials that have changed, if it is time.

        Raises:
            RunError: the run can't be read.
        """
        if self._clock() < self._next_copy or (stamp := self._read_stamp()) == self._stamp:
            return
        began = self._clock()
        with self._reading:
            self._trials = read_trials(self._place)
        self._stamp, self._problem = stamp, ""
        self._publish()
        self._next_copy = self._wait_after(began)

    def find(self) -> None:
        """Show the answer and the figures if more trainings have ended and it is time.

        Raises:
            RunError: the run can't be read.
        """
        ended = sum(trial.state.is_finished() for trial in self._trials)
        known = (ended, _stamp(self._folder.confirmation_file))
        if self._clock() < self._next_findings or known == self._known:
            return
        began = self._clock()
        self._findings = read_findings(self._folder, self._trials)
        self._known = known
        self._publish()
        self._next_findings = self._wait_after(began)

    def _wait_after(self, began: float) -> float:
        now = self._clock()
        return now + max(self._least_seconds, (now - began) / self._share)

    def _read_stamp(self) -> object:
        return [self._place.stamp(), _stamp(self._folder.config_file)]

    def _publish(self) -> None:
        self._show(make_board(self._folder, self._trials, self._findings, self._problem))


def read_findings(folder: RunFolder, trials: Sequence[Any]) -> Findings:
    """Return what a run's trials say so far; nothing is written into its folder.

    Args:
        folder: the run's.
        trials: of Optuna's, by number.

    Raises:
        RunError: the run can't be read.
    """
    # plotly takes half a second to import.
    from se_search.report.page.board import draw_board

    page = prepare_page(read_source(folder, list_records(trials), keeps=False))
    return Findings(page, draw_board(page), render_html(page).encode())


def make_board(
    folder: RunFolder, trials: Sequence[Any], findings: Findings | None, problem: str = ""
) -> Board:
    """Return what is served.

    Args:
        folder: the run's.
        trials: of Optuna's, by number.
        findings: None: they are not there yet.
        problem: why there are no newer trials; empty: there may be none.
    """
    # Half a second to import.
    from optuna_dashboard import save_note, save_plotly_graph_object, wsgi

    config = folder.read_config()
    objectives = config["identity"]["objectives"]
    name = folder.path.resolve().name
    mirror = Mirror(
        name,
        trials,
        [ShownObjective(each, *OBJECTIVES[each]) for each in objectives],
        partial(
            list_attributes,
            objectives=objectives,
            rungs=list_rungs(config, list_records(trials)),
        ),
    )
    link = f"/artifacts/{mirror.study_id}/{REPORT}"
    page = None if findings is None else findings.page
    save_note(mirror.study, render_note(name, _count(trials), link, page, problem))
    if findings is not None:
        for identifier, figure in findings.figures.items():
            save_plotly_graph_object(mirror.study, figure, graph_object_id=identifier)
        mirror.attach(REPORT, "report.html", "text/html", findings.html)
        for setting, value in findings.page.settings:
            mirror.study.set_user_attr(setting, value)
    app = wsgi(mirror.storage, artifact_store=mirror.files)
    return Board(app, mirror.study_id, tuple(findings.figures) if findings else ())


def _count(trials: Sequence[Any]) -> str:
    found = Counter(trial.state.name for trial in trials)
    parts = [f"{found[state]:,} {words}" for state, words in STATES.items() if found[state]]
    return f"{count(len(trials), 'trial')}: {', '.join(parts)}." if parts else "No trial yet."


def _stamp(path: Path) -> tuple[int, int] | None:
    """Return what changes when a file is written; None: it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size

"""Runs checks one after the other within a number of minutes; none that breaks ends the others."""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from benchmarks.gpu_check.findings import Finding, Outcome, judge
from benchmarks.gpu_check.setting import Setting

NO_TIME = "the time was up"


@dataclass(frozen=True)
class Check:
    """A family of things that are checked together.

    Attributes:
        name: by which ``--only`` chooses it.
        run: yields what it finds as soon as it is known.
    """

    name: str
    run: Callable[[Setting], Iterator[Finding]]


class OutOfTimeError(BaseException):
    """The time is up; no ``except Exception`` on the way may take it for a fault of a check."""


def run_checks(
    checks: Sequence[Check],
    setting: Setting,
    seconds: float,
    say: Callable[[str], None],
    note: Callable[[Sequence[Outcome]], None] = lambda _: None,
) -> list[Outcome]:
    """Run checks and return how each one ended.

    Args:
        checks: in the order in which they run.
        setting: what they run on.
        seconds: that all of them may take; the check that runs then is broken off.
        say: told what is found.
        note: handed all outcomes so far after each check.
    """
    end = time.monotonic() + seconds
    outcomes: list[Outcome] = []
    for check in checks:
        left = end - time.monotonic()
        if left <= 0:
            outcome = Outcome(check.name, "NOT RUN", 0.0, (), NO_TIME)
        else:
            outcome = _run(check, setting, left, say)
        problem = "" if outcome.problem is None else f": {outcome.problem}"
        say(f"{check.name}: {outcome.verdict} after {outcome.seconds:.1f} s{problem}")
        outcomes.append(outcome)
        note(outcomes)
    return outcomes


def _run(check: Check, setting: Setting, seconds: float, say: Callable[[str], None]) -> Outcome:
    began = time.monotonic()
    findings: list[Finding] = []
    problem = None
    try:
        with _limited(seconds):
            for finding in check.run(setting):
                findings.append(finding)
                say(f"{check.name}: {finding}")
    except OutOfTimeError:
        problem = NO_TIME
    except Exception as error:  # any error is one check's
        say(traceback.format_exc())
        problem = f"{type(error).__name__}: {' '.join(str(error).split())}"
    taken = time.monotonic() - began
    setting.clean_up()
    if problem is not None:
        return Outcome(check.name, "FAIL", taken, tuple(findings), problem)
    return Outcome(check.name, judge(findings), taken, tuple(findings))


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise an OutOfTimeError in the ``with`` block after some seconds."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise OutOfTimeError

    before: Any = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

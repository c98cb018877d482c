"""Exceptions for mistakes that a user can correct, one class for each kind."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Iterator
from pathlib import Path


class SESearchError(Exception):
    """A mistake that the user can correct; the message names thing, value and allowed values.

    Attributes:
        exit_code: exit status of the command line.
    """

    exit_code = 2


# Of a disk that is full, broken or gone, and of limits of the system: no fault of what was asked
# for, and the same command goes on once the cause is removed.
_OF_MACHINE = {
    getattr(errno, name)
    for name in (
        *("ENOSPC", "EDQUOT", "EFBIG", "EIO", "ESTALE", "ENODEV", "ENXIO", "EMFILE", "ENFILE"),
        *("ETIMEDOUT", "EREMOTEIO", "EHOSTDOWN", "ENOTCONN"),
    )
    if hasattr(errno, name)  # not each system has each
}
_OF_MACHINE_IN_SQLITE = {13, 10}  # SQLITE_FULL, SQLITE_IOERR (sqlite.org/rescode.html)


def find_exit_code(error: SESearchError | OSError) -> int:
    """Return the exit status of an error: 75 where a fault of the machine lies beneath it."""
    for cause in list_causes(error):
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # the kind, without its details
        of_machine = isinstance(cause, OSError) and cause.errno in _OF_MACHINE
        if of_machine or code in _OF_MACHINE_IN_SQLITE:
            return InfrastructureError.exit_code
    return error.exit_code if isinstance(error, SESearchError) else SESearchError.exit_code


def list_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, and each one that it was raised from."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def explain(error: BaseException) -> str:
    """Return why reading or writing failed, in plain words: no number, no path, no class again."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, UnicodeDecodeError):
        return f"it is not text in UTF-8 (byte {error.start})"
    if isinstance(error, KeyError) and error.args:
        return f"it has no {error.args[0]!r}"
    if isinstance(error, _OF_OTHER_KINDS):
        return "its values are not of the kinds that belong there"
    return quote(error) or "no reason is given"


# What reading plain data raises where other data stand than were written.
_OF_OTHER_KINDS = (TypeError, AttributeError, LookupError)


def quote(error: BaseException) -> str:
    """Return an exception's message; empty if it has none, or raises something instead."""
    try:
        return str(error).strip()
    except Exception:  # foreign code may raise whatever it likes, here too
        return ""


def name_foreign(error: BaseException) -> str:
    """Return in one line what code of others has raised: ``KeyError: units``."""
    name, message = type(error).__name__, quote(error).splitlines()
    return f"{name}: {message[0]}" if message else name


class CandidateError(SESearchError):
    """A candidate can't be read, or does not fit its backbone."""


class BackboneError(SESearchError):
    """A backbone is not known, has no sites, or does not fit images, weights or classes."""


class SpaceError(SESearchError):
    """A search space can't be read, or does not fit its backbone."""


class RecipeError(SESearchError):
    """A recipe can't be read, or does not fit its data set."""


class DataError(SESearchError):
    """A data set is unknown, missing, incomplete or corrupt."""


class RunError(SESearchError):
    """A run's folder can't be read or written."""


class SupernetError(SESearchError):
    """A supernet can't be trained as it was asked for, or lacks what a candidate needs."""


class RungError(SESearchError):
    """Scores of a rung are not what they have to be."""


class LatencyError(SESearchError):
    """A latency can't be measured as it was asked for, or is not known."""


class StudyFileError(SESearchError):
    """A study file can't be read, or asks for something impossible."""


class StorageError(RunError):
    """A file that takes or holds results can't be written or read."""


class UnwritableError(StorageError):
    """A file can't be written.

    Attributes:
        path: the file.
        reason: why, in the system's words, and with the room that is lacking.
    """

    def __init__(self, path: Path, error: OSError, room: str = "") -> None:
        reason = f"{explain(error)} ({room})" if room else explain(error)
        super().__init__(f"{path} can't be written: {reason}")
        self.path, self.reason = path, reason


class RunBusyError(RunError):
    """Another process is using the run's folder."""

    exit_code = 3


class RunChangedError(RunError):
    """The run was made with another space, backbone, recipe, data set, objective or environment."""

    exit_code = 4


class TooManyFailuresError(SESearchError):
    """Too many trials in succession failed, so the search stopped."""

    exit_code = 5


class AllFailedError(SESearchError):
    """Every trial of a search failed."""

    exit_code = 5


class MemoryLackingError(SESearchError):
    """A training lacks memory, also alone on its device."""

    exit_code = 5


class InfrastructureError(SESearchError):
    """A training failed by a fault of the machine each time that it was tried; it can go on later.

    The exit code is ``EX_TEMPFAIL`` of sysexits.h.
    """

    exit_code = 75


class StoppedError(SESearchError):
    """A signal has stopped a command before its end; the same command goes on.

    Attributes:
        exit_code: 128 and the number of the signal, as shells have it.
    """

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal


class DivergedError(SESearchError):
    """The loss or accuracy of a training is not finite: its trial fails, the search goes on."""


class BrokenOffError(SESearchError):
    """A training was asked to end and has saved its state; the message says how far it came."""


class RankDiedError(SESearchError):
    """One of the processes that train a network together has died without a word.

    Attributes:
        process_exit: its exit code; minus the number of the signal that killed it; None: unknown.
    """

    def __init__(self, process_exit: int | None) -> None:
        super().__init__(f"one of a training's processes has died (exit code {process_exit})")
        self.process_exit = process_exit


def suggest_nearest(name: object, known: Iterable[str], at_least: float = 0.6) -> str:
    """Return `` (did you mean X?)`` with the known name nearest to an unknown one, or nothing.

    Upper and lower case are alike, and so are hyphens and underscores.

    Args:
        name: the unknown one.
        known: the names that there are.
        at_least: the similarity (0..1, of ``difflib``) below which no name is near.
    """
    spelled = {_fold(other): other for other in known}
    close = difflib.get_close_matches(_fold(str(name)[:200]), spelled, n=1, cutoff=at_least)
    return f" (did you mean {spelled[close[0]]}?)" if close else ""


def _fold(name: str) -> str:
    return name.casefold().replace("-", "_")

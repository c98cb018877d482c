"""Exceptions for mistakes that a user can correct, one class for each kind."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class SESearchError(Exception):
    """A mistake that the user can correct; the message names thing, value and allowed values.

    Attributes:
        exit_code: exit status of the command line.
    """

    exit_code = 2


def explain(error: Exception) -> str:
    """Return why an operation failed, in the system's words alone: no number, no path again."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, UnicodeDecodeError):
        return f"it is not text in UTF-8 (byte {error.start})"
    return str(error)


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


class StudyFileError(SESearchError):
    """A study file can't be read, or asks for something impossible."""


class UnwritableError(RunError):
    """A file can't be written.

    Attributes:
        path: the file.
        reason: why, in the system's words.
    """

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"{path} can't be written: {explain(error)}")
        self.path, self.reason = path, explain(error)


class RunBusyError(RunError):
    """Another process is using the run's folder."""

    exit_code = 3


class RunChangedError(RunError):
    """The run's folder was made with another space, backbone, recipe, data set or objective."""

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


class DivergedError(SESearchError):
    """The loss or accuracy of a training is not finite: its trial fails, the search goes on."""


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

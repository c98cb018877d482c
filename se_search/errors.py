"""Exceptions for mistakes that a user can correct, one class for each kind."""

import difflib
from collections.abc import Iterable


class SESearchError(Exception):
    """A mistake that the user can correct; the message names thing, value and allowed values.

    Attributes:
        exit_code: exit status of the command line.
    """

    exit_code = 2


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


class DivergedError(SESearchError):
    """The loss or accuracy of a training is not finite: its trial fails, the search goes on."""


def suggest_nearest(name: object, known: Iterable[str]) -> str:
    """Return `` (did you mean X?)`` with the known name nearest to an unknown one, or nothing."""
    close = difflib.get_close_matches(str(name)[:200], list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""

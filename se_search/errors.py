"""What a user can cause: one exception class for each kind of mistake."""


class SESearchError(Exception):
    """A mistake that the user can mend; its text names the thing, the value and what is allowed."""

    exit_code = 2


class CandidateError(SESearchError):
    """A candidate that can't be read, or that does not fit its backbone."""


class BackboneError(SESearchError):
    """A backbone that is not known, or in which no sites can be found."""


class SpaceError(SESearchError):
    """A search space file that can't be read, or that does not fit its backbone."""


class RecipeError(SESearchError):
    """A recipe that can't be read, or that asks for something impossible."""


class DataError(SESearchError):
    """A data set that is missing, partial or corrupt."""


class RunError(SESearchError):
    """A run folder that can't be read or written."""


class StudyFileError(SESearchError):
    """A study.yaml that can't be read, or that asks for something impossible."""


class RunBusyError(RunError):
    """Another process is working on this run."""

    exit_code = 3


class RunChangedError(RunError):
    """The run on disk was started with another space, backbone, recipe or objective."""

    exit_code = 4


class TooManyFailuresError(SESearchError):
    """Trial after trial failed, so the study stopped."""

    exit_code = 5


class DivergedError(SESearchError):
    """A training's loss or accuracy is not finite: the trial fails, the study goes on."""

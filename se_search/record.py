"""What passes between the layers: costs, what is to be trained, and what came of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, Literal, Protocol, TypeVar

TrialState = Literal["COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING"]
ENDED_WELL: tuple[TrialState, ...] = ("COMPLETE", "PRUNED")  # PRUNED: a short training


@dataclass(frozen=True, slots=True, order=True)
class Rung:
    """A stage of evaluation: a candidate has finished it with ``seeds`` trainings of ``epochs``."""

    epochs: int
    seeds: int

    @classmethod
    def parse(cls, text: str) -> Rung:
        """Read ``4x3``: 4 epochs, 3 seeds.

        Raises:
            ValueError: it is something else.
        """
        match = re.fullmatch(r"\s*([1-9]\d*)x([1-9]\d*)\s*", text)
        if match is None:
            raise ValueError(f"{text!r} is not EPOCHSxSEEDS")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.epochs}x{self.seeds}"


class Configuration(Protocol):
    """What can be searched for: a candidate, or a row of a table of finished trainings.

    Its text, ``str(configuration)``, is what the store keeps and a space parses.
    """

    @property
    def key(self) -> str:
        """A short name that no other one of the space has, the same on every machine."""

    @property
    def placement(self) -> str:
        """The text form without what all of the space have in common, for people."""

    def __str__(self) -> str: ...


CandidateT = TypeVar("CandidateT", bound=Configuration)
CandidateT_co = TypeVar("CandidateT_co", bound=Configuration, covariant=True)


@dataclass(frozen=True, slots=True)
class Assignment(Generic[CandidateT_co]):
    """What one trial trains: a candidate, with a seed, for a number of epochs."""

    candidate: CandidateT_co
    seed: int
    epochs: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a training hands back.

    Attributes:
        accuracy: share of the validation images that are right after the last epoch, 0..1.
        loss: mean cross-entropy over them, without label smoothing.
        history: a row for each validation: epoch, train_loss, accuracy, loss.
        correct: one bit an image (``numpy.packbits``), 1 where the network is right.
        seconds: wall time of the training and its validations.
        test_correct: the same for the test images; None: they were not read. If they were, the
            rows of the history also have test_accuracy and test_loss.
    """

    accuracy: float
    loss: float
    history: tuple[Mapping[str, float], ...]
    correct: bytes
    seconds: float
    test_correct: bytes | None = None


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One trial as it stands in the store; what is not known yet is None.

    Attributes:
        number: 0 for the study's first trial.
        state: PRUNED is a training that ended well and was shorter than a full one.
        candidate: the text form.
        added_params_pct: in per cent of the plain backbone.
        seconds: wall time of the training.
        reason: why the trial failed.
        promoted: whether the candidate was promoted to this training, not proposed by the sampler.
    """

    number: int
    state: TrialState
    candidate: str
    key: str
    placement: str
    seed: int
    epochs: int
    accuracy: float | None
    loss: float | None
    params: int
    added_params: int
    added_params_pct: float
    macs: int
    added_macs: int
    seconds: float | None
    reason: str | None
    promoted: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a search has come.

    Attributes:
        total: trials that the run is to have.
        completed: trainings that ended well, of any length.
        failed: trainings that failed.
        running: trainings that run now.
        best_accuracy: highest mean accuracy of a candidate over its full trainings, 0..1; None: no
            full training has ended.
        front_size: candidates on the Pareto front of these means.
        shorter: completed trainings that were shorter than a full one.
        changed: the trial that began or ended just now; None: none has yet.
    """

    total: int
    completed: int
    failed: int
    running: int
    best_accuracy: float | None
    front_size: int
    shorter: int = 0
    changed: TrialRecord | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a training handed nothing back."""

    reason: str


class Stop(IntEnum):
    """How urgently a search is asked to end."""

    NO = 0
    AFTER_RUNNING = 1
    NOW = 2

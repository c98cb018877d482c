"""What a supernet hands back to an executor of trainings, and how its assignment is named."""

from __future__ import annotations

from dataclasses import dataclass

from se_search.record import Evaluation
from se_search.score import Score


@dataclass(frozen=True, slots=True)
class SupernetName:
    """Stands for a supernet where an assignment names its candidate.

    Attributes:
        number: which supernet of the run it is, counted from 1.
    """

    number: int

    @property
    def key(self) -> str:
        """Its name."""
        return str(self)

    @property
    def placement(self) -> str:
        """Its name for people."""
        return str(self)

    def __str__(self) -> str:
        return f"supernet {self.number}"


@dataclass(frozen=True, slots=True)
class SupernetEvaluation(Evaluation):
    """The result of a supernet: an evaluation whose accuracy and loss are means of its scores.

    Attributes:
        scores: of the candidates that were to be scored.
        train_seconds: wall time of the training, be it of an earlier command.
    """

    scores: tuple[Score, ...] = ()
    train_seconds: float = 0.0

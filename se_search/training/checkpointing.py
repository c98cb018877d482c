"""Says where a training stands, and where and how often its states are kept, as plain values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from se_search.candidate import Candidate
from se_search.recipe import Recipe
from se_search.record import Assignment
from se_search.store.checkpoint_files import CheckpointFiles

Until = Callable[[], float | None]
"""Returns until when a training shall have ended, by ``time.monotonic``; None: nobody has asked."""


def never() -> None:
    """Ask for no end."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the order of the training images.

    Attributes:
        epoch: from 0.
        batch: of this epoch, from 0: the next one that the network sees.
    """

    epoch: int = 0
    batch: int = 0


@dataclass(frozen=True, slots=True)
class Checkpointing:
    """Where the states of trainings are kept, and how often.

    Attributes:
        folder: holds a folder for each training that is under way.
        seconds: between two states of a training, at least. A training that is shorter is never
            saved.
        max_share: of a training's time that its states may take: one that took long to write is
            followed by the next one later.
    """

    folder: Path
    seconds: float = 60.0
    max_share: float = 0.02

    def files(
        self, assignment: Assignment[Candidate], recipe: Recipe, with_test: bool
    ) -> CheckpointFiles:
        """Return where the states of a training are kept, wherever it is made."""
        named = [
            str(assignment.candidate),
            assignment.seed,
            assignment.epochs,
            recipe.hash,
            recipe.validate_every,
            with_test,
        ]
        return self.files_of(named)

    def files_of(self, named: Sequence[object]) -> CheckpointFiles:
        """Return where the states of a training are kept that is named by plain values."""
        name = hashlib.sha256(json.dumps(named).encode()).hexdigest()[:16]
        return CheckpointFiles(self.folder / name)

"""An Optuna study as a sampler is to see it: with other trials than it has."""

from __future__ import annotations

import copy
from collections.abc import Container, Sequence
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState


class StudyView:
    """An Optuna study that shows trials of its own choice.

    Everything but the trials is the study's own, what a sampler writes to the storage included.

    Args:
        study: the Optuna study, or a view of it.
        trials: what a sampler is to see, by number.
    """

    def __init__(self, study: Study | StudyView, trials: Sequence[FrozenTrial]) -> None:
        self._study = study
        self._trials = trials

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    @property
    def trials(self) -> list[FrozenTrial]:
        """Copies of all trials that a sampler is to see."""
        return self.get_trials()

    def get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials that a sampler is to see, by number."""
        found = [t for t in self._trials if states is None or t.state in states]
        return copy.deepcopy(found) if deepcopy else found

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        # Optuna's samplers call this one.
        return self.get_trials(deepcopy, states)

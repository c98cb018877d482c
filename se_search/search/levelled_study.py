"""An Optuna study as one of Optuna's samplers is to see it: without replicates."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from se_search.analysis.levels import subtract_levels
from se_search.search.study_view import StudyView
from se_search.store.trial_attributes import attributes_of

SubtractLevels = Callable[[Sequence[float], Sequence[str], Sequence[int]], NDArray[np.float64]]


class LevelledStudy(StudyView):
    """An Optuna study whose accuracies are less the levels of their replicates.

    Optuna's samplers take a trial's values as they are: a candidate that was trained in a good
    replicate would pass for a good candidate. Complete trials are copies with other accuracies
    here; their numbers, identities and attributes are the study's.

    The controls are one trial, the first, with the mean of all: a sampler would take 8 equal trials
    for 8 members of its population. There is none if the plain network is not in the space, as a
    trial without parameters is of no candidate that could be drawn.

    Args:
        study: with accuracy as its first objective; trials have a candidate, a seed and a role.
        subtract: takes accuracies, candidates and seeds, and returns accuracies less the levels.
    """

    def __init__(
        self, study: Study | StudyView, subtract: SubtractLevels = subtract_levels
    ) -> None:
        super().__init__(study, _level(study.get_trials(deepcopy=False), subtract))


def _level(trials: Sequence[FrozenTrial], subtract: SubtractLevels) -> list[FrozenTrial]:
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    accuracies = subtract(
        [t.values[0] for t in complete],
        [attributes_of(t)["key"] for t in complete],
        [attributes_of(t)["seed"] for t in complete],
    )
    levelled = {
        t.number: _with_accuracy(t, float(accuracy))
        for t, accuracy in zip(complete, accuracies, strict=True)
    }
    controls = [levelled[t.number] for t in complete if attributes_of(t)["role"] == "control"]
    if controls and controls[0].params:
        mean = sum(control.values[0] for control in controls) / len(controls)
        levelled[controls[0].number] = _with_accuracy(controls[0], mean)
        controls = controls[1:]
    hidden = {control.number for control in controls}
    return [
        levelled.get(trial.number, trial)
        for trial in trials
        if trial.number not in hidden
        and (trial.number in levelled or attributes_of(trial).get("role") != "control")
    ]


def _with_accuracy(trial: FrozenTrial, accuracy: float) -> FrozenTrial:
    levelled = copy.copy(trial)
    levelled.values = [accuracy, *trial.values[1:]]
    return levelled

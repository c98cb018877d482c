"""The trials of any Optuna study as the proposer takes them: which count, and what they settle."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from se_search.search.history import History, PastTrial, Status
from se_search.search.parameter_grid import ParameterGrid
from se_search.search.pool import Codes

PROPOSAL = "se_search:proposal"  # system attribute of a trial: the combination proposed for it
UNDER_WAY = (TrialState.RUNNING, TrialState.WAITING)


@dataclass(frozen=True, slots=True)
class Taken:
    """The combinations that need no further trial, given by the values of their parameters.

    A trial that never suggests a parameter settles all combinations that differ in it alone.

    Attributes:
        values: by positions of parameters, the codes of their values.
    """

    values: dict[tuple[int, ...], set[tuple[int, ...]]] = field(default_factory=dict)

    def add(self, pattern: Mapping[int, int]) -> None:
        """Take all combinations that have these codes at these positions."""
        positions = tuple(sorted(pattern))
        codes = tuple(pattern[position] for position in positions)
        self.values.setdefault(positions, set()).add(codes)

    def holds(self, codes: Codes) -> bool:
        """Tell whether a combination, ``(num_parameters,)``, is taken."""
        row = codes.tolist()
        return any(
            tuple(row[position] for position in positions) in known
            for positions, known in self.values.items()
        )

    def mark_left(self, codes: Codes) -> NDArray[np.bool_]:
        """Mark the combinations, ``(n, num_parameters)``, that are not taken."""
        is_left = np.ones(len(codes), bool)
        sizes = codes.max(axis=0, initial=0).astype(np.int64) + 1
        for positions, known in self.values.items():
            own = sizes[list(positions)]
            inside = [row for row in known if (np.array(row) < own).all()]
            if inside:
                numbers = np.ravel_multi_index(codes[:, list(positions)].T, own)
                is_left &= ~np.isin(numbers, np.ravel_multi_index(np.array(inside).T, own))
        return is_left


@dataclass(frozen=True, slots=True)
class StudyHistory:
    """What the trials of a study tell.

    Attributes:
        history: the trials that the model counts.
        taken: the combinations that need no further trial.
    """

    history: History
    taken: Taken

    @classmethod
    def of(
        cls, trials: Sequence[FrozenTrial], grid: ParameterGrid, unknown: int, sign: float
    ) -> StudyHistory:
        """Read the trials of a study.

        Args:
            trials: in the order of their numbers.
            grid: the parameters. A trial that lacks one, or has a value outside, is left out,
                unless the parameter was proposed to it.
            unknown: number of the objective that the model estimates.
            sign: what makes this objective maximised, 1 or -1.
        """
        taken = Taken()
        past: list[tuple[list[int], Status, float | None]] = []
        for trial in trials:
            reading = _Reading.of(trial, grid)
            for pattern in reading.patterns(trial.state):
                taken.add(pattern)
            if reading.row is not None:
                status, value = _result(trial, unknown, sign)
                # What was tried is not on the grid, so the model learns nothing of it.
                status = "failed" if reading.is_outside and status == "finished" else status
                past.append((reading.row, status, value if status == "finished" else None))
        shrink = _exponent([value for _, _, value in past if value is not None])
        return cls(
            History.of(
                (
                    PastTrial(
                        np.array(row, np.int16),
                        status,
                        epochs=1,
                        replicate=number,
                        accuracy=None if value is None else math.ldexp(value, -shrink),
                    )
                    for number, (row, status, value) in enumerate(past)
                ),
                full_epochs=1,
                num_slots=len(grid.names),
            ),
            taken,
        )


def preset_values(trial: FrozenTrial) -> dict[str, Any]:
    """Return the parameters of a trial that were enqueued or are set already."""
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}


@dataclass(frozen=True, slots=True)
class _Reading:
    """One trial on the grid, parameters by their positions.

    Attributes:
        proposed: codes of the proposal; empty: the trial had none.
        actual: codes of what the trial was given or has suggested; None: a value outside.
        given: positions of enqueued parameters.
        pinned: positions that the objective suggested from a single value.
        num_parameters: of the grid.
    """

    proposed: dict[int, int]
    actual: dict[int, int | None]
    given: frozenset[int]
    pinned: frozenset[int]
    num_parameters: int

    @classmethod
    def of(cls, trial: FrozenTrial, grid: ParameterGrid) -> _Reading:
        at = {name: position for position, name in enumerate(grid.names)}
        given = trial.system_attrs.get("fixed_params", {})
        texts = trial.system_attrs.get(PROPOSAL) or {}
        return cls(
            proposed={at[name]: code for name, code in grid.from_texts(texts).items()},
            actual={
                at[name]: grid.code_of(name, value)
                for name, value in preset_values(trial).items()
                if name in at
            },
            given=frozenset(at[name] for name in given if name in at),
            pinned=frozenset(
                at[name]
                for name, distribution in trial.distributions.items()
                if name in at and name not in given and _is_single(distribution)
            ),
            num_parameters=len(grid.names),
        )

    @property
    def is_outside(self) -> bool:
        """Whether a value of the trial is not on the grid."""
        return None in self.actual.values()

    @property
    def is_given_outside(self) -> bool:
        """Whether a value that is not on the grid was enqueued, for this trial alone."""
        return any(self.actual.get(at, at) is None for at in self.given)

    @property
    def row(self) -> list[int] | None:
        """The combination that the trial stands for; None: it stands for none of the grid."""
        found = self.proposed | {at: code for at, code in self.actual.items() if code is not None}
        if len(found) < self.num_parameters or self.is_given_outside:
            return None
        if self.is_outside and not self.proposed:
            return None
        return [found[position] for position in range(self.num_parameters)]

    def patterns(self, state: TrialState) -> list[dict[int, int]]:
        """Return what the trial takes: each pattern stands for all combinations that agree."""
        found = []
        if self.row is not None and not self.is_outside:
            found.append(dict(enumerate(self.row)))
        if self.proposed and not self.is_given_outside:
            found.append(self._settled(state))
        return [pattern for pattern in found if pattern]

    def _settled(self, state: TrialState) -> dict[int, int]:
        """Return what the trial depends on, of what was proposed.

        A parameter that the objective did not suggest before the end, or suggested from a single
        value, makes no difference. A trial that failed or is under way may have more to suggest.
        """
        is_open = state not in (TrialState.COMPLETE, TrialState.PRUNED)
        return {
            at: code
            for at, code in self.proposed.items()
            if at in self.given
            or (at not in self.pinned and self.actual.get(at, code if is_open else None) == code)
        }


def _is_single(distribution: BaseDistribution) -> bool:
    return bool(distribution.single())


def _result(trial: FrozenTrial, unknown: int, sign: float) -> tuple[Status, float | None]:
    """Return a trial's status, and the value that is to be maximised if it has a finite one."""
    if trial.state in UNDER_WAY:
        return "running", None
    violates = any(not value <= 0 for value in trial.constraints.values())
    if trial.state != TrialState.COMPLETE or violates or trial.values is None:
        return "failed", None
    value = sign * trial.values[unknown]
    return ("finished", value) if math.isfinite(value) else ("failed", None)


def _exponent(values: Sequence[float]) -> int:
    """Return the power of two by which values are divided so that squares of them stay finite.

    The scale of the accuracy model is right from a billionth to a billion; a division by a power
    of two changes no decision.
    """
    largest = max(map(abs, values), default=0.0)
    return math.frexp(largest)[1] if largest else 0

"""The default sampler: accuracy from a model of all trainings, costs exact, the whole space scored.

Optuna's samplers model costs that are known, propose what has been trained, and learn nothing
from a second seed. This one asks for each candidate by how much it is expected to raise the front
(``acquisition``), believing what a Gaussian process over the slots of the space makes of all
trainings, short and repeated ones included (``analysis.accuracy_model``), and trains a front
candidate with another seed where that is worth more than a new candidate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from se_search.errors import SpaceError
from se_search.record import ENDED_WELL, CandidateT, TrialRecord
from se_search.search.candidate_space import CandidateSpace
from se_search.search.pool import MAX_WHOLE, Codes, PoolSource
from se_search.search.promotion import Estimate, Scorer
from se_search.search.proposer import Decision, History, Proposer
from se_search.search.samplers import CandidateSampler, IsAllowed
from se_search.surrogate.features import Factors, columns_to_factors
from se_search.surrogate.gaussian_process import Trainings

UNDER_WAY = ("RUNNING", "WAITING")


@dataclass(frozen=True, slots=True)
class _Training:
    """One trial as the history needs it."""

    state: str
    candidate: str
    epochs: int
    accuracy: float | None


class ParetoSampler(CandidateSampler[CandidateT]):
    """Proposes the training that is expected to raise the front most; see the module.

    Args:
        space: what may be proposed.
        is_allowed: whether a candidate is within the limits.
        seed: of the start design.
        price: the costs that the study minimises, each positive.
        epochs: of a full training.
        replicates: whether undecided candidates may be proposed again, for their next seed.
    """

    def __init__(
        self,
        space: CandidateSpace[CandidateT],
        is_allowed: IsAllowed[CandidateT],
        seed: int,
        price: Callable[[CandidateT], Sequence[int]],
        epochs: int,
        *,
        replicates: bool = True,
    ) -> None:
        super().__init__(space, is_allowed, seed)
        self.epochs = epochs
        self._factors = Factors(space.describe_levels())
        self._allowed: dict[bytes, bool] = {}
        self._codes: dict[str, Codes] = {}
        self.proposer = Proposer(
            self._factors,
            PoolSource(space, price, seed),
            self._is_within_limits,
            seed,
            replicates=replicates,
        )

    def propose(self, study: Study, trial: FrozenTrial) -> CandidateT:
        """Return the candidate whose training is worth most."""
        return self.space.with_codes(self.decide(study).codes)

    def decide(self, study: Study) -> Decision:
        """Return what would be trained next as the study stands, and what that is worth.

        Raises:
            SpaceError: the limits leave no candidate.
        """
        return self.proposer.decide(self._history(_read_trials(study)))

    def expected_gain(self, study: Study) -> float | None:
        """Return by how much the front is expected to rise if the best candidate became known."""
        return self.decide(study).gain

    @property
    def score(self) -> Scorer:
        """What estimates accuracies for promotion: ``estimate``."""
        return self.estimate

    def estimate(self, records: Sequence[TrialRecord]) -> Mapping[str, Estimate]:
        """Estimate the full-budget accuracy of every candidate that has been trained, by key.

        All trainings are pooled; what a short one favours is taken off, as far as it is known.
        """
        history = self._history(
            _Training(r.state, r.candidate, r.epochs, r.accuracy) for r in records
        )
        if not len(history.trainings):
            return {}
        mean, sd = self.proposer.estimate(history)
        found: dict[str, Estimate] = {}
        finished = [r for r in records if r.state in ENDED_WELL and r.accuracy is not None]
        for record, accuracy, spread in zip(finished, mean, sd, strict=True):
            found[record.key] = Estimate(float(accuracy), float(spread))
        return found

    def _history(self, trainings: Iterable[_Training]) -> History:
        finished: list[_Training] = []
        running: list[_Training] = []
        failed: list[_Training] = []
        for training in trainings:
            if training.state in ENDED_WELL and training.accuracy is not None:
                finished.append(training)
            elif training.state in UNDER_WAY:
                running.append(training)
            else:
                failed.append(training)
        epochs = {training.epochs for training in (*finished, *running)}
        budgets = (*sorted(one for one in epochs if one < self.epochs), self.epochs)
        return History(
            Trainings(
                self._encode(finished),
                _positions(finished, budgets),
                np.array([training.accuracy for training in finished], np.float64),
            ),
            budgets,
            self._encode(running),
            _positions(running, budgets),
            self._encode(failed),
        )

    def _encode(self, trainings: Sequence[_Training]) -> Codes:
        rows = [self._codes_of(training.candidate) for training in trainings]
        return np.array(rows, np.int16).reshape(len(rows), self._factors.num_slots)

    def _codes_of(self, text: str) -> Codes:
        if text not in self._codes:
            self._codes[text] = self.space.codes_of(self.space.parse(text))
        return self._codes[text]

    def _is_within_limits(self, codes: Codes) -> bool:
        key = codes.tobytes()
        if key not in self._allowed:
            self._allowed[key] = self.is_allowed(self.space.with_codes(codes))
        return self._allowed[key]


class ExactCostSampler(BaseSampler):
    """The same for any Optuna study in which all objectives but one are known beforehand.

    It proposes each combination of a finite search space once, and again only where a further
    noisy value of it is worth more than a new combination.

    Example:
        >>> sampler = ExactCostSampler(
        ...     {"depth": IntDistribution(1, 8), "kind": CategoricalDistribution(["a", "b"])},
        ...     costs={1: lambda params: params["depth"]},
        ... )
        >>> study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)

    Args:
        search_space: the parameters; each must have finitely many values, and together at most
            a million combinations.
        costs: for each known objective its number and what it is for given parameters.
        seed: of the first trials, which are spread over the costs.
        is_allowed: whether a combination may be tried; None: all may.
        replicates: whether a combination may be tried again.

    Raises:
        SpaceError: the space is not finite or too large.
    """

    def __init__(
        self,
        search_space: Mapping[str, BaseDistribution],
        costs: Mapping[int, Callable[[dict[str, Any]], float]],
        seed: int = 0,
        is_allowed: Callable[[dict[str, Any]], bool] | None = None,
        *,
        replicates: bool = True,
    ) -> None:
        self.search_space = dict(search_space)
        self.costs = dict(costs)
        self.seed = seed
        self.replicates = replicates
        self._grid = _Grid(self.search_space)
        self._is_allowed = is_allowed
        self._proposer: Proposer | None = None

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the search space as it was given."""
        return dict(self.search_space)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the parameters of the combination whose trial is worth most."""
        unknown = self._unknown_objective(study)
        if self._proposer is None:
            self._proposer = self._make_proposer(study)
        history = self._history(study, trial, unknown)
        return self._grid.params(self._proposer.decide(history).codes)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Refuse: a parameter that is not in the search space was asked for."""
        raise SpaceError(
            f"parameter {param_name!r} is not one of {', '.join(sorted(self.search_space))}"
        )

    def _unknown_objective(self, study: Study) -> int:
        unknown = [n for n in range(len(study.directions)) if n not in self.costs]
        if len(unknown) != 1 or not 1 <= len(self.costs) <= 2:
            raise SpaceError(
                f"of {len(study.directions)} objectives {len(self.costs)} are known: all but one "
                "must be, and one or two"
            )
        return unknown[0]

    def _make_proposer(self, study: Study) -> Proposer:
        signs = [
            1.0 if study.directions[number] == StudyDirection.MINIMIZE else -1.0
            for number in sorted(self.costs)
        ]
        functions = [self.costs[number] for number in sorted(self.costs)]

        def price(params: dict[str, Any]) -> list[float]:
            return [
                sign * float(function(params))
                for sign, function in zip(signs, functions, strict=True)
            ]

        def is_allowed(codes: Codes) -> bool:
            return self._is_allowed is None or self._is_allowed(self._grid.params(codes))

        return Proposer(
            columns_to_factors(self._grid.levels),
            PoolSource(self._grid, price, self.seed),  # type: ignore[arg-type]  # has what a whole pool needs
            is_allowed,
            self.seed,
            replicates=self.replicates,
        )

    def _history(self, study: Study, trial: FrozenTrial, unknown: int) -> History:
        sign = 1.0 if study.directions[unknown] == StudyDirection.MAXIMIZE else -1.0
        finished: list[FrozenTrial] = []
        running: list[FrozenTrial] = []
        failed: list[FrozenTrial] = []
        for other in study.get_trials(deepcopy=False):
            if other.number == trial.number or not set(self.search_space) <= set(other.params):
                continue
            kinds = {TrialState.COMPLETE: finished, TrialState.RUNNING: running}
            kinds.get(other.state, failed).append(other)
        values = [sign * other.values[unknown] for other in finished]
        return History(
            Trainings(
                self._grid.encode(finished), np.zeros(len(finished), np.int64), np.array(values)
            ),
            (1,),
            self._grid.encode(running),
            np.zeros(len(running), np.int64),
            self._grid.encode(failed),
        )


class _Grid:
    """All combinations of some finite distributions."""

    def __init__(self, search_space: Mapping[str, BaseDistribution]) -> None:
        self.names = tuple(search_space)
        self.levels = [_list_values(name, one) for name, one in search_space.items()]
        if self.size > MAX_WHOLE:
            raise SpaceError(f"{self.size:,} combinations are more than {MAX_WHOLE:,}")

    @property
    def size(self) -> int:
        """How many combinations there are."""
        return math.prod(len(levels) for levels in self.levels)

    def codes(self) -> Codes:
        """Return ``(size, num_parameters)`` positions in ``levels``."""
        axes = np.indices([len(levels) for levels in self.levels])
        return np.asarray(axes.reshape(len(self.levels), -1).T, np.int16)

    def price_codes(
        self, codes: Codes, price: Callable[[dict[str, Any]], Sequence[float]]
    ) -> NDArray[np.float64]:
        """Return the costs of combinations, ``(n, m)``."""
        return np.array([price(self.params(row)) for row in codes], np.float64)

    def params(self, codes: Codes) -> dict[str, Any]:
        """Return the parameters of one combination."""
        named = zip(self.names, self.levels, codes, strict=True)
        return {name: levels[code] for name, levels, code in named}

    def encode(self, trials: Sequence[FrozenTrial]) -> Codes:
        """Return ``(n, num_parameters)`` of the trials' parameters."""
        rows = [
            [
                levels.index(trial.params[name])
                for name, levels in zip(self.names, self.levels, strict=True)
            ]
            for trial in trials
        ]
        return np.array(rows, np.int16).reshape(len(rows), len(self.names))


def _list_values(name: str, distribution: BaseDistribution) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return list(range(distribution.low, distribution.high + 1, distribution.step))
    if isinstance(distribution, FloatDistribution) and distribution.step is not None:
        count = round((distribution.high - distribution.low) / distribution.step) + 1
        return [distribution.low + number * distribution.step for number in range(count)]
    raise SpaceError(f"parameter {name!r} has no step: its values can't be listed")


def _positions(trainings: Sequence[_Training], budgets: Sequence[int]) -> NDArray[np.int64]:
    return np.array([budgets.index(training.epochs) for training in trainings], np.int64)


def _read_trials(study: Study) -> list[_Training]:
    """Return the trials that have been assigned, in their order."""
    return [
        _Training(
            trial.state.name,
            trial.user_attrs["candidate"],
            trial.user_attrs["epochs"],
            trial.user_attrs.get("accuracy"),
        )
        for trial in study.get_trials(deepcopy=False)
        if "candidate" in trial.user_attrs
    ]

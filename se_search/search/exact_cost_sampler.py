"""A sampler for any Optuna study in which all objectives but one are known without a trial.

It decides as the default sampler of a search does (:mod:`se_search.search.pareto_sampler`): each
combination of parameters is scored by its expected hypervolume improvement.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
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
from se_search.search.history import History, PastTrial, Status
from se_search.search.pool import MAX_WHOLE, Codes, PoolSource
from se_search.search.proposer import Proposer
from se_search.surrogate.features import columns_to_factors

STATUSES: dict[TrialState, Status] = {
    TrialState.COMPLETE: "finished",
    TrialState.RUNNING: "running",
}
"""The status of a trial by its state; in any other state it has failed."""


class ExactCostSampler(BaseSampler):
    """An Optuna sampler for a finite space whose objectives are exactly known, but for one.

    The unknown objective, such as an accuracy, may be noisy; the known ones, such as numbers of
    parameters, are functions of the parameters. Each combination is proposed once, and again only
    where another value of its unknown objective is worth more than a new combination.

    Example:
        >>> import optuna
        >>> from optuna.distributions import CategoricalDistribution, IntDistribution
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> def num_weights(params):
        ...     return params["width"] * (3 if params["kind"] == "wide" else 1)
        >>> def objective(trial):
        ...     width = trial.suggest_int("width", 1, 8)
        ...     kind = trial.suggest_categorical("kind", ["plain", "wide"])
        ...     accuracy = 1 - 1 / (1 + width + 2 * (kind == "wide"))
        ...     return accuracy, num_weights(trial.params)
        >>> kinds = CategoricalDistribution(["plain", "wide"])
        >>> sampler = ExactCostSampler(
        ...     {"width": IntDistribution(1, 8), "kind": kinds},
        ...     costs={1: num_weights},  # the second objective is known
        ... )
        >>> study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
        >>> study.optimize(objective, n_trials=12)
        >>> len(study.trials), len({str(trial.params) for trial in study.trials})
        (12, 12)

    Args:
        search_space: the parameters by name; each must have finitely many values, and together
            they must have at most a million combinations.
        costs: by the number of each known objective, the function from parameters to its value;
            one or two, all objectives of the study but one.
        seed: of the first trials, which are spread over the costs, and of the model's draws.
        is_allowed: whether a combination may be tried; None: every one may.
        replicates: whether a combination may be tried again.

    Raises:
        SpaceError: the space is not finite, or has more than a million combinations.
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
        """Return the combination whose trial is expected to raise the front most.

        Raises:
            SpaceError: not all objectives of the study but one are known, or no combination is
                allowed.
        """
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
        """Refuse a parameter that is not in the search space.

        Raises:
            SpaceError: always.
        """
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
        """Return the earlier trials that have all parameters of the search space."""
        sign = 1.0 if study.directions[unknown] == StudyDirection.MAXIMIZE else -1.0
        names = set(self.search_space)
        return History.of(
            (
                PastTrial(
                    self._grid.encode(other),
                    STATUSES.get(other.state, "failed"),
                    epochs=1,
                    accuracy=None if other.values is None else sign * other.values[unknown],
                )
                for other in study.get_trials(deepcopy=False)
                if other.number != trial.number and names <= set(other.params)
            ),
            full_epochs=1,
            num_slots=len(names),
        )


class _Grid:
    """All combinations of finite distributions."""

    def __init__(self, search_space: Mapping[str, BaseDistribution]) -> None:
        self.names = tuple(search_space)
        self.levels = [_list_values(name, one) for name, one in search_space.items()]
        if self.size > MAX_WHOLE:
            raise SpaceError(f"{self.size:,} combinations are more than {MAX_WHOLE:,}")

    @property
    def size(self) -> int:
        """The number of combinations."""
        return math.prod(len(levels) for levels in self.levels)

    def codes(self) -> Codes:
        """Return ``(size, num_parameters)``: positions in ``levels`` of every combination."""
        axes = np.indices([len(levels) for levels in self.levels])
        return np.asarray(axes.reshape(len(self.levels), -1).T, np.int16)

    def price_codes(
        self, codes: Codes, price: Callable[[dict[str, Any]], Sequence[float]]
    ) -> NDArray[np.float64]:
        """Return the costs of combinations, ``(n, m)``."""
        return np.array([price(self.params(row)) for row in codes], np.float64)

    def params(self, codes: Codes) -> dict[str, Any]:
        """Return the parameters of one combination, by name."""
        named = zip(self.names, self.levels, codes, strict=True)
        return {name: levels[code] for name, levels, code in named}

    def encode(self, trial: FrozenTrial) -> Codes:
        """Return ``(num_parameters,)``: positions in ``levels`` of a trial's parameters."""
        named = zip(self.names, self.levels, strict=True)
        return np.array([levels.index(trial.params[name]) for name, levels in named], np.int16)


def _list_values(name: str, distribution: BaseDistribution) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return list(range(distribution.low, distribution.high + 1, distribution.step))
    if isinstance(distribution, FloatDistribution) and distribution.step is not None:
        count = round((distribution.high - distribution.low) / distribution.step) + 1
        return [distribution.low + number * distribution.step for number in range(count)]
    raise SpaceError(f"parameter {name!r} has no step: its values can't be listed")

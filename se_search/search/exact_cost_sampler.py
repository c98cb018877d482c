"""A sampler for any Optuna study in which all objectives but one are known without a trial.

It decides as the default sampler of a search does (:mod:`se_search.search.pareto_sampler`): each
combination of parameters is scored by its expected hypervolume improvement.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.exceptions import TrialPruned
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from se_search.errors import SpaceError
from se_search.search.parameter_grid import AllowedCombinations, ParameterGrid, call_cost
from se_search.search.pool import Codes, PoolSource
from se_search.search.proposer import Proposer
from se_search.search.study_history import PROPOSAL, StudyHistory, Taken, preset_values
from se_search.seeds import derive_seed

# Threads of one process decide one after the other, so that each sees the proposals before it,
# whatever study and whatever copy of the sampler they use; a cost function may hold a study itself.
_DECIDING = threading.RLock()
MAX_ATTEMPTS = 4  # the last proposal stands, be it another process's as well


class AllTriedError(SpaceError, TrialPruned):
    """No combination is left: Optuna prunes the trial that asked for one, and the study stops."""


class ExactCostSampler(BaseSampler):
    """An Optuna sampler for a finite space whose objectives are exactly known, but for one.

    The unknown objective, such as an accuracy, may be noisy; the known ones, such as numbers of
    parameters, are functions of the parameters. No combination is proposed twice, however many
    threads ask; when all have been tried, ``Study.optimize`` ends. Several processes on one
    storage see each other's proposals; only of those of one moment two may be alike.

    Trials of any state count: a combination is tried once it has been proposed or enqueued, has
    failed, has been pruned, or was added from another study. The model learns from complete trials
    whose parameters are all in the search space, whose value is finite, and which keep their
    constraints. Where an objective does not suggest a parameter, or suggests it from a single
    value, combinations that differ in that parameter alone are one.

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
        search_space: the parameters by name; each must have finitely many values, a thousand in
            all, and together they must have at most a million combinations.
        costs: by the number of each known objective, the function from parameters to its value;
            one or two, all objectives of the study but one. It is called once for each allowed
            combination, with all parameters of the search space.
        seed: of the first trials, which are spread over the costs, and of the model's draws.
        is_allowed: whether a combination may be tried; None: every one may.
        repeat_candidates: whether a combination is proposed again where another value of its
            unknown objective is worth more than a new combination, and when all have been tried.

    Raises:
        SpaceError: an argument is of another type, or the space is not finite or too large.
    """

    def __init__(
        self,
        search_space: Mapping[str, BaseDistribution],
        costs: Mapping[int, Callable[[dict[str, Any]], float]],
        seed: int = 0,
        is_allowed: Callable[[dict[str, Any]], bool] | None = None,
        *,
        repeat_candidates: bool = False,
    ) -> None:
        self._grid = ParameterGrid(search_space)
        _check_costs(costs)
        if not isinstance(seed, int | np.integer) or isinstance(seed, bool):
            raise SpaceError(f"seed {seed!r} is not a whole number")
        if is_allowed is not None and not callable(is_allowed):
            raise SpaceError(f"is_allowed {is_allowed!r} is not a function of the parameters")
        if not isinstance(repeat_candidates, bool):
            raise SpaceError(f"repeat_candidates {repeat_candidates!r} is not True or False")
        self.search_space = dict(search_space)
        self.costs = dict(costs)
        self.seed = int(seed)
        self.repeats = repeat_candidates
        self._is_allowed = is_allowed
        self._deciders: dict[tuple[StudyDirection, ...], _Decider] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what the arguments and the trials of a study determine."""
        return {**self.__dict__, "_deciders": {}}

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return nothing: each parameter is handed out when the objective suggests it."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return nothing; see ``sample_independent``."""
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return the parameter's value in the combination that is proposed for the trial.

        The first parameter that a trial suggests has the combination decided: the one whose trial
        is expected to raise the front most, of those that hold the values of its enqueued ones.

        Raises:
            AllTriedError: no combination is left.
            SpaceError: not all objectives of the study but one are known, a cost is not a finite
                number, or the search space has no such parameter, or other values of it.
        """
        if param_name not in self.search_space:
            raise SpaceError(
                f"parameter {param_name!r} is not one of {', '.join(sorted(self.search_space))}"
            )
        with _DECIDING:
            proposed = self._grid.from_texts(trial.system_attrs.get(PROPOSAL) or {})
            if proposed:
                codes = [proposed[name] for name in self._grid.names]
            else:
                codes = self._propose(study, trial)
        value = self._grid.params(codes)[param_name]
        return _hand_out(param_name, value, self.search_space[param_name], param_distribution)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Stop ``Study.optimize`` when no combination is left."""
        if self.repeats:
            return
        with _DECIDING:
            trials = list(study.get_trials(deepcopy=False))
            if any(other.state == TrialState.WAITING for other in trials):
                return
            decider = self._decider(study)
            taken = decider.read(
                [_end(t, state) if t.number == trial.number else t for t in trials]
            )
            if not decider.has_left(taken.taken):
                _stop(study)

    def _propose(self, study: Study, trial: FrozenTrial) -> list[int]:
        """Decide for a trial, and anew if another process decided alike at that moment."""
        for _ in range(MAX_ATTEMPTS):
            codes: list[int] = self._decide(study, trial).tolist()
            texts = self._grid.to_texts(codes)
            study._storage.set_trial_system_attr(trial._trial_id, PROPOSAL, texts)
            if self.repeats or not any(
                other.number < trial.number
                and other.state == TrialState.RUNNING
                and other.system_attrs.get(PROPOSAL) == texts
                for other in study.get_trials(deepcopy=False)
            ):
                break
        return codes

    def _decide(self, study: Study, trial: FrozenTrial) -> Codes:
        decider = self._decider(study)
        others = [t for t in study.get_trials(deepcopy=False) if t.number != trial.number]
        # Optuna's PartialFixedSampler keeps its values to itself.
        fixed = getattr(study.sampler, "_fixed_params", None) or {}
        preset = {**fixed, **preset_values(trial)}
        named = {name: preset[name] for name in self._grid.names if name in preset}
        wanted = {name: self._grid.code_of(name, value) for name, value in named.items()}
        condition = {
            self._grid.names.index(name): code for name, code in wanted.items() if code is not None
        }
        try:
            return decider.decide(decider.read(others), condition, trial.number)
        except AllTriedError:
            if not condition:
                _stop(study)
            raise

    def _decider(self, study: Study) -> _Decider:
        directions = tuple(study.directions)
        if directions not in self._deciders:
            unknown = self._unknown_objective(len(directions))
            self._deciders[directions] = _Decider(
                self._grid,
                AllowedCombinations(self._grid, self._is_allowed),
                self.costs,
                directions,
                unknown,
                self.seed,
                self.repeats,
            )
        return self._deciders[directions]

    def _unknown_objective(self, num_objectives: int) -> int:
        beyond = [number for number in self.costs if not 0 <= number < num_objectives]
        if beyond:
            raise SpaceError(
                f"costs[{beyond[0]}] is the cost of an objective that the study does not have; "
                f"its objectives are numbered from 0 to {num_objectives - 1}"
            )
        unknown = [n for n in range(num_objectives) if n not in self.costs]
        if len(unknown) != 1 or not 1 <= len(self.costs) <= 2:
            raise SpaceError(
                f"of {num_objectives} objectives {len(self.costs)} are known: all but one "
                "must be, and one or two"
            )
        return unknown[0]


class _Decider:
    """Decides for studies whose objectives have these directions."""

    def __init__(
        self,
        grid: ParameterGrid,
        allowed: AllowedCombinations,
        costs: Mapping[int, Callable[[dict[str, Any]], float]],
        directions: Sequence[StudyDirection],
        unknown: int,
        seed: int,
        repeats: bool,
    ) -> None:
        self.grid = grid
        self.allowed = allowed
        self.unknown = unknown
        self.seed = seed
        self.sign = 1.0 if directions[unknown] == StudyDirection.MAXIMIZE else -1.0
        self._taken = Taken()
        signs = {n: 1.0 if directions[n] == StudyDirection.MINIMIZE else -1.0 for n in costs}

        def price(params: dict[str, Any]) -> list[float]:
            return [signs[n] * call_cost(n, costs[n], params) for n in sorted(costs)]

        self._source: PoolSource[Any] = PoolSource(allowed, price, seed)  # type: ignore[arg-type]  # has what a whole pool needs
        self.repeats = repeats
        self._proposer = self._make_proposer(lambda codes: not self._taken.holds(codes))

    def read(self, trials: Sequence[FrozenTrial]) -> StudyHistory:
        """Return what the trials tell."""
        return StudyHistory.of(trials, self.grid, self.unknown, self.sign)

    def has_left(self, taken: Taken) -> bool:
        """Tell whether an allowed combination has not been taken."""
        return bool(taken.mark_left(self.allowed.codes()).any())

    def decide(self, read: StudyHistory, condition: Mapping[int, int], number: int) -> Codes:
        """Return what trial ``number`` is to try, ``(num_parameters,)``.

        Args:
            read: what the other trials tell.
            condition: codes of parameters that the trial has already, by their positions.
            number: of the trial.
        """
        rows = self.allowed.codes()
        for position, code in condition.items():
            rows = rows[rows[:, position] == code]
        having = self._describe(condition)
        if not len(rows):
            raise SpaceError(f"is_allowed allows no combination{having}")
        self._taken = read.taken
        left = read.taken.mark_left(rows)
        if not left.any():
            if not self.repeats:
                raise AllTriedError(f"all {len(rows):,} combinations{having} have been tried")
            if not len(read.history.trainings) and not len(read.history.running):
                raise AllTriedError(f"all {len(rows):,} combinations{having} have failed")
            if condition:
                return np.asarray(rows[derive_seed(self.seed, "again", number) % len(rows)])
        if not condition:
            return self._proposer.decide(read.history).codes
        if len(read.history.trainings) < 2:
            rows = rows[left]
            return np.asarray(rows[derive_seed(self.seed, "condition", number) % len(rows)])
        matching = self._make_proposer(
            lambda codes: (
                all(codes[at] == code for at, code in condition.items())
                and not read.taken.holds(codes)
            ),
            repeats=False,
        )
        return matching.decide(read.history).codes

    def _make_proposer(
        self, is_open: Callable[[Codes], bool], *, repeats: bool | None = None
    ) -> Proposer:
        return Proposer(
            self.grid.factors(),
            self._source,
            lambda codes: True,  # the source has the allowed ones alone
            self.seed,
            repeats=self.repeats if repeats is None else repeats,
            is_open=is_open,
            has_replicates=False,  # each value of an objective has its own randomness
        )

    def _describe(self, condition: Mapping[int, int]) -> str:
        named = [
            f"{self.grid.names[at]}={self.grid.levels[at][code]!r}"
            for at, code in condition.items()
        ]
        return f" with {', '.join(named)}" if named else ""


def _check_costs(costs: object) -> None:
    if not isinstance(costs, Mapping):
        raise SpaceError(
            f"costs {costs!r}: it takes a function for the number of each known objective, as "
            "{1: num_weights}"
        )
    for number, function in costs.items():
        if not isinstance(number, int) or isinstance(number, bool):
            raise SpaceError(f"costs has the key {number!r}, which is not an objective's number")
        if not callable(function):
            raise SpaceError(f"costs[{number}] is {function!r}, not a function of the parameters")


def _hand_out(name: str, value: Any, own: BaseDistribution, distribution: BaseDistribution) -> Any:
    """Return a proposed value as the objective's own distribution has it.

    Raises:
        SpaceError: that distribution does not hold the value.
    """
    if distribution == own:
        return value
    try:
        internal = distribution.to_internal_repr(value)
        is_held = bool(distribution._contains(internal))
    except (TypeError, ValueError):
        is_held = False
    if not is_held:
        raise SpaceError(
            f"parameter {name!r}: the sampler's search space gives {value!r} from {own}, and the "
            f"objective suggests it from {distribution}; give both the same values, or leave "
            "combinations out with is_allowed"
        )
    if isinstance(distribution, CategoricalDistribution | IntDistribution):
        return distribution.to_external_repr(internal)
    return internal


def _end(trial: FrozenTrial, state: TrialState) -> FrozenTrial:
    """Return a trial as it will be stored, but for its values, which settle nothing."""
    ended = copy.copy(trial)
    ended.state = TrialState.PRUNED if state == TrialState.COMPLETE else state
    return ended


def _stop(study: Study) -> None:
    """Let ``Study.optimize`` end; a study that is asked by its user goes on as its user wants."""
    with suppress(RuntimeError):
        study.stop()

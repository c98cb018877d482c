"""TPE as users of Optuna run it: one seed, no control, and accuracies taken as they come."""

from __future__ import annotations

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import TrialState

from benchmarks.calibration.searches import OBJECTIVES, Searchable, make_record
from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.record import Assignment, TrialRecord
from se_search.run_config import DIRECTIONS
from se_search.seeds import derive_seed
from se_search.space.parameters import Parameter
from se_search.space.schema import Choice


def search_with_single_seed(
    world: Searchable, replicate: int, seed: int, num_trials: int
) -> list[TrialRecord]:
    """Search a world by Optuna's TPE with its own settings, every training in one replicate.

    A network that TPE proposes again is trained again, and comes out alike. Where the world has no
    training of a network, it is replaced by one of the nearest, and TPE is told which: an exact
    share of a space can't be searched otherwise by a sampler that draws each stage by itself.

    Args:
        world: where trainings are looked up.
        replicate: number of the one replicate.
        seed: of the sampler.
        num_trials: how many trainings.
    """
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # else a line a trial
    try:
        return _search(world, replicate, seed, num_trials)
    finally:
        optuna.logging.set_verbosity(verbosity)


def find_nearest(world: Searchable, candidate: Candidate, rng: np.random.Generator) -> Candidate:
    """Return a random one of the allowed candidates that differ from one in the fewest slots."""
    if candidate in world.allowed:
        return candidate
    codes = world.allowed.list_codes(world.space.size)
    assert codes is not None  # they are no more than the space has
    distances = (codes != world.space.codes_of(candidate)).sum(axis=1)
    return world.space.with_codes(codes[rng.choice(np.flatnonzero(distances == distances.min()))])


def _search(world: Searchable, replicate: int, seed: int, num_trials: int) -> list[TrialRecord]:
    study = optuna.create_study(
        directions=[DIRECTIONS[name] for name in OBJECTIVES],
        sampler=optuna.samplers.TPESampler(seed=seed),
    )
    rng = np.random.default_rng(derive_seed("nearest", seed))
    distributions: dict[str, BaseDistribution] = {
        parameter.name: CategoricalDistribution(parameter.choices)
        for parameter in world.space.parameters
    }
    records: list[TrialRecord] = []
    for number in range(num_trials):
        trial = study.ask()

        def suggest(parameter: Parameter, trial: optuna.Trial = trial) -> Choice:
            choice: Choice = trial.suggest_categorical(parameter.name, parameter.choices)  # type: ignore[assignment]  # one of the choices
            return choice

        proposal: Candidate = world.space.choose(suggest)
        candidate = find_nearest(world, proposal, rng)
        accuracy = world.look_up(Assignment(candidate, replicate, world.epochs))
        values = [accuracy, float(count_cost(candidate).params)]
        if candidate == proposal:
            study.tell(trial, values)
        else:
            study.tell(trial, state=TrialState.FAIL)  # which TPE disregards
            params = world.space.encode(candidate)
            own = {name: distributions[name] for name in params}
            study.add_trial(
                optuna.trial.create_trial(params=params, distributions=own, values=values)
            )
        records.append(make_record(number, candidate, replicate, world.epochs, accuracy))
    return records

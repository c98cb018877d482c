"""The sampler of exact costs on Optuna studies of any function."""

import doctest
from itertools import product

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from se_search.analysis.pareto import is_non_dominated
from se_search.errors import SpaceError
from se_search.search import exact_cost_sampler
from se_search.search.exact_cost_sampler import ExactCostSampler

GRID = {
    "depth": IntDistribution(1, 5),
    "kind": CategoricalDistribution(["a", "b", "c"]),
    "rate": FloatDistribution(0.5, 1.5, step=0.5),
}
COMBINATIONS = [
    {"depth": depth, "kind": kind, "rate": rate}
    for depth, kind, rate in product(range(1, 6), "abc", (0.5, 1.0, 1.5))
]


def cost_of(params):
    return params["depth"] * (1.0 + 0.3 * "abc".index(params["kind"]))


def other_cost_of(params):
    return 2.0 * params["rate"] + 0.1 * params["depth"]


def value_of(params):
    return (
        np.sqrt(params["depth"])
        + {"a": 0.0, "b": 0.5, "c": 0.45}[params["kind"]]
        + 0.3 * params["rate"]
    )


def suggest(trial):
    return {
        "depth": trial.suggest_int("depth", 1, 5),
        "kind": trial.suggest_categorical("kind", ["a", "b", "c"]),
        "rate": trial.suggest_float("rate", 0.5, 1.5, step=0.5),
    }


def front_of(points, signs):
    """Return the combinations on the front of all, but for those of poor values.

    Args:
        points: from parameters to objectives.
        signs: what makes all objectives minimised.
    """
    values = np.array([points(params) for params in COMBINATIONS]) * signs
    quality = np.array([value_of(params) for params in COMBINATIONS])
    marks = is_non_dominated(values) & (quality > np.quantile(quality, 0.4))
    return {tuple(c.values()) for c, mark in zip(COMBINATIONS, marks, strict=True) if mark}


STUDIES = {
    "accuracy up, cost down": (
        ["maximize", "minimize"],
        lambda p: (value_of(p), cost_of(p)),
        {1: cost_of},
    ),
    "known up, unknown down": (
        ["maximize", "minimize"],
        lambda p: (-cost_of(p), -value_of(p)),
        {0: lambda p: -cost_of(p)},
    ),
    "unknown last, both down": (
        ["minimize", "minimize"],
        lambda p: (cost_of(p), -value_of(p)),
        {0: cost_of},
    ),
    "two costs": (
        ["minimize", "maximize", "minimize"],
        lambda p: (cost_of(p), value_of(p), other_cost_of(p)),
        {0: cost_of, 2: other_cost_of},
    ),
}


@pytest.mark.parametrize("case", STUDIES)
def test_any_study_with_exact_costs_finds_its_front_and_tries_hardly_anything_twice_before(case):
    directions, objectives, costs = STUDIES[case]
    sampler = ExactCostSampler(GRID, costs)
    study = optuna.create_study(directions=directions, sampler=sampler)
    study.optimize(lambda trial: objectives(suggest(trial)), n_trials=32)
    front = front_of(objectives, [1 if d == "minimize" else -1 for d in directions])
    assert 3 < len(front) < 20
    tried = [tuple(trial.params[name] for name in GRID) for trial in study.trials]
    missing = [len(front - set(tried[:count])) for count in range(33)]
    found = next(n for n, count in enumerate(missing) if count <= 1)
    # One member is on the front by a hair: it may come late, and others like it again.
    assert len(set(tried[:found])) >= found - 2


def test_a_study_with_all_objectives_turned_around_tries_the_same():
    tried = []
    for directions, objectives, costs in list(STUDIES.values())[:3]:
        study = optuna.create_study(directions=directions, sampler=ExactCostSampler(GRID, costs))
        study.optimize(lambda trial, o=objectives: o(suggest(trial)), n_trials=20)
        tried.append([trial.params for trial in study.trials])
    assert tried[0] == tried[1] == tried[2]


def test_without_repeats_every_combination_is_tried_once():
    directions, objectives, costs = STUDIES["accuracy up, cost down"]
    sampler = ExactCostSampler(GRID, costs, repeat_candidates=False)
    study = optuna.create_study(directions=directions, sampler=sampler)
    study.optimize(lambda trial: objectives(suggest(trial)), n_trials=45)
    tried = [tuple(trial.params[name] for name in GRID) for trial in study.trials]
    assert len(set(tried)) == len(COMBINATIONS) == 45


def test_what_is_not_allowed_is_not_tried_in_any_study():
    directions, objectives, costs = STUDIES["accuracy up, cost down"]
    sampler = ExactCostSampler(GRID, costs, is_allowed=lambda params: params["depth"] < 4)
    study = optuna.create_study(directions=directions, sampler=sampler)
    study.optimize(lambda trial: objectives(suggest(trial)), n_trials=20)
    assert max(trial.params["depth"] for trial in study.trials) == 3


def test_failed_trials_of_any_study_are_not_tried_again():
    directions, objectives, costs = STUDIES["accuracy up, cost down"]
    sampler = ExactCostSampler(GRID, costs)
    study = optuna.create_study(directions=directions, sampler=sampler)

    def objective(trial):
        params = suggest(trial)
        if params["kind"] == "b":
            raise ValueError("no")
        return objectives(params)

    study.optimize(objective, n_trials=30, catch=ValueError)
    failed = [t.params for t in study.trials if t.state == TrialState.FAIL]
    assert 0 < len(failed) == len({tuple(params.values()) for params in failed})


def test_a_continued_study_of_any_function_goes_on_as_an_undisturbed_one():
    directions, objectives, costs = STUDIES["two costs"]

    def tried(*parts):
        study = optuna.create_study(directions=directions)
        for part in parts:
            study.sampler = ExactCostSampler(GRID, costs, seed=3)
            study.optimize(lambda trial: objectives(suggest(trial)), n_trials=part)
        return [trial.params for trial in study.trials]

    assert tried(20) == tried(9, 5, 6)


def test_a_parameter_without_a_step_is_refused():
    with pytest.raises(SpaceError, match="'rate' has no step"):
        ExactCostSampler({"rate": FloatDistribution(0.0, 1.0)}, {1: lambda params: 1.0})


def test_more_than_a_million_combinations_are_refused():
    space = {f"x{i}": IntDistribution(1, 11) for i in range(6)}
    with pytest.raises(SpaceError, match="1,771,561 combinations"):
        ExactCostSampler(space, {1: lambda params: 1.0})


@pytest.mark.parametrize("costs", [{}, {0: cost_of, 1: cost_of}], ids=["none", "all"])
def test_all_objectives_but_one_must_be_known(costs):
    study = optuna.create_study(
        directions=["maximize", "minimize"], sampler=ExactCostSampler(GRID, costs)
    )
    with pytest.raises(SpaceError, match=f"of 2 objectives {len(costs)} are known"):
        suggest(study.ask())


def test_more_than_two_costs_are_refused():
    sampler = ExactCostSampler(GRID, dict.fromkeys((1, 2, 3), cost_of))
    study = optuna.create_study(directions=["maximize", *["minimize"] * 3], sampler=sampler)
    with pytest.raises(SpaceError, match="of 4 objectives 3 are known"):
        suggest(study.ask())


def test_a_parameter_that_is_not_in_the_search_space_is_refused():
    sampler = ExactCostSampler(GRID, {1: cost_of})
    trial = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler).ask()
    with pytest.raises(SpaceError, match="'colour' is not one of depth, kind, rate"):
        trial.suggest_categorical("colour", ["red", "blue"])


def test_with_repeats_a_space_of_one_combination_is_tried_again_and_again():
    sampler = ExactCostSampler(
        {"depth": IntDistribution(3, 3)}, {1: lambda params: 1.0}, repeat_candidates=True
    )
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    study.optimize(lambda trial: (trial.suggest_int("depth", 3, 3), 1.0), n_trials=4)
    assert [trial.params for trial in study.trials] == [{"depth": 3}] * 4


def test_trials_that_were_begun_elsewhere_count_if_they_have_all_parameters():
    directions, objectives, costs = STUDIES["accuracy up, cost down"]
    study = optuna.create_study(directions=directions, sampler=ExactCostSampler(GRID, costs))
    for params in COMBINATIONS[:30]:
        study.add_trial(
            optuna.create_trial(params=params, distributions=GRID, values=objectives(params))
        )
    study.add_trial(optuna.create_trial(values=(9.0, 9.0)))
    study.optimize(lambda trial: objectives(suggest(trial)), n_trials=5)
    new = [trial.params for trial in study.trials[31:]]
    assert sum(params in COMBINATIONS[:30] for params in new) <= 1


def test_the_example_of_the_docstring_runs():
    verbosity = optuna.logging.get_verbosity()
    try:
        results = doctest.testmod(exact_cost_sampler)
    finally:
        optuna.logging.set_verbosity(verbosity)
    assert results.attempted > 5
    assert results.failed == 0

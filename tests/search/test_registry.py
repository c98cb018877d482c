"""The samplers by name: what each is made from, and how it differs from Optuna's defaults."""

import warnings

import pytest
from optuna.samplers import NSGAIISampler, TPESampler
from support.searching import make_space

from se_search.cost import count_cost
from se_search.search.candidate_set import WholeSpace
from se_search.search.pareto_sampler import ParetoSampler
from se_search.search.registry import SAMPLERS, Setup
from se_search.search.samplers import CandidateSampler, GridSampler, OptunaSampler, RandomSampler

SPACE = make_space()


def setup(objectives=("accuracy", "params"), **changes):
    return Setup(SPACE, WholeSpace(SPACE), 5, count_cost, objectives, 4, **changes)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_name_makes_a_sampler_of_the_space_with_the_seed(name):
    sampler = SAMPLERS[name](setup())
    assert isinstance(sampler, CandidateSampler)
    assert sampler.space is SPACE
    assert sampler.seed == 5


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("pareto", ParetoSampler),
        ("tpe", OptunaSampler),
        ("nsga2", OptunaSampler),
        ("random", RandomSampler),
        ("grid", GridSampler),
    ],
)
def test_names_mean_the_samplers_that_they_say(name, kind):
    assert type(SAMPLERS[name](setup())) is kind


@pytest.mark.parametrize(("name", "kind"), [("tpe", TPESampler), ("nsga2", NSGAIISampler)])
def test_optunas_samplers_are_inside_and_warn_of_nothing(name, kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert type(SAMPLERS[name](setup()).make_inner(0)) is kind


@pytest.mark.parametrize("objectives", [("accuracy", "params"), ("accuracy", "macs", "params")])
def test_the_price_has_the_costs_in_the_order_of_the_objectives(objectives):
    candidate = SPACE.candidate_at(SPACE.size - 1)
    cost = count_cost(candidate)
    expected = [getattr(cost, name) for name in objectives[1:]]
    assert setup(objectives).price(candidate) == expected


@pytest.mark.parametrize("repeats", [True, False])
def test_pareto_repeats_candidates_only_where_it_may(repeats):
    sampler = SAMPLERS["pareto"](setup(repeat_candidates=repeats))
    assert sampler.proposer.repeats is repeats
    assert sampler.epochs == 4

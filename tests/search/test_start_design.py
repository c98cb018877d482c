"""What is trained before there is a model: strata of cost, levels in turn, random candidates."""

import numpy as np
import pytest
from support.proposing import make_table, price

from se_search.search.pool import PoolSource
from se_search.search.start_design import draw_untried, make_start_design
from se_search.surrogate.features import Factors

TABLE = make_table()
SIZE = 8


def pool_of(space):
    none = space.codes()[:0]
    return PoolSource(space, price(space), seed=0).make(none, none)


def design_of(space, seed, is_allowed=lambda codes: True):
    factors = Factors(space.describe_levels())
    return make_start_design(pool_of(space), factors, is_allowed, SIZE, seed)


def costs_of(space, design):
    return np.array([space.costs[space.with_codes(codes).index] for codes in design])


def strata_of(space, costs):
    return np.searchsorted(np.sort(space.costs), costs) * SIZE // space.size


@pytest.mark.parametrize("seed", range(4))
def test_the_cheapest_comes_first_then_one_of_each_stratum_of_cost(seed):
    costs = costs_of(TABLE, design_of(TABLE, seed))
    assert costs[0] == TABLE.costs.min()
    assert sorted(strata_of(TABLE, costs[1 : SIZE + 1]).tolist()) == list(range(SIZE))


@pytest.mark.parametrize("seed", range(4))
def test_a_second_round_has_one_of_each_stratum_again(seed):
    costs = costs_of(TABLE, design_of(TABLE, seed))
    assert sorted(strata_of(TABLE, costs[SIZE + 1 :]).tolist()) == list(range(SIZE))


def test_without_a_single_cheapest_candidate_the_design_is_one_of_each_stratum():
    space = make_table()
    space.costs[np.argsort(space.costs)[1]] = space.costs.min()
    costs = costs_of(space, design_of(space, seed=3)[:SIZE])
    assert sorted(strata_of(space, costs).tolist()) == list(range(SIZE))


def test_levels_are_used_about_equally_often():
    def unevenness(rows):
        return np.std([np.bincount(column, minlength=4) for column in np.array(rows).T])

    rng = np.random.default_rng(0)
    designed = [unevenness(design_of(TABLE, seed)[:SIZE]) for seed in range(8)]
    drawn = [unevenness(TABLE.codes()[rng.choice(64, SIZE, replace=False)]) for _ in range(50)]
    assert np.mean(designed) < np.mean(drawn) - 0.1


def test_only_allowed_candidates_are_in_the_design():
    design = design_of(TABLE, seed=0, is_allowed=lambda codes: codes[0] == 2)
    assert {int(codes[0]) for codes in design} == {2}


def test_a_candidate_that_has_been_tried_is_not_drawn():
    codes = TABLE.codes()
    tried = {row.tobytes() for row in codes[:-1]}
    assert (
        draw_untried(pool_of(TABLE), tried, lambda _: True, seed=0).tolist() == codes[-1].tolist()
    )


def test_the_only_allowed_candidate_is_found():
    wanted = TABLE.codes()[np.argmax(TABLE.costs)]
    found = draw_untried(pool_of(TABLE), set(), lambda codes: (codes == wanted).all(), seed=0)
    assert found.tolist() == wanted.tolist()


def test_where_nothing_is_allowed_nothing_is_drawn():
    assert draw_untried(pool_of(TABLE), set(), lambda codes: False, seed=0) is None

"""Candidates within limits, against every candidate of a small space priced one by one."""

import time
import tracemalloc
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from support.networks import make_backbone, with_sites
from support.spaces import SHARED, TINY, bind, described, listed_spaces

from se_search.backbone import FeatureMap, Site
from se_search.candidate import Candidate
from se_search.cost import count_cost, find_allowed, is_within
from se_search.errors import SpaceError
from se_search.space import allowed as allowed_module
from se_search.space.allowed import AllowedCandidates
from se_search.space.schema import Limits

few_examples = settings(max_examples=60)
MANY = {"granularity": "block", "choices": {"integration": ["standard", "pre"], "reduction": [2]}}
HUGE = {
    "granularity": "block",
    "choices": {"integration": ["standard", "pre"], "reduction": [2, 4, 8]},
}


def many():
    """Bind 3^5 candidates, whose parameters and MACs are many different sums."""
    maps = [
        {"standard": FeatureMap(channels, pixels), "pre": FeatureMap(other, 3 * pixels)}
        for channels, other, pixels in [(8, 6, 30), (8, 7, 31), (16, 5, 8), (24, 11, 7), (40, 9, 2)]
    ]
    return bind(with_sites([Site(n, 1, own) for n, own in enumerate(maps, start=2)]), **MANY)


def count_added(candidate):
    cost = count_cost(candidate)
    return cost.added_params, cost.added_macs


def within(space, bounds):
    return AllowedCandidates(space, count_added, bounds)


def costs_of(candidates):
    return np.array([count_added(candidate) for candidate in candidates])


@st.composite
def limited_spaces(draw):
    """Draw a small space, two bounds of which at least one limits, and the allowed candidates."""
    bound, _ = draw(listed_spaces())
    every = list(bound)
    costs = costs_of(every)
    bounds = [
        draw(st.none() | st.sampled_from(sorted(set(costs[:, kind].tolist())))) for kind in (0, 1)
    ]
    # A number beside a sum tells <= from <.
    bounds = [b and b + draw(st.sampled_from([-1, 0, 1])) for b in bounds]
    limits = [np.inf if b is None else b for b in bounds]
    return (
        bound,
        tuple(bounds),
        [c for c, own in zip(every, costs, strict=True) if (own <= limits).all()],
    )


@few_examples
@given(limited_spaces())
def test_the_allowed_candidates_are_those_of_a_list_of_all(drawn):
    space, bounds, wanted = drawn
    allowed = within(space, bounds)
    assert list(allowed) == wanted
    assert [space.with_codes(row) for row in allowed.list_codes(10_000)] == wanted
    assert (allowed.amount.number, allowed.amount.is_exact) == (len(wanted), True)
    np.testing.assert_array_equal(
        allowed.keep(space.codes()), [candidate in wanted for candidate in space]
    )
    assert all((candidate in allowed) == (candidate in wanted) for candidate in space)


@few_examples
@given(limited_spaces())
def test_the_cheapest_is_the_cheapest_of_the_allowed(drawn):
    space, bounds, wanted = drawn
    found = within(space, bounds).cheapest
    assert (found is None) == (not wanted)
    if found is not None:
        assert found in wanted
        assert count_added(found) == min(map(count_added, wanted))


@few_examples
@given(limited_spaces())
def test_a_list_that_would_be_longer_than_it_may_be_is_none(drawn):
    space, bounds, wanted = drawn
    allowed = within(space, bounds)
    assert allowed.list_codes(len(wanted)) is not None
    assert not wanted or allowed.list_codes(len(wanted) - 1) is None


def at_quantiles(space, shares):
    """Return bounds on both costs that the given shares of the candidates are within."""
    columns = costs_of(space).T
    return tuple(
        None if share is None else int(np.quantile(own, share))
        for own, share in zip(columns, shares, strict=True)
    )


def force_draws(monkeypatch, max_sums=allowed_module.MAX_SUMS):
    monkeypatch.setattr(allowed_module, "MAX_FEW", 0)
    monkeypatch.setattr(allowed_module, "MAX_SUMS", max_sums)


BOUNDS = [(0.5, None), (None, 0.5), (0.5, 0.5)]  # quantiles of the costs of all candidates
ROUNDED = 8 * 24  # tables this small hold no exact sums of the space


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("max_sums", [allowed_module.MAX_SUMS, ROUNDED])
def test_draws_are_even_over_the_allowed_candidates(bounds, max_sums, monkeypatch):
    force_draws(monkeypatch, max_sums)
    space = many()
    allowed = within(space, at_quantiles(space, bounds))
    wanted = [c for c in space if c in allowed]
    drawn = allowed.draw_codes(60 * len(wanted), np.random.default_rng(1))
    counts = Counter(map(tuple, drawn.tolist()))
    assert set(counts) == {tuple(space.codes_of(c).tolist()) for c in wanted}
    assert 20 < len(wanted) < space.size
    assert stats.chisquare(list(counts.values())).pvalue > 0.001
    assert allowed._tables_are_exact == (max_sums != ROUNDED)


@pytest.mark.parametrize("shared", [["integration"], ["integration", "reduction"]])
def test_draws_are_even_where_choices_are_shared(shared, monkeypatch):
    force_draws(monkeypatch)
    fields = SHARED | {"shared": shared}
    space = bind(make_backbone([8], [16, 16], [32]), **fields)
    allowed = within(space, (700, None))
    wanted = [c for c in space if c in allowed]
    drawn = allowed.draw_codes(100 * len(wanted), np.random.default_rng(2))
    counts = Counter(map(tuple, drawn.tolist()))
    assert len(counts) == len(wanted) < space.size
    assert stats.chisquare(list(counts.values())).pvalue > 0.001


def test_what_is_drawn_is_a_function_of_the_generator(monkeypatch):
    force_draws(monkeypatch)
    space = many()
    one, again, other = (
        within(space, at_quantiles(space, (0.5, None))).draw_codes(50, np.random.default_rng(seed))
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


@pytest.mark.parametrize("bounds", BOUNDS)
def test_counts_are_exact_for_one_limit_and_near_for_two_where_tables_are_small(
    bounds, monkeypatch
):
    force_draws(monkeypatch, ROUNDED)
    space = many()
    limits = at_quantiles(space, bounds)
    is_allowed = costs_of(space) <= [np.inf if limit is None else limit for limit in limits]
    wanted = int(is_allowed.all(axis=1).sum())
    amount = within(space, limits).amount
    assert amount.is_exact == (None in bounds)
    assert amount.number == (wanted if amount.is_exact else pytest.approx(wanted, rel=0.05))


def huge():
    """Bind 7^16 = 3 * 10^13 candidates."""
    return bind(described("resnet50"), **HUGE)


def test_in_a_space_of_ten_trillion_a_tight_limit_is_met_in_seconds_and_little_memory():
    space = huge()
    assert space.size > 10**13
    started = time.process_time()
    tracemalloc.start()
    try:
        allowed = find_allowed(bind(described("resnet50"), **HUGE, limits={"added_params": 5e-4}))
        loose = find_allowed(bind(described("resnet50"), **HUGE, limits={"added_params": 0.02}))
        drawn = loose.draw_codes(1_000, np.random.default_rng(0))
        memory = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - started < 30
    assert memory < 300e6
    assert 0 < allowed.amount.number == len(set(allowed)) < 10_000
    assert all(candidate in allowed for candidate in allowed)
    # Of the first stage alone more candidates are allowed; each is found, so its neighbours, too.
    assert loose.amount.is_exact
    assert loose.keep(drawn).all()
    share = loose.amount.number / space.size
    plain = loose.keep(space.draw_codes(100_000, np.random.default_rng(0))).mean()
    assert share == pytest.approx(plain, abs=4 * np.sqrt(share / 100_000) + 1e-5)


def test_a_share_is_the_decimal_number_of_the_file_not_its_binary_neighbour():
    space = bind(TINY, choices={"reduction": [2, 4]})
    plain = count_cost(Candidate.plain(TINY)).params
    for candidate in space:
        added = count_cost(candidate).added_params
        share = round(added / plain, 12)
        exact = Fraction(str(share)) * plain
        assert is_within(Limits(added_params=share or 1e-9), candidate) == (
            added <= exact or not added
        )


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (
            {"added_params": 0.0001},
            ["added_params 0.0001", "cheapest candidate adds", "at most 0 "],
        ),
        ({"params": 10}, ["params 10", "the cheapest candidate has", "at most 10 are allowed"]),
        ({"added_macs": 1e-7}, ["multiply-adds", "at most 0 "]),
    ],
)
def test_limits_that_leave_nothing_are_refused_with_what_the_cheapest_costs(limits, words):
    space = bind(TINY, choices={"none": False, "reduction": [2, 4]}, limits=limits)
    with pytest.raises(SpaceError) as caught:
        find_allowed(space)
    for word in words:
        assert word in str(caught.value)
    costs = [count_cost(candidate) for candidate in space]
    name = next(iter(limits))
    assert f" {min(getattr(cost, name) for cost in costs):,} " in str(caught.value)


def test_two_limits_that_each_leave_some_and_together_nothing_are_refused_with_both():
    # Before the convolution: fewer channels at more pixels, so fewer parameters, but more MACs.
    maps = {"standard": FeatureMap(16, 1), "pre": FeatureMap(8, 100)}
    backbone = with_sites([Site(2, 1, maps), Site(3, 1, maps)])
    fields = {"choices": {"none": False, "integration": ["standard", "pre"], "reduction": [2]}}
    space = bind(backbone, **fields)
    costs = costs_of(space)
    plain = count_cost(Candidate.plain(backbone))
    params, macs = costs.min(axis=0)
    assert not (costs == [params, macs]).all(axis=1).any()
    limits = {"params": int(plain.params + params), "macs": int(plain.macs + macs)}
    with pytest.raises(SpaceError, match=f"add at most {params:,} parameters add at least"):
        find_allowed(bind(backbone, **fields, limits=limits))

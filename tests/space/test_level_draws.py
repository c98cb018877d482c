"""Draws of a supernet's candidates: only those of the space, each level equally often."""

from collections import Counter

import pytest
from support.networks import bind, make_backbone

from se_search.candidate import SE
from se_search.errors import SupernetError
from se_search.space.bound import BoundSpace
from se_search.space.level_draws import LevelDraws
from se_search.space.schema import SearchSpace
from se_search.space.subspace import Subspace

SPACE = bind([64], [64, 64], reduction=[4, 8, 16], integration=["standard", "post"])
BLOCKS = bind([64], [64, 64], granularity="block", reduction=[4, 8])


def bind_shared():
    choices = {"reduction": [4, 8], "integration": ["standard", "pre", "post"]}
    fields = {"granularity": "stage", "choices": choices, "shared": ["integration"]}
    return BoundSpace(SearchSpace.model_validate(fields), make_backbone([64], [64, 64]))


def count_levels(space, candidates):
    """Count, for each slot, how often each of its levels is carried."""
    codes = [space.codes_of(candidate) for candidate in candidates]
    return [Counter(int(row[slot]) for row in codes) for slot in range(len(space.slots))]


@pytest.mark.parametrize("space", [SPACE, BLOCKS])
@pytest.mark.parametrize("count", [40, 101])
def test_each_level_of_each_slot_is_drawn_equally_often(space, count):
    draws = LevelDraws(Subspace.whole(space), seed=3)
    for slot, counts in enumerate(count_levels(space, map(draws.draw, range(count)))):
        visits = [counts[level] for level in range(len(space.levels[slot]))]
        assert max(visits) - min(visits) <= 1


def test_where_choices_are_shared_only_candidates_of_the_space_are_drawn():
    space = bind_shared()
    draws = LevelDraws(Subspace.whole(space), seed=0)
    drawn = [draws.draw(number) for number in range(90)]
    assert all(candidate in space for candidate in drawn)
    # 3 positions x (none, 2 widths): each level with SE is visited 10 times, none 30 times
    assert count_levels(space, drawn) == [Counter({0: 30} | dict.fromkeys(range(1, 7), 10))] * 2


def test_slots_are_drawn_independently():
    space = bind([64], [64], reduction=[4, 8, 16])
    draws = LevelDraws(Subspace.whole(space), seed=1)
    assert len({draws.draw(number) for number in range(200)}) == space.size


def test_a_draw_depends_on_seed_and_number_alone():
    subspace = Subspace.whole(SPACE)
    forward = [LevelDraws(subspace, seed=5).draw(number) for number in range(30)]
    draws = LevelDraws(subspace, seed=5)
    assert [draws.draw(number) for number in reversed(range(30))] == forward[::-1]
    assert [LevelDraws(subspace, seed=6).draw(number) for number in range(30)] != forward


def test_the_widest_networks_have_the_widest_block_of_each_position_in_turn():
    draws = LevelDraws(Subspace.whole(SPACE), seed=2)
    widest = [draws.draw_widest(number) for number in range(20)]
    for index in range(3):
        counts = Counter(candidate.blocks[index] for candidate in widest)
        assert counts == {SE("standard", 16): 10, SE("post", 16): 10}
    assert len({str(candidate) for candidate in widest}) == 4  # positions of two stages


def test_a_site_with_nothing_to_carry_stays_plain_in_the_widest_network():
    subspace = Subspace.of_designs(make_backbone([8], [8]), ((SE("standard", 2),), ()))
    assert LevelDraws(subspace, seed=0).draw_widest(0).blocks == (SE("standard", 2), None)


def test_a_subspace_without_candidates_is_refused():
    space = bind([64], reduction=[4, 8], none=False)
    subspace = Subspace.whole(space).with_integrations(["post"])
    with pytest.raises(SupernetError, match="no candidate"):
        LevelDraws(subspace, seed=0)

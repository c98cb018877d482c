"""Which networks are timed: one for each kind of block and shape of feature map."""

import pytest
from support.latency import name_all
from support.spaces import TINY, bind, described

from se_search.candidate import Candidate
from se_search.cost import find_allowed
from se_search.latency.structures import draw_whole, list_deltas
from se_search.space.bound import BoundSpace
from se_search.space.schema import read_space


def test_resnet50_needs_sixteen_networks_for_four_ratios_in_four_stages():
    deltas = list_deltas(BoundSpace(read_space("stages_ratio"), described("resnet50")))
    assert len(deltas) == 16
    assert sorted({each.num_blocks for each in deltas}) == [3, 4, 6]  # blocks of its stages


def test_blocks_of_one_shape_share_a_network_where_each_has_a_choice_of_its_own():
    by_block = bind(described("resnet50"), granularity="block", choices={"reduction": [16]})
    assert [each.num_blocks for each in list_deltas(by_block)] == [3, 4, 6, 3]


@pytest.mark.parametrize("name", ["stages", "stages_ratio", "full"])
def test_each_block_of_any_candidate_has_a_network_that_shows_what_it_adds(name):
    space = BoundSpace(read_space(name), described("resnet20_bottleneck"))
    known = {each.name for each in list_deltas(space)}
    for number in range(0, space.size, max(1, space.size // 50)):
        assert set(name_all(space.candidate_at(number))) <= known


def test_a_network_of_a_delta_has_blocks_of_that_delta_alone():
    space = bind(TINY, choices={"integration": ["standard", "pre"], "reduction": [2, 4]})
    for each in list_deltas(space):
        assert set(name_all(each.candidate)) == {each.name}
        assert sum(block is not None for block in each.candidate.blocks) == each.num_blocks


def test_candidates_to_check_sums_on_are_none_that_the_sums_are_made_of():
    space = BoundSpace(read_space("stages_ratio"), described("resnet20_bottleneck"))
    deltas = list_deltas(space)
    drawn = draw_whole(find_allowed(space), deltas)
    assert len(set(drawn)) == 30
    assert Candidate.plain(space.backbone) not in drawn
    assert not {each.candidate for each in deltas} & set(drawn)


def test_a_small_space_is_checked_on_all_others():
    space = BoundSpace(read_space("stages"), described("resnet20_bottleneck"))
    assert len(draw_whole(find_allowed(space), list_deltas(space))) == 16 - 1 - 4

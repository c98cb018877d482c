"""The candidates that a supernet holds: those of a space, of some positions, of named designs."""

import itertools
import pickle

import pytest
from support.networks import bind, make_backbone

from se_search.candidate import SE, Candidate
from se_search.space.bound import BoundSpace
from se_search.space.designs import list_designs
from se_search.space.schema import SearchSpace
from se_search.space.subspace import Subspace


def bind_shared():
    space = SearchSpace.model_validate(
        {
            "granularity": "stage",
            "choices": {"reduction": [4, 8], "integration": ["standard", "pre", "post"]},
            "shared": ["integration"],
        }
    )
    return BoundSpace(space, make_backbone([64], [64, 64]))


def enumerate_candidates(subspace):
    """List the combinations of levels that a combination of shared choices allows."""
    found = set()
    pairs = [
        list(zip(*own, strict=True)) for own in zip(subspace.levels, subspace.possible, strict=True)
    ]
    for chosen in itertools.product(*pairs):
        if frozenset.intersection(*(shared for _, shared in chosen)):
            found.add(subspace.assemble([level for level, _ in chosen]))
    return found


@pytest.mark.parametrize("space", [bind([64], [64, 64], reduction=[4, 8]), bind_shared()])
def test_a_whole_subspace_has_the_candidates_and_designs_of_its_space(space):
    subspace = Subspace.whole(space)
    assert enumerate_candidates(subspace) == set(space)
    assert subspace.designs == list_designs(space)
    assert all(candidate in subspace for candidate in space)


def test_candidates_whose_shared_choices_differ_are_not_in_it():
    subspace = Subspace.whole(bind_shared())
    mixed = Candidate(subspace.backbone, (SE("pre", 8), SE("post", 8), SE("post", 8)))
    assert mixed not in subspace
    assert Candidate(subspace.backbone, (SE("post", 8),) * 3) in subspace


def test_a_subspace_of_some_positions_has_just_their_candidates():
    space = bind_shared()
    part = Subspace.whole(space).with_integrations(["standard", "pre"])
    wanted = {
        candidate
        for candidate in space
        if all(b is None or b.integration in ("standard", "pre") for b in candidate.blocks)
    }
    assert enumerate_candidates(part) == wanted
    assert len(wanted) < space.size


def test_designs_of_sites_go_together_in_all_ways():
    backbone = make_backbone([8], [8])
    designs = ((SE("standard", 2),), (SE("standard", 2), SE("post", 4)))
    subspace = Subspace.of_designs(backbone, designs)
    assert subspace.designs == designs
    wanted = set(itertools.product((None, *designs[0]), (None, *designs[1])))
    assert {candidate.blocks for candidate in enumerate_candidates(subspace)} == wanted


def test_a_candidate_of_another_backbone_or_with_a_block_elsewhere_is_not_in_it():
    backbone = make_backbone([8], [8])
    subspace = Subspace.of_designs(backbone, ((SE("standard", 2),), ()))
    assert Candidate.plain(make_backbone([8], [8], name="another")) not in subspace
    assert Candidate(backbone, (None, SE("standard", 2))) not in subspace


def test_it_is_equal_after_a_journey_to_another_process():
    subspace = Subspace.whole(bind_shared())
    assert pickle.loads(pickle.dumps(subspace)) == subspace

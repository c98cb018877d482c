"""What a supernet and its scores cost, and by which seed it is named."""

import itertools

import pytest
from support.networks import bind, make_backbone

from se_search.candidate import Candidate
from se_search.errors import SupernetError
from se_search.score import SupernetSettings, count_share, count_worth, supernet_seed

MACS = 10_000  # of each part of a made-up backbone


def forward_by_hand(candidates, is_first):
    """Count the multiply-adds of candidates whose parts are run once for each equal beginning."""
    run = set()
    for candidate in candidates:
        run.add(("stem",))
        run |= {("head", candidate.blocks)}
        for index in range(len(candidate.blocks)):
            run.add((index, candidate.blocks[: index + is_first]))
    return MACS * len(run)


@pytest.mark.parametrize(("integration", "is_first"), [("standard", 0), ("pre", 1)])
def test_the_share_of_a_forward_pass_is_that_of_the_parts_with_different_beginnings(
    integration, is_first
):
    space = bind([64], [64], [128], reduction=[4, 8], integration=[integration])
    candidates = list(space)
    whole = 5 * MACS * len(candidates)  # stem, three stages of a site each, head
    assert count_share(candidates) == forward_by_hand(candidates, is_first) / whole


def test_a_single_candidate_shares_nothing():
    assert count_share([Candidate.plain(make_backbone([8], [16, 16]))]) == 1


def test_the_order_of_candidates_does_not_change_what_they_share():
    candidates = list(bind([64], [64], reduction=[4, 8]))
    shares = {
        count_share(order) for order in itertools.islice(itertools.permutations(candidates), 9)
    }
    assert len(shares) == 1


def test_a_supernet_is_worth_its_passes_and_its_scores_their_forward_passes():
    settings = SupernetSettings(num_drawn=2, num_calibration=100, num_scoring=200)
    training, scoring = count_worth(
        settings,
        num_candidates=10,
        share=0.5,
        num_train=1_000,
        num_validation=400,
        epochs=6,
        full_epochs=3,
    )
    assert training == 8  # 6 epochs of 4 networks against 3 epochs of one
    # a full training: 3 epochs of forward and backward passes, 1 + 2, and a validation
    assert scoring == 10 * 0.5 * (100 + 200) / (3 * 1_000 * 3 + 400)


def test_images_that_are_not_there_cost_nothing():
    settings = SupernetSettings(num_calibration=2_000, num_scoring=5_000)
    few = count_worth(settings, 1, 1, num_train=50, num_validation=20, epochs=1, full_epochs=1)
    assert few[1] == (50 + 20) / (50 * 3 + 20)


def test_seeds_of_supernets_differ_from_each_other_and_from_those_of_replicates():
    seeds = {supernet_seed(run, number) for run in range(20) for number in range(20)}
    assert len(seeds) == 400
    assert all(len(str(seed)) == 10 for seed in seeds)


@pytest.mark.parametrize(
    ("field", "value"),
    [("num_drawn", -1), ("distillation", 1.5), ("num_calibration", 1), ("num_scoring", 0)],
)
def test_impossible_settings_are_refused_by_name_and_value(field, value):
    with pytest.raises(SupernetError, match=f"{field} is {value}; allowed"):
        SupernetSettings(**{field: value})

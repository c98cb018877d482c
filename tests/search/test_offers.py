"""What further supernets would score, and that chosen candidates cost no more than is left."""

from dataclasses import replace

import pytest
from support.records import make_record
from support.searching import make_space

from se_search.search.offers import MOST_CHOSEN, Offers
from se_search.store.supernets import Segment, SupernetRecord, Supernets

SPACE = make_space({"choices": {"reduction": [4, 8, 16]}}, [32], [64], [128], [64])
PLAIN, *EVERY = sorted(SPACE, key=lambda one: sum(block is not None for block in one.blocks))
DRAWN, OTHERS = EVERY[:10], EVERY[10:]
OFFERS = Offers(SPACE, DRAWN, lambda candidates: len(candidates) / 8, training=4.0)
FIRST = SupernetRecord(7, 0, "SCORED", 4.0, 11 / 8, num_scored=11)
SCORED = Supernets((), (Segment("supernets", 0, 0, (7,)),), (FIRST,))
HAVE = {7: {str(one) for one in (PLAIN, *DRAWN)}}


def trained(*candidates):
    return [
        replace(make_record("a", 0.5), number=number, candidate=str(one))
        for number, one in enumerate(candidates)
    ]


def extend(supernets, have, number=1, left=100.0, offers=OFFERS, asked=lambda *_: None):
    def choose(known, most):
        asked(known, most)
        return OTHERS[:most]

    return offers.extend(supernets, [], have, number, left, choose)


def test_first_supernets_score_the_plain_network_and_what_is_drawn():
    offer = OFFERS.make(Supernets(), [], {})
    assert offer.scored == (PLAIN, *DRAWN)
    assert (offer.each.training, offer.each.scoring) == (4.0, 11 / 8)
    assert (offer.total(2), offer.catching_up, offer.joining) == (2 * (4 + 11 / 8), {}, ())


def test_a_further_one_costs_what_the_earlier_ones_score_besides_too():
    records = trained(PLAIN, DRAWN[0], *OTHERS[:4])
    offer = OFFERS.make(SCORED, records, HAVE, OTHERS[8:10])
    assert offer.each.scoring == (11 + 4 + 2) / 8
    assert offer.catching_up == {7: 6 / 8}
    assert set(offer.joining) == {*OTHERS[:4], *OTHERS[8:10]}
    assert offer.total() == 4 + 17 / 8 + 6 / 8
    assert offer.count(2 * (4 + 17 / 8) + 6 / 8) == 2
    assert offer.count(2 * (4 + 17 / 8)) == 1


def test_an_earlier_one_that_failed_scores_nothing():
    failed = SCORED.with_supernet(replace(FIRST, state="FAIL"))
    assert OFFERS.make(failed, trained(*OTHERS[:4]), {}).catching_up == {}


@pytest.mark.parametrize("number", [1, 2])
def test_chosen_candidates_cost_no_more_than_a_supernets_training(number):
    without = OFFERS.make(SCORED, [], HAVE)
    offer = extend(SCORED, HAVE, number)
    each = (number + 1) / 8  # by the new and the earlier one
    assert offer.chosen == tuple(OTHERS[: int(4.0 / each)])
    assert offer.total(number) <= without.total(number) + 4.0


def test_chosen_candidates_cost_no_more_than_is_left():
    without = OFFERS.make(SCORED, [], HAVE)
    for left in (0.0, 0.24, 0.25, 1.1):
        offer = extend(SCORED, HAVE, left=without.total() + left)
        assert len(offer.chosen) == int(left / 0.25)
        assert offer.total() <= without.total() + left


def test_no_more_are_chosen_than_a_segment_may_have():
    cheap = replace(OFFERS, price=lambda candidates: len(candidates) / 1000)
    assert extend(SCORED, HAVE, offers=cheap).chosen == tuple(OTHERS[:MOST_CHOSEN])


def test_where_all_candidates_are_drawn_the_accuracy_model_is_not_asked():
    def refuse(*_):
        raise AssertionError("it was asked")

    offer = extend(SCORED, HAVE, offers=replace(OFFERS, most_chosen=0), asked=refuse)
    assert offer == OFFERS.make(SCORED, [], HAVE)

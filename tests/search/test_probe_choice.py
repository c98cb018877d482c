"""Probes: spread over costs and levels, without any result, in replicates of their own."""

from collections import Counter
from dataclasses import replace

from support.records import make_record
from support.searching import Only, make_space

from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.search.probes import FIRST_PROBE_SEED, Spread, assign_probes, list_scored
from se_search.search.segments import ProbeCounts
from se_search.store.supernets import Probe, Segment

SPACE = make_space({"choices": {"reduction": [4, 8, 16]}}, [32], [64], [128], [64])


def make_spread(is_allowed=None, seed=0):
    def price(candidate):
        return [count_cost(candidate).params]

    return Spread(SPACE, Only(SPACE, is_allowed), price, seed)


def test_each_probe_has_each_replicate_and_no_other_training_has_these():
    probes = make_spread(seed=5).choose_probes(ProbeCounts(8, 3))
    assert len(probes) == 24
    assert {probe.seed for probe in probes} == {FIRST_PROBE_SEED + 5 + k for k in range(3)}
    assert set(Counter(probe.candidate for probe in probes).values()) == {3}
    assert [probe.seed for probe in probes] == sorted(probe.seed for probe in probes)


def test_probes_are_spread_over_costs_and_use_each_level_of_each_slot():
    chosen = make_spread().choose(12, "probes")
    costs = sorted(count_cost(candidate).params for candidate in SPACE)
    ranks = sorted(costs.index(count_cost(candidate).params) for candidate in chosen)
    assert ranks[0] < len(costs) / 6
    assert ranks[-1] > len(costs) * 5 / 6
    for slot in range(4):
        codes = Counter(int(SPACE.codes_of(candidate)[slot]) for candidate in chosen)
        assert set(codes) == {0, 1, 2, 3}
        assert max(codes.values()) <= 6


def test_the_plain_network_is_no_probe_and_limits_hold():
    plain = Candidate.plain(SPACE.backbone)
    few = [SPACE.candidate_at(number) for number in range(0, 60, 6)]
    spread = make_spread(lambda candidate: candidate in few)
    assert plain in few
    assert spread.size == 9
    chosen = spread.choose(9, "probes")
    assert set(chosen) == set(few) - {plain}
    assert set(spread.list_all()) == set(chosen)


def test_other_purposes_and_seeds_choose_others_and_equal_ones_the_same():
    first = make_spread().choose(8, "probes")
    assert make_spread().choose(8, "probes") == first
    assert make_spread().choose(8, "scored") != first
    assert make_spread(seed=1).choose(8, "probes") != first


def test_probes_are_full_trainings_of_their_candidates():
    text = str(SPACE.candidate_at(7))
    (assignment,) = assign_probes([Probe(text, 9)], SPACE, 4)
    assert (str(assignment.candidate), assignment.seed, assignment.epochs) == (text, 9, 4)


def test_supernets_score_what_is_drawn_trained_or_chosen_and_the_plain_network():
    texts = [str(SPACE.candidate_at(number)) for number in range(8)]
    records = [
        replace(make_record("x", 0.5), number=number, candidate=texts[number + 2])
        for number in range(3)
    ]
    segments = [
        Segment("supernets", 0, 0, (1,), (texts[6],)),
        Segment("supernets", 2, 2, (2,), (texts[7],)),
    ]
    drawn = [SPACE.candidate_at(1)]
    scored = list_scored(drawn, records, segments, [Probe(texts[5], 9)], SPACE)
    # texts[4] began after the segment was decided.
    assert [str(one) for one in scored] == [texts[k] for k in (0, 5, 2, 3, 6, 7, 1)]

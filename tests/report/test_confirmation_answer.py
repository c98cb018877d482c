"""The answer of a confirmation: by claims on test images, in words, with the next look."""

from dataclasses import replace

import pytest
from support.made_up_fronts import GOOD, PUT, SETTLED, SPACE, make_facts, make_front

from se_search.analysis.confirmation import (
    FRONT,
    PLAIN,
    RECOMMENDED,
    ClaimResult,
    Confirmation,
    Confirmed,
    Gain,
)
from se_search.analysis.confirming import Stated
from se_search.analysis.sequential import LookPlan
from se_search.report.confirmation_answer import answer_confirmation
from se_search.report.confirmed import describe_confirmation
from se_search.report.next_step import choose_next_look, choose_next_step
from se_search.store.confirmations import Round

FACTS = make_facts()


def confirmed(placement, outcome, ending="decided", *, difference=0.006, roles=(FRONT,), looked=8):
    """Return a candidate whose claim to beat the plain network has an outcome; half: 0.3 points."""
    candidate = SPACE.parse(placement)
    low, high = difference - 0.003, difference + 0.003
    claim = ClaimResult(
        "it beats none", candidate.key, "plain", outcome, outcome, ending, looked, 1, difference,
        low, high,
    )  # fmt: skip
    return Confirmed(
        str(candidate), candidate.key, placement, roles, 100_200, 200, 0.2, 1_000_400, 400, 0.8, 1,
        num_replicates=looked, accuracy=0.8, test_accuracy=0.8, claim=claim,
        test_gain=Gain(difference, looked, low, high),
    )  # fmt: skip


NO_SE = replace(
    confirmed("no SE", "undecided"), claim=None, test_gain=None, key="plain", roles=(PLAIN,)
)


def answer(*candidates, facts=FACTS):
    return answer_confirmation([make_round(*candidates)], facts)


def make_round(*candidates):
    return Round(
        started="2026-01-02T03:04:05+00:00",
        asked_for=("front",),
        chosen=(),
        stated=Stated(LookPlan(), (), ()),
        seeds=tuple(range(20)),
        epochs=4,
        num_trials=200,
        num_images=(1_000, 10_000),
        reads_test=True,
        result=Confirmation((NO_SE, *candidates), (), None, 0.002, 0.002, 24, 0),
    )


def test_what_beats_the_plain_network_is_put_in_with_its_gain_on_test_images():
    found = answer(confirmed("s2:4", "supported"))
    assert found.what == (
        "Put SE of width 4 in stage 2: +0.60 points (0.30 to 0.90) on test images for 0.2 % more "
        "parameters."
    )
    assert (found.kind, found.candidate) == ("put", str(SPACE.parse("s2:4")))


def test_of_several_the_recommended_one_is_put_in_and_the_others_are_counted():
    first = confirmed("s2:4", "supported")
    best = confirmed("s2:8", "supported", roles=(FRONT, RECOMMENDED))
    assert answer(first, best).what.startswith("Put SE of width 8 in stage 2: ")
    assert "; 1 more of 2 are better" in answer(first, best).what
    failed = confirmed("s2:8", "undecided", "spent", roles=(FRONT, RECOMMENDED))
    assert answer(first, failed).what.startswith("Put SE of width 4 in stage 2: ")


def test_se_is_left_out_if_no_candidate_can_gain_half_a_point():
    found = answer(
        confirmed("s2:4", "refuted", difference=-0.004),
        confirmed("s2:8", "undecided", "futile", difference=0.0005),
    )
    assert found.what == (
        "Leave SE out: none of 2 candidates confirmed is better than the plain network by more "
        "than 0.35 points."
    )
    assert found.candidate == NO_SE.candidate


@pytest.mark.parametrize(
    ("candidate", "words"),
    [
        (confirmed("s2:4", "undecided", "open"), "so far, and 1 is open."),
        (confirmed("s2:4", "undecided", "spent"), "and one may gain 0.9 points."),
        (replace(confirmed("s2:4", "undecided", "spent"), test_gain=None), "is not known."),
    ],
)
def test_nothing_can_be_said_while_a_gain_is_possible(candidate, words):
    found = answer(candidate)
    assert found.kind == "nothing"
    assert found.what.startswith("Nothing can be said")
    assert found.what.endswith(words)


def test_the_next_look_trains_what_is_open_and_the_plain_network():
    last = make_round(confirmed("s2:4", "undecided", "open"), confirmed("s2:8", "supported"))
    step = choose_next_look(last, FACTS)
    # From 8 to 12 replicates of two networks, two trainings of 6 s at a time.
    assert step.text == (
        "Next: look at 1 open claim in 12 replicates, 8 trainings more (about 24 s):"
    )
    assert (step.command, step.seconds) == ("se-search confirm runs/width", 24.0)


def test_what_is_decided_needs_no_further_look():
    step = choose_next_look(make_round(confirmed("s2:4", "supported")), FACTS)
    assert (step.text, step.command) == ("Nothing more is to be confirmed.", None)


def test_after_a_search_that_has_been_confirmed_its_open_claims_are_next():
    front = make_front(PUT, SETTLED)
    chosen = [confirmed("s2:4", "supported"), confirmed("no SE", "undecided")]
    last = replace(make_round(chosen[0]), chosen=tuple(chosen))
    assert choose_next_step(front, FACTS, last).text == "Nothing more is to be confirmed."
    without = replace(last, chosen=(chosen[1],))
    step = choose_next_step(front, FACTS, without)
    assert "what the confirmation has missed" in step.text
    assert GOOD.summary.placement == "s2:4"


def test_a_report_tells_the_last_confirmation_in_a_line():
    front = make_front(PUT, SETTLED)
    candidates = [
        confirmed("s2:4", "supported"),
        confirmed("s2:8", "refuted"),
        confirmed("s2:16", "undecided", "open"),
        confirmed("s3:4", "undecided", "futile"),
    ]
    last = replace(make_round(*candidates), chosen=(confirmed("no SE", "undecided"), *candidates))
    assert describe_confirmation([last], front) == [
        "Confirmation of 2026-01-02, 8 fresh replicates: of 4 candidates with SE 1 is better than "
        "the plain network (s2:4), 1 worse, 1 open, 1 undecided (confirmation.csv)."
    ]
    assert describe_confirmation([], front) == []
    assert describe_confirmation([replace(last, result=None)], front) == []


def test_a_confirmation_that_lacks_what_is_listed_now_is_stale():
    last = replace(make_round(), chosen=(confirmed("no SE", "undecided"),))
    lines = describe_confirmation([last], make_front(PUT, SETTLED))
    assert lines[1] == "This confirmation is stale: the front has moved since, to s2:4."

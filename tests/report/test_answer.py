"""The answer: what to do, where SE helps and harms, how sure that is, and the next command."""

import json
from dataclasses import replace

import pytest
from support.made_up_fronts import (
    DEAR,
    GOOD,
    LEAVE,
    NOISE,
    NOTHING,
    PLAIN,
    PUT,
    SETTLED,
    UNSETTLED,
    make_candidate,
    make_effect,
    make_effects,
    make_facts,
    make_front,
)

from se_search.report.answer import make_answer
from se_search.report.places import NUM_PLACES, choose_places, list_places

FACTS = make_facts()
EFFECTS = make_effects(make_effect("stage 2", 0.6, 0.3), make_effect("stage 3", -0.1, 0.4))


def what(front, facts=FACTS):
    return make_answer(front, facts).what


def test_se_that_surely_gains_is_put_in_with_its_gain_interval_and_cost():
    assert what(make_front(PUT)) == (
        "Put SE of width 4 in stage 2: +0.62 points (0.31 to 0.93) for 0.2 % more parameters."
    )


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        (("params",), "for 0.2 % more parameters."),
        (("macs",), "for 0.04 % more MACs."),
        (("params", "macs"), "for 0.2 % more parameters and 0.04 % more MACs."),
    ],
)
def test_the_cost_is_that_of_the_run(costs, expected):
    assert what(make_front(PUT), make_facts(costs=costs)).endswith(expected)


def test_a_candidate_that_surely_gains_for_much_less_is_named_beside_the_dear_one():
    dear = replace(DEAR, is_listed=True)
    front = make_front(PUT, candidates=(PLAIN, GOOD, dear), recommended_key=dear.summary.key)
    assert what(front) == (
        "Put SE of width 8 in stage 2 and of width 16 in stage 4: +0.70 points (0.30 to 1.10) for "
        "4 % more parameters; SE of width 4 in stage 2 gains +0.62 (0.31 to 0.93) for 0.2 % more "
        "parameters."
    )
    unsure = replace(GOOD, is_better=False)
    front = replace(front, candidates=(PLAIN, unsure, dear))
    assert "; SE" not in what(front)


def test_what_costs_nothing_is_said_to_cost_no_more():
    free = make_candidate("s2:ge", 0.0062, 0.0031)
    front = make_front(PUT, candidates=(PLAIN, free), recommended_key=free.summary.key)
    assert what(front) == (
        "Put Gather-Excite in stage 2: +0.62 points (0.31 to 0.93) for no more parameters."
    )


def test_se_is_left_out_with_the_greatest_gain_that_is_possible_rounded_up():
    assert what(make_front(LEAVE)) == (
        "Leave SE out: none of the 2 placements trained is better than the plain network by more "
        "than 0.31 points."
    )
    assert "more than 0.32 points" in what(make_front(replace(LEAVE, gain_limit=0.003101)))


def test_that_nothing_can_be_said_comes_with_its_reason():
    assert what(make_front(NOTHING)) == "Nothing can be said: the intervals are too wide."


@pytest.mark.parametrize("decision", [PUT, LEAVE])
def test_an_answer_that_is_about_these_images_says_so(decision):
    facts = make_facts(holds_for_others=False)
    assert what(make_front(decision), facts).endswith(", for these images.")


def test_only_an_answer_that_says_something_names_a_candidate():
    named = {
        decision.kind: make_answer(make_front(decision), FACTS).candidate
        for decision in (PUT, LEAVE, NOTHING)
    }
    assert named == {
        "put": GOOD.summary.candidate,
        "leave": PLAIN.summary.candidate,
        "nothing": None,
    }


# --- where SE helps and harms ---------------------------------------------------------------


def test_sure_effects_stand_first_and_larger_ones_before_smaller():
    effects = [
        make_effect("stage 2", 0.9, 1.0),
        make_effect("stage 3", 0.3, 0.2),
        make_effect("stage 4", -0.6, 0.2),
        make_effect("stage 5", 0.1, 0.2),
    ]
    assert [(row.place, row.verdict) for row in choose_places(effects)] == [
        ("stage 4", "harms"),
        ("stage 3", "helps"),
        ("stage 2", "no effect known"),
        ("stage 5", "no effect known"),
    ]


def test_a_place_is_spelled_in_words_and_the_mean_of_all_is_none():
    effects = [
        make_effect("stage3.block2", 0.3, 0.2),
        make_effect("stage5", 0.2, 0.1, level="width 8"),
        make_effect("mean of slots", 0.9, 0.1),
    ]
    places = [row.place for row in choose_places(effects)]
    assert places == ["stage 3, block 2", "stage 5, width 8"]


def test_a_table_has_five_rows_at_most():
    effects = [make_effect(f"block {number}", 0.1 * number, 0.5) for number in range(12)]
    rows = choose_places(effects)
    assert [row.place for row in rows] == [f"block {n}" for n in (11, 10, 9, 8, 7)]
    assert len(rows) == NUM_PLACES


def test_a_level_is_listed_only_if_more_is_known_of_it_than_of_its_slot():
    effects = [
        make_effect("stage 2", 0.6, 0.3),
        make_effect("stage 2", 0.7, 0.3, level="width 8"),  # the slot says it
        make_effect("stage 3", -0.1, 0.4),
        make_effect("stage 3", -0.5, 0.2, level="width 4"),
        make_effect("stage 3", 0.1, 0.6, level="width 8"),
    ]
    places = [row.place for row in choose_places(effects)]
    assert places == ["stage 2", "stage 3, width 4", "stage 3"]


def test_where_one_kind_helps_and_another_harms_their_average_says_that_it_depends():
    effects = [
        make_effect("stage 3", -0.9, 0.6),
        make_effect("stage 3", -2.9, 0.8, level="se"),
        make_effect("stage 3", 1.1, 0.7, level="se+double"),
        make_effect("stage 2", 0.2, 0.6),
    ]
    verdicts = {row.place: row.verdict for row in choose_places(effects)}
    assert verdicts == {
        "stage 3": "depends",
        "stage 3, se": "harms",
        "stage 3, se+double": "helps",
        "stage 2": "no effect known",
    }
    assert [row.verdict for row in list_places(effects)] == ["depends", "no effect known"]


def test_what_the_trials_can_not_tell_is_no_row():
    unknown = replace(make_effect("stage 2", 0.0, 1.0), gain=None, low=None, high=None)
    assert choose_places([unknown]) == ()
    assert make_answer(make_front(effects=make_effects(unknown)), FACTS).without_places is not None


def test_an_effect_that_does_not_hold_is_not_sure_whatever_its_interval():
    (row,) = choose_places([make_effect("stage 2", 0.6, 0.3, holds=False)])
    assert row.verdict == "no effect known"


def test_an_effect_over_something_else_than_no_se_is_no_row():
    over_mean = replace(make_effect("stage 2", 0.6, 0.3), reference="mean of its levels")
    assert choose_places([over_mean]) == ()


def test_why_there_are_no_effects_is_kept():
    answer = make_answer(make_front(NOTHING, reason="too few candidates", noise=None), FACTS)
    assert (answer.places, answer.without_places) == ((), "too few candidates")


# --- how sure -------------------------------------------------------------------------------


def test_what_an_answer_rests_on_is_counted_and_what_a_seed_does_is_told():
    text = make_answer(make_front(), FACTS).how_sure
    assert "200 trainings of 3 candidates in 8 replicates" in text
    rest = (NOISE.interaction_sd**2 + NOISE.training_sd**2) ** 0.5
    assert "all networks together by 0.19 points and one training by another 0.29" in text
    assert round(100 * rest, 2) == 0.29


def test_trials_that_failed_are_counted_beside_what_an_answer_rests_on():
    text = make_answer(make_front(), make_facts(num_trainings=199)).how_sure
    assert "199 trainings of 3 candidates in 8 replicates (1 further one failed);" in text


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({}, "each with 5,000 validation images of its own"),
        ({"holds_for_others": False}, "replicates share most of their images"),
        ({"holds_for_others": False, "draws_images": False}, "have the same 5,000 validation"),
    ],
)
def test_which_images_an_answer_holds_for_is_said(known, words):
    text = make_answer(make_front(), make_facts(**known)).how_sure
    assert words in text
    assert ("other images may say otherwise" in text) == bool(known)


def test_a_settled_run_says_within_what_and_an_open_one_what_is_missing():
    settled = make_answer(make_front(settled=SETTLED), FACTS).how_sure
    assert settled.endswith("than the one found best there by more than 0.14 points.")
    unsettled = make_answer(make_front(settled=UNSETTLED), FACTS).how_sure
    assert unsettled.endswith("It is not settled: more is needed.")


def test_a_reason_that_the_first_sentence_gives_is_not_given_again():
    reason = "all trainings are of one replicate"
    decision = replace(NOTHING, reason=reason)
    front = make_front(
        decision, replace(UNSETTLED, missing=(reason,)), unproven=reason, num_replicates=1
    )
    text = make_answer(front, FACTS).how_sure
    assert reason not in text
    assert text.endswith("Nothing is settled.")


def test_without_a_model_no_interval_is_claimed():
    bare = [
        replace(each, gain_sd=None, low=None, high=None, probability_better=None)
        for each in (PLAIN, GOOD, DEAR)
    ]
    front = make_front(
        NOTHING, UNSETTLED, bare, reason="fewer than 8 trainings have ended", noise=None
    )
    text = make_answer(front, FACTS).how_sure
    assert text.endswith("Gains are plain means, without intervals, and nothing is settled.")
    assert "standard deviation" not in text


def test_before_any_full_training_that_is_all_there_is_to_say():
    front = make_front(NOTHING, UNSETTLED, ())
    assert make_answer(front, FACTS).how_sure == "No full training has ended yet."


def test_an_answer_is_plain_data():
    answer = make_answer(make_front(effects=EFFECTS), FACTS)
    plain = json.loads(json.dumps(answer.to_json()))
    assert plain["what"] == answer.what
    assert plain["places"][0] == {
        "place": "stage 2",
        "gain": 0.6,
        "low": pytest.approx(0.3),
        "high": pytest.approx(0.9),
        "cost_pct": 0.2,
        "verdict": "helps",
    }
    assert plain["next_step"]["command"] == answer.next_step.command

"""Effects are mean differences over the space's candidates: against lists of all of them."""

from itertools import product

import numpy as np
import pytest
from support.networks import bind, make_backbone

from se_search.analysis.effect_contrasts import (
    MAX_POINTS,
    MEAN_SLOT,
    Ground,
    ask_interactions,
    ask_main,
    ask_places,
    ask_positions,
    assemble,
)
from se_search.analysis.slot_levels import read_slot_levels
from se_search.cost import count_cost
from se_search.space.bound import BoundSpace
from se_search.space.schema import SearchSpace

WIDTHS = bind([64], [64], [32], width=[4, 8])


def survey(space, trained=None, *, limit=None):
    """Return the ground of a whole space, at most ``limit`` added parameters allowed."""
    prices = space.price_levels(lambda candidate: (count_cost(candidate).added_params,))
    codes = space.codes()
    cost = [own[:, 0] for own in prices.added]

    def keep(rows):
        added = sum(own[rows[:, slot]] for slot, own in enumerate(cost))
        return space.has_codes(rows) & (added <= (np.inf if limit is None else limit))

    order = np.random.default_rng(0).permutation(len(codes))
    pool = codes[order]
    return Ground(
        read_slot_levels(space),
        pool[keep(pool)],
        keep,
        cost,
        [own / 100 for own in cost],
        codes if trained is None else trained,
    )


def values_of(questions, accuracy, num_slots):
    """Return what the questions' weights make of a function of a candidate's codes."""
    codes, weights = assemble(questions, num_slots)
    return weights @ np.array([accuracy(tuple(row)) for row in codes.tolist()])


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(1)
    return {row: rng.normal() for row in product(range(3), repeat=3)}


def by_name(questions):
    return {(question.slot, question.level): n for n, question in enumerate(questions)}


def test_gains_are_means_over_all_candidates_with_the_level_of_what_emptying_the_slot_takes(table):
    questions = ask_main(survey(WIDTHS))
    values = values_of(questions, table.__getitem__, 3)
    at = by_name(questions)

    def gain(slot, levels):
        return np.mean(
            [
                table[row] - table[(*row[:slot], 0, *row[slot + 1 :])]
                for row in table
                if row[slot] in levels
            ]
        )

    for slot in range(3):
        name = f"stage{slot + 2}"
        assert values[at[name, "any SE"]] == pytest.approx(gain(slot, (1, 2)))
        assert values[at[name, "width 4"]] == pytest.approx(gain(slot, (1,)))
        assert values[at[name, "width 8"]] == pytest.approx(gain(slot, (2,)))
    means = np.mean([gain(slot, (1, 2)) for slot in range(3)])
    assert values[at[MEAN_SLOT, "any SE"]] == pytest.approx(means)


def test_an_interaction_is_the_mean_over_all_candidates_with_both_of_the_double_difference(table):
    questions = ask_interactions(survey(WIDTHS))
    values = values_of(questions, table.__getitem__, 3)
    own = [
        table[a, b, c] - table[0, b, c] - table[a, 0, c] + table[0, 0, c]
        for a, b, c in product((1, 2), (1, 2), range(3))
    ]
    assert questions[0].slot == "stage2 x stage3"
    assert values[0] == pytest.approx(np.mean(own))


def test_what_adds_up_has_no_interactions_and_its_gains_do_not_depend_on_backgrounds():
    rng = np.random.default_rng(2)
    space = bind([64], [64], [32], [32], integration=["pre", "post", "standard"], width=[2, 4, 8])
    gains = rng.normal(size=(4, 10))
    gains[:, 0] = 0
    ground = survey(space)
    main, pairs = ask_main(ground), ask_interactions(ground)

    def accuracy(row):
        return gains[range(4), row].sum()

    assert values_of(pairs, accuracy, 4) == pytest.approx(np.zeros(6))
    values, at = values_of(main, accuracy, 4), by_name(main)
    widths = np.array([name == "width 4" for name in ground.slots[0].names["width"]])
    assert values[at["stage2", "any SE"]] == pytest.approx(gains[0, 1:].mean())
    assert values[at["stage2", "width 4"]] == pytest.approx(gains[0, widths].mean())
    assert len(assemble(main, 4)[0]) <= MAX_POINTS


def test_the_cost_of_a_level_is_that_of_its_blocks():
    questions = ask_main(survey(WIDTHS))
    at = by_name(questions)
    plain = count_cost(WIDTHS.parse("net")).params
    for stage, width in product((2, 3, 4), (4, 8)):
        cost = count_cost(WIDTHS.parse(f"net/stage{stage}=standard:{width}"))
        own = questions[at[f"stage{stage}", f"width {width}"]].cost_pct
        assert own == pytest.approx((cost.params - plain) / 100)
    both = [questions[at["stage2", f"width {width}"]].cost_pct for width in (4, 8)]
    assert questions[at["stage2", "any SE"]].cost_pct == pytest.approx(np.mean(both))


def test_only_candidates_within_the_limits_are_averaged_over():
    ground = survey(WIDTHS, limit=1_100)  # width 8 in stage 2 alone adds 1,024
    for ask in (ask_main, ask_interactions, ask_places):
        codes, _ = assemble([question for question in ask(ground) if question.parts], 3)
        assert ground.keep(codes).all()
    wide = by_name(ask_main(ground))["stage2", "width 8"]
    values = values_of(ask_main(ground), lambda row: float(row[1] > 0), 3)
    assert values[wide] == 0


def test_a_level_that_no_candidate_may_have_is_not_asked_for():
    names = by_name(ask_main(survey(WIDTHS, limit=1_000)))
    assert ("stage2", "width 8") not in names
    assert ("stage4", "width 8") in names


def test_where_a_choice_is_shared_only_candidates_of_the_space_are_averaged_over():
    choices = {"integration": ["pre", "post"], "width": [4, 8]}
    fields = {"granularity": "stage", "choices": choices, "shared": ["integration"]}
    space = BoundSpace(SearchSpace.model_validate(fields), make_backbone([64], [64], name="net"))
    ground = survey(space)
    for ask in (ask_main, ask_interactions, ask_places, ask_positions):
        codes, _ = assemble([question for question in ask(ground) if question.parts], 2)
        assert space.has_codes(codes).all()


def test_where_all_candidates_carry_se_levels_are_compared_with_their_mean(table):
    space = bind([64], [64], width=[2, 4, 8], none=False)
    questions = ask_main(survey(space))
    values = values_of(questions, lambda row: table[(*row, 0)], 2)
    at = by_name(questions)
    everything = np.mean([table[a, b, 0] for a, b in product(range(3), repeat=2)])
    own = np.mean([table[1, b, 0] for b in range(3)])
    assert questions[at["stage2", "width 4"]].reference == "mean"
    assert questions[at["stage2", "width 4"]].cost_pct is None
    assert values[at["stage2", "width 4"]] == pytest.approx(own - everything)
    assert ask_interactions(survey(space)) == []


def test_at_equal_cost_levels_of_two_places_are_matched_by_their_parameters():
    # A stage of 32 channels pays for width 8 what one of 64 pays for width 4.
    space = bind([64], [32], width=[4, 8])
    (question,) = ask_places(survey(space))
    codes, weights = assemble([question], 2)
    assert dict(zip(map(tuple, codes.tolist()), weights[0], strict=True)) == {(1, 0): 1, (0, 2): -1}
    (question,) = ask_places(survey(bind([64], [8], width=[2, 3])))
    assert question.reason == "no levels of equal cost"


def test_positions_are_compared_in_all_slots_at_equal_cost():
    space = bind([64], [64], integration=["inner", "pre"], width=[4, 16])
    (question,) = ask_positions(survey(space))
    assert (question.level, question.reference) == ("inner", "pre")
    codes, weights = assemble([question], 2)
    inner, pre = (codes[weights[0] * sign > 0] for sign in (1, -1))
    names = [np.array(slot.names["position"]) for slot in read_slot_levels(space)]
    for own, position in ((inner, "inner"), (pre, "pre")):
        carried = {str(names[slot][code]) for row in own for slot, code in enumerate(row)}
        assert carried - {""} == {position}
    added = [
        [count_cost(space.with_codes(row)).added_params for row in own] for own in (inner, pre)
    ]
    assert sorted(added[0]) == sorted(added[1])


def test_what_no_trained_candidate_tells_has_a_reason():
    trained = np.array([[0, 1, 0], [0, 0, 1], [0, 1, 2]], np.int16)
    ground = survey(WIDTHS, trained)
    reasons = {(q.slot, q.level): q.reason for q in ask_main(ground)}
    assert reasons["stage2", "any SE"] == "no trained candidate has it"
    assert reasons["stage3", "width 8"] == "no trained candidate has it"
    assert reasons["stage3", "any SE"] == reasons["stage4", "width 4"] == ""
    pairs = {q.slot: q.reason for q in ask_interactions(ground)}
    assert pairs["stage2 x stage3"] == "no trained candidate has SE in both"
    assert pairs["stage3 x stage4"] == ""
    full = survey(WIDTHS, np.array([[1, 0, 0], [2, 1, 0]], np.int16))
    reasons = {(q.slot, q.level): q.reason for q in ask_main(full)}
    assert reasons["stage2", "any SE"] == "every trained candidate has SE there"


def test_members_are_the_trained_candidates_with_the_level():
    trained = np.array([[0, 1, 0], [0, 2, 1], [1, 1, 2]], np.int16)
    questions = {(q.slot, q.level): q for q in ask_main(survey(WIDTHS, trained))}
    assert questions["stage3", "width 4"].members.tolist() == [True, False, True]
    assert questions["stage3", "any SE"].members.all()

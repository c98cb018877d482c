"""The front of a run's trials: against brute force, closed forms and plain statistics."""

import json
import random
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from support.made_up_trainings import (
    FACTORS,
    OBJECTIVES,
    PLAIN_ACCURACY,
    SPACE,
    WIDTHS,
    make_trainings,
    record_of,
    records_of,
    text_of,
)
from support.networks import bind
from support.records import make_record
from support.scored_designs import list_scores

from se_search.analysis.pareto import is_non_dominated
from se_search.errors import SpaceError
from se_search.surrogate.coded_trainings import Question
from se_search.surrogate.decision import MIN_REPLICATES, Decision, choose, decide
from se_search.surrogate.fit_front import _attain, _hypervolume, fit_front
from se_search.surrogate.fitted_model import FittedModel
from se_search.surrogate.posterior_front import LISTED, PosteriorFront, RungEstimate
from se_search.surrogate.rung_estimates import estimate_rungs
from se_search.surrogate.scores import RungScores

QUESTION = Question(OBJECTIVES, 4)
TWO_COSTS = replace(QUESTION, objectives=("accuracy", "macs", "params"))
PLAIN = str(SPACE.candidate_at(0))


def fit(records, question=QUESTION, space=SPACE):
    return fit_front(records, space, question)


@pytest.fixture(scope="module")
def case():
    trainings, _, costs = make_trainings(13, 60)
    return trainings, costs, records_of(trainings, costs)


@pytest.fixture(scope="module")
def front(case):
    return fit(case[2])


# Summaries of the front, from draws of gains.


def test_hypervolume_is_the_area_or_volume_above_the_plain_network_counted_cell_by_cell():
    rng = np.random.default_rng(0)
    for num_costs, size in product((1, 2), (2, 7)):
        logs = rng.integers(0, 8, (size, num_costs)) / 8
        logs[0], logs[1] = 0.0, 1.0
        draw = rng.integers(-3, 9, size) / 8
        middles = (np.arange(8) + 0.5) / 8
        cells = list(product(middles, repeat=num_costs + 1))
        hit = [
            any((logs[i] <= cell[:-1]).all() and draw[i] >= cell[-1] for i in range(size))
            for cell in cells
        ]
        found = _hypervolume(100.0 * np.exp(logs), draw[None])
        assert found.median == pytest.approx(np.mean(hit))


def test_without_costs_that_vary_there_is_no_hypervolume():
    assert _hypervolume(np.full((3, 1), 7.0), np.zeros((5, 3))) is None


def test_the_band_is_the_quantiles_of_the_best_gain_at_each_cost_or_less():
    rng = np.random.default_rng(0)
    costs = np.array([30.0, 10.0, 20.0, 20.0, 40.0])
    draws = rng.standard_normal((500, 5))
    steps = _attain(costs, draws)
    assert [step.cost for step in steps] == [10, 20, 30, 40]
    for step in steps:
        best = draws[:, costs <= step.cost].max(axis=1)
        wanted = np.quantile(best, [0.5, 0.025, 0.975])
        assert [step.median, step.low, step.high] == pytest.approx(wanted)


# Trials of a search.


def test_the_front_of_trials_is_that_of_draws_of_their_codes(case, front):
    trainings, costs, _ = case
    _, first = np.unique(trainings.codes, axis=0, return_index=True)
    members = np.sort(first)
    model = FittedModel.fit(FACTORS, trainings, [4])
    accuracies = model.draw(np.vstack([model.plain, trainings.codes[members]]))
    draws = accuracies[:, 1:] - accuracies[:, :1]
    draws[:, (trainings.codes[members] == model.plain).all(axis=1)] = 0
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    on_front = [is_non_dominated(np.column_stack([costs[members], -draw])) for draw in draws]
    for candidate, *wanted in zip(
        front.candidates,
        draws.mean(axis=0),
        draws.std(axis=0),
        low,
        high,
        np.mean(on_front, axis=0),
        strict=True,
    ):
        found = (candidate.gain, candidate.gain_sd, candidate.low, candidate.high)
        assert (*found, candidate.probability_on_front) == pytest.approx(wanted)
    assert [c.summary.candidate for c in front.candidates] == [
        text_of(codes) for codes in trainings.codes[members]
    ]
    own = costs[members]
    assert front.decision == decide(draws)
    recommended = choose(draws.mean(axis=0), draws, own)
    assert front.recommended == front.candidates[recommended] or front.decision.kind == "leave"


def test_the_plain_network_gains_nothing_for_sure_and_is_not_called_better(front):
    (plain,) = [candidate for candidate in front.candidates if candidate.is_plain]
    assert plain.summary.candidate == PLAIN
    assert (plain.gain, plain.gain_sd, plain.low, plain.high) == pytest.approx((0,) * 4, abs=1e-4)
    assert plain.probability_better is None
    assert plain.summary.num_replicates == front.num_replicates == 4
    others = [candidate for candidate in front.candidates if not candidate.is_plain]
    assert all(0 <= candidate.probability_better <= 1 for candidate in others)
    assert front.plain_accuracy == pytest.approx(plain.summary.accuracy, abs=0.003)


@pytest.mark.parametrize("question", [QUESTION, TWO_COSTS])
def test_the_order_of_the_records_makes_no_difference(question):
    trainings, _, costs = make_trainings(11, 40, num_budgets=2)
    records = records_of(trainings, costs, epochs=(1, 4))
    shuffled = records.copy()
    random.Random(0).shuffle(shuffled)
    assert fit(records, question) == fit(shuffled, question)


def test_trials_that_have_not_ended_well_or_are_longer_make_no_difference():
    records = records_of(*make_trainings(12, 30)[::2])
    others = [
        replace(records[0], number=100 + i, state=state, accuracy=None, loss=None)
        for i, state in enumerate(("FAIL", "RUNNING", "WAITING"))
    ]
    longer = replace(records[0], number=200, epochs=8, accuracy=0.99)
    assert fit([*others, longer, *records]) == fit(records)


def test_the_front_is_that_of_the_expected_gains_cheapest_first(front):
    points = [(c.gain, c.summary.params) for c in front.candidates]
    for candidate, (gain, params) in zip(front.candidates, points, strict=True):
        is_beaten = any(
            other >= gain and cost <= params and (other, cost) != (gain, params)
            for other, cost in points
        )
        assert candidate.on_front == (not is_beaten)
    prices = [candidate.summary.params for candidate in front.front]
    assert prices == sorted(prices)


def test_members_that_are_likely_and_the_recommended_candidate_are_listed(front):
    likely = [c for c in front.candidates if c.on_front and c.probability_on_front >= LISTED]
    wanted = {c.summary.key for c in (*likely, front.recommended)}
    assert {c.summary.key for c in front.listed} == wanted
    assert all(c.probability_on_front >= 0.05 for c in front.credible_set)


@pytest.mark.parametrize("count", [6, 40])
@pytest.mark.parametrize("question", [QUESTION, TWO_COSTS])
def test_a_front_is_the_same_to_the_bit_after_json(count, question):
    records = records_of(*make_trainings(14, count, num_replicates=2)[::2])
    front = fit(records, question)
    assert front.is_modelled == (count == 40)
    assert PosteriorFront.from_json(json.loads(json.dumps(front.to_json()))) == front


def test_what_is_not_in_the_space_is_refused_but_for_the_plain_network():
    no_plain = bind([16], [64], [256], width=[*WIDTHS], none=False)
    inside = [str(candidate) for candidate in no_plain]
    texts = [PLAIN, PLAIN, *inside[:12]]
    records = [
        replace(make_record(text, 0.8 + 0.001 * i, seed=i % 2, params=100 + i), candidate=text)
        for i, text in enumerate(texts)
    ]
    found = fit(records, space=no_plain)
    assert found.is_modelled
    assert [c.is_plain for c in found.candidates] == [True] + [False] * 12
    assert found.candidates[0].gain == pytest.approx(0, abs=1e-4)
    outside = replace(records[0], candidate="net/stage2=standard:4", number=99)
    with pytest.raises(SpaceError, match="not in the space"):
        fit([*records, outside], space=no_plain)


# What may be starred and settled.


def test_with_all_trainings_in_one_replicate_nothing_is_proven_or_settled():
    """However far SE in each stage takes accuracies up."""
    trainings, _, costs = make_trainings(0, 60)
    accuracies = trainings.accuracies + 0.02 * (trainings.codes > 0).sum(axis=1)
    records = records_of(replace(trainings, accuracies=accuracies), costs)
    front = fit([replace(record, seed=7) for record in records])
    assert "one replicate (seed 7)" in front.unproven
    assert (front.decision.kind, front.decision.reason) == ("nothing", front.unproven)
    assert not front.settled.is_settled
    assert front.settled.missing[0] == front.unproven
    assert not any(candidate.is_better for candidate in front.candidates)


@pytest.mark.parametrize("alone", ["plain", "others"])
def test_what_is_compared_in_one_replicate_alone_is_neither_proven_nor_settled(alone):
    """Controls that failed in all others, or others that hold nothing but their control."""
    trainings, _, costs = make_trainings(0, 60)
    accuracies = trainings.accuracies + 0.02 * (trainings.codes > 0).sum(axis=1)
    records = records_of(replace(trainings, accuracies=accuracies), costs)
    kept = [r for r in records if r.seed == 1 or (r.candidate == PLAIN) == (alone == "others")]
    front = fit(kept)
    assert front.num_replicates == 4
    assert front.num_compared == 1
    assert "in one replicate alone (seed 1)" in front.unproven
    assert front.decision == Decision("nothing", front.decision.gain_limit, front.unproven)
    assert not front.settled.is_settled
    assert not any(candidate.is_better for candidate in front.candidates)


def test_at_chance_level_nothing_is_proven_or_settled(case):
    chance = replace(QUESTION, chance=0.1, num_validation=100)
    at_chance = [replace(record, accuracy=record.accuracy - 0.69) for record in case[2]]
    front = fit(at_chance, chance)
    assert "chance level: 11." in front.unproven or "chance level: 10." in front.unproven
    assert front.decision.kind == "nothing"
    assert not front.settled.is_settled
    assert fit(at_chance).unproven is None  # the chance is not known
    # Two standard errors of 10,000 images are 0.6 points.
    assert fit(at_chance, replace(chance, num_validation=10_000)).unproven is None


def test_where_all_trainings_have_one_accuracy_nothing_is_proven_or_settled(case):
    front = fit([replace(record, accuracy=0.875) for record in case[2]])
    assert "all full trainings have one accuracy, 87.5 %" in front.unproven
    assert front.decision.kind == "nothing"
    assert not front.settled.is_settled


def test_where_each_replicate_has_one_accuracy_nothing_is_proven_or_settled(case):
    front = fit([replace(record, accuracy=0.8 + record.seed / 100) for record in case[2]])
    assert "in each replicate all full trainings have one accuracy" in front.unproven
    assert front.decision.kind == "nothing"
    assert not front.settled.is_settled


def test_a_search_of_several_replicates_above_chance_may_be_proven(front):
    assert front.unproven is None
    assert front.num_replicates >= MIN_REPLICATES


@pytest.mark.parametrize("gain", [0.01, -0.01])
def test_what_se_surely_does_everywhere_is_decided(gain):
    """SE in each stage adds or takes off a point."""
    trainings, _, costs = make_trainings(0, 60)
    noise = np.random.default_rng(0).normal(0, 0.002, 60)
    accuracies = 0.8 + gain * (trainings.codes > 0).sum(axis=1) + noise
    front = fit(records_of(replace(trainings, accuracies=accuracies), costs))
    assert front.decision.kind == ("put" if gain > 0 else "leave")
    assert front.recommended.is_plain == (gain < 0)
    if gain > 0:
        assert front.recommended.low < 0.03 < front.recommended.high
        assert front.recommended.low > 0.02
        assert front.recommended.is_better
    else:
        assert front.decision.gain_limit < 0.001


def test_leaving_se_out_recommends_the_plain_network_only_if_it_was_trained():
    rng = np.random.default_rng(1)
    records = [
        record_of(1 + i % 30, 0.8 + rng.normal(0, 1e-4), params=100 + i % 30, seed=i // 10)
        for i in range(60)
    ]
    front = fit(records)
    assert front.recommended is not None
    assert not front.recommended.is_plain


# Too little for a model.


def test_a_few_trainings_have_differences_to_their_controls_and_say_why():
    controls = [record_of(0, 0.80, seed=0), record_of(0, 0.70, seed=1)]
    others = [record_of(5, 0.81, seed=0), record_of(5, 0.74, seed=1), record_of(6, 0.79, seed=2)]
    front = fit([*controls, *others])
    assert front.reason == front.unproven == "fewer than 8 trainings have ended"
    assert [c.gain for c in front.candidates] == pytest.approx([0.0, (0.01 + 0.04) / 2, 0.04])
    assert {
        (c.gain_sd, c.low, c.high, c.probability_better, c.probability_on_front)
        for c in front.candidates
    } == {(None,) * 5}
    assert [c.on_front for c in front.candidates] == [c.summary.on_front for c in front.candidates]
    assert front.plain_accuracy == pytest.approx(0.75)
    assert front.decision == Decision("nothing", None, front.reason)
    assert front.recommended is None
    assert (front.credible_set, front.hypervolume, front.noise) == ([], None, None)
    (missing,) = front.settled.missing
    assert missing.endswith("fewer than 8 trainings have ended")


def test_many_trainings_of_one_candidate_need_no_model():
    front = fit([record_of(5, 0.5 + 0.01 * i, seed=i) for i in range(10)])
    assert front.reason == "fewer than two candidates have a full training"
    assert front.num_replicates == 10
    assert front.plain_accuracy is None


def test_without_trials_there_is_no_front():
    front = fit([])
    assert (front.candidates, front.front, front.recommended) == ((), [], None)
    assert not front.settled.is_settled


def test_equal_accuracies_are_no_trouble():
    records = [record_of(i % 5, 0.5, params=100 + i % 5, seed=i // 5) for i in range(20)]
    front = fit(records)
    assert [c.gain for c in front.candidates] == pytest.approx([0.0] * 5, abs=1e-6)
    assert all(c.low <= 1e-9 and c.high >= -1e-9 for c in front.candidates)


# Scores of cheap rungs.


def test_a_front_with_scores_says_what_has_been_learnt_of_each_rung(case):
    trainings, _, records = case
    truth = make_trainings(13, 60)[1]
    rows = FACTORS.one_hot(trainings.codes)
    effects = np.linalg.lstsq(rows, truth - PLAIN_ACCURACY, rcond=None)[0]
    values = FACTORS.one_hot(SPACE.codes()) @ effects
    texts = [str(candidate) for candidate in SPACE]
    noise = 0.3 * values.std() * np.random.default_rng(0).standard_normal((2, len(texts)))
    scores = list_scores(texts, values + 0.3 + noise, members=(1, 2))
    scored = fit(records, replace(QUESTION, scores=scores))
    (rung,) = scored.rungs
    assert (rung.name, rung.num_scores, rung.num_members) == ("supernet", len(texts), 2)
    assert 0.4 < rung.slope.median < 1.5
    assert rung.correlation.low > 0.5
    assert PosteriorFront.from_json(json.loads(json.dumps(scored.to_json()))) == scored


def test_where_scores_are_left_out_of_the_model_what_is_said_of_rungs_says_so(case):
    rung = RungScores("snip", SPACE.codes()[:9], np.arange(9.0), 3)
    model = FittedModel.fit(FACTORS, case[0], [4], 1, most_exact=50, scores=[rung])
    assert estimate_rungs(model, [rung]) == (RungEstimate("snip", 9, 3, None, None),)

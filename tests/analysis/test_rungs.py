"""Whether rungs earn their place: against scipy, simulations and cases worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from support.networks import bind
from support.records import make_record

from se_search.analysis.rungs import (
    MIN_COMPARED,
    judge_rungs,
    kendall_tau_b,
    noise_ceiling,
)
from se_search.analysis.slot_levels import ANY_SE
from se_search.record import Rung
from se_search.report.rungs import list_rungs, rung_warnings, rungs_table

ONE_AND_FOUR = (Rung(1, 1), Rung(4, 1))
WIDTHS = [4, 8, 16, 32]
SPACE = bind([64], [64], [64], [64], [64], width=WIDTHS)


def judge(records, rungs=ONE_AND_FOUR, space=SPACE):
    return judge_rungs(records, rungs, space)


def make_trials(candidate, short=(), full=(), epochs=1):
    """Return trials of one candidate, with seeds from 0 on.

    Args:
        candidate: its number in ``SPACE``, or its text.
        short: accuracies after ``epochs``.
        full: accuracies after 4 epochs.
        epochs: of the short trainings.
    """
    text = candidate if isinstance(candidate, str) else str(SPACE.candidate_at(candidate))
    trials = [
        *((value, seed, epochs, "PRUNED") for seed, value in enumerate(short)),
        *((value, seed, 4, "COMPLETE") for seed, value in enumerate(full)),
    ]
    return [
        replace(make_record(text, value, seed=seed, epochs=own, state=state), candidate=text)
        for value, seed, own, state in trials
    ]


def simulate(num_candidates, spread, noise, num_short=1, num_full=1, seed=0):
    """Return trials of candidates with normally distributed true accuracies."""
    rng = np.random.default_rng(seed)
    records = []
    for index, truth in enumerate(rng.normal(0.5, spread, num_candidates)):
        short, full = (truth + rng.normal(0, noise, size) for size in (num_short, num_full))
        records += make_trials(index, short, full)
    return records


values = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=25)


@given(values)
def test_tau_b_is_that_of_scipy(pairs):
    x, y = np.array(pairs, float).T
    assert kendall_tau_b(x, y) == pytest.approx(
        stats.kendalltau(x, y).statistic, abs=1e-12, nan_ok=True
    )


def test_the_interval_of_tau_is_scipys_bootstrap():
    records = simulate(25, spread=0.02, noise=0.02, seed=3)
    (finding,) = judge(records)
    short, full = (
        np.array([r.accuracy for r in records if r.epochs == epochs]) for epochs in (1, 4)
    )
    theirs = stats.bootstrap(
        (short, full),
        lambda x, y: stats.kendalltau(x, y).statistic,
        paired=True,
        vectorized=False,
        n_resamples=2_000,
        method="percentile",
        rng=1,
    ).confidence_interval
    assert finding.tau == pytest.approx(stats.kendalltau(short, full).statistic)
    assert (finding.low, finding.high) == pytest.approx((theirs.low, theirs.high), abs=0.04)


def test_levels_of_replicates_feign_no_agreement_of_short_and_full_trainings():
    """Candidates do not differ and have a replicate each: only its level agrees with itself."""
    rng = np.random.default_rng(0)
    levels = rng.normal(0, 0.05, 6)
    records = []
    for index in range(60):
        seed = index % 6
        short, full = 0.5 + levels[seed] + rng.normal(0, 0.01, 2)
        records += [replace(r, seed=seed) for r in make_trials(index, [short], [full])]
    raw = [[r.accuracy for r in records if r.epochs == epochs] for epochs in (1, 4)]
    assert kendall_tau_b(*map(np.array, raw)) > 0.5
    assert judge(records)[0].tau == pytest.approx(0, abs=0.2)


@pytest.mark.parametrize(("spread", "noise"), [(0.02, 0.02), (0.02, 0.01), (0.01, 0.02)])
def test_the_ceiling_is_the_tau_of_two_noisy_readings_of_one_truth(spread, noise):
    """Two seeds each: both the tau and the ceiling are found from data, and agree."""
    records = simulate(600, spread, noise, num_short=2, num_full=2)
    (finding,) = judge(records, (Rung(1, 2), Rung(4, 1)))
    reliability = spread**2 / (spread**2 + noise**2 / 2)
    assert finding.ceiling == pytest.approx(noise_ceiling(reliability, reliability), abs=0.04)
    assert finding.tau == pytest.approx(finding.ceiling, abs=0.06)
    assert finding.tau_star == pytest.approx(finding.tau / finding.ceiling)


def test_the_ceiling_without_noise_is_one_and_with_nothing_else_none():
    assert noise_ceiling(1, 1) == pytest.approx(1)
    assert noise_ceiling(0.5, 0) == 0
    assert noise_ceiling(0.5, 0.5) == pytest.approx(1 / 3)


def test_the_ceiling_is_not_known_while_no_candidate_has_two_seeds():
    records = simulate(20, 0.02, 0.01)
    (finding,) = judge(records)
    assert (finding.ceiling, finding.tau_star) == (None, None)
    records += make_trials(0, full=[0.5, 0.6])[1:]
    assert judge(records)[0].ceiling is None  # the rung's noise is not known


def test_a_rung_that_sorts_well_earns_its_place_and_one_of_noise_does_not():
    good, bad = (simulate(40, spread, 0.01) for spread in (0.03, 0.0))
    assert judge(good)[0].has_earned_its_place is True
    assert judge(bad)[0].has_earned_its_place is False


def test_a_handful_of_candidates_in_order_proves_nothing():
    records = simulate(MIN_COMPARED - 1, 0.5, 0.0)
    (finding,) = judge(records)
    assert (finding.tau, finding.low, finding.has_earned_its_place) == (1.0, None, None)


def test_candidates_with_both_are_compared_and_others_only_counted():
    records = [
        *make_trials(1, [0.1], [0.5]),
        *make_trials(2, [0.2], [0.6]),
        *make_trials(3, [0.3]),
        *make_trials(4, [], [0.9]),
        replace(make_record("net", 0.0, epochs=1, state="FAIL"), candidate="net"),
    ]
    (finding,) = judge(records)
    assert (finding.num_candidates, finding.num_compared, finding.tau) == (3, 2, 1.0)


def test_a_rung_of_seeds_is_compared_with_the_seeds_beyond_it():
    """With all its seeds the first one would agree with itself: tau would be 1."""
    records = [
        r
        for name, full in ((1, [0.1, 0.9]), (2, [0.5, 0.5]), (3, [0.9, 0.1]), (4, [0.5]))
        for r in make_trials(name, full=full)
    ]
    (finding,) = judge(records, (Rung(4, 1), Rung(4, 2)))
    assert (finding.num_candidates, finding.num_compared, finding.tau) == (4, 3, -1.0)
    assert finding.wrong_signs == ()


# -- signs --


def factorial(effects_short, effects_full, slots=("stage2", "stage3"), noise=0.002, repeats=4):
    """Return trials of all placements over the slots, with additive effects."""
    rng = np.random.default_rng(0)
    records = []
    for index in range(2 ** len(slots)):
        carried = [slot for bit, slot in enumerate(slots) if index >> bit & 1]
        for width in range(repeats if carried else 1):
            name = "/".join(["net", *(f"{slot}=standard:{WIDTHS[width]}" for slot in carried)])
            short, full = (
                0.5 + sum(effects[slot] for slot in carried) + rng.normal(0, noise)
                for effects in (effects_short, effects_full)
            )
            records += make_trials(name, [short], [full])
    return records


def wrong_slots(records, space=SPACE):
    (finding,) = judge(records, space=space)
    return {wrong.slot: wrong for wrong in finding.wrong_signs}


def test_an_effect_of_the_wrong_sign_is_found_with_its_size():
    records = factorial({"stage2": 0.02, "stage3": -0.05}, {"stage2": 0.02, "stage3": 0.04})
    wrong = wrong_slots(records)
    assert set(wrong) == {"stage3"}
    assert wrong["stage3"].here.value == pytest.approx(-0.05, abs=0.003)
    assert wrong["stage3"].full.value == pytest.approx(0.04, abs=0.003)


def test_effects_and_errors_are_those_of_least_squares():
    records = factorial({"stage2": 0.02, "stage3": -0.05}, {"stage2": 0.02, "stage3": 0.04})
    short = [r for r in records if r.epochs == 1]
    design = np.array([[1, "stage2" in r.candidate, "stage3" in r.candidate] for r in short], float)
    accuracies = np.array([r.accuracy for r in short])
    solution, squares, *_ = np.linalg.lstsq(design, accuracies)
    variance = squares[0] / (len(short) - 3)
    error = math.sqrt(variance * np.linalg.inv(design.T @ design)[2, 2])
    found = wrong_slots(records)["stage3"].here
    assert (found.value, found.error) == pytest.approx((solution[2], error))


@pytest.mark.parametrize("full", [0.05, 0.0])
def test_an_effect_of_the_same_sign_or_of_none_is_no_warning(full):
    records = factorial({"stage2": 0.02, "stage3": 0.05}, {"stage2": 0.02, "stage3": full})
    assert wrong_slots(records) == {}


def test_se_as_such_against_the_plain_network_is_a_sign_too():
    """Every placement loses at first and gains later, whatever it is: the fresh gates' damping."""
    rng = np.random.default_rng(0)
    records = make_trials("net", [0.5, 0.501], [0.5, 0.501])
    for stage in (2, 3, 4):
        for width in (4, 8, 16):
            noise = rng.normal(0, 0.002, 2)
            records += make_trials(
                f"net/stage{stage}=standard:{width}", [0.4 + noise[0]], [0.6 + noise[1]]
            )
    wrong = wrong_slots(records)
    assert wrong[ANY_SE].here.value == pytest.approx(-0.1, abs=0.005)
    assert wrong[ANY_SE].full.value == pytest.approx(0.1, abs=0.005)


def test_where_blocks_differ_each_block_is_a_slot():
    space = bind([64], [64], [64, 64, 64], [64], granularity="block", width=WIDTHS)
    slots = ("stage4.block1", "stage4.block2-3", "stage5.block1")
    full = dict(zip(slots, (0.03, 0.03, 0.06), strict=True))
    records = factorial(full | {"stage5.block1": -0.06}, full, slots)
    assert list(wrong_slots(records, space)) == ["stage5"]
    # Blocks 2 and 3 were never without each other: they are judged together.
    wrong = wrong_slots(factorial(full, full | {"stage4.block2-3": -0.06}, slots), space)
    assert list(wrong) == ["stage4.block2+stage4.block3"]


def test_a_slot_that_one_rung_cannot_tell_from_another_is_left_out():
    """After one epoch stages 2 and 3 carry SE only together; full trainings tell them apart."""
    effects = {"stage2": 0.02, "stage3": 0.04, "stage4": 0.01}
    records = factorial(effects, {name: -gain for name, gain in effects.items()}, tuple(effects))
    assert set(wrong_slots(records)) == {"stage2", "stage3", "stage4"}
    together = [r for r in records if ("stage2" in r.candidate) == ("stage3" in r.candidate)]
    short = [r for r in together if r.epochs == 1]
    assert set(wrong_slots([*short, *(r for r in records if r.epochs == 4)])) == {"stage4"}


# -- as they are told --


def make_config(promotion, epochs=4):
    return {"identity": {"epochs": epochs}, "search": {"promotion": promotion}}


def test_rungs_are_those_asked_for_last_and_those_trained_before():
    records = make_trials(1, [0.1], epochs=2)
    assert list_rungs(make_config("1x2,4x3"), records) == [Rung(1, 2), Rung(2, 1), Rung(4, 3)]
    assert list_rungs(make_config("off"), records) == [Rung(2, 1), Rung(4, 1)]
    assert list_rungs({"identity": {"epochs": 4}, "search": {}}, []) == [Rung(4, 1)]


def test_without_rungs_there_is_nothing_to_judge():
    assert judge([], [Rung(4, 1)]) == []


def test_what_misleads_is_named():
    records = factorial({"stage2": 0.02, "stage3": -0.05}, {"stage2": 0.02, "stage3": 0.04})
    findings = judge(records)
    (text,) = [line for line in rung_warnings(findings, full_epochs=4) if "misleads" in line]
    assert "Rung 1x1 misleads about stage3: there SE loses 5.0" in text
    assert "and after 4 epochs it gains 4.0" in text
    assert len(rungs_table(findings).rows) == 1


def test_a_rung_that_sorts_by_chance_is_called_out():
    (text,) = rung_warnings(judge(simulate(40, 0.0, 0.01)), full_epochs=4)
    assert "Rung 1x1 has not earned its place" in text
    assert rung_warnings(judge(simulate(40, 0.03, 0.01)), full_epochs=4) == []

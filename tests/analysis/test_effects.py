"""What each stage, position and width contributes, against known truths and closed forms."""

from itertools import product

import numpy as np
import pytest
from scipy import stats
from support.made_up_effects import (
    NUM_STAGES,
    POSITIONS,
    SEED_SD,
    SPACE,
    WIDTHS,
    Truth,
    draw_candidates,
    make_trial,
    train,
    write_text,
)
from support.networks import bind

from se_search.analysis.effects import analyze_effects
from se_search.errors import RunError, SpaceError


def search(rng, truth, count):
    """Return the trials of a greedy search: mostly what looks best, often again."""
    space = draw_candidates(rng, 250)
    array = np.array(space)
    design = np.column_stack(
        [np.ones(len(space)), *(array[:, s] == k for s in range(NUM_STAGES) for k in range(6))]
    ).astype(float)
    numbers = rng.choice(len(space), 30, replace=False).tolist()
    values = [truth.accuracy(space[n]) + rng.normal(0, SEED_SD) for n in numbers]
    while len(numbers) < count:
        rows, gains = design[numbers], np.array(values) - np.mean(values)
        weights = np.linalg.solve(rows.T @ rows + np.eye(rows.shape[1]), rows.T @ gains)
        predicted = design @ weights
        for number in set(numbers):
            own = [gain for n, gain in zip(numbers, gains, strict=True) if n == number]
            predicted[number] = (predicted[number] + np.mean(own)) / 2
            if len(own) == 5:
                predicted[number] = -np.inf
        for number in np.argsort(-predicted)[:5].tolist():
            numbers.append(number)
            values.append(truth.accuracy(space[number]) + rng.normal(0, SEED_SD))
    trials = [
        make_trial(write_text(space[n]), value) for n, value in zip(numbers, values, strict=True)
    ]
    return [space[n] for n in dict.fromkeys(numbers)], trials


def covers(effect, gain):
    return effect.low <= gain <= effect.high


def by_name(effects):
    return {(effect.slot, effect.level): effect for effect in effects}


def test_intervals_hold_the_truth_of_unbalanced_designs_in_95_percent_of_the_cases():
    held, pairs_held = [], []
    for seed, count in enumerate((60, 90, 120) * 14):
        rng = np.random.default_rng(seed)
        truth = Truth(rng, main=0.3, pairs=0.15, deviation=0.1)
        candidates = draw_candidates(rng, count)
        found = analyze_effects(train(rng, truth, candidates), SPACE)
        held += [covers(e, truth.gain(e, candidates)) for e in found.main if e.gain is not None]
        for effect in found.interactions:
            one, other = (int(s.removeprefix("stage")) - 2 for s in effect.slot.split(" x "))
            pairs_held.append(covers(effect, truth.pairs[one, other]))
    assert len(held) > 1_000
    assert 0.92 <= np.mean(held) <= 0.98
    assert 0.92 <= np.mean(pairs_held) <= 0.98


def test_where_there_are_no_effects_hardly_any_family_marks_one():
    marked = []
    for seed in range(70):
        rng = np.random.default_rng(seed)
        truth = Truth(rng, main=0.0, pairs=0.0, deviation=0.1)
        found = analyze_effects(train(rng, truth, draw_candidates(rng, 80)), SPACE)
        marked.append(any(effect.holds for effect in found.main))
    assert np.mean(marked) <= 0.06


def test_the_trials_of_a_greedy_search_bias_gains_by_a_few_hundredths_of_a_point():
    held, errors = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        truth = Truth(rng, main=0.3, pairs=0.0, deviation=0.1)
        candidates, trials = search(rng, truth, 120)
        for effect in analyze_effects(trials, SPACE).main:
            if effect.gain is not None:
                held.append(covers(effect, truth.gain(effect, candidates)))
                errors.append(effect.gain - truth.gain(effect, candidates))
    assert abs(np.mean(errors)) < 0.05
    assert np.mean(held) >= 0.9


def full_factorial(accuracy):
    """Return a trial of each of 2^4 placements with the seeds of each."""
    trials = []
    for carries in product((0, 1), repeat=NUM_STAGES):
        text = "/".join(["net", *(f"stage{s + 2}=pre:4" for s in range(4) if carries[s])])
        added = 100 * sum(c * 2**s for s, c in enumerate(carries))
        trials += [make_trial(text, a, i, added=added) for i, a in enumerate(accuracy(carries))]
    return trials


def test_a_balanced_factorial_has_the_textbook_effects_intervals_and_p_values():
    rng = np.random.default_rng(2)
    values = {c: rng.normal(90 + c[0], 0.3, 3) for c in product((0, 1), repeat=4)}
    found = analyze_effects(full_factorial(lambda carries: values[carries]), SPACE)
    means = {c: v.mean() for c, v in values.items()}
    z = np.array(list(means))
    y = np.array(list(means.values()))
    signs = 2 * z - 1
    # Sixteen candidates are too few for interactions, whose six coefficients come on top of five.
    design = np.column_stack([np.ones(16), signs])
    fitted = design @ (design.T @ y) / 16
    assert found.freedom == 11
    error = np.sqrt(((y - fitted) ** 2).sum() / found.freedom / 4)
    for stage, effect in enumerate(found.main[:4]):
        gain = y[z[:, stage] == 1].mean() - y[z[:, stage] == 0].mean()
        low, high = stats.t.interval(0.95, found.freedom, gain, error)
        assert (effect.gain, effect.low, effect.high) == pytest.approx((gain, low, high))
        assert effect.p == pytest.approx(2 * stats.t.sf(abs(gain) / error, found.freedom))
        assert (effect.num_candidates, effect.num_trainings) == (8, 24)


def test_costs_of_levels_are_those_of_their_blocks_and_divide_the_gain():
    found = analyze_effects(
        full_factorial(lambda c: [90 + 0.5 * c[0] - 0.2 * c[3] + 0.01 * (sum(c) % 3)]), SPACE
    )
    stages = found.main[:4]
    assert [effect.cost_pct for effect in stages] == pytest.approx([1, 2, 4, 8])
    assert stages[3].gain_per_pct == pytest.approx(stages[3].gain / 8)


def test_p_values_are_those_of_holm():
    rng = np.random.default_rng(3)
    truth = Truth(rng, main=0.3, pairs=0.1, deviation=0.1)
    found = analyze_effects(train(rng, truth, draw_candidates(rng, 100)), SPACE)
    tested = [effect for effect in found.main if effect.p is not None]
    for effect in tested:
        # By its definition: the largest over the effects that are tested before it.
        before = [other for other in tested if other.p <= effect.p]
        ranks = [sum(o.p >= other.p for o in tested) for other in before]
        expected = max(min(1, o.p * r) for o, r in zip(before, ranks, strict=True))
        assert effect.p_holm == pytest.approx(expected)
        assert effect.holds == (expected <= 0.05)


def test_an_interaction_without_noise_is_found_to_the_digit():
    trials = []
    for number, levels in enumerate(product((-1, 0, 1, 2, 3), repeat=2)):
        gain = 0.3 * (levels[0] >= 0) + 0.1 * (levels[1] >= 0)
        both = -0.25 * (min(levels) >= 0)
        trials.append(make_trial(write_text(levels), 90 + gain + both, number=number))
    found = analyze_effects(trials, SPACE)
    (pair,) = found.interactions
    assert pair.gain == pytest.approx(-0.25)
    # Four in five candidates carry SE in the other stage.
    assert found.main[0].gain == pytest.approx(0.3 - 0.25 * 0.8)


def test_what_the_candidates_cannot_tell_apart_has_no_number():
    """Stage 4 carries SE exactly where stage 2 or stage 3 does, and those two never both."""
    trials = []
    for number, (choice, last) in enumerate(product(range(9), (0, 1))):
        settings = {}
        if choice:
            settings = {f"stage{2 + choice % 2}": 2 ** (1 + choice // 2), "stage4": 4}
        settings |= {"stage5": 8} if last else {}
        parts = [f"{where}=pre:{width}" for where, width in settings.items()]
        accuracy = 90 + last + 0.1 * (number % 3)
        trials.append(make_trial("/".join(["net", *parts]), accuracy, number=number))
    found = by_name(analyze_effects(trials, SPACE).main)
    for stage in ("stage2", "stage3", "stage4"):
        effect = found[stage, "any SE"]
        assert effect.gain is None
        assert effect.p_holm is None
        assert "not to be told" in effect.reason
    assert found["stage5", "any SE"].gain == pytest.approx(1, abs=0.1)


def test_at_equal_cost_the_place_is_compared_not_the_amount():
    """Accuracy grows with cost alone, so SE in stage 5 gains, but not at the same cost."""
    rng = np.random.default_rng(5)
    trials = []
    for number, (one, other) in enumerate(product((0, 4, 8, 16, 32), (0, 8, 16, 32, 64))):
        for third in (0, 2, 4, 6):
            settings = {"stage2": one, "stage5": other, "stage3": third}
            parts = [f"{where}=standard:{width}" for where, width in settings.items() if width]
            added = 10 * one + 10 * other + third
            accuracy = 90 + 0.2 * np.log2(1 + added) + rng.normal(0, 0.02)
            trials.append(make_trial("/".join(["net", *parts]), accuracy, number, added=added))
    found = analyze_effects(trials, SPACE)
    raw = by_name(found.main)
    assert raw["stage5", "any SE"].gain - raw["stage2", "any SE"].gain > 0.1
    matched = {(e.level, e.reference): e for e in found.matched}
    contrast = matched["SE in stage2", "in stage5"]
    assert covers(contrast, 0)
    assert abs(contrast.gain) < 0.1


def test_a_space_without_none_compares_levels_with_their_mean():
    trials = [
        make_trial(f"net/stage2={one}:4/stage3={other}:{width}", 90 + (one == "pre") + noise)
        for (one, other, width), noise in zip(
            product(POSITIONS, POSITIONS, WIDTHS), np.sin(np.arange(18)) / 100, strict=True
        )
    ]
    space = bind([64], [64], integration=[*POSITIONS], width=[*WIDTHS], none=False)
    found = by_name(analyze_effects(trials, space).main)
    assert found["stage2", "pre"].reference == "mean"
    assert found["stage2", "pre"].gain == pytest.approx(2 / 3, abs=0.02)
    assert found["stage2", "post"].gain == pytest.approx(-1 / 3, abs=0.02)


def test_a_candidate_of_another_space_is_refused():
    with pytest.raises(SpaceError, match=r"net/stage2=inner:4 is not in the space"):
        analyze_effects([make_trial("net/stage2=inner:4", 90.0)], SPACE)


def test_too_few_candidates_are_told_how_many_are_needed():
    trials = [make_trial("net", 90.0), make_trial("net/stage2=pre:4", 91.0)]
    with pytest.raises(RunError, match=r"2 candidates .* 1 slots \(stage2\) need 7 or more"):
        analyze_effects(trials, SPACE)


def test_short_trainings_are_counted_but_not_used():
    trials = full_factorial(lambda c: [90 + c[0] + 0.1 * (sum(c) % 3)])
    short = [make_trial("net/stage2=pre:4", 10.0, 7, state="PRUNED")]
    assert analyze_effects(trials + short, SPACE).main == analyze_effects(trials, SPACE).main
    assert analyze_effects(trials + short, SPACE).num_short == 1

"""Effects from the accuracy model: against linear algebra, simulated truths and hand-made cases."""

import json
from itertools import product

import numpy as np
import pytest
from scipy.linalg import block_diag
from support.made_up_trainings import FACTORS, OBJECTIVES, SPACE
from support.networks import bind

from se_search.analysis.effects import Effects
from se_search.cost import count_cost
from se_search.errors import RunError, SpaceError
from se_search.record import TrialRecord
from se_search.surrogate.effects import compute_effects
from se_search.surrogate.fitted_model import FittedModel
from se_search.surrogate.kernel import Kernel
from se_search.surrogate.trainings import Trainings

EPOCHS = 4


def make_record(text, accuracy, seed, number=0, *, state="COMPLETE", epochs=EPOCHS):
    return TrialRecord(
        number=number,
        state=state,
        candidate=text,
        key=text,
        placement=text,
        seed=seed,
        epochs=epochs,
        accuracy=accuracy,
        loss=0.1,
        params=1,
        added_params=0,
        added_params_pct=0.0,
        macs=1,
        added_macs=0,
        seconds=1.0,
        reason=None,
    )


def records_of(trainings, space=SPACE):
    return [
        make_record(str(space.with_codes(codes)), float(accuracy), int(replicate), number)
        for number, (codes, replicate, accuracy) in enumerate(
            zip(trainings.codes, trainings.replicates, trainings.accuracies, strict=True)
        )
    ]


def set_kernel(**variances):
    """Return hyper-parameters with some variances, the others as they are expected."""
    kernel = Kernel(FACTORS.with_empty_levels(), (0.0,))
    values = kernel.values.copy()
    for name, variance in variances.items():
        values[kernel.names.index(name)] = np.log(variance)
    return kernel.with_values(values)


ADDITIVE = set_kernel(
    variance_main=0.6, variance_shared=0.3, variance_product=1e-9, plain=1e-9,
    level_0=0.7, interaction=0.2, noise_0=0.4,
)  # fmt: skip


def draw_design(rng, count, num_replicates):
    codes = rng.integers(0, 4, (count, 3)).astype(np.int16)
    codes[:num_replicates] = 0  # the controls
    return codes, np.arange(count) % num_replicates


def simulate(rng, kernel, count, num_replicates, sd=0.005):
    """Return trainings drawn from an additive prior, and what each level is worth in points."""
    codes, replicates = draw_design(rng, count, num_replicates)
    rows = FACTORS.one_hot(codes)
    roots = [np.linalg.cholesky(c + 1e-12 * np.eye(12)) for c in (kernel.additive, kernel.liking)]
    worth = roots[0] @ rng.standard_normal(12)
    liked = rng.standard_normal((num_replicates, 12)) @ roots[1].T
    levels = rng.normal(0, np.sqrt(kernel.levels[0]), num_replicates)
    noise = rng.normal(0, np.sqrt(kernel.noise[0]), count)
    values = rows @ worth + (rows * liked[replicates]).sum(axis=1) + levels[replicates] + noise
    trainings = Trainings(codes, np.zeros(count, np.int64), replicates, 0.8 + sd * values)
    return trainings, 100 * sd * worth


def by_name(effects):
    return {(effect.slot, effect.level): effect for effect in effects.main}


def slot_gain(worth, slot):
    """Return the mean of a slot's three levels with SE less the level without."""
    own = worth[4 * slot : 4 * slot + 4]
    return own[1:].mean() - own[0]


def test_gains_are_those_of_bayesian_linear_regression_on_levels_replicates_and_both():
    trainings, _ = simulate(np.random.default_rng(3), ADDITIVE, 60, 4)
    model = FittedModel.of(FACTORS, trainings, [EPOCHS], [ADDITIVE.values])
    effects = by_name(compute_effects(model, SPACE, records_of(trainings), OBJECTIVES, EPOCHS))
    rows = FACTORS.one_hot(trainings.codes)
    blocks = np.eye(4)[trainings.replicates]
    features = np.hstack([np.ones((60, 1)), rows, blocks, *(rows * b[:, None] for b in blocks.T)])
    root = np.linalg.cholesky(
        block_diag([[1.0]], ADDITIVE.additive, 0.7 * np.eye(4), *[ADDITIVE.liking] * 4)
        + 1e-12 * np.eye(1 + 12 + 4 + 48)
    )
    scaled = features @ root
    precision = np.eye(65) + scaled.T @ scaled / 0.4
    coefficients = root @ np.linalg.solve(precision, scaled.T @ model.seen.values / 0.4)
    covariance = root @ np.linalg.solve(precision, root.T)
    unit = 100 * model.scale.sd
    for slot in range(3):
        weights = np.zeros(65)
        weights[1 + 4 * slot : 5 + 4 * slot] = [-1, 1 / 3, 1 / 3, 1 / 3]
        effect = effects[f"stage{slot + 2}", "any SE"]
        sd = unit * np.sqrt(weights @ covariance @ weights)
        assert effect.gain == pytest.approx(unit * weights @ coefficients, abs=4 * sd / 60)
        assert effect.high - effect.low == pytest.approx(2 * 1.96 * sd, rel=0.06)


def analyze(trainings, kernel=ADDITIVE, unproven=None):
    """Return the effects of trainings with a known kernel."""
    model = FittedModel.of(FACTORS, trainings, [EPOCHS], [kernel.values])
    return compute_effects(model, SPACE, records_of(trainings), OBJECTIVES, EPOCHS, unproven)


def test_intervals_hold_95_percent_of_the_truths_of_worlds_like_the_prior():
    held = []
    for seed in range(60):
        trainings, worth = simulate(np.random.default_rng(seed), ADDITIVE, 40, 3)
        effects = by_name(analyze(trainings))
        for slot in range(3):
            effect = effects[f"stage{slot + 2}", "any SE"]
            held.append(effect.low <= slot_gain(worth, slot) <= effect.high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.04)


def test_freed_of_the_prior_any_se_gains_what_least_squares_says():
    """In a balanced design that is a difference of two means, with the error of two means."""
    rng = np.random.default_rng(5)
    codes = np.tile(np.array(list(product(range(4), repeat=3)), np.int16), (2, 1))
    replicates = np.repeat([0, 1], 64)
    accuracies = 0.8 + 0.004 * (codes[:, 0] > 0) + rng.normal(0, 0.01, 128)
    trainings = Trainings(codes, np.zeros(128, np.int64), replicates, accuracies)
    kernel = set_kernel(
        variance_main=0.01, variance_shared=1e-6, variance_product=1e-9, plain=1e-9,
        interaction=1e-9, noise_0=1.0,
    )  # fmt: skip
    model = FittedModel.of(FACTORS, trainings, [EPOCHS], [kernel.values])
    weights = np.where(codes[:64, 0] > 0, 1 / 48, -1 / 16)[None]
    free = model.unshrunken().draw_contrasts(codes[:64], weights)
    carries = codes[:, 0] > 0
    difference = accuracies[carries].mean() - accuracies[~carries].mean()
    error = model.scale.sd * np.sqrt(1 / 96 + 1 / 32)
    assert free.mean() == pytest.approx(difference, abs=4 * error / 60)
    assert free.std() == pytest.approx(error, rel=0.06)
    assert abs(model.draw_contrasts(codes[:64], weights).mean()) < 0.8 * abs(difference)


def test_without_any_effects_one_family_in_twenty_has_one_that_holds_if_replicates_are_modelled():
    """Replicates favour levels by as much as noise; a model without that term is misled by two."""
    truth = set_kernel(variance_main=1e-9, variance_shared=1e-9, interaction=1.0, noise_0=0.3)
    known = set_kernel(variance_product=1e-9, plain=1e-9, interaction=1.0, noise_0=0.3)
    blind = set_kernel(variance_product=1e-9, plain=1e-9, interaction=1e-9, noise_0=0.7)
    marked = {"known": [], "blind": []}
    for seed in range(50):
        trainings, _ = simulate(np.random.default_rng(seed), truth, 60, 2, sd=0.01)
        for name, kernel in (("known", known), ("blind", blind)):
            marked[name].append(any(effect.holds for effect in analyze(trainings, kernel).main))
    assert np.mean(marked["known"]) <= 0.1
    assert np.mean(marked["blind"]) >= 0.2


def make_trainings(gain, count=64, num_replicates=4):
    """Return trainings in which SE in stage 3 gains some points, and nothing else does."""
    rng = np.random.default_rng(1)
    codes, replicates = draw_design(rng, count, num_replicates)
    levels = rng.normal(0, 0.004, num_replicates)
    accuracies = 0.8 + gain / 100 * (codes[:, 1] > 0) + levels[replicates]
    accuracies += rng.normal(0, 0.003, count)
    return Trainings(codes, np.zeros(count, np.int64), replicates, accuracies)


def test_a_gain_that_is_there_holds_and_the_others_do_not():
    effects = by_name(analyze(make_trainings(2.0)))
    assert effects["stage3", "any SE"].holds
    assert effects["stage3", "any SE"].gain == pytest.approx(2, abs=0.3)
    assert effects["stage3", "any SE"].p < 0.01
    assert not any(effect.holds for (slot, _), effect in effects.items() if slot == "stage2")


def test_nothing_holds_in_a_run_from_which_nothing_may_be_concluded():
    effects = analyze(make_trainings(2.0), unproven="why not")
    assert effects.unproven == "why not"
    assert not any(e.holds for e in (*effects.main, *effects.interactions, *effects.matched))
    assert by_name(effects)["stage3", "any SE"].gain == pytest.approx(2, abs=0.3)


def test_what_no_trained_candidate_has_is_not_known_and_widens_nothing_else():
    trainings = make_trainings(2.0)
    trainings.codes[trainings.codes[:, 0] == 3, 0] = 0
    effects = by_name(analyze(trainings))
    missing = effects["stage2", "width 16"]
    assert (missing.gain, missing.p, missing.holds) == (None, None, False)
    assert missing.reason == "no trained candidate has it"
    assert effects["stage3", "any SE"].holds


def test_the_order_of_the_trials_does_not_matter():
    trainings = make_trainings(0.5)
    model = FittedModel.of(FACTORS, trainings, [EPOCHS], [ADDITIVE.values])
    records = records_of(trainings)
    once = compute_effects(model, SPACE, records, OBJECTIVES, EPOCHS)
    assert compute_effects(model, SPACE, records[::-1], OBJECTIVES, EPOCHS) == once


def test_effects_are_read_back_as_they_were_written():
    effects = analyze(make_trainings(1.0), unproven="why")
    assert Effects.from_json(json.loads(json.dumps(effects.to_json()))) == effects


def test_what_the_effects_rest_on_is_counted():
    trainings = make_trainings(1.0, count=40, num_replicates=2)
    short = make_record("net", 0.5, 0, state="PRUNED", epochs=2)
    failed = make_record("net", None, 0, state="FAIL")
    model = FittedModel.of(FACTORS, trainings, [EPOCHS], [ADDITIVE.values])
    records = [*records_of(trainings), short, failed]
    effects = compute_effects(model, SPACE, records, OBJECTIVES, EPOCHS)
    assert effects.num_trainings == 40
    assert effects.num_candidates == len(np.unique(trainings.codes, axis=0))
    assert (effects.num_short, effects.num_replicates) == (1, 2)
    own = by_name(effects)["stage2", "width 4"]
    assert own.num_trainings == (trainings.codes[:, 0] == 1).sum()
    assert own.num_candidates == len(np.unique(trainings.codes[trainings.codes[:, 0] == 1], axis=0))


def test_gains_stand_beside_macs_where_the_run_minimises_them():
    trainings = make_trainings(1.0)
    model = FittedModel.of(FACTORS, trainings, [EPOCHS], [ADDITIVE.values])
    found = {}
    for cost in ("params", "macs"):
        effects = compute_effects(model, SPACE, records_of(trainings), ("accuracy", cost), EPOCHS)
        assert effects.cost == cost
        found[cost] = by_name(effects)["stage3", "width 8"]
    plain, own = (count_cost(SPACE.parse(text)) for text in ("net", "net/stage3=standard:8"))
    assert found["params"].cost_pct == pytest.approx(own.added_params_pct)
    assert found["macs"].cost_pct == pytest.approx(100 * own.added_macs / plain.macs)
    assert found["macs"].gain_per_pct == pytest.approx(found["macs"].gain / found["macs"].cost_pct)


class Fake:
    """A model that knows nothing: all effects are 0, give or take a point."""

    def draw_contrasts(self, codes, weights):
        return np.random.default_rng(0).normal(0, 0.01, (200, len(weights)))

    def unshrunken(self):
        return self


def test_the_control_of_a_space_in_which_all_carry_se_is_none_of_its_levels():
    space = bind([64], [64], width=[4, 8, 16], none=False)
    rng = np.random.default_rng(0)
    texts = [str(space.with_codes(codes)) for codes in rng.integers(0, 3, (20, 2))]
    records = [make_record(text, 0.8, 0) for text in ("net", *texts)]
    effects = compute_effects(Fake(), space, records, OBJECTIVES, EPOCHS)
    assert {effect.reference for effect in effects.main} == {"mean"}
    assert sum(e.num_trainings for e in effects.main if e.slot == "stage2") == 20
    assert effects.num_trainings == 21
    assert effects.interactions == ()


def test_pairs_of_very_many_slots_are_left_out_and_that_is_said():
    space = bind(*[[64]] * 17, width=[4])
    texts = [
        str(space.with_codes(row)) for row in np.random.default_rng(0).integers(0, 2, (30, 17))
    ]
    records = [make_record(text, 0.8, 0) for text in texts]
    effects = compute_effects(Fake(), space, records, OBJECTIVES, EPOCHS)
    assert effects.interactions == effects.matched == ()
    assert "17 slots make 136 pairs" in effects.notes[0]
    assert len(effects.main) == 18


def test_without_a_full_training_there_are_no_effects():
    short = make_record("net", 0.5, 0, state="PRUNED", epochs=2)
    with pytest.raises(RunError, match="no candidate has a full training"):
        compute_effects(Fake(), SPACE, [short], OBJECTIVES, EPOCHS)


def test_a_candidate_of_another_space_is_refused():
    with pytest.raises(SpaceError, match=r"net/stage2=inner:4 is not in the space"):
        compute_effects(
            Fake(), SPACE, [make_record("net/stage2=inner:4", 0.8, 0)], OBJECTIVES, EPOCHS
        )

"""What trainings say of gains: against linear algebra, closed forms and worlds of known truth."""

from dataclasses import replace

import numpy as np
import pytest
from support import made_up_worlds
from support.made_up_trainings import FACTORS, make_trainings
from support.made_up_worlds import make_world

from se_search.surrogate.features import Factors
from se_search.surrogate.fitted_model import FittedModel
from se_search.surrogate.kernel import Kernel
from se_search.surrogate.scores import RungScores
from se_search.surrogate.trainings import Trainings

MOST_PROBABLE = {"num_kernels": 0}  # no kernels are drawn: the most probable one is taken


def gains_of(model, codes=None, num_draws=4_000):
    """Return draws of gains over the plain network; of all trained candidates by default."""
    codes = np.unique(model.trainings.codes, axis=0) if codes is None else codes
    accuracies = model.draw(np.vstack([model.plain, codes]), num_draws)
    return accuracies[:, 1:] - accuracies[:, :1]


def fit(trainings, factors=FACTORS, budgets=(4,), **options):
    return FittedModel.fit(factors, trainings, budgets, **options)


def refit(model, trainings, budgets=(4,)):
    """Return the model of other trainings with the hyper-parameters of another one."""
    values = [kernel.values for kernel in model.kernels]
    return FittedModel.of(FACTORS, trainings, budgets, values)


def followed_by(trainings, *more):
    """Return trainings and more of them: codes, replicate and accuracy of each."""
    return Trainings(
        np.vstack([trainings.codes, [codes for codes, _, _ in more]]).astype(np.int16),
        np.append(trainings.budgets, [trainings.budgets.max()] * len(more)),
        np.append(trainings.replicates, [replicate for _, replicate, _ in more]),
        np.append(trainings.accuracies, [accuracy for _, _, accuracy in more]),
    )


# What is drawn.


@pytest.mark.parametrize("budgets", [(4,), (1, 4)])
def test_beyond_the_number_of_exact_trainings_the_posterior_is_told_by_the_models_weights(budgets):
    # All candidates that have been trained carry the product: nothing is approximate but rounding.
    trainings, _, _ = make_trainings(3, 60, num_budgets=len(budgets))
    exact = fit(trainings, budgets=budgets, **MOST_PROBABLE)
    by_weights = replace(exact, most_exact=50)
    assert (exact.is_approximate, by_weights.is_approximate) == (False, True)
    codes = np.unique(trainings.codes, axis=0)
    against = np.eye(len(codes)) - 1 / len(codes)
    sds = exact.draw_contrasts(codes, against, 20_000).std(axis=0)
    for model in (exact, by_weights):
        gathered = model.draw_contrasts(codes, against, 20_000)
        for found in (model.draw(codes, 20_000) @ against.T, gathered):
            np.testing.assert_allclose(found.std(axis=0), sds, rtol=0.1)
    for free in (False, True):
        known, told = (m.unshrunken() if free else m for m in (exact, by_weights))
        np.testing.assert_allclose(told.predict(codes), known.predict(codes), atol=1e-3 * sds.max())


def test_draws_have_the_moments_of_linear_algebra():
    trainings, _, _ = make_trainings(3, 30)
    model = fit(trainings, **MOST_PROBABLE)
    codes = np.unique(trainings.codes, axis=0)
    (kernel,) = model.kernels
    design = model.seen.design
    inverse = np.linalg.inv(kernel.among(design))
    members = model.factors.one_hot(codes)
    across = kernel.between(members, design.rows)
    mean = across @ inverse @ model.seen.values
    covariance = kernel.between(members, members) - across @ inverse @ across.T
    against = np.eye(len(codes)) - 1 / len(codes)  # differences to the mean candidate
    for found in (
        model.draw(codes, 20_000) @ against.T,
        model.draw_contrasts(codes, against, 20_000),
    ):
        sds = np.sqrt(np.diag(against @ covariance @ against.T)) * model.scale.sd
        np.testing.assert_allclose(
            found.mean(axis=0), against @ mean * model.scale.sd, atol=0.1 * sds.max()
        )
        np.testing.assert_allclose(found.std(axis=0), sds, rtol=0.1)


def test_many_candidates_are_predicted_as_they_are_drawn():
    model = fit(make_trainings(4, 40)[0])
    codes = np.array(list(np.ndindex(4, 4, 4)), np.int16)
    mean, sd = model.predict(codes)
    drawn = gains_of(model, codes, 10_000)
    assert (mean[0], sd[0]) == pytest.approx((0, 0), abs=1e-6)  # the plain network itself
    np.testing.assert_allclose(mean, drawn.mean(axis=0), atol=0.1 * sd.max())
    np.testing.assert_allclose(sd[1:], drawn.std(axis=0)[1:], rtol=0.1)


def test_a_model_made_of_hyper_parameters_that_were_found_before_draws_alike_to_the_bit():
    trainings, _, _ = make_trainings(5, 30)
    model = fit(trainings)
    np.testing.assert_array_equal(gains_of(model), gains_of(refit(model, trainings)))
    np.testing.assert_array_equal(gains_of(model), gains_of(fit(trainings)))


def test_with_hundreds_of_trainings_in_as_many_replicates_a_gain_is_the_mean_difference():
    rng = np.random.default_rng(0)
    codes = np.repeat([[0, 0, 0], [1, 2, 0], [3, 1, 2]], 120, axis=0).astype(np.int16)
    replicates = np.tile(np.arange(120), 3)
    levels = rng.normal(0, 0.02, 120)
    noise = rng.normal(0, 0.01, (3, 120))
    accuracies = np.repeat([0.80, 0.83, 0.81], 120) + levels[replicates] + noise.ravel()
    model = fit(Trainings(codes, np.zeros(360, np.int64), replicates, accuracies), num_kernels=4)
    drawn = gains_of(model, codes[[120, 240]])
    means = accuracies.reshape(3, 120).mean(axis=1)
    np.testing.assert_allclose(drawn.mean(axis=0), means[1:] - means[0], atol=5e-4)
    # Each replicate has all three: its level cancels, the noise of two trainings stays.
    np.testing.assert_allclose(drawn.std(axis=0), 0.01 * np.sqrt(2 / 120), rtol=0.25)


# Replicates.


def test_the_level_of_a_replicate_changes_no_gain():
    """One that is 30 points off as a whole."""
    trainings, _, _ = make_trainings(6, 60)
    lifted = replace(trainings, accuracies=trainings.accuracies - 0.3 * (trainings.replicates == 2))
    usual, other = (gains_of(fit(each, **MOST_PROBABLE)) for each in (trainings, lifted))
    moved = other.mean(axis=0) - usual.mean(axis=0)
    assert np.abs(moved).max() < 0.3 * usual.std(axis=0).mean()


def test_the_names_of_replicates_change_no_gain():
    trainings, _, _ = make_trainings(7, 40)
    named = replace(trainings, replicates=np.array([7, 1_000_001, 0, 5])[trainings.replicates])
    model = fit(trainings)
    np.testing.assert_allclose(gains_of(model), gains_of(refit(model, named)), atol=1e-7)


def test_more_trainings_in_one_replicate_say_less_than_as_many_in_several():
    """What a replicate does to a candidate does not average out within it."""
    codes = np.repeat([[0, 0, 0], [1, 2, 3]], 8, axis=0).astype(np.int16)
    accuracies = 0.8 + 0.01 * np.random.default_rng(8).standard_normal(16)
    kernel = Kernel(FACTORS, (0.0,))
    wanted = {"interaction": 0.5, "noise_0": 0.1, "variance_main": 3.0}
    values = [
        np.log(wanted.get(name, np.exp(kernel.values[i]))) for i, name in enumerate(kernel.names)
    ]

    def sd_in(replicates):
        replicates = np.concatenate([np.arange(8), replicates])
        trainings = Trainings(codes, np.zeros(16, np.int64), replicates, accuracies)
        model = FittedModel.of(FACTORS, trainings, [4], [values])
        return gains_of(model, codes[-1:]).std() / model.scale.sd

    in_one, in_two, in_all = sd_in(np.full(8, 3)), sd_in(np.arange(8) % 2), sd_in(np.arange(8))
    assert in_all < 0.8 * in_two < 0.7 * in_one


def test_a_further_lucky_training_raises_a_gain():
    trainings, _, _ = make_trainings(9, 40)
    model = fit(trainings)
    target = trainings.codes[12]
    found = [
        gains_of(refit(model, followed_by(trainings, (target, 3, accuracy))), [target]).mean()
        for accuracy in (0.78, 0.80, 0.82)
    ]
    assert found[0] < found[1] < found[2]


@pytest.mark.parametrize("seed", [3, 4])
def test_trainings_of_one_replicate_make_no_gain_of_any_size(seed):
    """The level of a single replicate is not known: all accuracies of a draw may be poor."""
    model = fit(make_world(seed, 100, num_replicates=1).trainings, made_up_worlds.FACTORS)
    codes = np.unique(model.trainings.codes, axis=0)
    weights = np.column_stack([-np.ones(len(codes)), np.eye(len(codes))])
    as_compressed = model.draw_contrasts(np.vstack([model.plain, codes]), weights)
    drawn = gains_of(model)
    assert drawn.std() < 1.2 * as_compressed.std()
    assert np.abs(drawn).max() < 1.5 * np.abs(as_compressed).max()


# Budgets and outliers.


def test_a_short_training_tells_something_of_a_candidate():
    trainings, _, _ = make_trainings(10, 80, num_budgets=2)
    is_full = trainings.budgets == 1
    codes = np.unique(trainings.codes[is_full], axis=0)
    alone = Trainings(
        trainings.codes[is_full],
        np.zeros(is_full.sum(), np.int64),
        trainings.replicates[is_full],
        trainings.accuracies[is_full],
    )
    both = gains_of(fit(trainings, budgets=(1, 4)), codes).std(axis=0).mean()
    assert both < gains_of(fit(alone), codes).std(axis=0).mean()


def test_replicates_of_short_trainings_do_not_count():
    trainings, _, _ = make_trainings(11, 40, num_budgets=2)
    short = followed_by(trainings, (trainings.codes[9], 99, 0.7))
    short.budgets[-1] = 0
    assert fit(short, budgets=(1, 4), **MOST_PROBABLE).num_replicates == 4


def test_an_outlier_does_not_widen_the_intervals_of_the_others():
    trainings, _, _ = make_trainings(12, 60)
    broken = trainings.accuracies.copy()
    broken[10] = 0.1
    others = np.unique(np.delete(trainings.codes, 10, axis=0), axis=0)
    usual, odd = (
        gains_of(fit(each), others) for each in (trainings, replace(trainings, accuracies=broken))
    )
    assert np.median(odd.std(axis=0)) < 1.5 * np.median(usual.std(axis=0))


# The plain network where the space has none.


def test_gains_are_over_a_plain_network_that_the_space_does_not_hold():
    """Controls have an empty level of their own: its code follows those of the space."""
    trainings, truth, _ = make_trainings(13, 60, noise=0.001, interaction=0.0003)
    has_se = (trainings.codes > 0).all(axis=1)
    is_plain = (trainings.codes == 0).all(axis=1)
    kept = has_se | is_plain
    codes = np.where(is_plain[:, None], 3, trainings.codes - 1)[kept].astype(np.int16)
    factors = Factors(tuple(levels[1:] for levels in FACTORS.levels))
    model = fit(
        Trainings(
            codes, trainings.budgets[kept], trainings.replicates[kept], trainings.accuracies[kept]
        ),
        factors,
    )
    assert model.plain.tolist() == [3, 3, 3]
    members, first = np.unique(trainings.codes[has_se], axis=0, return_index=True)
    drawn = gains_of(model, (members - 1).astype(np.int16))
    gains = truth[has_se][first] - 0.8
    assert len(gains) > 10
    assert np.mean(np.abs(drawn.mean(axis=0) - gains)) < 0.5 * np.mean(np.abs(gains))
    assert np.mean(np.abs(drawn.mean(axis=0) - gains) < 3 * drawn.std(axis=0)) > 0.9


# Worlds as measured.


@pytest.fixture(scope="module")
def recovered():
    """Coverage, optimism of the best and fitted noise in ten worlds, in points."""
    rows = []
    for seed in range(10):
        world = make_world(seed)
        model = fit(world.trainings, made_up_worlds.FACTORS, num_kernels=6)
        members, first = np.unique(world.trainings.codes, axis=0, return_index=True)
        members, truth = members[1:], world.gains[first][1:]  # the plain network comes first
        drawn = gains_of(model, members, 600)
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
        best = int(np.argmax(drawn.mean(axis=0)))
        noise = model.measure_noise(model.draw(members, 600))
        rows.append(
            {
                "coverage": np.mean((low <= truth) & (truth <= high)),
                "optimism": 100 * (drawn.mean(axis=0)[best] - truth[best]),
                "noise": 100 * noise.training_sd,
                "level": 100 * noise.level_sd,
                "error": 100 * np.sqrt(np.mean((drawn.mean(axis=0) - truth) ** 2)),
            }
        )
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def test_intervals_of_gains_hold_the_truth_about_95_times_of_100(recovered):
    assert 0.87 < recovered["coverage"].mean() < 0.995


def test_the_best_expected_gain_is_not_too_good(recovered):
    """A single training is, by 1.5 points: the best of 190 with a standard deviation of 0.6."""
    assert abs(recovered["optimism"].mean()) < 0.2


def test_noise_and_levels_are_found_within_a_factor_of_two(recovered):
    assert (np.abs(np.log2(recovered["noise"] / made_up_worlds.NOISE)) < 1).all()
    assert 0.5 < recovered["level"].mean() / made_up_worlds.LEVEL < 2


def test_gains_are_far_nearer_to_the_truth_than_differences_of_two_trainings(recovered):
    """Which have a standard error of 0.45 points times the root of 2, and more."""
    assert recovered["error"].mean() < 0.5 * made_up_worlds.NOISE * np.sqrt(2)


# What so many images can tell.


def test_equal_accuracies_of_few_images_leave_gains_unknown_by_as_much_as_the_images_do():
    """20 images, of which two trainings differ on 2: (0.1 / 20 / 2) is 0.05 squared."""
    trainings, _, _ = make_trainings(3, 24)
    equal = replace(trainings, accuracies=np.full(24, 0.8))
    assert gains_of(fit(equal)).std() < 1e-6
    spread = gains_of(fit(equal, least_noise=0.05**2)).std(axis=0)
    assert 0.01 < np.median(spread[spread > 0]) < 0.05


def test_noise_of_images_far_below_that_of_seeds_changes_nothing_to_the_bit():
    trainings, _, _ = make_trainings(3, 30)
    sd = fit(trainings).scale.sd
    bounded = fit(trainings, least_noise=(0.1 * sd) ** 2)
    np.testing.assert_array_equal(gains_of(fit(trainings)), gains_of(bounded))


# Scores of cheap rungs.

POOL = np.indices((5, 5, 5, 5)).reshape(4, -1).T.astype(np.int16)


def score_pool(values, seed=0, noise=0.3):
    """Return scores of a quarter of a world's candidates by one rung: values and noise."""
    scale = values.std() * noise * np.random.default_rng(seed).standard_normal(len(values))
    return RungScores("supernet", POOL[::4], (values + scale)[::4])


@pytest.fixture(scope="module")
def scored():
    """A world's trainings and true gains of all candidates, and models by what was scored."""
    world = make_world(3, 60)
    truth = made_up_worlds.gains_of_all(world)
    none = np.random.default_rng(9).standard_normal(len(truth))
    kinds = {
        "without": [],
        "good": [score_pool(0.35 * truth)],
        "noise": [score_pool(none)],
        "reversed": [score_pool(-truth)],
    }
    models = {
        name: fit(world.trainings, made_up_worlds.FACTORS, num_kernels=2, scores=scores)
        for name, scores in kinds.items()
    }
    return truth, models


def error_of(truth, model):
    return np.sqrt(np.mean((model.predict(POOL)[0] - truth) ** 2))


def slope_of(model):
    at = model.kernels[0].names.index("rung_slope_0")
    return float(np.median([np.exp(kernel.values[at]) for kernel in model.kernels]))


def test_scores_that_tell_bring_gains_of_all_candidates_nearer_to_the_truth(scored):
    truth, models = scored
    assert error_of(truth, models["good"]) < 0.9 * error_of(truth, models["without"])
    good, without = (models[name].predict(POOL) for name in ("good", "without"))
    assert good[1].mean() < without[1].mean()
    assert np.corrcoef(good[0], truth)[0, 1] > np.corrcoef(without[0], truth)[0, 1] + 0.1


def test_scores_that_tell_nothing_leave_gains_about_as_they_were(scored):
    truth, models = scored
    assert error_of(truth, models["noise"]) < 1.1 * error_of(truth, models["without"])
    assert slope_of(models["noise"]) < 0.4


def test_scores_that_say_the_contrary_are_not_believed(scored):
    truth, models = scored
    assert slope_of(models["reversed"]) < 0.4 < slope_of(models["good"])
    found = [np.corrcoef(models[n].predict(POOL)[0], truth)[0, 1] for n in ("reversed", "without")]
    assert 0.5 * found[1] < found[0]


def test_no_scores_are_trainings_alone_to_the_bit(scored):
    _, models = scored
    trainings = models["without"].trainings
    again = fit(trainings, made_up_worlds.FACTORS, num_kernels=2)
    np.testing.assert_array_equal(models["without"].predict(POOL), again.predict(POOL))


def test_noise_is_told_of_the_trained_candidates_not_of_those_scored(scored):
    _, models = scored
    model = models["good"]
    rows = model.trainings.design(model.factors).rows
    wanted = np.mean([kernel.liking_variance(rows).mean() for kernel in model.kernels])
    found = model.measure_noise(model.draw(POOL[:9], 60)).interaction_sd
    assert found == pytest.approx(np.sqrt(wanted) * model.scale.sd)


def test_tests_of_levels_rest_on_trainings_alone(scored):
    """But for what sets the plain network and single candidates apart, which no level does."""
    _, models = scored
    model = replace(models["good"], kernels=models["good"].kernels[:1])
    named = zip(model.kernels[0].names, model.kernels[0].values, strict=True)
    alone = [np.array([value for name, value in named if not name.startswith("rung_")])]
    alone = FittedModel.of(model.factors, model.trainings, (4,), alone)
    one = np.zeros((2, 4), np.int16)
    one[1, 0] = 3
    against = np.array([[-1.0, 1.0]])
    free, shrunken, by_trainings = (
        each.draw_contrasts(one, against)
        for each in (model.unshrunken(), model, alone.unshrunken())
    )
    assert free.std() == pytest.approx(by_trainings.std(), rel=0.12)
    assert free.mean() == pytest.approx(by_trainings.mean(), abs=0.3 * by_trainings.std())
    assert shrunken.std() < 0.7 * free.std()


def test_beyond_the_number_of_exact_trainings_scores_are_left_out():
    trainings, _, _ = make_trainings(3, 60)
    scores = [RungScores("supernet", trainings.codes[4:9], np.arange(5.0))]
    model = fit(trainings, most_exact=50, num_kernels=2, scores=scores)
    assert model.scores == ()
    codes = np.unique(trainings.codes, axis=0)
    alone = fit(trainings, most_exact=50, num_kernels=2)
    np.testing.assert_array_equal(model.predict(codes), alone.predict(codes))

"""Statistics of gates: against numpy, scipy's analysis of variance and closed forms."""

import numpy as np
import pytest
from scipy import stats

from se_search.analysis.gates import Drop, GateTally, mean_drop, paired_drop, pooled_omega_squared

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, 60)
GATES = 0.5 + 0.1 * RNG.normal(size=(60, 4)) + 0.05 * np.arange(4) * LABELS[:, None]


def tally(gates, labels, batch=60, **options):
    found = GateTally(options.pop("num_classes", 3), **options)
    for start in range(0, len(gates), batch):
        found.add(gates[start : start + batch], labels[start : start + batch])
    return found.finish()


def test_means_and_spreads_are_numpys():
    found = tally(GATES, LABELS)
    assert found.num_images == 60
    assert found.mean == pytest.approx(GATES.mean())
    assert found.sd_channels == pytest.approx(GATES.mean(axis=0).std())
    assert found.sd_images == pytest.approx(np.sqrt(GATES.var(axis=0).mean()))
    assert found.variation == pytest.approx(found.sd_images / GATES.mean())
    np.testing.assert_allclose(found.channel_sds, GATES.std(axis=0))
    for number in range(3):
        own = GATES[number == LABELS]
        np.testing.assert_allclose(found.class_means[number], own.mean(axis=0))


@pytest.mark.parametrize("batch", [1, 7])
def test_batches_of_any_size_add_up_to_the_whole(batch):
    constants = np.full(4, 0.55)
    parts, whole = (tally(GATES, LABELS, size, constants=constants) for size in (batch, 60))
    for name in ("mean", "sd_channels", "sd_images", "class_share", "near_one", "near_constant"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), rel=1e-12)
    np.testing.assert_allclose(parts.class_means, whole.class_means, rtol=1e-12)


def test_the_class_share_of_one_channel_follows_from_scipys_f_ratio():
    for channel in range(4):
        gates = GATES[:, [channel]]
        f = stats.f_oneway(*(gates[number == LABELS, 0] for number in range(3))).statistic
        # Omega squared from F: Hays 1963; Maxwell, Delaney & Kelley 2018, eq. 3.E.9.
        expected = 2 * (f - 1) / (2 * f - 2 + 60)
        assert tally(gates, LABELS).class_share == pytest.approx(expected)


def test_channels_weigh_by_their_variances():
    noise = RNG.normal(size=60)
    gates = np.stack([LABELS * 1.0, 100 * noise], axis=1)
    alone = tally(gates[:, [1]], LABELS).class_share
    assert tally(gates, LABELS).class_share == pytest.approx(alone, abs=1e-3)


def test_the_class_share_of_pure_noise_is_zero_on_average():
    shares = [tally(RNG.normal(size=(60, 4)), LABELS).class_share for _ in range(200)]
    assert abs(np.mean(shares)) < 0.005
    assert np.mean([stats_eta(RNG.normal(size=60)) for _ in range(200)]) > 0.025


def stats_eta(values):
    """Eta squared, which takes what classes differ by chance for an effect."""
    means = np.array([values[number == LABELS].mean() for number in range(3)])
    return ((means[LABELS] - values.mean()) ** 2).sum() / ((values - values.mean()) ** 2).sum()


def test_gates_that_depend_on_the_class_alone_have_a_share_of_one():
    assert tally(np.stack([LABELS, 1.0 - LABELS], axis=1), LABELS).class_share == 1.0


def test_constant_gates_vary_by_exactly_nothing_and_have_no_class_share():
    gates = np.full((60, 3), 0.1) + np.array([0.0, 0.2, 0.7])
    found = tally(gates, LABELS, 7, constants=gates[0])
    assert found.sd_images == 0.0
    assert found.variation == 0.0
    assert found.class_share is None
    assert found.near_constant == 1.0


def test_shares_count_the_gates_within_five_hundredths():
    gates = np.array([[0.0, 0.04, 0.96], [0.06, 0.5, 1.04]])
    found = tally(gates, np.array([0, 1]), num_classes=2, constants=np.array([0.04, 0.5, 0.9]))
    assert found.near_zero == pytest.approx(2 / 6)
    assert found.near_one == pytest.approx(2 / 6)
    assert found.near_constant == pytest.approx(3 / 6)


def test_a_class_without_images_has_no_means_and_no_weight():
    found = tally(GATES, LABELS, num_classes=5)
    assert np.isnan(found.class_means[3:]).all()
    assert found.class_share == pytest.approx(tally(GATES, LABELS).class_share)


def test_one_image_a_class_tells_nothing_of_classes():
    assert pooled_omega_squared(np.ones(2), np.ones(2), 3, 3) is None


def test_the_spread_over_pixels_is_added_up_over_images():
    found = GateTally(2)
    for label, variance in ((0, 0.01), (1, 0.03)):
        found.add(np.ones((1, 2)), np.array([label]), np.full((1, 2), variance))
    assert found.finish().sd_pixels == pytest.approx(np.sqrt(0.02))


def test_a_drop_is_what_is_lost_less_what_is_won():
    before = np.array([1] * 80 + [0] * 20, dtype=bool)
    after = before.copy()
    after[:10], after[80:84] = False, True
    found = paired_drop(before, after)
    assert found.value == pytest.approx(0.06)
    # Agresti & Min 2005, sec. 3: (10.5 - 4.5) / 102, and its standard error.
    error = np.sqrt(15 - 36 / 102) / 102
    assert (found.low, found.high) == pytest.approx(
        (6 / 102 - 1.959964 * error, 6 / 102 + 1.959964 * error), rel=1e-6
    )


def test_equal_answers_have_no_drop_and_an_interval_about_it():
    found = paired_drop(np.ones(50, bool), np.ones(50, bool))
    assert found.value == 0.0
    assert found.low < 0 < found.high


def test_nineteen_in_twenty_intervals_hold_the_drop():
    held = 0
    for _ in range(500):
        lost, won = RNG.random(2_000) < 0.02, RNG.random(2_000) < 0.01
        before = RNG.random(2_000) < 0.5
        found = paired_drop(before, np.where(before, ~lost, won))
        held += found.low <= 0.5 * (0.02 - 0.01) <= found.high
    assert 0.92 <= held / 500 <= 0.98


def test_the_mean_of_replicates_has_students_interval():
    drops = np.array([0.01, 0.03, 0.02, 0.04])
    found = mean_drop([Drop(value, value - 0.001, value + 0.001) for value in drops])
    low, high = stats.t.interval(0.95, 3, drops.mean(), stats.sem(drops))
    assert (found.value, found.low, found.high) == pytest.approx((0.025, low, high))


def test_replicates_that_happen_to_agree_are_no_surer_than_their_images():
    found = mean_drop([Drop(0.01, 0.01 - 1.959964 * 0.002, 0.01 + 1.959964 * 0.002)] * 2)
    low, high = stats.t.interval(0.95, 1, 0.01, 0.002 / np.sqrt(2))
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-6)


def test_one_replicate_has_no_interval():
    assert mean_drop([Drop(0.01, 0.0, 0.02)]).low is None

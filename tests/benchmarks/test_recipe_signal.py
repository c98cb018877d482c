"""The measurement of recipes finds the variances that made-up accuracies were drawn with."""

import base64
import json
from dataclasses import asdict

import numpy as np
import pytest

from benchmarks.recipe_signal import (
    GROUPS,
    NETWORKS,
    NUM_VALIDATION,
    analyse,
    decompose,
    list_trainings,
    train,
    variance_of_an_image,
)
from se_search.device import Device

SETTING = GROUPS[0][0]


def draw_accuracies(rng, networks=0.2, level=0.4, rest=0.3, shape=(8, 5)):
    return (
        80
        + networks * rng.standard_normal((shape[0], 1))
        + level * rng.standard_normal((1, shape[1]))
        + rest * rng.standard_normal(shape)
    )


def test_the_components_are_those_that_were_drawn():
    """Means over 2,000 draws; the estimates are unbiased, and theirs has an error of about 1 %."""
    rng = np.random.default_rng(0)
    found = [decompose(draw_accuracies(rng)) for _ in range(2_000)]
    assert np.mean([c.networks for c in found]) == pytest.approx(0.2**2, rel=0.1)
    assert np.mean([c.level for c in found]) == pytest.approx(0.4**2, rel=0.1)
    assert np.mean([c.rest for c in found]) == pytest.approx(0.3**2, rel=0.03)


def test_the_intervals_hold_the_truth_in_95_per_cent():
    """Of 2,000 draws the share has a standard error of 0.5 per cent."""
    rng = np.random.default_rng(1)
    found = [decompose(draw_accuracies(rng)) for _ in range(2_000)]
    ratios = [np.array(c.networks_interval) / c.rest for c in found]
    ratio = np.mean([low < 0.04 / 0.09 < high for low, high in ratios])
    rest = np.mean([c.rest_interval[0] < 0.09 < c.rest_interval[1] for c in found])
    assert ratio == pytest.approx(0.95, abs=0.015)
    assert rest == pytest.approx(0.95, abs=0.015)


def test_the_variance_of_an_image_is_that_of_networks_that_err_independently():
    """Images that are hard for all networks are in the level: the rest is p (1 - p) each."""
    rng = np.random.default_rng(2)
    shares = rng.uniform(0.5, 1, 20_000)
    correct = rng.random((8, 20_000)) < shares
    assert variance_of_an_image(correct) == pytest.approx(np.mean(shares * (1 - shares)), rel=0.02)


def test_networks_that_err_on_the_same_images_have_no_variance_of_an_image():
    one = np.random.default_rng(3).random((1, 500)) < 0.8
    assert variance_of_an_image(np.repeat(one, 8, axis=0)) == pytest.approx(0)


def test_all_settings_of_a_group_have_a_replicate_before_the_next_begins():
    trainings = list(list_trainings(2))
    size = len(GROUPS[0]) * len(NETWORKS)
    assert {replicate for _, replicate, _ in trainings[:size]} == {0}
    assert {setting for setting, _, _ in trainings[:size]} == set(GROUPS[0])
    assert len(set(trainings)) == len(trainings) == 2 * len(NETWORKS) * sum(map(len, GROUPS))


def test_a_setting_has_its_images_of_which_none_validates():
    recipe = SETTING.recipe
    assert recipe.split.validation == NUM_VALIDATION
    assert recipe.split.fraction * (60_000 - NUM_VALIDATION) == pytest.approx(SETTING.images)


def make_rows(num_replicates):
    rng = np.random.default_rng(4)
    for replicate in range(num_replicates):
        for name in NETWORKS:
            correct = rng.random(NUM_VALIDATION) < 0.8
            yield {
                **asdict(SETTING),
                "replicate": replicate,
                "network": name,
                "cpu_seconds": 6.0,
                "inference_seconds": 1e-4,
                "accuracy": correct.mean(),
                "test_accuracy": correct.mean(),
                "correct": base64.b64encode(np.packbits(correct).tobytes()).decode(),
            }


def test_fewer_validation_images_cost_less_and_add_their_binomial_noise():
    """Independent bits: the rest is 100 sqrt(0.8 x 0.2 / n) points."""
    rows = analyse(list(make_rows(12))).splitlines()[2:]
    cells = {row.split(" | ")[1]: row.split(" | ") for row in rows}
    assert set(cells) == {"2,500", "5,000", "10,000", "test"}
    for size, seconds in (("2,500", 4.25), ("5,000", 4.5), ("10,000", 5.0)):
        rest = float(cells[size][5].split()[0])
        assert rest == pytest.approx(100 * np.sqrt(0.16 / int(size.replace(",", ""))), rel=0.15)
        assert float(cells[size][6]) == pytest.approx(seconds, abs=0.1)


def test_a_replicate_that_is_not_whole_is_left_out():
    rows = list(make_rows(3))
    assert analyse(rows[:-1]) == analyse(rows[: 2 * len(NETWORKS)])


def test_what_a_file_has_is_not_trained_again(tmp_path):
    path = tmp_path / "trainings.jsonl"
    everything = [
        {**asdict(setting), "replicate": replicate, "network": name}
        for setting, replicate, name in list_trainings(1)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in everything))
    before = path.read_bytes()

    def evaluate(*arguments, **options):
        raise AssertionError("trained")

    train(path, 1, num_replicates=1, device=Device("cpu", 0, 1, "32-true"), evaluate=evaluate)
    assert path.read_bytes() == before

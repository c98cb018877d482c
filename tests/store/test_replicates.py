"""Trainings of a log as statistics take them: grouped, in the order of seeds, bits unpacked."""

from dataclasses import replace

import numpy as np
import pytest

from se_search.analysis.comparison import compare
from se_search.errors import RunError
from se_search.store.replicates import pack_replicates, replicates_by_key
from se_search.store.training_log import Training

IMAGES = 11


def right_images(seed):
    return np.random.default_rng(seed).random(IMAGES) < 0.6


def training(key, seed, split_hash=None, **measures):
    validation, test = right_images(seed), right_images(100 + seed)
    last = {"accuracy": validation.mean(), "test_accuracy": test.mean(), "test_top5": 0.9}
    return Training(
        key=key,
        candidate=key,
        epochs=2,
        seed=seed,
        environment=0,
        history=({"accuracy": 0.0, "test_accuracy": 0.0}, {**last, **measures}),
        correct=np.packbits(validation).tobytes(),
        test_correct=np.packbits(test).tobytes(),
        seconds=1.0,
        split_hash=split_hash,
    )


@pytest.mark.parametrize(("measure", "first"), [("accuracy", 0), ("test_accuracy", 100)])
def test_bits_and_accuracies_are_those_of_the_measure(measure, first):
    packed = pack_replicates([training("a", seed) for seed in range(3)], measure, IMAGES)
    right = np.array([right_images(first + seed) for seed in range(3)])
    assert np.array_equal(packed.correct, right)
    assert packed.accuracies == pytest.approx(right.mean(axis=1))


def test_seeds_ascend_in_whatever_order_the_trainings_ended():
    packed = pack_replicates([training("a", seed) for seed in (4, 1, 3)], "accuracy", IMAGES)
    assert packed.seeds == (1, 3, 4)
    assert packed.accuracies[0] == right_images(1).mean()


def test_top_5_has_no_bits():
    packed = pack_replicates([training("a", 0)], "test_top5", IMAGES)
    assert packed.correct is None
    assert packed.accuracies.tolist() == [0.9]


def test_bits_of_validation_images_are_left_out_if_each_replicate_draws_its_own():
    trainings = [training("a", seed, split_hash=f"split {seed}") for seed in range(3)]
    drawn = pack_replicates(trainings, "accuracy", IMAGES)
    assert drawn.correct is None
    assert drawn.accuracies == pytest.approx([right_images(seed).mean() for seed in range(3)])


def test_bits_of_test_images_and_of_a_fixed_split_are_kept():
    drawn = [training("a", seed, split_hash=f"split {seed}") for seed in range(3)]
    fixed = [training("a", seed, split_hash="one split") for seed in range(3)]
    assert pack_replicates(drawn, "test_accuracy", IMAGES).correct.shape == (3, IMAGES)
    assert pack_replicates(fixed, "accuracy", IMAGES).correct.shape == (3, IMAGES)


def test_on_images_that_each_replicate_draws_there_is_no_interval_over_images():
    a, b = (
        pack_replicates(
            [training(key, seed, split_hash=str(seed)) for seed in range(3)], "accuracy", IMAGES
        )
        for key in "ab"
    )
    found = compare(replace(a, accuracies=a.accuracies[::-1]), b)
    assert found.population is None
    assert found.interval.low < found.difference < found.interval.high


def test_trainings_are_grouped_by_their_candidate():
    trainings = [training("a", 1), training("b", 0), training("a", 0)]
    found = replicates_by_key(trainings, "accuracy", IMAGES)
    assert {key: own.seeds for key, own in found.items()} == {"a": (0, 1), "b": (0,)}


def test_an_accuracy_that_its_bits_contradict_is_refused():
    with pytest.raises(RunError, match=r"where the accuracy is 0\.123"):
        pack_replicates([training("a", 0, accuracy=0.123)], "accuracy", IMAGES)

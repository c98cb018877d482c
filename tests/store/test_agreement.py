"""The least noise of a run's trainings, by the images that each of them has right."""

from dataclasses import replace

import numpy as np
import pytest
from support.kept_runs import make_run, make_trial

from se_search.analysis.paired_noise import least_noise
from se_search.store.agreement import measure_least_noise
from se_search.store.files import pack_bits, write_bytes

NUMBER = 40
BITS = np.random.default_rng(0).random((4, NUMBER)) < 0.7


@pytest.fixture
def trained(tmp_path):
    """Return a run of two replicates, two trainings each, and its trials."""
    folder = make_run(tmp_path / "run")
    trials = [make_trial("no SE", 0.7), make_trial("s2:4", 0.7)]
    trials += [make_trial("no SE", 0.7, 1), make_trial("s2:4", 0.7, 1)]
    trials = [replace(trial, number=number, epochs=4) for number, trial in enumerate(trials)]
    for trial, bits in zip(trials, BITS, strict=True):
        write_bytes(folder.correct_file(trial.number), pack_bits(bits))
    return folder, trials


def test_it_is_the_median_over_pairs_of_one_replicate(trained):
    found = measure_least_noise(*trained, 4, NUMBER)
    assert found == pytest.approx(np.mean([least_noise(*BITS[:2]), least_noise(*BITS[2:])]))


def test_trainings_of_other_images_are_no_pair(trained):
    folder, trials = trained
    trials[1] = replace(trials[1], split_hash="another")
    assert measure_least_noise(folder, trials, 4, NUMBER) == least_noise(*BITS[2:])


def test_a_training_without_its_bits_is_left_out(trained):
    folder, trials = trained
    folder.correct_file(0).unlink()
    assert measure_least_noise(folder, trials, 4, NUMBER) == least_noise(*BITS[2:])
    assert measure_least_noise(folder, trials, 4, 8 * NUMBER) == 0.0


def test_short_trainings_and_those_that_failed_tell_nothing(trained):
    folder, trials = trained
    assert measure_least_noise(folder, trials, 8, NUMBER) == 0.0
    failed = [replace(trial, state="FAIL") for trial in trials]
    assert measure_least_noise(folder, failed, 4, NUMBER) == 0.0

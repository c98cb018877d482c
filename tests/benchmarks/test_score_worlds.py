"""Made-up scores of worlds, against what they are made of, and how models are judged by them."""

import numpy as np
import pytest

from benchmarks.calibration.score_worlds import (
    KINDS,
    NUM_MEMBERS,
    SLOPE,
    judge,
    score_all,
    tabulate,
    train_some,
    train_tested,
)
from benchmarks.calibration.worlds import AS_MEASURED, POINTS, simulate

WORLD = simulate("additive", AS_MEASURED, 4)


def mean_of(scores):
    """Return the mean over members of each candidate's score, in the order of the space."""
    table = np.array([score.value for score in scores]).reshape(NUM_MEMBERS, -1)
    assert [score.candidate for score in scores[: WORLD.space.size]] == list(map(str, WORLD.space))
    return table.mean(axis=0)


def slope_of(name):
    """Return the mean slope of scores over true gains, in ten draws of members."""
    means = [mean_of(score_all(WORLD, KINDS[name], seed)) for seed in range(10)]
    return float(np.mean([np.polyfit(WORLD.gains, mean, 1)[0] for mean in means]))


@pytest.mark.parametrize(("name", "slope"), [("good", SLOPE), ("worthless", 0.0)])
def test_scores_rise_with_true_gains_by_their_slope(name, slope):
    assert slope_of(name) == pytest.approx(slope, abs=0.1)


@pytest.mark.parametrize("name", ["misleading", "reversed"])
def test_scores_that_mislead_fall_where_true_gains_rise(name):
    assert slope_of(name) < -0.02


def test_trainings_are_the_worlds_own_with_one_control_in_each_replicate():
    trainings = train_some(WORLD, 0, 50)
    is_plain = (trainings.codes == 0).all(axis=1)
    assert sorted(trainings.replicates[is_plain]) == [0, 1, 2, 3]
    row = WORLD.space.codes().tolist().index(trainings.codes[17].tolist())
    assert trainings.accuracies[17] == WORLD.accuracy(row, int(trainings.replicates[17]))


def test_probes_come_first_in_replicates_of_their_own_and_have_the_worlds_accuracies():
    trainings, records = train_tested(WORLD, 0, 100)
    assert len(trainings.accuracies) == len(records) == 100
    assert [record.role for record in records[:20]] == ["probe"] * 20  # a fifth
    assert {record.seed for record in records[:20]}.isdisjoint(trainings.replicates[20:].tolist())
    for at, record in enumerate(records):
        row = WORLD.space.codes().tolist().index(trainings.codes[at].tolist())
        assert record.accuracy == trainings.accuracies[at] == WORLD.accuracy(row, record.seed)


class Knowing:
    """A model that knows the truth up to a normal error, alike for all candidates but the plain."""

    scores = ()
    trainings = train_some(WORLD, 0, 24)

    def __init__(self, sd):
        self.sd = sd

    def draw(self, codes, num_draws):
        errors = np.random.default_rng(0).normal(0, self.sd / POINTS, (num_draws, 1))
        return 0.8 + WORLD.gains + errors * (codes != 0).any(axis=1)


def test_a_model_that_knows_the_truth_has_no_error_and_no_regret():
    found = judge(WORLD, Knowing(0.01))
    assert found["coverage"] == 1
    assert found["rmse"] < 0.002
    assert found["regret"] == 0
    assert found["regret_trained"] > 0  # the best one is not among the trained
    assert found["width"] == pytest.approx(2 * 1.96 * 0.01, rel=0.1)


def test_the_table_has_means_over_worlds_and_the_error_of_the_coverage():
    names = ("used", "width", "rmse", "optimism", "regret", "regret_trained")
    measures = dict.fromkeys(names, 0.25)
    rows = [
        {"trainings": 24, "scores": "good", "coverage": coverage, "seconds": 1.0} | measures
        for coverage in (0.9, 1.0)
    ]
    line = tabulate(rows).splitlines()[1].split()
    assert line[:6] == ["24", "good", "2", "0.25", "0.950", "(0.050)"]
    assert line[6:] == ["0.250"] * 5 + ["1.0"]

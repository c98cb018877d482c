"""Scores of replays, against cases worked out by hand."""

import math

import numpy as np
import pytest

from se_search.benchmark.scores import (
    Replay,
    Truth,
    curves_by_arm,
    mean_interval,
    score,
    trials_to_reach,
)

# Costs 1, e, e^2, e^3 and e^4 are 0, 1/4, ... 1 when they are scaled; the lower quartile is 0.2.
TRUTH = Truth(np.exp([0.0, 1.0, 2.0, 3.0, 4.0]), np.array([0.2, 0.6, 0.1, 0.8, 0.9]))


def make_replay(rows, accuracies, seeds=None, epochs=None, **fields):
    return Replay(
        **{"table": "t", "sampler": "random", "run": 0, "seed": 0, "full_epochs": 1}
        | {"budget": len(rows)}
        | fields,
        rows=np.array(rows),
        seeds=np.array(seeds or [0] * len(rows)),
        accuracies=np.array(accuracies),
        seconds=np.ones(len(rows)),
        epochs=np.array(epochs or [1] * len(rows)),
    )


def test_the_tables_hypervolume_is_over_log_cost_and_the_lower_quartile():
    assert TRUTH.scaled_costs == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert TRUTH.reference == pytest.approx((1.0, 0.2))
    # Row 1 from 0.25 to 0.75, 0.4 high; row 3 from there, 0.6 high; row 4 costs the most.
    assert TRUTH.whole == pytest.approx(0.5 * 0.4 + 0.25 * 0.6)


def test_a_table_of_one_cost_has_no_hypervolume():
    assert Truth(np.array([5.0, 5.0]), np.array([0.1, 0.9])).whole == 0


def test_a_curve_is_the_share_of_the_rows_so_far():
    curve = TRUTH.curve(np.array([2, 1, 1, 3, 4]))
    assert curve == pytest.approx([0, 0.3 / 0.35, 0.3 / 0.35, 1, 1])


def test_the_share_of_a_row_does_not_depend_on_what_the_search_saw():
    lucky, poor = (make_replay([1, 3], [seen, 0.5]) for seen in (0.99, 0.01))
    assert score(lucky, TRUTH, 2).hypervolume == score(poor, TRUTH, 2).hypervolume


def test_a_report_is_judged_by_the_true_front():
    # Row 2 was seen far too good, so that the report is 0, 2 and misses 1 and 3.
    replay = make_replay([0, 1, 2, 3], [0.2, 0.15, 0.95, 0.8])
    found = score(replay, TRUTH, 4)
    assert (found.precision, found.recall) == (1 / 2, 1 / 3)
    assert (found.table_precision, found.table_recall) == (1 / 2, 1 / 4)
    assert found.optimism == pytest.approx((0 + 0.85) / 2)
    assert (found.hypervolume, found.reported_hypervolume) == (1, 0)
    assert (found.trials, found.num_rows) == (4, 4)


def test_repeats_are_pooled_before_the_front_is_taken():
    replay = make_replay([1, 3, 1], [0.9, 0.8, 0.3], seeds=[0, 0, 1])
    early, late = (score(replay, TRUTH, trials) for trials in (2, 3))
    assert early.recall == 1 / 2  # row 3 seems no better than the cheaper row 1
    assert early.optimism == pytest.approx(0.3)
    assert late.recall == 1
    assert late.optimism == pytest.approx(0)
    assert late.num_rows == 2


def test_duplicates_are_trainings_of_one_row_and_seed():
    assert make_replay([1, 1, 2, 1], [0.5] * 4, seeds=[0, 1, 0, 0]).num_duplicates == 1
    assert make_replay([1, 1, 2, 1], [0.5] * 4, seeds=[0, 1, 0, 2]).num_duplicates == 0


def test_trials_to_reach_a_level_are_counted_from_one():
    curve = np.array([0.1, 0.5, 0.5, 0.9])
    assert [trials_to_reach(curve, level) for level in (0, 0.5, 0.6)] == [1, 2, 4]
    assert trials_to_reach(curve, 0.95) == math.inf


def test_the_interval_of_runs_that_agree_is_a_point():
    mean, low, high = mean_interval([np.full((5, 3), 0.7), np.full((5, 3), 0.9)])
    for values in (mean, low, high):
        assert values == pytest.approx([0.8] * 3)


def test_the_interval_is_about_two_standard_errors_to_each_side():
    runs = np.random.default_rng(1).normal(size=(200, 1))
    error = runs.std() / math.sqrt(200)
    mean, low, high = mean_interval([runs])
    assert mean[0] == pytest.approx(runs.mean())
    assert [low[0] - mean[0], high[0] - mean[0]] == pytest.approx(
        [-1.96 * error, 1.96 * error], rel=0.1
    )


def test_differences_between_tables_do_not_widen_the_interval():
    tables = [np.array([[0.1], [0.2]]), np.array([[0.9], [1.0]])]
    _, low, high = mean_interval(tables)
    assert (low[0], high[0]) == pytest.approx((0.5, 0.6))


def test_curves_stand_by_sampler_and_table_a_row_a_run():
    replays = [
        make_replay([row], [0.5], sampler=sampler, run=run)
        for run, row in enumerate([1, 3])
        for sampler in ("tpe", "random")
    ]
    curves = curves_by_arm(replays, {"t": TRUTH})
    assert list(curves) == ["tpe", "random"]
    assert curves["tpe"]["t"][:, 0] == pytest.approx([0.3 / 0.35, 0.15 / 0.35])


def test_a_row_counts_when_its_full_training_is_paid_for():
    # 2 + 4 epochs for row 1, 2 for row 2, 4 for row 3: after 4, 8 and 12 epochs.
    replay = make_replay(
        *([1, 1, 2, 3], [0.1, 0.6, 0.1, 0.8]), epochs=[2, 4, 2, 4], full_epochs=4, budget=3
    )
    assert [replay.full(budget).tolist() for budget in (1, 2, 3)] == [[], [1], [1, 3]]
    curves = curves_by_arm([replay], {"t": TRUTH})
    assert curves["random"]["t"][0] == pytest.approx([0, 0.3 / 0.35, 1])
    scores = [score(replay, TRUTH, budget) for budget in (1, 2, 3)]
    assert [s.num_rows for s in scores] == [0, 1, 2]
    assert [s.hypervolume for s in scores] == pytest.approx([0, 0.3 / 0.35, 1])
    assert scores[0].optimism == 0
    assert scores[2].optimism == pytest.approx(0)  # the accuracy after 2 epochs is not pooled


def test_the_same_seed_for_longer_is_no_duplicate():
    assert make_replay([1, 1], [0.5] * 2, epochs=[1, 2], full_epochs=2).num_duplicates == 0


def test_a_sampler_with_rungs_is_another_arm():
    replays = [make_replay([1], [0.5], promotion=text) for text in ("off", "2x1,6x1")]
    assert list(curves_by_arm(replays, {"t": TRUTH})) == ["random", "random 2x1,6x1"]

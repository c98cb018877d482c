"""The simulated worlds of ``benchmarks/calibration``, their searches, and how these are judged."""

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmarks.calibration.arms import Arm, Job, list_jobs
from benchmarks.calibration.judging import find_gap, judge, mark_front
from benchmarks.calibration.lines import carry_out, read_lines
from benchmarks.calibration.measure import Effort, measure_all
from benchmarks.calibration.searches import search, search_one_seed
from benchmarks.calibration.worlds import AS_DESIGNED, AS_MEASURED, SHAPES, Spread, simulate
from se_search.cost import count_cost

# --- worlds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "is_additive"), [("additive", True), ("pairs", False)])
def test_a_simulated_truth_is_a_sum_over_stages_only_where_it_is_said_to_be(shape, is_additive):
    gains = simulate(shape, AS_MEASURED, seed=1).gains.reshape(5, 5, 5, 5)
    corner = gains[1, 2] - gains[0, 2] - gains[1, 0] + gains[0, 0]
    assert np.allclose(corner, 0, atol=1e-12) == is_additive


@pytest.mark.parametrize("spread", [AS_MEASURED, AS_DESIGNED])
@pytest.mark.parametrize("shape", sorted(set(SHAPES) - {"null"}))
def test_candidates_differ_as_far_as_is_asked_for_and_gain_over_the_plain_network(shape, spread):
    gains = 100 * simulate(shape, spread, seed=3).gains
    assert gains[0] == 0
    assert gains.std() == pytest.approx(spread.networks)


@pytest.mark.parametrize(
    ("shape", "is_so"),
    [
        ("gain", lambda g: g.max() >= 0.5),
        ("harm", lambda g: g.max() == 0),
        ("null", lambda g: not g.any()),
    ],
)
def test_worlds_are_drawn_that_have_a_large_gain_or_none(shape, is_so):
    assert all(is_so(100 * simulate(shape, AS_MEASURED, seed).gains) for seed in range(5))


def test_any_training_can_be_asked_for_in_any_order_and_comes_out_alike():
    one, other = (simulate("pairs", AS_MEASURED, seed=4) for _ in range(2))
    asked = [(7, 0), (7, 1), (300, 1_000_003), (0, 1)]
    found = {key: one.accuracy(*key) for key in asked}
    assert {key: other.accuracy(*key) for key in reversed(asked)} == found
    assert len(set(found.values())) == len(asked)


@pytest.mark.parametrize("spread", [AS_MEASURED, Spread(0.1, 0.6, 0.3, 0.2)])
def test_levels_likings_and_noise_have_the_standard_deviations_asked_for(spread):
    """By a regression on the levels of the slots in each of 250 replicates, of 50 candidates.

    The sampling errors of its terms are known, and their variances are subtracted.
    """
    world = simulate("null", spread, seed=0)
    rows = np.random.default_rng(0).permutation(625)[:50]
    table = 100 * np.array([[world.accuracy(int(row), k) for row in rows] for k in range(250)])
    codes = world.space.codes()[rows]
    design = np.column_stack([codes[:, [s]] == np.arange(1, 5) for s in range(4)]).astype(float)
    whole = np.column_stack([np.ones(len(rows)), design])
    fitted, _, _, _ = np.linalg.lstsq(whole, table.T, rcond=None)
    noise = (table.T - whole @ fitted).var(axis=0).mean() * 50 / (50 - 17)
    assert math.sqrt(noise) == pytest.approx(spread.training, rel=0.05)
    error = noise * np.diag(np.linalg.inv(whole.T @ whole))
    terms = fitted[1:].var() - error[1:].mean()
    assert 1.6 * math.sqrt(terms) == pytest.approx(spread.interaction, rel=0.15)
    assert math.sqrt(fitted[0].var() - error[0]) == pytest.approx(spread.level, rel=0.15)


def test_the_best_gain_at_a_cost_is_that_of_all_candidates_that_cost_no_more():
    world = simulate("rough", AS_MEASURED, seed=2)
    for row in range(0, 625, 37):
        assert world.best_gains[row] == world.gains[world.costs <= world.costs[row]].max()


def test_costs_are_those_that_the_product_counts():
    world = simulate("null", AS_MEASURED, seed=0)
    for row in (0, 1, 311, 624):
        candidate = world.space.candidate_at(row)
        assert world.costs[row] == count_cost(candidate).params
        assert world.row_of(candidate.key) == row


# --- searches -------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["pareto", "random"])
def test_each_replicate_of_a_search_has_the_plain_network_and_its_share_of_the_trainings(sampler):
    records = search(simulate("pairs", AS_MEASURED, seed=1), sampler, 1, 48)
    assert len(records) == 48
    seeds = [record.seed for record in records]
    for seed in range(4):
        assert seeds.count(seed) == pytest.approx(12, abs=2)
        first = next(record for record in records if record.seed == seed)
        assert first.added_params == 0


def test_before_replicates_all_first_trainings_shared_a_seed_which_the_model_did_not_know():
    world = simulate("gain", AS_MEASURED, seed=0)
    records = search_one_seed(world, 0, 50)
    counts = dict.fromkeys((record.key for record in records), 0)
    for record in records:
        assert record.accuracy == world.accuracy(world.row_of(record.key), counts[record.key])
        counts[record.key] += 1
    assert max(counts.values()) > 1
    assert len({record.seed for record in records}) == 50


# --- judging --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def judged():
    world = simulate("additive", AS_MEASURED, seed=0)
    records = search(world, "random", 0, 40)
    return world, records, judge(world, records)


def test_candidates_are_judged_by_the_truth_of_their_world(judged):
    world, records, line = judged
    found = pd.DataFrame(line["candidates"])
    assert set(found["rows"]) == {world.row_of(record.key) for record in records}
    for one in found.itertuples():
        assert one.truth == pytest.approx(100 * (world.gains[one.rows] - world.gains[0]))
        assert one.is_plain == (one.rows == 0)
        assert one.trainings == sum(world.row_of(r.key) == one.rows for r in records)
        assert one.low <= one.gain <= one.high


def test_fronts_are_those_of_pairwise_comparison(judged):
    world, _, line = judged
    found = pd.DataFrame(line["candidates"])
    costs = world.costs[found["rows"]]
    for column, mark in (("gain", "on_front"), ("truth", "on_true_front")):
        values = found[column].to_numpy()
        for one in range(len(found)):
            beaten = (costs <= costs[one]) & (values >= values[one])
            beaten &= (costs < costs[one]) | (values > values[one])
            assert found[mark][one] == (not beaten.any())


def test_effects_are_false_where_no_candidate_differs_from_another(judged):
    assert judged[2]["false_effects"] is None
    world = simulate("null", Spread(0.2, level=0.36, interaction=0.0, training=0.001), seed=0)
    records = search(world, "random", 0, 60)
    assert judge(world, records)["false_effects"]["main"] == 0
    gaining = [replace(r, accuracy=r.accuracy + 0.01 * ("stage3" in r.candidate)) for r in records]
    assert judge(world, gaining)["false_effects"]["main"] > 0


def test_a_judged_search_is_plain_data(judged):
    assert json.loads(json.dumps(judged[2])) == judged[2]


def test_the_gap_is_to_the_member_that_is_reported_for_each_cost():
    costs = np.array([10, 20, 30, 40])
    truth = np.array([0.0, 0.5, 0.2, 0.6])
    assert find_gap(costs, truth, mark_front(costs, truth)) == 0
    # For costs of 20 to 39 the member of 10 is reported, which is 0.5 worse than the one of 20.
    assert find_gap(costs, truth, np.array([True, False, False, True])) == pytest.approx(0.5)
    # Nothing is reported below 20; at 40 the member of 30 is 0.4 worse.
    assert find_gap(costs, truth, np.array([False, True, True, False])) == pytest.approx(0.4)


# --- the whole ------------------------------------------------------------------------------------


SMALL = Arm("as measured", "random", AS_MEASURED, 12, 3)


def test_arms_get_on_side_by_side_and_share_worlds():
    few, many = replace(SMALL, name="few", num_searches=2), replace(SMALL, num_searches=6)
    order = [(job.arm.name, job.run) for job in list_jobs([many, few])]
    assert order.index(("few", 0)) < order.index(("as measured", 2))
    assert order.index(("as measured", 3)) < order.index(("few", 1))
    one, other = Job(few, 1).world, Job(many, 1).world
    assert one.gains.tolist() == other.gains.tolist()
    assert one.accuracy(5, 3) == other.accuracy(5, 3)


def test_a_measurement_that_was_broken_off_goes_on_where_it_ended(tmp_path):
    path = tmp_path / "searches.jsonl"
    jobs = list_jobs([SMALL])
    carry_out(jobs[:2], path)
    begun = path.read_text()
    path.write_text(begun + '{"arm": "as measured", "ru')
    made = []
    carry_out(jobs, path, tell=made.append)
    assert [line["run"] for line in made] == [jobs[2].run]
    assert [line["run"] for line in read_lines(path)] == [job.run for job in jobs]


def test_searches_of_another_accuracy_model_are_made_anew(tmp_path):
    path = tmp_path / "searches.jsonl"
    path.write_text(json.dumps({"arm": "as measured", "run": 0, "model": -1}) + "\n")
    assert read_lines(path) == []


def test_every_figure_is_printed_and_written_with_the_candidates_that_it_rests_on(tmp_path, capsys):
    measure_all(Effort(parts=["searches"], arms=[SMALL]), tmp_path)
    lines = capsys.readouterr().out.splitlines()
    with (tmp_path / "figures.csv").open(newline="") as file:
        figures = list(csv.DictReader(file))
    assert len(lines) == len(figures)
    candidates = pd.read_csv(tmp_path / "candidates.csv")
    inside = candidates["truth"].between(candidates["low"], candidates["high"])
    assert float(figures[0]["value"]) == pytest.approx(inside.mean())
    assert candidates["run"].nunique() == int(figures[0]["count"]) == 3
    assert (tmp_path / "reliability.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "reliability.pdf").read_bytes().startswith(b"%PDF")

"""The searches of ``benchmarks/comparison``, what they come to, and the page that tells it."""

import csv
import math
from dataclasses import replace

import numpy as np
import optuna
import pytest
from support.crossed_tables import list_networks, make_crossed_table

from benchmarks.calibration.crossed_world import CrossedTable, CrossedWorld, NetworkSet
from benchmarks.calibration.searches import search
from benchmarks.calibration.worlds import AS_MEASURED, simulate
from benchmarks.comparison.arms import (
    ARMS,
    NEAR,
    SINGLE_SEED,
    Arm,
    Job,
    find_truth,
    list_jobs,
    list_rungs,
    pay,
)
from benchmarks.comparison.measure import compare_arms
from benchmarks.comparison.results import SCORES, Comparison, Followed, Ratio
from benchmarks.comparison.scoring import Score
from benchmarks.comparison.section import BEGIN, END, make_section
from benchmarks.comparison.single_seed import find_nearest, search_with_single_seed
from benchmarks.comparison.survival import Estimate
from se_search.cost import count_cost
from se_search.record import Rung

PARETO, RANDOM, SINGLE = (
    next(arm for arm in ARMS if arm.name == name) for name in ("pareto", "random", SINGLE_SEED)
)


@pytest.fixture(scope="module")
def table():
    """12 networks x 4 replicates, with trainings of 1 epoch that are worse by 5 points."""
    whole = make_crossed_table(seed=0).table
    small = {
        images: {3: own[3][:12, :4], 1: own[3][:12, :4] - 0.05}
        for images, own in whole.accuracies.items()
    }
    return CrossedTable(whole.space, whole.networks[:12], whole.replicates[:4], 3, small)


@pytest.fixture(scope="module")
def truth(table):
    return find_truth(table)


# --- TPE as it is ---------------------------------------------------------------------------------


def test_tpe_with_a_single_seed_is_optunas_own_loop_to_the_trial():
    world = simulate("pairs", AS_MEASURED, 1)
    records = search_with_single_seed(world, 7, 3, 40)
    study = optuna.create_study(
        directions=["maximize", "minimize"], sampler=optuna.samplers.TPESampler(seed=3)
    )

    def objective(trial):
        candidate = world.space.choose(
            lambda parameter: trial.suggest_categorical(parameter.name, parameter.choices)
        )
        trial.set_user_attr("key", candidate.key)
        return world.accuracy(world.row_of(candidate.key), 7), count_cost(candidate).params

    study.optimize(objective, n_trials=40)
    assert [record.key for record in records] == [t.user_attrs["key"] for t in study.trials]
    assert [record.accuracy for record in records] == [t.values[0] for t in study.trials]
    assert {record.seed for record in records} == {7}


def test_a_network_that_a_table_lacks_is_replaced_by_one_of_the_nearest(table):
    world = CrossedWorld(table, table.replicates)
    codes = [table.space.codes_of(network) for network in table.networks]
    rng = np.random.default_rng(0)
    for candidate in list(table.space)[::41]:
        own = table.space.codes_of(candidate)
        distances = [int((own != other).sum()) for other in codes]
        found = {find_nearest(world, candidate, rng) for _ in range(40)}
        nearest = [n for n, d in zip(table.networks, distances, strict=True) if d == min(distances)]
        assert found == set(nearest)


def test_each_network_of_the_space_is_one_stage_from_the_first_part_of_the_table():
    allowed = NetworkSet(make_crossed_table(seed=0).table.space, list_networks())
    codes = allowed.list_codes(625)
    space = allowed.space.codes()
    assert max((codes != row).sum(axis=1).min() for row in space) == 1


# --- searches -------------------------------------------------------------------------------------


def test_a_longer_search_begins_with_the_trials_of_a_shorter_one():
    whole = make_crossed_table(seed=0).table
    world = CrossedWorld(whole, whole.replicates)
    for sampler in ("pareto", "nsga2"):
        assert search(world, sampler, 0, 90)[:75] == search(world, sampler, 0, 75)


def test_searches_of_one_number_have_one_order_of_the_replicates(table, truth):
    jobs = list_jobs(table, truth, (PARETO, SINGLE), 30)
    orders = {(job.arm.name, job.run): job.world.replicates for job in jobs}
    assert all(orders["pareto", run] == orders[SINGLE_SEED, run] for run in range(30))
    assert {order[0] for order in orders.values()} == set(table.replicates)


def test_rungs_are_tried_only_where_a_table_has_shorter_trainings(table, truth):
    assert list_rungs(table) == (Rung(1, 1), Rung(3, 1))
    assert {job.arm.name for job in list_jobs(table, truth, ARMS, 1)} == {a.name for a in ARMS}
    full = {images: {3: own[3]} for images, own in table.accuracies.items()}
    names = [job.arm.name for job in list_jobs(replace(table, accuracies=full), truth, ARMS, 1)]
    assert names == [arm.name for arm in ARMS if not arm.has_rungs]


def test_shorter_trainings_are_paid_by_their_epochs(table, truth):
    job = Job(Arm("with rungs", "random", has_rungs=True), 0, table, truth)
    line = job.carry_out()
    epochs = [epochs for _, _, epochs in line["trials"]]
    assert {1, 3} == set(epochs)
    last = line["fronts"][-1]["trainings"]
    assert 3 * last - 3 < sum(epochs) <= 3 * last
    world = CrossedWorld(table, table.replicates)
    records = search(world, "random", 0, 40, rungs=list_rungs(table))
    paid = pay(records, 30)
    assert sum(record.epochs for record in paid) <= 30
    assert sum(record.epochs for record in records[: len(paid) + 1]) > 30
    assert paid == records[: len(paid)]


def test_the_truth_has_every_network_and_ranks_them_as_their_means_do(table, truth):
    means = table.differences("validation").mean(axis=1)
    gains = [truth.whole.gains[network.key] for network in table.networks]
    assert gains[0] == 0
    assert truth.placed.gains.keys() == {network.key for network in table.networks[1:]}
    assert np.corrcoef(means, gains)[0, 1] > 0.7


# --- results --------------------------------------------------------------------------------------


def follow(losses, settled=(), arm="pareto", run=0, shortfall=0.1):
    trainings = (12, 24, 36, 42, 48)[: len(losses)]
    marks = tuple(trainings[at] in settled for at in range(len(losses)))
    scores = tuple(Score(gap=loss / 2, loss=loss, placement=2 * loss) for loss in losses)
    decisions = tuple("leave" if loss <= 0.1 else "nothing" for loss in losses)
    return Followed(
        arm, run, trainings, scores, decisions, marks, (shortfall,) * len(losses), trainings
    )


@pytest.mark.parametrize(
    ("losses", "first", "kept"),
    [
        ([0.2, 0.04, 0.2, 0.05, 0.01], 24, 42),
        ([0.01, 0.02], 12, 12),
        ([0.2, 0.04, 0.2], 24, None),
        ([0.2, 0.3], None, None),
    ],
)
def test_a_front_is_near_when_it_first_is_and_kept_from_when_it_is_at_every_later_checkpoint(
    losses, first, kept
):
    found = follow(losses)
    assert (found.reach("loss", "first"), found.reach("loss", "kept")) == (first, kept)


def test_gap_loss_and_placement_are_told_apart():
    found = follow([0.2, 0.08, 0.04, 0.01])
    assert [found.reach(name, "kept") for name in SCORES] == [24, 36, 42]


def test_a_decision_counts_from_when_it_is_kept():
    assert follow([0.1, 0.3, 0.1, 0.0]).decide("leave") == 36
    assert follow([0.1, 0.3]).decide("leave") is None


def test_a_search_is_settled_when_that_is_first_said():
    assert follow([0.2] * 4, settled=(24, 42), shortfall=0.3).settle() == (24, 0.3)
    assert follow([0.2] * 4).settle() is None


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [
        (Estimate(0.4, 0.3, 0.5), "met"),
        (Estimate(0.4, 0.3, 0.7), "open"),
        (Estimate(0.7, 0.4, 0.9), "open"),
        (Estimate(0.8, 0.6, 0.9), "not met"),
        (Estimate(math.nan, 0.0, math.inf), "no data"),
    ],
)
def test_a_target_is_met_by_the_whole_interval(ratio, verdict):
    assert Ratio("random", ratio, 0.5, 0.5).verdict == verdict
    assert Ratio("random", ratio, 0.5, None).verdict == ""


def make_comparison(table, truth, losses_by_arm):
    searches = {
        arm: [follow(losses, arm=arm, run=run) for run, losses in enumerate(own)]
        for arm, own in losses_by_arm.items()
    }
    return Comparison(table, truth, searches)


def test_the_page_tells_medians_ratios_and_whether_targets_are_met(table, truth):
    slow, fast = [0.2, 0.2, 0.2, 0.01], [0.01] * 4
    comparison = make_comparison(table, truth, {"pareto": [fast] * 8, "random": [slow] * 8})
    text = make_section(comparison)
    assert "| `pareto` | 12 (12 to 12) | 12 (12 to 12) |" in text
    assert "| `random` | 42 (42 to 42) | 42 (42 to 42) |" in text
    assert "| `random` | 0.29 (0.29 to 0.29) | < 0.001 |" in text
    assert "of the trainings of `random`: met, by the whole interval (by the gap)" in text
    assert "8 searches of each kind, censored at 42 trainings" in text


def test_a_level_counts_from_when_the_mean_of_all_searches_stays_at_it(table, truth):
    losses = [[0.3, 0.1, 0.3, 0.1], [0.1, 0.1, 0.3, 0.1]]
    comparison = make_comparison(table, truth, {"pareto": losses})
    assert comparison.find_level("pareto", 0.25) == 42
    assert comparison.find_level("pareto", 0.31) == 12
    assert comparison.find_level("pareto", 0.05) is None


def test_a_target_is_undecided_where_both_are_near_at_once(table, truth):
    losses = {"pareto": [[0.01] * 4] * 8, "random": [[0.01] * 4] * 8}
    text = make_section(make_comparison(table, truth, losses))
    assert text.count("undecided, as both are near at 12 trainings") == 3


def test_the_page_says_where_the_plain_network_alone_is_near(table, truth):
    losses = {"pareto": [[0.01] * 4] * 8}
    words = f"the plain network alone is within {NEAR:g} points"
    for share, is_said in ((-1.0, True), (9.0, False)):
        gains = {key: share * abs(gain) for key, gain in truth.whole.gains.items()}
        other = replace(truth, whole=replace(truth.whole, gains=gains))
        assert (other.whole.hypervolume > NEAR) != is_said
        assert (words in make_section(make_comparison(table, other, losses))) == is_said


def test_the_page_tells_when_searches_say_what_all_trainings_say(table, truth):
    losses = {"pareto": [[0.3, 0.1, 0.1, 0.1]] * 8}
    for decision in ("leave", "nothing"):
        text = make_section(make_comparison(table, replace(truth, decision=decision), losses))
        told = "Trainings until *leave SE out* is said, kept: `pareto` 24 (24 to 24)." in text
        assert told == (decision == "leave")


def test_only_searches_that_all_arms_have_are_compared(table, truth):
    def line(arm, run):
        trials = [[0, 0, 3], [1, 0, 3], [0, 1, 3], *[[2, 0, 1]] * 15, [3, 0, 3], [4, 0, 3]]
        front = {
            "trainings": 8,
            "front": [0],
            "placed": [1],
            "decision": "nothing",
            "is_settled": False,
            "is_near": False,
        }
        return {"arm": arm, "run": run, "fronts": [front], "trials": trials}

    lines = [line("pareto", 0), line("pareto", 2), line("random", 2), line("random", 1)]
    comparison = Comparison.of(lines, table, truth)
    assert {arm: [one.run for one in own] for arm, own in comparison.searches.items()} == {
        "pareto": [2],
        "random": [2],
    }
    assert comparison.searches["pareto"][0].num_networks == (3,)  # what 24 epochs pay for
    assert comparison.searches["pareto"][0].scores == (
        truth.score([table.networks[0].key], [table.networks[1].key]),
    )


# --- the whole ------------------------------------------------------------------------------------


def test_a_comparison_goes_on_and_writes_its_files_and_the_page(table, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    out = tmp_path / "out"
    compare_arms(table, (RANDOM, SINGLE), 1, out, page=page)
    known = (out / "searches.jsonl").read_text()
    printed = capsys.readouterr()
    assert "2 of at most 2" in printed.err
    again = compare_arms(table, (RANDOM, SINGLE), 1, out, page=page)
    assert (out / "searches.jsonl").read_text() == known  # nothing is made twice
    assert capsys.readouterr() == (printed.out, "")
    assert page.read_text().startswith(f"before\n{BEGIN}\n12 networks x 4 replicates")
    assert page.read_text().endswith(f"{END}\nafter\n")
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")
    with (out / "times.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 6
    for row in rows:
        times = again.times(row["arm"], row["score"], row["rule"])
        assert (float(row["trainings"]), row["ended"]) == (times.times[0], str(times.ended[0]))
    for name in ("medians.csv", "ratios.csv", "scores.csv", "survival.png", "survival.pdf"):
        assert (out / name).stat().st_size > 0


def test_nothing_is_compared_before_each_kind_has_a_search(table, tmp_path, capsys):
    assert compare_arms(table, (SINGLE,), 1, tmp_path, minutes=-1) is None
    assert "nothing to compare" in capsys.readouterr().err


def test_searches_of_another_table_are_not_mixed_in(table, tmp_path):
    compare_arms(table, (SINGLE,), 1, tmp_path)
    other = {images: {3: own[3] + 0.01} for images, own in table.accuracies.items()}
    compare_arms(replace(table, accuracies=other), (SINGLE,), 1, tmp_path)
    assert len((tmp_path / "searches.jsonl").read_text().splitlines()) == 2

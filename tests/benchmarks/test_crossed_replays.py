"""Searches of half of a crossed table, judged by the other half; made-up tables of known truth."""

import json
import math
from dataclasses import asdict, replace
from itertools import combinations

import numpy as np
import pytest
from support.crossed_tables import EPOCHS, list_networks, make_crossed_table

from benchmarks.calibration.crossed_figures import (
    FIGURES,
    PLAIN,
    jackknife,
    measure_crossed,
)
from benchmarks.calibration.crossed_judging import judge, read_plainly
from benchmarks.calibration.crossed_replays import Replay, Source, WholeTable, list_replays
from benchmarks.calibration.crossed_reports import (
    ONE_SEED,
    REPLICATES,
    draw_fresh,
    find_gaps,
)
from benchmarks.calibration.crossed_section import BEGIN, END, write_section
from benchmarks.calibration.crossed_world import CrossedWorld
from benchmarks.calibration.judging import find_gap, mark_front
from benchmarks.calibration.lines import carry_out, read_lines
from benchmarks.calibration.searches import OBJECTIVES, search_one_seed
from benchmarks.nas_bench_se_2.definition import SPACE
from se_search.analysis.pareto import summarize
from se_search.errors import RunError
from se_search.store.training_log import Training, TrainingLog
from se_search.surrogate.features import Factors
from se_search.surrogate.fitted_model import FittedModel
from se_search.surrogate.trainings import Design, Trainings

TRAININGS = 16


class MadeUpSource:
    """Stands in for a ``Source``: a table in memory."""

    def __init__(self, table):
        self.table = table
        self.replicates = table.replicates
        self.digest = table.digest

    def read(self):
        return self.table


def fit(table, replicates, num_trainings, seed):
    """Fit the model to random trainings of some replicates and a control in each."""
    rng = np.random.default_rng(seed)
    rows = np.concatenate([[0] * len(replicates), rng.integers(1, len(table), num_trainings)])
    columns = np.arange(len(rows)) % len(replicates)
    codes = np.array([SPACE.codes_of(table.networks[row]) for row in rows])
    values = table.accuracies["validation"][EPOCHS][rows, np.array(replicates)[columns]]
    budgets = np.zeros(len(rows), np.int64)
    trainings = Trainings(codes, budgets, columns, values)
    model = FittedModel.fit(Factors(SPACE.describe_levels()), trainings, [EPOCHS], num_kernels=6)
    return model, np.unique(rows[rows > 0])


# --- what fresh replicates will show --------------------------------------------------------------


def test_intervals_for_fresh_replicates_hold_what_they_show_as_often_as_they_say():
    """Known truth: 24 tables of its own variances, 60 trainings in 3 replicates, 3 judges."""
    held, held_by_gains = [], []
    for seed in range(24):
        table = make_crossed_table(seed).table
        model, rows = fit(table, (0, 1, 2), 60, seed)
        codes = np.array([SPACE.codes_of(table.networks[row]) for row in rows])
        shown = table.differences("validation")[rows, 3:].mean(axis=1)
        drawn = model.draw(np.vstack([model.plain, codes]))
        for draws, found in (
            (draw_fresh(model, codes, 3), held),
            (drawn[:, 1:] - drawn[:, :1], held_by_gains),
        ):
            low, high = np.quantile(draws, [0.025, 0.975], axis=0)
            found.append(((low <= shown) & (shown <= high)).mean())
    assert 0.90 < np.mean(held) < 0.99
    assert np.mean(held_by_gains) < 0.85  # the judges have an error of their own


def test_fresh_replicates_scatter_as_trainings_of_one_replicate_do_in_the_model():
    """The scatter is the covariance of differences within a replicate less that of their truths."""
    table = make_crossed_table(3).table
    model, rows = fit(table, (0, 1, 2), 60, 3)
    codes = np.array([SPACE.codes_of(table.networks[row]) for row in rows[:2]])
    whole = np.vstack([model.plain, codes])
    drawn = model.draw(whole)
    scatter = draw_fresh(model, codes, 1) - (drawn[:, 1:] - drawn[:, :1])
    one_hot = model.factors.one_hot(whole)
    design = Design(one_hot, np.zeros(3, np.int64), np.full(3, 99))
    contrasts = np.array([[-1.0, 1.0, 0.0], [-1.0, 0.0, 1.0]])
    expected = np.mean(
        [
            contrasts @ (kernel.among(design) - kernel.between(one_hot, one_hot)) @ contrasts.T
            for kernel in model.kernels
        ],
        axis=0,
    )
    assert np.cov(scatter.T) == pytest.approx(expected * model.scale.sd**2, rel=0.12)
    third = draw_fresh(model, codes, 9) - (drawn[:, 1:] - drawn[:, :1])
    assert third == pytest.approx(scatter / 3)


def test_the_plain_network_differs_from_itself_in_no_fresh_replicate():
    table = make_crossed_table(4).table
    model, rows = fit(table, (0, 1, 2), 30, 4)
    codes = np.array([SPACE.codes_of(table.networks[row]) for row in (0, rows[0])])
    draws = draw_fresh(model, codes, 3, 60)
    assert not draws[:, 0].any()
    assert draws[:, 1].all()


def test_gaps_of_draws_are_those_of_each_draw_by_itself():
    rng = np.random.default_rng(0)
    for _ in range(20):
        costs = rng.integers(0, 8, 12)
        on_front = mark_front(costs, rng.normal(size=12))
        draws = rng.normal(size=(5, 12))
        expected = [find_gap(costs, draw, on_front) for draw in draws]
        assert find_gaps(costs, draws, on_front) == pytest.approx(expected)


# --- judging --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made():
    """Two searches of each kind, of complementary halves, and the whole table."""
    table = make_crossed_table(0, num_replicates=4, num_networks=25).table
    source = MadeUpSource(table)
    jobs = [
        Replay(source, kind, split, 0, (TRAININGS,))
        for split in ((0, 1), (2, 3))
        for kind in (REPLICATES, ONE_SEED)
    ]
    return table, [job.carry_out() for job in [*jobs, WholeTable(source)]]


def test_a_search_is_judged_by_the_replicates_that_it_never_saw(made):
    table, lines = made
    line = lines[0]
    found = line["reports"][0]
    assert found["trainings"] == TRAININGS == len(line["trials"])
    judged = judge(table, found, [2, 3], "test")
    values = 100 * table.accuracies["test"][EPOCHS]
    others = [place for place, row in enumerate(found["rows"]) if row]
    shown = [
        np.mean([values[row, s] - values[0, s] for s in (2, 3)])
        for row in (found["rows"][place] for place in others)
    ]
    assert judged.fresh == pytest.approx(shown)
    assert judged.gain.tolist() == [found["gain"][place] for place in others]
    fresh = found["fresh"]["2"]
    assert judged.holds.tolist() == [
        fresh["low"][place] <= value <= fresh["high"][place]
        for place, value in zip(others, shown, strict=True)
    ]
    assert (found["rows"].index(found["recommended"]) in others) == (judged.best is not None)
    alone = judge(table, found, [3], "test")
    assert alone.holds.sum() >= 0
    assert alone.gap_limit > judged.gap_limit  # one judge scatters more than two


def test_a_report_is_plain_data_and_its_interval_of_the_gain_is_the_narrower_one(made):
    _, lines = made
    assert json.loads(json.dumps(lines)) == lines
    for line in lines[:4]:
        found = line["reports"][0]
        widths = np.subtract(found["high"], found["low"])
        for judges in ("1", "2"):
            fresh = found["fresh"][judges]
            others = np.array(found["rows"]) > 0
            assert (np.subtract(fresh["high"], fresh["low"])[others] > widths[others]).all()


def test_plain_means_recommend_the_best_of_the_observed_front(made):
    table, lines = made
    line = next(line for line in lines if line["kind"] == ONE_SEED)
    read = read_plainly(line["reports"][0])
    own = {}
    for row, _ in line["trials"]:
        seeds = own.setdefault(row, [])
        seeds.append(table.accuracies["validation"][EPOCHS][row, line["split"][len(seeds)]])
    means = {row: np.mean(values) for row, values in own.items()}
    assert read["recommended"] == max(means, key=means.get)
    gains = [100 * (means[row] - means[0]) for row in read["rows"]]
    assert read["gain"] == pytest.approx(gains, abs=1e-4)
    assert read["on_front"] == mark_front(table.costs[read["rows"]], np.array(gains)).tolist()


def test_a_later_search_of_a_half_begins_with_another_of_its_replicates(made):
    source = MadeUpSource(made[0])
    found = [Replay(source, ONE_SEED, (0, 2, 3), run, (12,)).world().replicates for run in range(4)]
    assert found == [(0, 2, 3), (2, 3, 0), (3, 0, 2), (0, 2, 3)]


# --- errors ---------------------------------------------------------------------------------------


def test_the_jackknife_error_of_a_mean_over_replicates_is_its_standard_error():
    drawn = np.random.default_rng(0).normal(size=6)

    def summarise(without):
        return np.array([drawn[[one for one in range(6) if one != without]].mean()])

    values, errors = jackknife(summarise, range(6))
    assert values == pytest.approx(drawn.mean())
    assert errors == pytest.approx(drawn.std(ddof=1) / math.sqrt(6))


def test_the_jackknife_error_is_how_far_the_figures_of_other_replicates_lie():
    """120 tables of 30 networks; estimates of half of the replicates, judged by the rest.

    It is about right for the mean over all candidates, and errs on the safe side, by a factor of up
    to 2, for the one that looks best. Halves share replicates, so that their standard deviation by
    the root of their number is far too small.
    """
    rng = np.random.default_rng(1)
    true = rng.normal(0, 0.2, 30)
    found, claimed, naive = [], [], []
    for _ in range(120):
        values = true + rng.normal(0, 0.5, (6, 30)) + rng.normal(0, 0.3, (6, 1))

        def judge_half(split, judges, values=values):
            seen, shown = (
                (values[rows] - values[rows, :1]).mean(axis=0)[1:] for rows in (list(split), judges)
            )
            best = int(np.argmax(seen))
            return (seen / 2 - shown).mean(), seen[best] - shown[best]

        def summarise(without, judge_half=judge_half):
            each = [
                judge_half(split, [one for one in range(6) if one not in (*split, without)])
                for split in combinations(range(6), 3)
                if without not in split
            ]
            return np.concatenate([np.mean(each, axis=0), np.std(each, axis=0)])

        figures, errors = jackknife(summarise, range(6))
        found.append(figures[:2])
        claimed.append(errors[:2])
        naive.append(figures[2:] / math.sqrt(20))
    truth = np.std(found, axis=0)
    of_all, of_best = np.sqrt(np.mean(np.square(claimed), axis=0)) / truth
    assert 0.8 < of_all < 1.2
    assert 0.8 < of_best < 2.5
    assert np.mean(naive, axis=0)[0] < 0.6 * truth[0]


# --- the whole ------------------------------------------------------------------------------------


def test_figures_are_means_over_the_candidates_of_all_searches(made):
    table, lines = made
    figures = {(one.group, one.name): one for one in measure_crossed(table, lines)}
    for kind, searched, read in (
        (REPLICATES, REPLICATES, lambda found: found),
        (PLAIN, ONE_SEED, read_plainly),
    ):
        judged = [
            judge(table, read(line["reports"][0]), sorted({0, 1, 2, 3} - {*line["split"]}), "test")
            for line in lines
            if line["kind"] == searched
        ]
        excess = np.concatenate([(one.gain - one.fresh)[one.on_front] for one in judged])
        name = "reported less judges' gain, points: front members"
        figure = figures[f"{kind}, {TRAININGS} trainings, test", name]
        assert figure.value == pytest.approx(excess.mean())
        assert figure.count == 2
    name = "95 % intervals hold what the judges show: all candidates"
    held = np.concatenate([one.holds for one in judged])
    assert figures[f"{ONE_SEED}, {TRAININGS} trainings, test", name].value == held.mean()
    assert figures["whole table", "networks"].value == 25


def test_the_best_of_an_observed_front_of_one_seed_is_mostly_luck():
    """Known truth: eight tables, searches of 30 trainings from before replicates."""
    luck = []
    for seed in range(8):
        made_up = make_crossed_table(seed, num_networks=60)
        world = CrossedWorld(made_up.table, (0, 1, 2))
        summaries = summarize(search_one_seed(world, seed, 30), OBJECTIVES)
        rows = [made_up.table.row_of(summary.key) for summary in summaries]
        means = 100 * np.array([summary.accuracy for summary in summaries])
        read = read_plainly(
            {
                "rows": rows,
                "plain_gain": (means - means[rows.index(0)]).tolist(),
                "on_plain_front": [summary.on_front for summary in summaries],
            }
        )
        best = read["recommended"]
        luck.append(read["gain"][rows.index(best)] - made_up.gains[best])
    assert np.mean(luck) > 2 * np.std(luck, ddof=1) / math.sqrt(len(luck))
    assert np.mean(luck) > 0.3


def test_searches_of_another_table_do_not_count(made):
    _, lines = made
    assert measure_crossed(make_crossed_table(1, num_replicates=4).table, lines) == []


def test_all_halves_are_searched_as_they_are_and_as_they_were():
    jobs = list_replays(MadeUpSource(make_crossed_table(0).table), num_runs=2)
    assert len(jobs) == 1 + 20 * 2 * 2
    identities = [json.dumps(job.identity) for job in jobs]
    assert len(set(identities)) == len(jobs)
    assert all(job.run == 0 for job in jobs[1:41])


def test_a_replay_that_has_been_made_is_not_made_again(tmp_path, made):
    table, lines = made
    path = tmp_path / "crossed.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    jobs = [Replay(MadeUpSource(table), REPLICATES, (0, 1), 0, (TRAININGS,))]
    carry_out([*jobs, replace(jobs[0], run=1, checkpoints=(12,))], path)
    assert read_lines(path)[:-1] == lines
    assert read_lines(path)[-1]["run"] == 1


def test_the_section_of_a_page_is_renewed_and_nothing_else(tmp_path, made):
    table, lines = made
    page = tmp_path / "measured.md"
    page.write_text(f"# Before\n\n{BEGIN}\nstale figures\n{END}\n\nAfter.\n")
    figures = measure_crossed(table, lines)
    write_section(page, figures)
    once = page.read_text()
    write_section(page, figures)
    assert page.read_text() == once
    assert once.startswith(f"# Before\n\n{BEGIN}\n")
    assert once.endswith(f"{END}\n\nAfter.\n")
    assert "stale" not in once
    heads = next(line for line in once.splitlines() if line.startswith("| what |"))
    rows = [line for line in once.splitlines() if line.startswith("| ")][1:]
    assert {row.count("|") for row in rows} == {heads.count("|")}
    assert len(rows) > len(FIGURES)
    page.write_text("# Before\n")
    with pytest.raises(RunError, match="has no place for figures"):
        write_section(page, figures)


def test_a_log_of_too_few_replicates_is_refused_and_others_are_read(tmp_path):
    networks = list_networks()
    row = {"epoch": 3, "accuracy": 0.8, "test_accuracy": 0.7}
    with TrainingLog(tmp_path / "log.jsonl", {}, {}) as log:
        for network in networks:
            log.append(Training(network.key, str(network), 3, 5, 0, (row,), b"", b"", 1.0))
    with pytest.raises(RunError, match="complete replicates of the table: 1, and a replay takes 4"):
        Source.of(tmp_path / "log.jsonl", tmp_path)
    text = (tmp_path / "log.jsonl").read_text()
    head, own = text.splitlines()[:2], text.splitlines()[2:]
    more = [line.replace('"seed":5,', f'"seed":{seed},') for seed in range(1, 6) for line in own]
    (tmp_path / "log.jsonl").write_text("\n".join([*head, *more]) + "\n")
    source = Source.of(tmp_path / "log.jsonl", tmp_path)
    assert source.replicates == (1, 2, 3, 4)  # an even number
    table = source.read()
    assert (table.accuracies["test"][3] == 0.7).all()
    assert asdict(source)["digest"] == table.digest

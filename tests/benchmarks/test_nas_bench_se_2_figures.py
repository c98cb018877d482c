"""What NAS-Bench-SE 2 says of networks, replicates and noise, and the texts that tell it."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from benchmarks.nas_bench_se_2.decompose import (
    correlate,
    effects_of,
    find_whole_parts,
    measure_mean,
    measure_spread,
)
from benchmarks.nas_bench_se_2.definition import describe_candidate, list_candidates
from benchmarks.nas_bench_se_2.figures import BEGIN, END, TEXTS, describe_figures, renew_figures
from benchmarks.nas_bench_se_2.table import NASBenchSE2
from se_search.analysis.replicates import Replicates
from se_search.analysis.two_way import fit_two_way
from se_search.errors import RunError

TRUE_SDS = {"networks": 0.2, "levels": 0.3, "rest": 0.4}  # points


def draw_world(rng, networks=40, replicates=6, sds=TRUE_SDS):
    """Return accuracies of a two-way random layout whose standard deviations are known."""
    points = (
        sds["networks"] * rng.standard_normal((networks, 1))
        + sds["levels"] * rng.standard_normal((1, replicates))
        + sds["rest"] * rng.standard_normal((networks, replicates))
    )
    return 0.86 + points / 100


def make_table(num_networks=126, replicates=3):
    """Return a table in which SE in stage 5 adds 0.4 points to any network, but for noise."""
    rng = np.random.default_rng(0)
    noise = draw_world(rng, num_networks, replicates)
    rows = []
    for order, candidate in enumerate(list_candidates()[:num_networks]):
        described = describe_candidate(candidate)
        gain = 0.004 * (described["x_stage5"] != "none")
        rows += [
            {
                "order": order,
                "key": candidate.key,
                "candidate": str(candidate),
                **described,
                "epochs": 3,
                "replicate": replicate,
                "validation_accuracy_3": noise[order, replicate] + gain,
                "test_accuracy_3": noise[order, replicate] + gain - 0.01,
            }
            for replicate in range(replicates)
        ]
    return NASBenchSE2(pd.DataFrame(rows), {"validation": 8, "test": 8})


# --- standard deviations ------------------------------------------------------------------------


def test_the_rest_is_that_of_a_least_squares_fit_of_networks_and_replicates():
    accuracies = draw_world(np.random.default_rng(0))
    seeds = tuple(range(accuracies.shape[1]))
    fit = fit_two_way({str(i): Replicates(seeds, row) for i, row in enumerate(accuracies)})
    assert measure_spread(accuracies).rest.value == pytest.approx(100 * fit.rest_sd)


@pytest.fixture(scope="module")
def spreads():
    rng = np.random.default_rng(1)
    return [measure_spread(draw_world(rng), num_draws=2_000) for _ in range(200)]


@pytest.mark.parametrize("part", list(TRUE_SDS))
def test_estimates_are_right_on_average_and_intervals_hold_the_truth(spreads, part):
    """Of 200 intervals of 95 % between 180 and 199 hold it, but for 1 case in 1,000 or less."""
    found, truth = [getattr(spread, part) for spread in spreads], TRUE_SDS[part]
    squares = np.array([estimate.value for estimate in found]) ** 2
    assert abs(squares.mean() - truth**2) < 4 * squares.std() / np.sqrt(len(squares))
    assert 180 <= sum(low <= truth <= high for _, low, high in found) <= 199


def test_networks_that_do_not_differ_have_a_deviation_whose_interval_begins_at_0():
    accuracies = draw_world(np.random.default_rng(2), sds=TRUE_SDS | {"networks": 0})
    assert measure_spread(accuracies).networks.low == 0


# --- differences --------------------------------------------------------------------------------


def test_the_interval_of_a_mean_is_student_s():
    """The 0.975 quantile of t with 3 degrees of freedom is 3.182 (any table of it)."""
    estimate = measure_mean(np.array([1.0, 2.0, 3.0, 4.0]))
    half = 3.182446 * np.sqrt(5 / 3) / 2
    assert estimate == pytest.approx((2.5, 2.5 - half, 2.5 + half))


def test_in_a_balanced_part_the_effect_of_a_level_is_free_of_the_other_stages():
    """Even where other stages and their pairs add 100 times as much."""
    networks = pd.DataFrame([describe_candidate(each) for each in list_candidates()])
    networks = networks[networks.part == 1]
    added = {"none": 0, "r4": 1, "r8": 2, "r16": 3, "r32": 4}  # hundredths of a point
    stages = {n: networks[f"x_stage{n}"].map(added) for n in (2, 3, 4, 5)}
    points = stages[5] + 100 * (stages[2] ** 2 + 3 * stages[3] * stages[4])
    found = effects_of(pd.DataFrame({0: points / 1e4}), networks.x_stage5)
    assert found[0].to_dict() == pytest.approx({"r4": 0.01, "r8": 0.02, "r16": 0.03, "r32": 0.04})


def test_a_part_with_a_gap_is_not_whole():
    networks = pd.DataFrame({"part": [1, 1, 1, 2, 2]}, index=[0, 2, 3, 1, 4])
    assert find_whole_parts(networks, 3).index.tolist() == [0, 2, 3]
    assert find_whole_parts(networks, 4).empty


# --- correlations -------------------------------------------------------------------------------


def test_correlations_are_pearson_s():
    rng = np.random.default_rng(3)
    validation, test = draw_world(rng, replicates=2), draw_world(rng, replicates=2)
    found = correlate(validation, test)

    def pearson(x, y):
        return np.corrcoef(x, y)[0, 1]

    single = [pearson(validation[:, r], test[:, r]) for r in (0, 1)]
    assert found.single.value == pytest.approx(np.mean(single))
    means = pearson(validation.mean(axis=1), test.mean(axis=1))
    assert found.means.value == pytest.approx(means)
    apart = [pearson(validation[:, a], test[:, b]) for a, b in ((0, 1), (1, 0))]
    assert found.apart.value == pytest.approx(np.mean(apart))


def test_trainings_that_share_nothing_correlate_as_the_networks_variance_says():
    """In halves of 3 the expected correlation is 0.2**2 / (0.2**2 + 0.4**2 / 3) = 0.43."""
    accuracies = draw_world(np.random.default_rng(4), networks=500)
    assert correlate(accuracies, accuracies).apart.value == pytest.approx(0.43, abs=0.08)


# --- the texts ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table():
    return make_table()


def test_the_figures_tell_what_the_world_is_like(table):
    """The gain of SE in stage 5 is 0.4 points, and that of the others is noise alone."""
    text = describe_figures(table)
    assert text.startswith("126 networks x 3 replicates, trainings of 3 epochs")
    rows = [line for line in text.splitlines() if line.startswith("| SE in stage")]
    assert len(rows) == 8
    gains = {
        (row[14], place): float(row.split("|")[place].split()[0])
        for row, place in product(rows[:4], (2, 3))
    }
    for (stage, _), gain in gains.items():
        assert gain == pytest.approx(0.4 if stage == "5" else 0, abs=0.15)


def test_without_a_whole_part_stages_are_not_told_of():
    text = describe_figures(make_table(num_networks=60))
    assert "r = 16 everywhere less no SE" in text
    assert "SE in stage" not in text


def test_one_replicate_is_too_few_for_figures():
    text = describe_figures(make_table(replicates=1))
    assert (
        text == "126 networks x 1 replicate so far: too few for standard deviations and intervals."
    )


def test_only_what_stands_between_the_comments_is_replaced(table, tmp_path):
    path = tmp_path / "text.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    renew_figures(table, [path])
    assert path.read_text() == f"before\n{BEGIN}\n{describe_figures(table)}\n{END}\nafter\n"


def test_a_text_without_a_place_for_figures_is_an_error(table, tmp_path):
    path = tmp_path / "text.md"
    path.write_text(f"{BEGIN}\nno end")
    with pytest.raises(RunError, match="has no place for figures"):
        renew_figures(table, [path])


def test_the_texts_of_the_project_have_the_figures_of_its_table():
    figures = describe_figures(NASBenchSE2.read())
    for path in TEXTS:
        assert f"{BEGIN}\n{figures}\n{END}" in path.read_text(), path

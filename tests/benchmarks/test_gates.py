"""How far gates predict what retraining says: the subsets, and the agreement of two orders."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.gates.definition import CASES, FOLDER, name_stages
from benchmarks.gates.predict import kendall, list_halves, predict, split_halves
from benchmarks.gates.publish import COLUMNS, TEXTS, describe
from benchmarks.nas_bench_se_2.table import NASBenchSE2

PUBLISHED = [name for name in CASES if (FOLDER / f"{name}.csv").exists()]

RNG = np.random.default_rng(0)
TRUTH = np.arange(15.0)[:, None]


def read_table(name):
    # pandas 2 may read the last bit of a float wrongly
    exact = {column: float for column in COLUMNS if column.endswith(("accuracy", "loss"))}
    return pd.read_csv(FOLDER / f"{name}.csv", converters=exact)


def measure(noise, replicates=6):
    return TRUTH + noise * RNG.normal(size=(15, replicates))


def test_the_default_case_has_every_subset_of_four_stages_once():
    case = CASES["default"]
    assert len(case.subsets) == len(set(case.subsets)) == 16
    assert name_stages(case.subsets[0]) == "none"
    assert case.candidate(case.subsets[0]).placement == "no SE"
    assert case.candidate((2, 5)).placement == "s2:2 s5:16"


def test_a_predictor_that_is_true_is_bounded_by_the_noise_of_what_it_predicts():
    sure = predict(measure(0.0), measure(0.0), num_draws=20)
    assert (sure.tau, sure.low, sure.high) == (1.0, 1.0, 1.0)
    noisy = predict(measure(0.0), measure(10.0), num_draws=100)
    assert 0 < noisy.tau < 1
    assert noisy.low < noisy.high < 1


def test_a_predictor_of_the_reverse_is_told():
    assert predict(-measure(0.1), measure(0.1), num_draws=20).high < -0.9


def test_all_ways_to_halve_are_gone_through_once():
    assert len(list(list_halves(6))) == 10
    assert len(list(list_halves(5))) == 10
    assert all(sorted(one + other) == list(range(6)) for one, other in list_halves(6))


def test_halves_of_pure_noise_have_no_common_order():
    taus = [split_halves(RNG.normal(size=(15, 6))).tau for _ in range(30)]
    assert np.mean(taus) == pytest.approx(0, abs=0.1)
    assert split_halves(measure(0.01)).tau == 1.0


def test_kendalls_tau_is_scipys_with_ties_and_without():
    for a, b in RNG.integers(0, 6, size=(20, 2, 15)).astype(float):
        assert kendall(a, b) == pytest.approx(stats.kendalltau(a, b).statistic)


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_is_published_has_every_subset_in_each_replicate(name):
    table = read_table(name)
    assert set(table.groupby("replicate").stages.nunique()) == {16}
    assert len(table) == 16 * table.replicate.nunique()


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.name)
def test_texts_have_the_figures_of_what_is_published(name, text):
    assert describe(read_table(name)) in text.read_text(encoding="utf-8")


def test_networks_without_se_are_those_of_nas_bench_se_2():
    table, published = read_table("default"), NASBenchSE2.read()
    for row in table[table.stages == "none"].itertuples():
        found = published.query(row.candidate, row.replicate)
        assert (row.validation_accuracy, row.test_accuracy) == (
            found.validation_accuracy,
            found.test_accuracy,
        )


def test_what_has_no_order_agrees_with_nothing():
    assert kendall(np.ones(5), np.arange(5.0)) == 0.0

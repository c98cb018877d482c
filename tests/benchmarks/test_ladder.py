"""The published evidence on supernets: it is whole, and its reader reads what stands there."""

from __future__ import annotations

import csv
from collections import Counter

import numpy as np
import pytest
from scipy.stats import kendalltau

from benchmarks.ladder.definition import PROBLEMS
from benchmarks.ladder.publish import PROBES, SCORES
from benchmarks.ladder.table import read_probes, read_problem_table, read_scores

TRAINED = [name for name, problem in PROBLEMS.items() if problem.num_replicates]


@pytest.mark.parametrize("name", TRAINED)
def test_at_least_24_probes_have_a_training_in_each_of_four_replicates(name):
    counts = Counter(record.key for record in read_probes(name, "test"))
    assert len(counts) >= 24
    assert set(counts.values()) == {4}


@pytest.mark.parametrize("name", TRAINED)
def test_probes_are_different_candidates_of_their_space_and_the_plain_network_is_the_first(name):
    problem = PROBLEMS[name]
    assert len({probe.key for probe in problem.probes}) == problem.num_probes
    assert all(probe in problem.space for probe in problem.probes)
    assert not any(problem.probes[0].blocks)


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_supernet_scores_every_probe_once(name):
    with SCORES.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["problem"] == name]
    plain, *others = (probe.key for probe in PROBLEMS[name].probes)
    counts = Counter((row["kind"], row["supernet"], row["key"]) for row in rows)
    numbers = {(kind, number) for kind, number, _ in counts}
    assert {(*number, key) for number in numbers for key in (plain, *others)} == set(counts)
    assert {counts[(*number, key)] for number in numbers for key in others} == {1}


def test_supernets_of_groups_of_positions_give_the_plain_network_one_value():
    scores = read_scores("desk_positions", "split").scores
    plain = PROBLEMS["desk_positions"].probes[0].key
    assert Counter(score.member for score in scores) == {one.member: 11 for one in scores}
    with SCORES.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "split"]
    first = [row for row in rows if row["supernet"] == "0"]
    own = {(row["positions"], row["key"]): float(row["accuracy"]) for row in first}
    values = {s.key: s.value for s in scores if s.member == scores[0].member}
    for (positions, key), accuracy in own.items():
        rise = accuracy - own[positions, plain]
        assert values[key] - values[plain] == pytest.approx(rise, abs=1e-9)


def test_a_problems_table_has_the_accuracies_of_the_published_file():
    table = read_problem_table("gates")
    with PROBES.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["problem"] == "gates"]
    assert len(rows) == len(table.networks) * len(table.replicates)
    for row in rows:
        at = table.row_of(row["key"]), table.replicates.index(int(row["replicate"]))
        for images in ("validation", "test"):
            assert table.accuracies[images][3][at] == float(row[f"{images}_accuracy"])


def test_supernets_order_gates_as_trainings_do_and_positions_not():
    taus = {}
    for name in ("gates", "own"):
        found = read_scores(name, "joint")
        table = read_problem_table(name)
        scores = {key: [] for key in (network.key for network in table.networks)}
        for score in found.scores:
            if score.key in scores:
                scores[score.key].append(score.value)
        means = [np.mean(own) for own in scores.values()]
        taus[name] = kendalltau(means, table.accuracies["test"][3].mean(axis=1)).statistic
    assert taus["gates"] > 0.5
    assert abs(taus["own"]) < 0.2

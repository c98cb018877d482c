"""The published scores without training are complete, and can be made again."""

import pandas as pd
import pytest
import torch

from benchmarks.ladder.definition import PROBLEMS
from benchmarks.ladder.table import read_zero_cost
from benchmarks.ladder.zero_cost import FILE, NUM_MEMBERS
from se_search.models.surgery import build
from se_search.score import ZERO_COST, zero_cost_seed
from se_search.training.zero_cost import measure_synflow


@pytest.mark.parametrize("name", PROBLEMS)
def test_each_probe_has_a_score_by_each_rung_and_seed(name):
    probes = {candidate.key for candidate in PROBLEMS[name].probes}
    for rung in ZERO_COST:
        found = read_zero_cost(name, rung).scores
        pairs = {(one.member, one.key) for one in found}
        seeds = [zero_cost_seed(0, number) for number in range(NUM_MEMBERS)]
        assert pairs == {(seed, key) for seed in seeds for key in probes}
        assert len(found) == len(pairs)


def test_published_synflow_is_that_of_the_probe_s_network():
    """It takes no images, so that it can be computed without the data."""
    probe = PROBLEMS["own"].probes[1]
    rows = pd.read_csv(FILE).query("problem == 'own' and rung == 'synflow' and number == 0")
    (published,) = rows.loc[rows["key"] == probe.key, "value"]
    model = build(probe, zero_cost_seed(0, 0))
    assert measure_synflow(model, torch.zeros(1, 1, 28, 28)) == pytest.approx(published, abs=2e-6)

"""Searches of a crossed table: the product's own loop, on finished trainings alone."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from support.crossed_tables import EPOCHS, list_networks, make_crossed_table

from benchmarks.calibration.crossed_world import (
    CrossedTable,
    CrossedWorld,
    NetworkSet,
)
from benchmarks.calibration.searches import OBJECTIVES, search, search_one_seed
from benchmarks.nas_bench_se_2.definition import SPACE
from se_search.cost import count_cost
from se_search.errors import RunError
from se_search.record import Rung
from se_search.search.registry import SAMPLERS
from se_search.surrogate.coded_trainings import Question
from se_search.surrogate.fit_front import fit_front

# --- networks -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def networks():
    return NetworkSet(SPACE, list_networks())


def test_a_set_of_networks_holds_them_in_the_order_of_the_space_and_nothing_else(networks):
    own = set(list_networks())
    assert list(networks) == [candidate for candidate in SPACE if candidate in own]
    assert [candidate in networks for candidate in SPACE] == [c in own for c in SPACE]
    marks = networks.keep(SPACE.codes())
    assert marks.tolist() == [candidate in own for candidate in SPACE]
    assert networks.list_codes(126).tolist() == SPACE.codes()[marks].tolist()
    assert networks.list_codes(125) is None
    assert networks.few is None  # each may be trained again


def test_draws_of_a_set_are_about_uniform_over_its_networks(networks):
    rng = np.random.default_rng(0)
    counts = Counter(map(bytes, networks.draw_codes(126 * 100, rng)))
    assert counts.keys() == set(map(bytes, networks.list_codes(126)))
    assert min(counts.values()) > 50
    drawn = {networks.draw(rng).key for _ in range(126 * 12)}
    assert drawn == {network.key for network in networks}


def test_the_ends_of_the_prices_are_those_of_the_networks(networks):
    prices = [count_cost(network).params for network in networks]
    low, high = networks.price_ends(lambda network: [count_cost(network).params])
    assert (low.tolist(), high.tolist()) == ([min(prices)], [max(prices)])


# --- tables ---------------------------------------------------------------------------------------


def test_a_table_has_the_replicates_that_are_complete():
    networks = list_networks()
    cells = {
        (network.key, EPOCHS, seed): (row + seed / 10, row / 2)
        for seed in (0, 1, 2)
        for row, network in enumerate(networks)
    }
    del cells[networks[-1].key, EPOCHS, 2]
    table = CrossedTable.of_cells(cells, SPACE, networks)
    assert table.replicates == (0, 1)
    validation, test = (table.accuracies[images][EPOCHS] for images in ("validation", "test"))
    assert validation.tolist() == [[row, row + 0.1] for row in range(126)]
    assert test.tolist() == [[row / 2] * 2 for row in range(126)]
    assert table.costs.tolist() == [count_cost(network).params for network in networks]
    with pytest.raises(RunError, match="none of 3 replicates has a full training of each of 126"):
        CrossedTable.of_cells(
            {key: cell for key, cell in cells.items() if key[0] != networks[0].key}, SPACE, networks
        )


def test_shorter_trainings_are_taken_where_every_replicate_has_them():
    networks = list_networks()[:2]
    whole = {
        (network.key, epochs, seed): (epochs / 10, 0.5)
        for epochs in (1, EPOCHS)
        for network in networks
        for seed in (0, 1)
    }
    every = CrossedTable.of_cells(whole, SPACE, networks)
    assert list(every.accuracies["test"]) == [1, EPOCHS]
    assert every.accuracies["validation"][1].tolist() == [[0.1, 0.1], [0.1, 0.1]]
    del whole[networks[1].key, 1, 0]
    some = CrossedTable.of_cells(whole, SPACE, networks)
    assert list(some.accuracies["test"]) == [EPOCHS]


def test_differences_are_to_the_plain_network_of_the_replicate():
    table = make_crossed_table(0).table
    values = table.accuracies["test"][EPOCHS]
    for row, column in ((0, 0), (5, 3), (125, 5)):
        expected = values[row, column] - values[0, column]
        assert table.differences("test")[row, column] == expected


def test_the_digest_tells_tables_of_other_numbers_networks_or_replicates_apart():
    table = make_crossed_table(0).table
    cut = replace(table, networks=(*table.networks[:-2], table.networks[-1], table.networks[-2]))
    others = [make_crossed_table(1).table, cut, table.with_replicates((1, 0, 2, 3, 4, 5))]
    assert table.digest == make_crossed_table(0).table.digest
    assert len({table.digest, *(other.digest for other in others)}) == 4


# --- searches -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world():
    return CrossedWorld(make_crossed_table(0).table, (4, 1, 3))


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_a_search_makes_the_trainings_of_its_replicates_with_a_control_in_each(world, sampler):
    records = search(world, sampler, 0, 48)
    assert len(records) == len({(record.key, record.seed) for record in records}) == 48
    values = world.table.accuracies["validation"][EPOCHS]
    for record in records:
        column = world.replicates[record.seed]
        assert record.accuracy == values[world.table.row_of(record.key), column]
    for seed in {record.seed for record in records}:
        first = next(record for record in records if record.seed == seed)
        assert first.added_params == 0
    if sampler != "grid":  # it fills a replicate before it opens the next
        assert Counter(record.seed for record in records) == dict.fromkeys(range(3), 16)


def test_a_search_ends_when_all_trainings_of_its_replicates_are_made():
    world = CrossedWorld(make_crossed_table(1, num_replicates=4, num_networks=20).table, (2, 0))
    for records in (search(world, "pareto", 0, 400), search_one_seed(world, 0, 400)):
        assert len(records) == 2 * 20


def test_a_shorter_search_is_the_beginning_of_a_longer_one(world):
    assert search(world, "pareto", 7, 40) == search(world, "pareto", 7, 60)[:40]


def test_a_candidate_takes_the_replicates_in_turn_where_a_search_knows_none(world):
    records = search_one_seed(world, 0, 60)
    values = world.table.accuracies["validation"][EPOCHS]
    counts = Counter()
    for record in records:
        column = world.replicates[counts[record.key]]
        assert record.accuracy == values[world.table.row_of(record.key), column]
        counts[record.key] += 1
    assert set(counts.values()) >= {1, 2}


def test_rungs_take_the_shorter_trainings_of_the_table():
    table = make_crossed_table(2).table
    both = {images: {1: own[EPOCHS] - 0.1, **own} for images, own in table.accuracies.items()}
    world = CrossedWorld(replace(table, accuracies=both), (0, 1, 2))
    records = search(world, "random", 0, 40, rungs=(Rung(1, 1), Rung(EPOCHS, 1)))
    shorter = [record for record in records if record.epochs == 1]
    assert 0 < len(shorter) < len(records)
    values = both["validation"][1]
    for record in shorter:
        assert record.accuracy == values[table.row_of(record.key), record.seed]


def test_the_products_front_is_fitted_to_a_search_unchanged(world):
    front = fit_front(search(world, "pareto", 0, 48), SPACE, Question(OBJECTIVES, world.epochs))
    assert front.is_modelled
    assert front.num_compared == 3

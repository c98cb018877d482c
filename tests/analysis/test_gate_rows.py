"""Rows of gates: places, drops, ranks, and means over replicates."""

import numpy as np
import pytest
from support.made_up_gates import SMALL, make_candidate, make_reading

from se_search.analysis.gate_rows import find_start, list_places, summary_rows, tabulate
from se_search.candidate import SE

CANDIDATE = make_candidate()


def rows_of(*readings):
    return tabulate(dict(enumerate(readings)), CANDIDATE)


def test_places_are_blocks_then_stages_of_several_blocks_then_all():
    assert list_places(CANDIDATE) == {
        "stage2.block1": ("stage2.block1",),
        "stage3.block1": ("stage3.block1",),
        "stage3.block2": ("stage3.block2",),
        "stage5.block1": ("stage5.block1",),
        "stage3": ("stage3.block1", "stage3.block2"),
        "all": tuple(site.name for site in SMALL.sites if site.stage in (2, 3, 5)),
    }


def test_a_block_alone_is_all_there_is():
    assert list(list_places(make_candidate("stage5=standard:16"))) == ["stage5.block1"]


def test_drops_are_the_images_that_are_lost_and_blocks_are_ranked_by_them():
    rows = {row.place: row for row in rows_of(make_reading(lost=(0, 40, 4, 1)))}
    assert [rows[place].drop for place in list_places(CANDIDATE)] == pytest.approx(
        [0, 40 / 400, 4 / 400, 1 / 400, 44 / 400, 45 / 400]
    )
    assert rows["all"].accuracy == pytest.approx((360 - 45) / 400)
    ranks = {place: row.rank for place, row in rows.items()}
    assert ranks == {
        "stage2.block1": 4,
        "stage3.block1": 1,
        "stage3.block2": 2,
        "stage5.block1": 3,
        "stage3": None,
        "all": None,
    }


def test_a_block_has_the_statistics_of_its_gates_and_a_stage_none():
    reading = make_reading()
    rows = {row.place: row for row in rows_of(reading)}
    block = rows["stage3.block2"]
    assert block.mean == reading.blocks["stage3.block2"].mean
    assert block.class_share == reading.blocks["stage3.block2"].class_share
    assert (block.se, block.channels) == ("standard:4", 64)
    assert (rows["stage3"].mean, rows["stage3"].channels) == (None, 128)


def test_one_replicate_has_no_rows_of_a_mean():
    rows = rows_of(make_reading())
    assert {row.replicate for row in rows} == {0}
    assert summary_rows(rows) == rows


def test_rows_of_several_replicates_end_in_their_means_with_ranks_of_their_own():
    first, second = make_reading(lost=(0, 40, 4, 1)), make_reading(lost=(60, 0, 4, 1), seed=1)
    rows = rows_of(first, second)
    means = {row.place: row for row in summary_rows(rows)}
    assert len(rows) == 3 * len(means)
    assert means["stage2.block1"].drop == pytest.approx(30 / 400)
    assert means["stage2.block1"].rank == 1
    assert means["stage5.block1"].mean == pytest.approx(
        np.mean([reading.blocks["stage5.block1"].mean for reading in (first, second)])
    )
    assert means["stage2.block1"].drop_low < 0 < means["stage2.block1"].drop_high


@pytest.mark.parametrize(
    ("block", "start"),
    [
        (SE("standard", 4), 0.5),
        (SE("standard", 4, gate="tanh"), 0.0),
        (SE("standard", 4, gate_init="double"), 1.0),
        (SE("standard", 4, bias=True, gate_init="open"), 1.0),
        (SE("standard", 0, kind="eca"), 0.5),
        (SE("standard", 0, kind="ge"), None),
        (SE("native", 4), None),
        (None, None),
    ],
)
def test_gates_begin_where_their_design_says(block, start):
    assert find_start(block) == start

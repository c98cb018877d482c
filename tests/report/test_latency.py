"""What is told of latencies: tables of 80 columns, sentences, JSON and CSV with equal numbers."""

import csv
import json
from dataclasses import replace
from io import StringIO

from rich.console import Console
from support.latency import Clock, add_by_width, measure_made_up
from support.spaces import described

from se_search.report.figures.latency import draw_latency, prepare_latency
from se_search.report.json_text import to_json
from se_search.report.latency import (
    describe_latency,
    latency_table,
    latency_to_json,
    whole_table,
    write_latency_csv,
)
from se_search.space.bound import BoundSpace
from se_search.space.schema import read_space

SPACE = BoundSpace(read_space("stages_ratio"), described("resnet20_bottleneck"))
TABLE = measure_made_up(SPACE, clock=Clock(noise=0.01))


def show(table, width=80):
    console = Console(file=StringIO(), width=width)
    console.print(table)
    return console.file.getvalue()


def test_the_table_fits_80_columns_and_keeps_time_beside_macs():
    text = show(latency_table(TABLE))
    assert max(map(len, text.splitlines())) <= 80
    assert "+ ms" in text
    assert "0.621" in text  # per cent of the MACs: standard:8 in stage 2
    assert text.count("standard:") == 16
    assert max(map(len, show(whole_table(TABLE, TABLE.whole)).splitlines())) <= 80


def test_sentences_name_the_floor_and_how_far_sums_are_off():
    text = " ".join(describe_latency(TABLE))
    assert f"Noise floor: {TABLE.floor_pct:.2f} %" in text
    assert f"off by {TABLE.sum_error.median_pct:.2f} %" in text
    assert "batch norm is not folded" in text
    assert "CPU starts kernels" not in text


def test_a_gpu_that_waits_for_its_kernels_to_be_started_is_told():
    assert "for 97 % of the time" in " ".join(describe_latency(replace(TABLE, launch_share=0.97)))
    assert "kernels" not in " ".join(describe_latency(replace(TABLE, launch_share=0.3)))


def test_blocks_below_zero_are_counted():
    table = measure_made_up(SPACE, lambda candidate: -add_by_width(candidate))
    assert "16 kinds of SE blocks measured below zero" in " ".join(describe_latency(table))


def test_json_and_csv_have_the_numbers_of_the_table(tmp_path):
    found = json.loads(to_json(latency_to_json(TABLE)))
    assert found["floor_pct"] == TABLE.floor_pct
    assert found["sums"]["added_ns"] == dict(TABLE.sums.added)
    assert found["sum_error"]["count"] == 30
    write_latency_csv(tmp_path / "a.csv", TABLE)
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert [float(row["added_pct"]) for row in rows] == [d.timing.added_pct for d in TABLE.deltas]
    assert float(rows[0]["block_added_pct"]) == TABLE.deltas[0].added_pct


def test_the_figure_has_a_point_for_each_kind_of_block_and_each_whole_candidate():
    prepared = prepare_latency(TABLE)
    assert len(prepared.points) == 16
    assert len(prepared.whole) == 30
    sums, added = draw_latency(prepared).axes
    assert [label.get_text() for label in added.get_xticklabels()][:4] == ["8", "4", "2", "1"]
    assert sums.get_xlabel() == "measured whole, %"
    assert draw_latency(replace(prepared, whole=())).axes[0].get_ylim()[0] < 0

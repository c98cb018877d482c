"""What was timed is kept for the next time, and what may disturb a measurement is told."""

from dataclasses import replace

import pytest
from support.latency import GROUND, SETTINGS, measure_made_up
from support.spaces import described

from se_search.cost import find_allowed
from se_search.execution.latency import (
    KeptTimings,
    describe_plan,
    list_disturbances,
)
from se_search.latency.measure import Probe, Structure, plan_measurement
from se_search.latency.settings import LatencySettings
from se_search.space.bound import BoundSpace
from se_search.space.schema import read_space

SPACE = BoundSpace(read_space("stages"), described("resnet20_bottleneck"))
TIMING = measure_made_up(SPACE).same[0]
PLAN = plan_measurement(find_allowed(SPACE), Probe(GROUND, 0.05, 0.1, None), 60.0)


def keep_in(folder, ground=GROUND, backbone=SPACE.backbone):
    return KeptTimings.of(ground, backbone, folder)


def test_a_timing_is_kept_for_a_network_on_a_ground(tmp_path):
    structure = Structure("a network", SPACE.candidate_at(3))
    keep_in(tmp_path).keep(structure, TIMING)
    keep_in(tmp_path).keep(replace(structure, name="another"), TIMING)
    assert keep_in(tmp_path).read() == {"a network": TIMING, "another": TIMING}


@pytest.mark.parametrize(
    "change",
    [
        {"settings": replace(SETTINGS, batch=2)},
        {"settings": replace(SETTINGS, compile="default")},
        {"hardware": "another CPU"},
        {"versions": {"PyTorch": "2.15.0"}},
    ],
)
def test_what_was_timed_otherwise_is_not_taken(tmp_path, change):
    keep_in(tmp_path).keep(Structure("a network", SPACE.candidate_at(3)), TIMING)
    assert keep_in(tmp_path, replace(GROUND, **change)).read() == {}


def test_a_network_of_the_users_own_is_measured_each_time(tmp_path):
    own = replace(SPACE.backbone, allow_code=True)
    kept = keep_in(tmp_path, backbone=own)
    kept.keep(Structure("a network", SPACE.candidate_at(3)), TIMING)
    assert kept.read() == {}
    assert not list(tmp_path.iterdir())


def test_a_file_that_was_cut_off_is_measured_anew(tmp_path):
    kept = keep_in(tmp_path)
    kept.keep(Structure("a network", SPACE.candidate_at(3)), TIMING)
    kept.path.write_text(kept.path.read_text()[:40])
    assert kept.read() == {}


def test_how_long_it_takes_is_said_before_it_begins():
    text = describe_plan(PLAN, len(PLAN.structures), 60.0)
    assert "4 kinds of SE blocks and 11 whole candidates" in text
    assert f"19 networks x {PLAN.rounds} rounds of 1 run, about" in text
    assert "more than" not in text
    assert "more than the 5 s of the budget" in describe_plan(PLAN, len(PLAN.structures), 5.0)
    assert "3 were measured before" in describe_plan(PLAN, len(PLAN.structures) - 3, 60.0)
    assert "--remeasure" in describe_plan(PLAN, 0, 60.0)


@pytest.mark.parametrize(
    ("settings", "load", "gib", "expected"),
    [
        (SETTINGS, 0.4, 0, []),
        (SETTINGS, None, 0, []),
        (SETTINGS, 3.0, 0, ["3.0 were busy on 2 cores; CPU time is counted"]),
        (replace(SETTINGS, threads=2), 3.0, 0, ["times will be longer and scatter"]),
        (LatencySettings("cuda:0", 64, 1), 0.1, 9, ["9.0 GiB of the GPU were taken before"]),
    ],
)
def test_what_may_disturb_times_is_told_with_figures(settings, load, gib, expected):
    probe = Probe(GROUND, 0.01, 0.1, None, gib * 2**30)
    lines = list_disturbances(settings, probe, load, cores=2)
    assert len(lines) == len(expected)
    assert all(part in line for part, line in zip(expected, lines, strict=True))

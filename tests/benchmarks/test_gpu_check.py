"""How ``benchmarks/gpu_check`` judges, isolates and reports its checks, and what it draws."""

import io
import json
import math
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.gpu_check.check import CHECKS, parse_arguments, write
from benchmarks.gpu_check.drawings import draw_folder
from benchmarks.gpu_check.findings import (
    Outcome,
    at_least,
    at_most,
    format_table,
    judge,
    require,
    tell,
)
from benchmarks.gpu_check.inputs import choose_loaders
from benchmarks.gpu_check.running import NO_TIME, Check, run_checks
from se_search.training.image_scan import scan_folder


class FakeSetting:
    """What checks run on, where they touch no device."""

    def __init__(self):
        self.times_cleaned = 0

    def clean_up(self):
        self.times_cleaned += 1


def passing(_setting):
    yield require("a claim", True)


def breaking(_setting):
    yield require("a claim", True)
    raise ValueError("no\nluck")


def endless(_setting):
    yield tell("a figure", 1)
    while True:
        try:
            time.sleep(0.01)
        except Exception:
            pytest.fail("the end of the time was taken for an error of the check")


@pytest.fixture
def setting():
    return FakeSetting()


# --- judging --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("findings", "verdict"),
    [
        ([at_most("a", 1.05, 1.05), tell("b", 7)], "PASS"),
        ([at_most("a", 1.06, 1.05), require("b", True)], "FAIL"),
        ([at_least("a", 0.3, 0.4)], "FAIL"),
        ([at_most("a", math.nan, 1.05)], "FAIL"),
        ([tell("nothing has a bound", 1)], "FAIL"),
        ([], "FAIL"),
    ],
)
def test_a_check_passes_if_it_keeps_each_bound_and_has_one(findings, verdict):
    assert judge(findings) == verdict


def test_a_check_that_breaks_fails_and_the_others_still_run(setting):
    said = []
    checks = [Check("first", breaking), Check("second", passing)]
    first, second = run_checks(checks, setting, 60, said.append)
    assert (first.verdict, first.problem) == ("FAIL", "ValueError: no luck")
    assert [finding.what for finding in first.findings] == ["a claim"]
    assert (second.verdict, second.problem) == ("PASS", None)
    assert setting.times_cleaned == 2
    assert any("in breaking" in text for text in said)  # where it broke


def test_a_check_that_takes_too_long_is_broken_off_and_later_ones_are_not_run(setting):
    checks = [Check("first", endless), Check("second", passing)]
    first, second = run_checks(checks, setting, 0.05, lambda _: None)
    assert (first.verdict, first.problem, len(first.findings)) == ("FAIL", NO_TIME, 1)
    assert 0.05 <= first.seconds < 5
    assert (second.verdict, second.problem, second.seconds) == ("NOT RUN", NO_TIME, 0.0)


def test_a_check_that_ends_in_time_is_never_interrupted_afterwards(setting):
    run_checks([Check("only", passing)], setting, 0.05, lambda _: None)
    time.sleep(0.1)  # an alarm that were still set would raise here


def test_outcomes_are_handed_on_after_each_check(setting):
    counts = []
    checks = [Check("first", breaking), Check("second", passing)]
    run_checks(checks, setting, 60, lambda _: None, lambda outcomes: counts.append(len(outcomes)))
    assert counts == [1, 2]


# --- what is printed and written ------------------------------------------------------------------


def test_the_table_has_each_figure_with_its_bound_and_each_problem():
    outcomes = [
        Outcome("speed", "FAIL", 2.0, (at_most("ratio", 1.2, 1.05), tell("pace", 3.0, "ms"))),
        Outcome("memory", "NOT RUN", 0.0, (), "the time was up"),
    ]
    rows = [line.split() for line in format_table(outcomes).splitlines()]
    assert ["speed", "ratio", "1.2", "at", "most", "1.05", "FAIL"] in rows
    assert ["speed", "pace", "3", "ms"] in rows
    assert ["memory", "the", "time", "was", "up", "NOT", "RUN"] in rows


def test_the_file_of_figures_is_json_with_the_versions(tmp_path):
    ratio = at_most("ratio", np.float64(0.5), 1.05)  # NumPy's booleans are none of JSON's
    findings = (require("the same bits twice", np.bool_(True)), ratio, tell("steps", np.int64(3)))
    outcome = Outcome("repeatability", "PASS", 1.5, findings)
    write(tmp_path / "gpu.json", {"device": "a card", "driver": "580.1"}, [outcome])
    content = json.loads((tmp_path / "gpu.json").read_text())
    assert content["environment"] == {"device": "a card", "driver": "580.1"}
    (check,) = content["checks"]
    assert (check["name"], check["verdict"], check["seconds"]) == ("repeatability", "PASS", 1.5)
    assert [each["value"] for each in check["findings"]] == [True, 0.5, 3]
    assert [each["passed"] for each in check["findings"]] == [True, True, None]


# --- the command line -----------------------------------------------------------------------------


def test_all_checks_run_unless_some_are_chosen():
    assert parse_arguments([]).only == [check.name for check in CHECKS]
    assert parse_arguments(["--only", "amp, memory"]).only == ["amp", "memory"]


@pytest.mark.parametrize("words", [["--only", "speed"], ["--only", ""], ["--minutes", "0"]])
def test_a_check_that_there_is_not_and_no_time_are_refused(words, capsys):
    with pytest.raises(SystemExit) as ended:
        parse_arguments(words)
    assert ended.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_a_rehearsal_needs_no_files_of_data():
    assert parse_arguments(["--device", "cpu"]).data == "digits"
    assert parse_arguments([]).data == "fashion_mnist"


# --- images ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cores", "chosen"), [(16, [1, 4, 8, 15]), (8, [1, 4, 7]), (2, [1]), (1, [1])]
)
def test_processes_that_read_images_leave_a_core_to_the_training(cores, chosen):
    assert choose_loaders((1, 4, 8, 15), cores) == chosen


def test_drawn_images_are_different_files_of_the_size_that_a_scan_takes(tmp_path: Path):
    folder = draw_folder(tmp_path / "images", 120, (24, 16))
    scan = scan_folder(folder, tmp_path / "cache")
    assert scan.listing.counts("train") == (12,) * 10
    assert scan.median_side == 16
    assert len({record.tobytes() for record in scan.records["digest"]}) == 120
    content = next(folder.rglob("*.jpg")).read_bytes()
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (24, 16))
        assert image.getextrema()[0][0] < image.getextrema()[0][1]

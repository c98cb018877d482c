"""The files of a study: the paper's figures beside ours, verdicts, and what is missing."""

import csv
from dataclasses import replace

import pytest
from support.studies import judge_made_up, study_file

from se_search.analysis.sequential import LookPlan
from se_search.reproduction.report import (
    closing_lines,
    study_table,
    to_markdown,
    write_results,
)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    report = judge_made_up(tmp_path_factory.mktemp("store") / "one" / "desk")
    write_results(report)
    return report


def read(report, name):
    with (report.folder / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_claims_have_the_papers_difference_where_it_has_both_figures(report):
    assert [row["paper"] for row in read(report, "claims.csv")] == ["+1.00", "-1.00", "", "+1.00"]


def test_claims_have_our_difference_in_points(report):
    differences = [100 * verdict.comparison.difference for verdict in report.verdicts]
    found = [float(row["ours"]) for row in read(report, "claims.csv")]
    assert found == pytest.approx(differences, abs=0.005)


def test_candidates_have_errors_in_per_cent_and_the_papers(report):
    row = read(report, "candidates.csv")[1]
    mean = 100 - 100 * sum(report.candidates[1].top1) / 6
    assert float(row["top-1 error %"].split(" ± ")[0]) == pytest.approx(mean, abs=0.005)
    assert (row["paper: top-1 error %"], row["paper: top-5 error %"]) == ("9.00", "1.00")
    assert row["replicates"] == "6"


def test_a_figure_that_the_paper_lacks_is_left_empty(report):
    row = read(report, "candidates.csv")[2]
    assert (row["paper: top-1 error %"], row["paper: params"]) == ("", "")


def test_the_page_says_of_each_claim_whether_it_holds_in_the_paper_and_here(report):
    page = (report.folder / "results.md").read_text(encoding="utf-8")
    assert "**all beats none**: holds by the paper's figures (+1.00); supported here." in page
    assert "does not hold by the paper's figures (-1.00); refuted here." in page
    assert "**all equals none within 30 in top-5**: the paper has no figures for this" in page


def test_a_figure_is_drawn(report):
    assert (report.folder / "results.png").read_bytes().startswith(b"\x89PNG")
    assert (report.folder / "results.pdf").read_bytes().startswith(b"%PDF")


def test_costs_are_written_only_where_the_study_asks_for_them(report, tmp_path):
    assert not (report.folder / "costs.csv").exists()
    costs = {"backbones": ["resnet20_bottleneck"], "candidates": {"all": "all=standard:r16"}}
    with_costs = judge_made_up(tmp_path, file=study_file(costs=costs))
    write_results(with_costs)
    (row,) = read(with_costs, "costs.csv")
    assert int(row["added"]) == with_costs.costs[0].added_params


def test_the_page_counts_the_trainings_that_are_missing(tmp_path):
    report = judge_made_up(tmp_path, replicates=range(2), wanted=range(6))
    assert "Still missing: 12 trainings." in to_markdown(report)


def test_the_page_names_the_claims_that_are_not_judged(tmp_path):
    page = to_markdown(judge_made_up(tmp_path, replicates=[0]))
    assert "all beats none: not judged" in page
    assert "No claim could be judged." in page


def test_the_page_names_versions_and_hardware(report):
    line = next(line for line in to_markdown(report).splitlines() if "Made with" in line)
    assert "torch 1.0" in line
    assert "Python 3.12.1" in line
    assert "a CPU" in line


def test_the_terminals_table_has_a_row_a_claim(report):
    assert len(study_table(report).rows) == len(report.verdicts)


def test_the_closing_lines_give_the_detectable_differences(report):
    first, second = (
        replace(verdict, comparison=replace(verdict.comparison, detectable=gap))
        for verdict, gap in zip(report.verdicts, (0.0241, 0.0412), strict=False)
    )
    both = replace(report, verdicts=[first, second])
    assert "at least 2.41 to 4.12 points, depending on" in closing_lines(both)[-1]
    one = replace(report, verdicts=[first, first])
    assert "at least 2.41 points; claims about" in closing_lines(one)[-1]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(42.0, "42 s"), (240.0, "4 min"), (1_440.0, "0.4 hours"), (12_960.0, "3.6 hours")],
)
def test_less_than_a_tenth_of_an_hour_of_training_is_told_in_smaller_units(report, seconds, text):
    assert f"; {text} of training in all." in to_markdown(replace(report, seconds=seconds))


def test_the_closing_lines_name_the_level_of_the_test_whose_power_they_tell(tmp_path, report):
    """At the last of four looks 0.88 % are left on each side."""
    assert "a paired t test (5 %, two-sided) finds" in closing_lines(report)[-1]
    looks = judge_made_up(tmp_path, replicates=range(8), wanted=range(20), looks=LookPlan())
    assert "a paired t test (1.8 %, two-sided, as at the last look)" in closing_lines(looks)[-1]


def test_a_figure_is_drawn_anew_only_where_it_would_show_something_else(tmp_path):
    def times(report):
        write_results(report)
        return [(report.folder / f"results.{kind}").stat().st_mtime_ns for kind in ("png", "pdf")]

    first = times(judge_made_up(tmp_path))
    assert times(judge_made_up(tmp_path)) == first
    other = times(judge_made_up(tmp_path, replicates=range(7)))
    assert all(after > before for after, before in zip(other, first, strict=True))
    (tmp_path / "results.pdf").unlink()
    assert times(judge_made_up(tmp_path, replicates=range(7))) != other


def test_before_the_first_look_the_page_has_every_claim_and_no_verdict(tmp_path):
    report = judge_made_up(tmp_path, replicates=range(5), wanted=range(20), looks=LookPlan())
    write_results(report)
    page = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "5 of 8 replicates of the first look are trained; nothing is decided before" in page
    assert "Looking saved" not in page
    assert "| all beats none | +1.00 |  |  | 5 of 20 | not yet | before look 1 of 4 |" in page
    assert {row["verdict"] for row in read(report, "claims.csv")} == {"not yet"}
    assert not (tmp_path / "results.png").exists()
    assert "results.png" not in page

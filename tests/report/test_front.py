"""The closing words and files of a run: what they say of how sure the front is."""

import csv
import json
from dataclasses import replace

import pytest
from rich.console import Console
from support.made_up_trainings import OBJECTIVES, SPACE, make_trainings, record_of, records_of

from se_search.analysis.pareto import summarize
from se_search.report.display import JsonDisplay, print_findings
from se_search.report.run_report import Findings, front_caution, front_table
from se_search.store.run_folder import RunFolder
from se_search.surrogate.posterior_front import fit_front, plain_front


@pytest.fixture(scope="module")
def records():
    return records_of(*make_trainings(0, 40)[::2])


@pytest.fixture(scope="module")
def credible(records):
    return fit_front(records, SPACE, OBJECTIVES, 4)


def text_of(thing):
    console = Console(width=160)
    with console.capture() as capture:
        console.print(thing)
    return capture.get()


def test_the_table_has_a_row_a_member_with_estimate_mean_and_probability(credible):
    text = text_of(front_table(credible))
    for member in credible.front:
        (line,) = [line for line in text.splitlines() if f" {member.summary.params} " in line]
        assert f"{100 * member.estimate:.2f} ± " in line
        assert f"{100 * member.summary.accuracy:.2f} ({member.summary.num_replicates})" in line
        assert f" {member.probability_on_front:.2f} " in line
    assert f"{len(credible.front)} of {len(credible.candidates)} candidates" in text


def test_the_table_of_usual_placements_fits_into_120_columns(credible):
    front = [
        replace(c, summary=replace(c.summary, placement="s2:16 s3:16 s4:16 s5:64", macs=2_000_000))
        for c in credible.candidates
    ]
    text = text_of(front_table(replace(credible, candidates=tuple(front))))
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 120


def test_the_caution_counts_what_is_not_listed_and_names_the_command(credible, tmp_path):
    text = front_caution(Findings(tmp_path, credible, [], 4, []))
    count = len(credible.unlisted)
    assert count > 1
    assert f"{count} more candidates have a P(front) of 0.05 or more" in text
    assert f"se-search confirm {tmp_path}" in text
    assert f"{100 * credible.seed_sd:.2f} points" in text
    area = credible.hypervolume
    for value in (area.median, area.low, area.high, credible.plain_hypervolume):
        assert f"{100 * (credible.reference + value):.2f}" in text


def test_the_caution_says_why_there_is_no_model(tmp_path):
    records = [record_of(i, 0.5 + 0.1 * i, params=100 + i) for i in range(4)]
    text = front_caution(Findings(tmp_path, fit_front(records, SPACE, OBJECTIVES, 4), [], 4, []))
    assert "plain means on validation images, as fewer than 8 trainings have ended" in text
    assert "All 4 members rest on one seed each" in text
    assert "not known yet: no candidate has two" in text
    assert "P(front)" not in text


def test_the_advice_is_a_command_that_works(credible, tmp_path):
    findings = Findings(tmp_path, credible, [], 4, [])
    assert findings.advice.endswith(f": se-search confirm {tmp_path}")
    own = replace(findings, has_code=True)
    assert own.advice.endswith(f": se-search confirm {tmp_path} --allow-code")
    without = front_caution(replace(findings, has_test=False))
    assert "can't be confirmed without test images" in without
    assert "se-search confirm" not in without


def test_that_no_member_rests_on_one_seed_is_said_without_a_zero(credible, tmp_path):
    twice = tuple(
        replace(c, summary=replace(c.summary, num_replicates=2)) for c in credible.candidates
    )
    text = front_caution(Findings(tmp_path, replace(credible, candidates=twice), [], 4, []))
    assert "Each member rests on two seeds or more, and seeds alone" in text


def test_of_a_single_member_it_is_not_said_how_many_members_are_on_the_front(credible, tmp_path):
    one = credible.front[:1]
    text = front_caution(Findings(tmp_path, replace(credible, candidates=one), [], 4, []))
    assert "The only member rests on" in text
    assert "By these probabilities" not in text


def test_a_volume_is_told_with_its_interval_and_what_it_counts_from(records, tmp_path):
    credible = fit_front(records, SPACE, ("accuracy", "params", "macs"), 4)
    text = front_caution(Findings(tmp_path, credible, [], 4, []))
    area = credible.hypervolume
    assert f"accuracy above {100 * credible.reference:.2f} %" in text
    assert f"{100 * area.low:.3f} to {100 * area.high:.3f}" in text


def test_json_has_the_front_with_its_posterior(credible, tmp_path, capsys):
    JsonDisplay().finish(RunFolder(tmp_path), Findings(tmp_path, credible, [], 4, []))
    event = json.loads(capsys.readouterr().out)
    assert [row["key"] for row in event["front"]] == [c.summary.key for c in credible.front]
    for row, member in zip(event["front"], credible.front, strict=True):
        assert row["estimate"] == member.estimate
        assert (row["low"], row["high"]) == (member.low, member.high)
        assert row["probability_on_front"] == member.probability_on_front
        assert row["on_plain_front"] == member.summary.on_front
        assert row["accuracy"] == member.summary.accuracy
    assert event["hypervolume"]["low"] == credible.hypervolume.low
    assert event["credible_set"] == [c.summary.key for c in credible.credible_set]
    assert event["without_model"] is None


def test_without_candidates_there_is_no_table(tmp_path):
    console = Console(width=120)
    nothing = plain_front(summarize([], OBJECTIVES), "fewer than 8 trainings have ended")
    with console.capture() as capture:
        print_findings(console, Findings(tmp_path, nothing, [], 4, []))
    assert "there is no front" in capture.get()


def test_csv_files_have_a_row_a_candidate_and_a_row_a_member(records, credible, tmp_path):
    from se_search.report.run_report import CANDIDATE_FIELDS, FRONT_FIELDS, write_candidates

    path = tmp_path / "candidates.csv"
    write_candidates(path, CANDIDATE_FIELDS, credible.candidates)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["key"] for row in rows] == [c.summary.key for c in credible.candidates]
    assert [float(row["estimate"]) for row in rows] == [c.estimate for c in credible.candidates]
    assert [row["on_front"] == "True" for row in rows] == [c.on_front for c in credible.candidates]
    assert [row["on_plain_front"] == "True" for row in rows] == [
        c.summary.on_front for c in credible.candidates
    ]
    assert set(FRONT_FIELDS) < set(rows[0])

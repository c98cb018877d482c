"""The front as a table, as CSV files and as plain data, and what is printed behind an answer."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from support.made_up_fronts import (
    DEAR,
    GOOD,
    LEAVE,
    NOTHING,
    PLAIN,
    PUT,
    UNSETTLED,
    make_candidate,
    make_effect,
    make_effects,
    make_facts,
    make_front,
)

from se_search.report.answer import make_answer
from se_search.report.display import JsonDisplay, print_findings
from se_search.report.event import front_fields
from se_search.report.front_table import find_taken, front_table, list_front
from se_search.report.run_report import FRONT_FIELDS, Findings, write_candidates
from se_search.store.run_folder import RunFolder

RUN = Path("runs/width")


def findings_of(front, **known):
    return Findings(RUN, front, make_answer(front, make_facts(RUN)), [], 4, [], **known)


def shown(thing, width=160):
    console = Console(width=width)
    with console.capture() as capture:
        console.print(thing)
    return capture.get()


def printed(findings, **options):
    console = Console(width=160)
    with console.capture() as capture:
        print_findings(console, findings, **options)
    return capture.get()


def test_the_table_has_a_row_for_each_listed_candidate_with_gain_replicates_and_costs():
    text = shown(front_table(make_front()))
    (line,) = [line for line in text.splitlines() if " s2:4 " in line]
    cells = [cell.strip() for cell in line.strip("│ ").split("│")]
    assert cells == [
        *("s2:4", "+0.62 (0.31 to 0.93)", "1", "0.60", "100,200", "0.20", "1,000,400", "take it"),
    ]
    assert "s2:8 s4:16" not in text  # it is not listed
    assert "Front: 2 of 3 candidates trained" in text


def test_the_plain_network_gains_nothing_and_needs_no_interval():
    (line,) = [line for line in shown(front_table(make_front())).splitlines() if "no SE" in line]
    assert line.split("│")[2].strip() == "0"


def test_candidates_that_may_be_on_the_front_and_are_not_listed_are_counted():
    assert "1 more candidate may be on the front" in shown(front_table(make_front()))
    sure = make_front(candidates=(PLAIN, GOOD))
    assert "may be on the front" not in shown(front_table(sure))


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"decision": PUT}, GOOD),
        ({"decision": LEAVE}, PLAIN),
        ({"decision": NOTHING}, None),
        ({"decision": NOTHING, "unproven": "all trainings are of one replicate"}, None),
    ],
)
def test_only_the_candidate_of_an_answer_is_to_be_taken(known, expected):
    front = make_front(**known)
    assert find_taken(front) == expected
    lines = [line for line in shown(front_table(front)).splitlines() if "take it" in line]
    assert len(lines) == (expected is not None)
    assert all(expected.summary.placement in line for line in lines)


def test_others_that_are_surely_better_are_marked_so():
    front = make_front(candidates=(PLAIN, GOOD, replace(DEAR, is_listed=True)))
    (line,) = [line for line in shown(front_table(front)).splitlines() if "s2:8 s4:16" in line]
    assert line.strip("│ ").endswith("better")


def test_the_table_of_usual_placements_fits_into_120_columns():
    long = make_candidate("s2:16 s3:16 s4:16", 0.0062, 0.0031, added=200, num_replicates=12)
    summary = replace(long.summary, placement="s2:16 s3:16 s4:16 s5:64", macs=2_000_000)
    front = make_front(candidates=(PLAIN, replace(long, summary=summary)))
    assert max(len(line.rstrip()) for line in shown(front_table(front)).splitlines()) <= 120


def test_what_is_listed_is_a_row_of_the_front_even_if_something_free_dominates_it():
    free = make_candidate("s2:ge", 0.001)
    plain = replace(PLAIN, on_front=False)
    front = make_front(LEAVE, candidates=(plain, free, DEAR))
    assert list_front(front) == [plain, free, DEAR]


# --- what is printed ------------------------------------------------------------------------


def test_an_answer_is_printed_in_its_order_and_the_front_only_if_asked_for():
    findings = findings_of(
        make_front(settled=UNSETTLED, effects=make_effects(make_effect("stage2", 0.6, 0.3)))
    )
    text = printed(findings)
    answer = findings.answer
    parts = [answer.what, "stage 2", answer.how_sure[:40], answer.next_step.text]
    places = [text.index(part) for part in [*parts, answer.next_step.command]]
    assert places == sorted(places)
    assert "P(front)" not in text
    assert "P(front)" in printed(findings, with_front=True)


def test_a_command_is_a_line_of_its_own_that_is_never_broken():
    findings = findings_of(make_front(settled=UNSETTLED))
    command = "se-search run --space width " + "--data folder:" + "x" * 90
    step = replace(findings.answer.next_step, command=command)
    findings = replace(findings, answer=replace(findings.answer, next_step=step))
    console = Console(width=60)
    with console.capture() as capture:
        print_findings(console, findings)
    assert f"  {command}" in capture.get().splitlines()


def test_without_candidates_there_is_an_answer_all_the_same():
    nothing = replace(NOTHING, reason="no full training has ended yet")
    text = printed(findings_of(make_front(nothing, UNSETTLED, ())), with_front=True)
    assert "Nothing can be said: no full training has ended yet." in text
    assert "0 of 0 candidates" in text


def test_files_are_told_by_their_names_behind_their_folder():
    findings = replace(findings_of(make_front()), files=[RUN / "pareto.png", RUN / "trials.csv"])
    assert "Written to runs/width: pareto.png, trials.csv\n" in printed(findings)


# --- files and plain data -------------------------------------------------------------------


def test_the_end_of_a_search_as_json_has_its_answer_and_its_front(capsys):
    findings = findings_of(make_front())
    JsonDisplay().finish(RunFolder(RUN), findings)
    event = json.loads(capsys.readouterr().out)
    assert event["answer"] == json.loads(json.dumps(findings.answer.to_json()))
    assert event["recommended"] == GOOD.summary.key
    assert event["settled"]["is_settled"] is True
    assert event["noise"]["level_sd"] == findings.credible.noise.level_sd


def test_rows_of_the_front_say_what_is_known_of_each_gain():
    rows = front_fields(make_front())["front"]
    assert [row["placement"] for row in rows] == ["no SE", "s2:4", "s2:8 s4:16"]
    for row, member in zip(rows, (PLAIN, GOOD, DEAR), strict=True):
        assert row["gain"] == member.gain
        assert (row["low"], row["high"]) == (member.low, member.high)
        assert row["probability_better"] == member.probability_better
        assert row["probability_on_front"] == member.probability_on_front
        assert row["is_listed"] == member.is_listed
        assert row["accuracy"] == member.summary.accuracy


def test_csv_files_have_a_row_a_candidate_with_every_mark(tmp_path):
    candidates = (GOOD, PLAIN, DEAR)
    write_candidates(tmp_path / "candidates.csv", FRONT_FIELDS, candidates)
    with (tmp_path / "candidates.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["key"] for row in rows] == [c.summary.key for c in candidates]
    assert [float(row["gain"]) for row in rows] == [c.gain for c in candidates]
    for name in ("is_better", "is_listed", "on_front", "is_plain"):
        assert [row[name] == "True" for row in rows] == [getattr(c, name) for c in candidates]
    assert [row["on_plain_front"] == "True" for row in rows] == [
        c.summary.on_front for c in candidates
    ]

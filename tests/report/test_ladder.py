"""What a report says of supernets: verdicts, biases, the budget, and an order that is no gain."""

import json
import math
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console
from support.made_up_evidence import CANDIDATES, NONE_TRAINED, make_evidence, make_supernets
from support.made_up_fronts import make_facts, make_front
from support.made_up_scores import SPACE

from se_search.report.answer import make_answer
from se_search.report.json_text import to_json
from se_search.report.ladder import (
    describe_budget,
    describe_ladder,
    describe_resolution,
    ladder_fields,
    ladder_table,
    order_table,
    print_ladder,
    read_evidence,
)
from se_search.report.next_step import choose_next_step
from se_search.score import Score
from se_search.store.run_folder import RunFolder
from se_search.store.supernets import SupernetFiles, store_scores


def text_of(evidence, width=200):
    console = Console(file=StringIO(), width=width)
    print_ladder(console, evidence)
    return console.file.getvalue()


def test_a_verdict_has_tau_its_interval_and_the_best_of_what_is_known_before():
    evidence = make_evidence()
    (test,) = evidence.tests
    (line, *_) = describe_ladder(evidence)
    tau, best = test.tau, test.best_baseline
    assert line == (
        "Scores by 2 supernets are used, as they order candidates better than chance, and better "
        f"than costs do. Their tau is {tau.value:.2f} ({tau.low:.2f} to {tau.high:.2f}); that of "
        f"the best cost, {best.name}, is {abs(best.tau.value):.2f}."
    )


def test_scores_that_do_not_tell_are_said_to_be_switched_off():
    (line, *_) = describe_ladder(make_evidence(is_true=False))
    assert line.startswith("Scores by 2 supernets are switched off, as their order may be")


def test_scores_that_no_training_tests_are_said_to_be_untested():
    (line, *_) = describe_ladder(make_evidence(has_probes=False))
    assert line == "Scores by 2 supernets are not tested, as no scored candidate was trained."


def test_a_place_that_is_scored_too_well_is_named_in_points():
    lines = [line for line in describe_ladder(make_evidence(bias=0.006)) if "too well" in line]
    assert len(lines) == 1
    assert lines[0].startswith("They score SE in stage 3 too well, by 0.")


def test_the_budget_is_told_by_trainings_supernets_and_scoring():
    assert describe_budget(make_evidence()) == (
        "Of a budget of 100 trainings' worth the run has spent 71.0: 60 on trainings (26 "
        "trainings of probes among them), 8.0 on training 2 supernets, and 3.0 on scoring "
        "candidates by them."
    )


def test_a_supernet_that_failed_is_named_with_its_reason():
    evidence = make_evidence(supernets=make_supernets("FAIL", "SCORED"))
    told = "Supernet 1 (seed 1000000000) failed: the loss is nan."
    assert told in list(describe_ladder(evidence))


def test_the_table_has_a_row_for_each_rung_and_each_baseline():
    rows = [row[0] for row in ladder_table(make_evidence()).rows]
    assert rows == ["2 supernets", "parameters", "MACs", "SE blocks"]


@pytest.mark.parametrize("width", [60, 100, 200])
def test_it_is_printed_in_terminals_of_any_width(width):
    text = text_of(make_evidence(bias=0.006), width)
    assert max(len(line) for line in text.splitlines() if line[0] in "│┃└├┏┡") <= width
    assert "Of a budget of 100 trainings' worth" in " ".join(text.split())


def test_an_order_is_shown_where_no_probe_supports_it_and_said_to_be_no_gains():
    evidence = make_evidence(has_probes=False)
    assert order_table(evidence).rows[0] == (*(CANDIDATES[1].placement, "+1.20", "+1.00 to +1.40"),)
    assert "which are no gains" in text_of(evidence)
    assert "which are no gains" not in text_of(make_evidence())


def test_a_program_is_told_all_of_it_in_json():
    found = json.loads(to_json(ladder_fields(make_evidence())))
    (rung,) = found["rungs"]
    assert {"tau", "ceiling", "tau_star", "slope", "biases", "verdict", "why"} <= set(rung)
    assert rung["tau"].keys() == {"value", "low", "high"}
    assert found["spent"] == 71.0
    assert len(found["supernets"]) == 2


def test_an_answer_of_supernets_alone_claims_no_gain_and_names_the_ladder():
    evidence = make_evidence(has_probes=False, budget=20, trials=0)
    facts = make_facts(evidence=evidence, num_trials=0, num_trainings=0, num_wanted=20)
    answer = make_answer(make_front(**NONE_TRAINED), facts)
    assert answer.what == (
        "Nothing can be said of gains, as no candidate was trained for itself: 2 supernets put "
        f"{CANDIDATES[1].placement} first of 2 candidates, 1.20 points above the plain network."
    )
    assert answer.candidate is None
    assert answer.how_sure == (
        "Whether the scores order candidates as trainings would is not tested. One of the 287 "
        "images that score is 0.35 points, and two supernets differ by 1.42 points (root mean "
        "square) in how far they put a candidate above the plain network: 1 of the 1 others are no "
        "further than that below the first."
    )
    assert answer.without_places == "no candidate was trained for itself"
    assert "--evaluator ladder" in answer.next_step.command
    assert answer.next_step.trials == 90


@pytest.mark.parametrize(
    ("is_true", "told"),
    [
        (True, "Scores by 2 supernets, worth 11.0 trainings, count as far as trainings agree"),
        (False, "Scores by 2 supernets, worth 11.0 trainings, count for nothing: the run's"),
    ],
)
def test_an_answer_says_which_part_scores_have_in_it(is_true, told):
    facts = make_facts(evidence=make_evidence(is_true=is_true))
    assert told in make_answer(make_front(), facts).how_sure


def test_what_supernets_have_cost_is_no_trial_that_is_still_to_go():
    evidence = make_evidence(trials=60)
    facts = make_facts(evidence=evidence, num_trials=60, num_wanted=80, has_ended=False)
    assert "9 trainings' worth to go" in choose_next_step(make_front(), facts).text


def test_supernets_that_have_not_ended_have_spent_nothing():
    evidence = make_evidence(supernets=make_supernets("SCORED", "DECIDED"), budget=80)
    assert evidence.spent == 60 + 5.5
    facts = make_facts(evidence=evidence, num_trials=60, num_wanted=80, has_ended=False)
    assert "14 trainings' worth to go" in choose_next_step(make_front(), facts).text


def test_of_a_single_supernet_it_is_not_known_by_how_much_they_differ():
    evidence = replace(make_evidence(has_probes=False), disagreement=None)
    assert describe_resolution(evidence) == (
        "One of the 287 images that score is 0.35 points; by how much supernets differ is not "
        "known of a single one."
    )


def test_what_two_supernets_differ_by_is_the_root_mean_square_over_candidates(tmp_path):
    """They differ by 3 points on one candidate and by 4 on another; the plain network is none."""
    files = SupernetFiles(tmp_path)
    texts = [str(one) for one in CANDIDATES[:3]]
    supernets = make_supernets("DECIDED", "DECIDED")
    for record, values in zip(
        supernets.supernets, ((0.5, 0.53, 0.5), (0.6, 0.6, 0.64)), strict=True
    ):
        scores = [
            Score("supernet", record.seed, text, text, value, 0.5, value, 0.1)
            for text, value in zip(texts, values, strict=True)
        ]
        supernets = store_scores(files, supernets, record, scores)
    evidence = read_evidence(RunFolder(tmp_path), [], SPACE, 20, 287)
    assert evidence.disagreement == pytest.approx(math.sqrt((0.03**2 + 0.04**2) / 2))
    assert evidence.num_close == 2
    assert evidence.is_alone


def test_nothing_is_laid_out_of_a_test_that_was_not_made():
    assert "tau / ceiling" not in text_of(make_evidence(has_probes=False))

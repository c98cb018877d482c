"""How far the looks of a study have come."""

from support.studies import candidates_of, judge_made_up, made_up_training, study_file

from se_search.analysis.sequential import LookPlan
from se_search.reproduction.progress import say_progress

HARD = {"claims": ("all beats none by 3", "first beats none")}  # SE gains 4 points


def judge_unequal(folder, numbers, **changes):
    """Judge a study of which each candidate has a number of replicates of its own."""
    file = study_file(**changes)
    trainings = [
        made_up_training(candidate, seed)
        for name, candidate in candidates_of(file).items()
        for seed in range(numbers[name])
    ]
    plan = range(20)
    return judge_made_up(folder, plan, file, trainings, wanted=plan, looks=LookPlan())


def test_before_the_first_look_it_names_the_replicates_that_all_open_claims_have(tmp_path):
    report = judge_unequal(tmp_path, {"none": 6, "all": 6, "first": 5}, **HARD)
    assert say_progress(report) == (
        "5 of 8 replicates of the first look are trained; nothing is decided before the first look."
    )
    assert (report.verdicts, report.num_saved) == ((), 0)


def test_in_the_midst_of_a_look_open_claims_keep_what_the_look_before_said(tmp_path):
    report = judge_unequal(tmp_path, {"none": 10, "all": 11, "first": 8}, **HARD)
    open_, ended = report.verdicts
    assert (open_.ending, open_.comparison.n, ended.ending) == ("open", 8, "decided")
    assert say_progress(report) == (
        "1 of 2 claims are open; 10 of 12 replicates of their next look are trained."
    )


def test_only_trainings_that_no_look_can_ask_for_are_saved(tmp_path):
    """The open claim may take both of its candidates to 20 replicates."""
    report = judge_unequal(tmp_path, {"none": 10, "all": 11, "first": 8}, **HARD)
    assert report.num_saved == 20 - 8
    assert [each.num_possible for each in report.candidates] == [20, 20, 8]


def test_at_the_end_all_claims_have_ended(tmp_path):
    report = judge_made_up(tmp_path, range(8), wanted=range(20), looks=LookPlan())
    assert say_progress(report) == "All claims have ended."


def test_of_a_fixed_plan_there_is_nothing_to_say(tmp_path):
    assert say_progress(judge_made_up(tmp_path)) is None

"""Studies carried out: what is trained, shared, judged and written."""

import math
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
from support.sessions import MadeUpSessions

from se_search.errors import RunError, StudyFileError, TooManyFailuresError
from se_search.record import Evaluation
from se_search.reproduction.options import ReproduceOptions
from se_search.reproduction.plan import make_plan
from se_search.reproduction.reproduce import choose_studies, forecast_studies, reproduce
from se_search.store.training_log import read_log

RECIPE = """
epochs: 1
batch_size: 64
optimizer: {name: sgd, lr: 0.1}
split: {validation: 100}
validate_every: 0
"""
STUDY = """
title: SE on digits
question: Does it help?
baseline: none
candidates:
  none: all=none
  all: all=standard:r16
  CANDIDATE
paper:
  source: made up
  network: none
  figures: {none: {top1_error: 10.0}, all: {top1_error: 9.0, top5_error: 1.0}}
claims: [all beats none, none beats all by 1, all equals none within 30 in top-5,
  all equals none within 30]
scales:
  desk: {backbone: resnet20_bottleneck, data: digits, recipe: r.yaml, replicates: 6}
"""


@pytest.fixture
def folder(tmp_path):
    """Two studies that share two candidates."""
    for name, line in (("one", "first: stage2=standard:r16"), ("two", "last: stage5=standard:r16")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "study.yaml").write_text(STUDY.replace("CANDIDATE", line))
        (tmp_path / name / "r.yaml").write_text(RECIPE)
    return tmp_path


def right_images(assignment, num_test):
    """SE gains 4 points; seeds move a training by 1."""
    rng = np.random.default_rng([assignment.seed, int(assignment.candidate.key, 16)])
    share = 0.8 + 0.04 * any(assignment.candidate.blocks) + 0.01 * rng.standard_normal()
    return rng.random(num_test) < share


def evaluate(assignment):
    """Make a training up."""
    right = right_images(assignment, 360)
    row = {
        "epoch": assignment.epochs,
        "accuracy": 0.5,
        "loss": 1.0,
        "test_accuracy": float(right.mean()),
        "test_loss": 1.0,
        "test_top5": 0.99,
    }
    bits = np.packbits(right).tobytes()
    return Evaluation(0.5, 1.0, (row,), bits, 0.1, test_correct=bits)


@pytest.fixture
def sessions():
    return MadeUpSessions(evaluate)


@pytest.fixture
def trained(sessions):
    """The assignments that were trained."""
    return sessions.trained


@pytest.fixture
def carry_out(folder, sessions):
    """Reproduce studies of the folder with made-up trainings."""

    def run(*names, **changes):
        return reproduce(options(folder, *names, **changes), lambda _: None, sessions)

    return run


def options(folder, *names, **changes):
    return ReproduceOptions(
        names=tuple(str(folder / name) for name in names), store=folder / "store", **changes
    )


def test_studies_share_the_trainings_that_they_have_in_common(folder, trained, carry_out):
    carry_out("one")
    assert len(trained) == 3 * 6
    reports, signal = carry_out("one", "two")
    assert len(trained) == 4 * 6
    assert len({(a.candidate.key, a.seed) for a in trained}) == 4 * 6
    assert signal is None
    assert [report.num_missing for report in reports] == [0, 0]
    assert len(list((folder / "store").glob("*.jsonl"))) == 1


def test_all_candidates_are_trained_in_one_replicate_before_the_next(folder, trained, carry_out):
    carry_out("one", "two", replicates=3, force=True)
    assert [a.seed for a in trained] == [0] * 4 + [1] * 4 + [2] * 4


def options_of_looks(folder, study, replicates=20):
    """Return the text of a study with that many replicates at the last look."""
    file = folder / study / "study.yaml"
    return file.write_text(file.read_text().replace("replicates: 6", f"replicates: {replicates}"))


def test_a_claim_that_is_decided_at_the_first_look_needs_no_further_training(
    folder, trained, carry_out
):
    """A gain of 4 points with seeds that move a training by 1 is seen in 8 replicates."""
    options_of_looks(folder, "one")
    (report,), _ = carry_out("one")
    assert len(trained) == 3 * 8
    assert {verdict.ending for verdict in report.verdicts} == {"decided"}
    assert (report.num_missing, report.num_saved) == (0, 3 * (20 - 8))
    page = (report.folder / "results.md").read_text()
    assert "Looking saved 36 trainings of the 60 of the whole plan." in page
    assert "decided, look 1 of 4" in page


def test_only_candidates_of_open_claims_are_trained_for_the_next_look(folder, carry_out, trained):
    """Whether SE gains more than 2 points takes long to decide where it gains 4."""
    options_of_looks(folder, "one")
    file = folder / "one" / "study.yaml"
    file.write_text(file.read_text().replace("all beats none,", "all beats none by 2,"))
    file.write_text(file.read_text().replace("none beats all by 1", "first beats none"))
    (report,), _ = carry_out("one")
    (open_, *others) = report.verdicts
    assert open_.comparison.n > 8
    assert {verdict.comparison.n for verdict in others} == {8}
    first = next(result for result in report.candidates if result.name == "first")
    assert len(first.replicates) == 8
    assert len(trained) == 8 + 2 * open_.comparison.n


def test_the_plan_is_kept_before_the_first_training(folder, sessions):
    found = []

    def look(assignment):
        found.append((folder / "store" / "one" / "desk" / "plan.yaml").read_text())
        return evaluate(assignment)

    options_of_looks(folder, "one")
    reproduce(options(folder, "one"), lambda _: None, MadeUpSessions(look))
    assert len(set(found)) == 1
    assert "all beats none" in found[0]
    assert "20" in found[0]
    assert "num_before: 0" in found[0]


def test_other_looks_or_claims_after_a_look_are_refused(folder, carry_out, trained):
    options_of_looks(folder, "one")
    carry_out("one")
    num_trained = len(trained)
    with pytest.raises(RunError, match="replicates 12 is not the plan that was stated"):
        carry_out("one", replicates=12)
    file = folder / "one" / "study.yaml"
    file.write_text(file.read_text().replace("none beats all by 1", "none beats all by 2"))
    with pytest.raises(RunError, match="claims or candidates are others"):
        carry_out("one")
    assert len(trained) == num_trained


def test_replicates_that_change_in_the_file_after_the_plan_was_stated_are_said_to_wait(
    folder, sessions, trained
):
    options_of_looks(folder, "one", 8)
    reproduce(options(folder, "one"), lambda _: None, sessions)
    file = folder / "one" / "study.yaml"
    file.write_text(file.read_text().replace("replicates: 8", "replicates: 20"))
    notes: list[str] = []
    (report,), _ = reproduce(options(folder, "one"), notes.append, sessions)
    assert report.setting.looks.looks == (8,)
    assert any("the 20 replicates of its study.yaml are for a new plan" in note for note in notes)


def test_a_study_without_a_paper_is_judged_without_one(folder, carry_out):
    file = folder / "one" / "study.yaml"
    text = file.read_text()
    file.write_text(text[: text.index("paper:")] + text[text.index("claims:") :])
    (report,), _ = carry_out("one")
    page = (report.folder / "results.md").read_text()
    assert "**all beats none**: supported. " in page
    assert "Paper: " not in page
    assert "paper" not in page.split("## Claims")[1].split("## Candidates")[0]
    assert (report.folder / "results.png").is_file()


def test_a_plan_that_can_not_be_read_is_named(folder, carry_out):
    carry_out("one", replicates=2, force=True)
    (folder / "store" / "one" / "desk" / "plan.yaml").write_text("looks: {alpha: 1}")
    with pytest.raises(RunError, match=r"plan.yaml can't be read as the plan of a study"):
        carry_out("one", replicates=2, force=True)


def test_a_later_study_says_how_many_of_its_trainings_were_there_before(folder, carry_out):
    carry_out("one")
    (report,), _ = carry_out("two")
    assert report.setting.num_before == 2 * 6
    assert "stated when 12 trainings of these" in (report.folder / "results.md").read_text()


def test_a_study_that_was_never_stated_says_that_its_trainings_were_there_before(folder, carry_out):
    carry_out("one")
    assert "stated when" not in (folder / "store" / "one" / "desk" / "results.md").read_text()
    (folder / "store" / "one" / "desk" / "plan.yaml").unlink()
    carry_out("one", train=False)
    page = (folder / "store" / "one" / "desk" / "results.md").read_text()
    assert "stated when 18 trainings of these candidates had been made" in page


def test_a_plan_that_decides_nothing_is_refused_before_any_training_unless_forced(
    folder, sessions, trained
):
    notes = []
    with pytest.raises(RunError, match=r"one: Found: nothing; 3 replicates can't decide any"):
        reproduce(options(folder, "one", replicates=3), notes.append, sessions)
    assert (trained, sessions.requests) == ([], [])
    assert not (folder / "store").exists()
    forced = options(folder, "one", replicates=3, force=True)
    reproduce(forced, notes.append, sessions)
    assert len(trained) == 3 * 3
    assert "6 are the fewest that can" in notes[0]


def test_a_plan_that_was_begun_goes_on_without_being_forced_again(folder, carry_out, trained):
    carry_out("one", replicates=3, force=True)
    file = next((folder / "store").glob("*.jsonl"))
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-2]))
    carry_out("one", replicates=3)
    assert len(trained) == 3 * 3 + 2


def test_what_trainings_take_and_find_is_said_before_the_first_of_them(folder):
    notes, seen = [], []

    def look(assignment):
        seen.append(len(notes))
        return evaluate(assignment)

    reproduce(options(folder, "one"), notes.append, MadeUpSessions(look))
    assert seen[0] >= 1
    assert "Trainings: 18 to the last look; 0 are there" in notes[0]
    assert "if a data-centre GPU makes" in notes[0]


def test_a_plan_is_told_without_images_and_without_a_training(folder, tmp_path):
    asked = ReproduceOptions(
        names=("gate",), scale="paper", only_plan=True, store=tmp_path / "nothing"
    )
    (forecast,) = forecast_studies(asked, print)
    assert (forecast.num_networks, forecast.num_done, forecast.num_next) == (4, 0, 4 * 8)
    assert not (tmp_path / "nothing").exists()


def test_trainings_that_are_there_are_left_out_of_a_forecast(folder, carry_out):
    options_of_looks(folder, "one", 8)
    options_of_looks(folder, "two", 8)
    carry_out("one")
    assert forecast_studies(options(folder, "one"), print) == []
    (forecast,) = forecast_studies(options(folder, "one", "two"), print)
    assert (forecast.num_done, forecast.num_next, forecast.num_whole) == (3 * 8, 8, 8)


def test_studies_together_say_what_looking_saved(folder, carry_out):
    for name in ("one", "two"):
        options_of_looks(folder, name)
    carry_out("one", "two")
    page = (folder / "store" / "desk.md").read_text()
    assert "Looking saved 48 of 80 trainings of the whole plan." in page


def test_another_recipe_has_trainings_of_its_own(folder, trained, carry_out):
    carry_out("one", replicates=2, force=True)
    (folder / "one" / "r.yaml").write_text(RECIPE.replace("0.1", "0.2"))
    carry_out("one", replicates=2, force=True)
    assert len(trained) == 2 * 3 * 2


def test_a_page_has_the_claims_of_all_studies_beside_the_paper(folder, trained, carry_out):
    carry_out("one")
    assert not (folder / "store" / "desk.md").exists()
    carry_out("one", "two")
    page = (folder / "store" / "desk.md").read_text()
    assert "8 claims: 6 supported, 2 refuted, 0 undecided" in page
    line = "| [two](two/desk/results.md) | all beats none | +1.00 |"
    assert page.count(line) == 1


def test_results_can_be_made_again_without_training(folder, sessions):
    def interrupt_seventh(assignment):
        if len(stopping.trained) == 7:
            os.kill(os.getpid(), signal.SIGINT)
        return evaluate(assignment)

    stopping = MadeUpSessions(interrupt_seventh)
    reproduce(options(folder, "one"), lambda _: None, stopping)
    (report,), _ = reproduce(options(folder, "one", train=False), lambda _: None, sessions)
    assert sessions.trained == []
    assert report.num_missing == 3 * 6 - 7
    assert "Still missing: 11 trainings." in (report.folder / "results.md").read_text()


def test_without_any_training_there_is_nothing_to_report(carry_out):
    with pytest.raises(StudyFileError, match="no trainings of one yet"):
        carry_out("one", train=False)


def test_a_study_without_trainings_is_left_out_of_the_judgement_of_others(folder, carry_out):
    """Another recipe has a log of its own."""
    (folder / "two" / "r.yaml").write_text(RECIPE.replace("0.1", "0.2"))
    carry_out("one", replicates=2, force=True)
    notes = []
    reports, _ = reproduce(options(folder, "one", "two", train=False), notes.append)
    assert [report.setting.name for report in reports] == ["one"]
    assert any("no trainings of two yet" in text for text in notes)


def test_a_study_of_which_only_shared_trainings_are_there_has_not_been_begun(folder, carry_out):
    carry_out("one", replicates=2, force=True)
    notes = []
    reports, _ = reproduce(options(folder, "one", "two", train=False), notes.append)
    assert [report.setting.name for report in reports] == ["one"]
    assert any("two has not been begun" in text for text in notes)


def test_an_accuracy_that_is_not_finite_is_a_failure_and_never_judged(folder, sessions):
    def diverge(assignment):
        return replace(evaluate(assignment), loss=math.nan)

    notes = []
    with pytest.raises(TooManyFailuresError, match=r"3 trainings in a row failed; .*not finite"):
        reproduce(options(folder, "one"), notes.append, MadeUpSessions(diverge))
    assert sum("failed: accuracy 0.5, loss nan: not finite" in text for text in notes) == 3
    assert read_log(next((folder / "store").glob("*.jsonl"))).trainings == ()


def test_a_stopped_study_is_reported_and_continued_where_it_was(folder, sessions, carry_out):
    def interrupt_fourth(assignment):
        if len(stopping.trained) == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return evaluate(assignment)

    stopping = MadeUpSessions(interrupt_fourth)
    (report,), number = reproduce(options(folder, "one"), lambda _: None, stopping)
    assert number == signal.SIGINT
    assert report.num_missing == 3 * 6 - 4
    carry_out("one")
    assert len(sessions.trained) == 3 * 6 - 4


def test_after_its_minutes_a_study_starts_no_training_and_ends_as_after_ctrl_c(
    folder, sessions, carry_out
):
    def clock():
        return 60.0 * len(timed.trained)

    timed, notes = MadeUpSessions(evaluate), []
    (report,), number = reproduce(
        options(folder, "one", minutes=4), notes.append, timed, clock=clock
    )
    assert number == signal.SIGINT
    assert (len(timed.trained), report.num_missing) == (4, 3 * 6 - 4)
    assert any("the time is up; 14 trainings missing" in text for text in notes)
    carry_out("one")
    assert len(sessions.trained) == 3 * 6 - 4


def test_a_study_that_is_complete_in_its_minutes_ends_well(folder, sessions):
    def clock():
        return 60.0 * len(sessions.trained)

    _, number = reproduce(options(folder, "one", minutes=18), print, sessions, clock=clock)
    assert (number, len(sessions.trained)) == (None, 18)


def test_no_session_is_opened_when_the_time_is_up(folder, sessions):
    """Another recipe has a log, and so a session, of its own."""
    (folder / "two" / "r.yaml").write_text(RECIPE.replace("0.1", "0.2"))
    times = iter([0.0] + [60.0] * 100)
    _, number = reproduce(
        options(folder, "one", "two", minutes=1), print, sessions, clock=lambda: next(times)
    )
    assert (number, sessions.requests) == (signal.SIGINT, [])


def test_a_session_is_opened_for_what_the_study_and_the_user_ask_for(folder, sessions, carry_out):
    carry_out("one", workers=3, threads=2, timeout=9.0, accelerator="cpu")
    (request,) = sessions.requests
    assert (request.data, request.recipe.epochs) == ("digits", 1)
    assert (request.workers, request.threads, request.timeout) == (3, 2, 9.0)
    assert request.accelerator == "cpu"
    (task,) = sessions.tasks
    assert task.with_test


def test_imagenet_must_be_told_where_it_is():
    with pytest.raises(StudyFileError, match="imagenet:PATH"):
        make_plan("gate", ReproduceOptions(names=("gate",), scale="paper"))


def test_a_scale_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(StudyFileError, match="'moon' is not one of desk, gpu, paper"):
        make_plan("gate", ReproduceOptions(names=("gate",), scale="moon"))


def test_of_all_studies_those_that_lack_a_scale_are_named_and_left_out(folder):
    one, two = str(folder / "one"), str(folder / "two")
    file = folder / "two" / "study.yaml"
    file.write_text(file.read_text().replace("desk:", "lab:"))
    notes = []
    assert choose_studies(["all"], [one, two], "desk", notes.append) == [one]
    assert notes == [f"Left out, as they have no scale 'desk': {two}"]


def test_a_study_that_was_asked_for_and_a_scale_that_none_has_are_not_left_out(folder):
    one, two = str(folder / "one"), str(folder / "two")
    notes = []
    assert choose_studies([two, "all"], [one, two], "lab", notes.append) == [two]
    assert len(notes) == 1
    assert choose_studies(["all", one], [two], "lab", notes.append) == [two, one]
    assert choose_studies([one], [two], "desk", notes.append) == [one]
    assert len(notes) == 1


def test_a_study_runs_from_the_command_line_and_is_not_trained_twice(folder, call):
    command = ["reproduce", "one", "--replicates", "2", "--force", "--store", "store"]
    outcome = call(*command, folder=folder)
    assert "6 of them missing" in outcome.stderr
    assert "all beats none" in outcome.stdout
    log = next((folder / "store").glob("*.jsonl"))
    before = log.read_bytes()
    assert len(read_log(log).trainings) == 6
    again = call(*command, folder=folder)
    assert "0 of them missing" in again.stderr
    assert log.read_bytes() == before
    assert again.stdout == outcome.stdout

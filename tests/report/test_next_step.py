"""The next command after a search: which one, whether it can be pasted, and how long it takes."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from support.made_up_configs import CONFIG
from support.made_up_fronts import (
    GOOD,
    LEAVE,
    NOTHING,
    PLAIN,
    PUT,
    SETTLED,
    UNSETTLED,
    make_facts,
    make_front,
)
from support.made_up_trainings import SPACE
from support.records import make_record

from se_search.report.next_step import choose_next_step, count_trials
from se_search.report.run_facts import read_facts
from se_search.surrogate.untrained import Untrained

FACTS = make_facts()


def step(front, facts=FACTS):
    return choose_next_step(front, facts)


def test_what_is_settled_and_goes_in_is_confirmed_in_the_time_of_its_first_look():
    found = step(make_front(PUT, SETTLED))
    assert found.command == "se-search confirm runs/width"
    # The plain network, what is recommended, and SE everywhere: 8 replicates of 6 s, two at a time.
    assert found.seconds == 3 * 8 * 6 / 2
    assert "(about 72 s):" in found.text


def test_what_is_settled_and_stays_out_leaves_nothing_to_do():
    assert step(make_front(LEAVE, SETTLED)).command is None


def test_without_test_images_there_is_nothing_to_confirm_with():
    found = step(make_front(PUT, SETTLED), make_facts(has_test=False))
    assert found.command is None
    assert "no test images" in found.text


@pytest.mark.parametrize("decision", [PUT, LEAVE, NOTHING])
def test_what_is_not_settled_goes_on_with_more_trials(decision):
    found = step(make_front(decision, UNSETTLED))
    assert found.command == "se-search run --space width --trials 400"
    assert found.seconds == 200 * 6 / 2
    assert found.text == "Next: 200 more trials (about 10 min):"


def test_a_search_that_was_stopped_goes_on_to_its_own_total():
    found = step(make_front(PUT, SETTLED), make_facts(num_trials=150, has_ended=False))
    assert found.command == "se-search run --space width --trials 200"
    assert "50 trials to go" in found.text


def test_where_most_trials_fail_no_more_of_them_are_asked_for():
    facts = make_facts(num_trainings=4, num_trials=9, num_wanted=9)
    found = step(make_front(NOTHING, UNSETTLED, reason="few", noise=None), facts)
    assert found.command is None
    assert "5 of 9 have failed" in found.text
    assert step(make_front(NOTHING, UNSETTLED), facts).command is not None


def test_trials_that_were_broken_off_are_still_to_go():
    states = ["COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING", "WAITING"]
    records = [make_record("none", 0.5, state=state) for state in states]
    search = CONFIG["search"] | {"trials": 6, "arguments": ["--space", "width"]}
    config = CONFIG | {"search": search, "working_directory": "/"}
    facts = read_facts(Path("runs/width"), config, records, SPACE, None)
    assert "3 trials to go" in step(make_front(LEAVE, SETTLED), facts).text


def test_a_search_that_ended_before_its_trials_is_not_told_to_go_on():
    settled = make_facts(num_trials=150)
    assert step(make_front(PUT, SETTLED), settled).command == "se-search confirm runs/width"
    assert step(make_front(LEAVE, SETTLED), settled).command is None


def test_where_no_candidate_is_left_all_that_may_be_on_the_front_are_confirmed():
    found = step(make_front(NOTHING, UNSETTLED), make_facts(is_exhausted=True))
    assert found.command == "se-search confirm runs/width --candidates all-credible"
    # Three that may be on the front, the plain network among them, and SE everywhere.
    assert found.seconds == 4 * 8 * 6 / 2


def test_at_chance_level_a_run_of_its_own_trains_longer():
    front = make_front(NOTHING, UNSETTLED, unproven="accuracies are at chance level")
    assert step(front).command == (
        "se-search run --space width --epochs 8 --trials 200 --name width-8-epochs"
    )


def test_where_all_trainings_have_one_accuracy_no_command_helps():
    front = make_front(NOTHING, UNSETTLED, unproven="all full trainings have one accuracy")
    equal = [
        replace(each, summary=replace(each.summary, accuracy=0.9)) for each in front.candidates
    ]
    found = step(replace(front, candidates=tuple(equal)))
    assert found.command is None
    assert "more validation images" in found.text


def test_a_run_that_trained_longer_hands_its_name_on_without_its_epochs():
    facts = make_facts(run=Path("runs/width-8-epochs"), epochs=8)
    front = make_front(NOTHING, UNSETTLED, unproven="accuracies are at chance level")
    assert step(front, facts).command.endswith("--name width-16-epochs")


def test_what_is_settled_and_unknown_goes_on_although_it_was_to_stop_when_settled():
    facts = make_facts(arguments=("--space", "width", "--stop-when-settled", "--epochs", "2"))
    assert step(make_front(NOTHING, SETTLED), facts).command == (
        "se-search run --space width --epochs 2 --trials 250"
    )
    assert "--stop-when-settled" in step(make_front(NOTHING, UNSETTLED), facts).command


def test_more_replicates_that_were_asked_for_stay():
    """Few of them can be compared so far, or few have begun."""
    facts = make_facts(arguments=("--space", "width", "--replicates", "9"))
    front = make_front(NOTHING, UNSETTLED, num_replicates=2)
    wanted = "se-search run --space width --replicates 9 --trials 400"
    assert step(front, facts).command == wanted


def test_too_few_replicates_that_were_asked_for_give_way_to_three():
    facts = make_facts(arguments=("--space", "width", "--replicates", "1", "--epochs", "2"))
    front = make_front(NOTHING, UNSETTLED, num_replicates=1, unproven="of one replicate")
    assert step(front, facts).command == (
        "se-search run --space width --replicates 3 --epochs 2 --trials 400"
    )


def test_an_untrained_candidate_that_promises_more_is_named():
    better = Untrained("tiny/stage2=standard:16", "s2:16", 0.009, 0.0028, 0.8)
    found = step(make_front(PUT, UNSETTLED, better_untrained=better))
    assert "s2:16, not trained so far, is expected to gain 0.28 points more" in found.text
    little = replace(better, expected_rise=0.0004)
    assert "s2:16" not in step(make_front(PUT, UNSETTLED, better_untrained=little)).text


@pytest.mark.parametrize(
    ("gap", "num_trials", "expected"),
    [(0.01, 200, 400), (0.0021, 200, 250), (0.0025, 100, 160), (None, 4, 36), (0.01, 10, 36)],
)
def test_trials_grow_with_the_square_of_the_gap_twofold_at_most(gap, num_trials, expected):
    front = make_front(settled=replace(UNSETTLED, gap=gap))
    assert count_trials(front, num_trials) == expected


# --- commands -------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def continued(run, *arguments, **known):
    facts = make_facts(run=run, arguments=("--space", "width", *arguments), **known)
    return facts.continue_command(300)


def test_a_run_of_another_name_is_named(project):
    command = continued(Path("runs/other"), working_directory=project)
    assert command == "se-search run --space width --trials 300 --name other"


def test_a_run_in_another_folder_is_found_there_again(project):
    assert continued(Path("mine/width"), working_directory=project).endswith("--runs-dir mine")
    elsewhere = continued(Path("/somewhere/width"), working_directory=project)
    assert elsewhere.endswith("--runs-dir /somewhere")


def test_a_run_that_is_reported_from_elsewhere_goes_on_where_it_was_started(project):
    start = project / "a project"
    start.mkdir()
    command = continued(start / "runs" / "width", working_directory=start)
    assert shlex.split(command) == [
        *("cd", str(start), "&&", "se-search", "run", "--space", "width", "--trials", "300"),
    ]


def test_a_folder_that_is_gone_is_not_gone_to(project):
    command = continued(Path("runs/width"), working_directory=project / "gone")
    assert command == "se-search run --space width --trials 300"


def test_words_with_blanks_are_quoted(project):
    command = continued(Path("runs/width"), "--data", "folder:my images", working_directory=project)
    assert shlex.split(command)[4:6] == ["--data", "folder:my images"]


def test_a_space_file_names_its_run(project):
    facts = make_facts(arguments=("--space", "my/space.yaml"), working_directory=project)
    assert replace(facts, run=Path("runs/space")).continue_command(9) == (
        "se-search run --space my/space.yaml --trials 9"
    )


def test_code_of_the_users_own_is_allowed_again():
    found = step(make_front(PUT, SETTLED), make_facts(has_code=True))
    assert found.command == "se-search confirm runs/width --allow-code"


def test_the_time_of_fewer_trainings_than_workers_is_that_of_one():
    assert make_facts(workers=8).time(3, 6.0) == 6.0
    assert make_facts(workers=8).time(16, 6.0) == 12.0
    assert make_facts().time(16, None) is None


def test_the_plain_network_is_not_counted_twice():
    front = make_front(PUT, SETTLED, (PLAIN, GOOD))
    without = make_front(PUT, SETTLED, (GOOD,))
    assert step(front).seconds == step(without).seconds

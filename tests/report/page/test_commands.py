"""The page's commands name one way to continue a search: that of the answer, if it continues."""

import pytest
from support.made_up_evidence import NONE_TRAINED, make_evidence
from support.made_up_fronts import NOTHING, PUT, SETTLED, UNSETTLED, make_facts, make_front
from support.made_up_pages import make_source

from se_search.report.page.contents import prepare_page


def find_continuations(page):
    return [each for each in page.commands if each.purpose.startswith("Continue the search")]


@pytest.mark.parametrize("arguments", [(), ("--replicates", "2")])
def test_a_search_that_goes_on_is_continued_as_the_answer_says(arguments):
    facts = make_facts(arguments=("--space", "width", *arguments))
    front = make_front(NOTHING, UNSETTLED, num_compared=2)
    page = prepare_page(make_source(front=front, facts=facts, rounds=()))
    step = page.answer.next_step
    [only] = find_continuations(page)
    assert only.text == step.command
    assert f" --trials {step.trials} " in f"{only.text} "
    assert only.purpose == f"Continue the search to {step.trials:,} trials."
    assert ("--replicates 3" in only.text) == bool(arguments)


def test_where_the_answer_says_something_else_a_search_can_still_be_continued():
    source = make_source(front=make_front(PUT, SETTLED), facts=make_facts(), rounds=())
    page = prepare_page(source)
    assert "se-search confirm" in page.answer.next_step.command
    [only] = find_continuations(page)
    assert only.text.endswith("--trials 400")


def test_a_run_of_supernets_alone_goes_on_as_a_ladder_and_offers_nothing_that_takes_trainings():
    evidence = make_evidence(has_probes=False, budget=20, trials=0)
    facts = make_facts(evidence=evidence, num_trials=0, num_trainings=0, num_wanted=20)
    page = prepare_page(make_source(front=make_front(**NONE_TRAINED), facts=facts, rounds=()))
    first, *others = page.commands
    assert first.purpose.startswith("Go on as a ladder")
    assert "--evaluator ladder" in first.text
    words = {each.text.split()[1] for each in others}
    assert words == {"report", "dashboard"}
    assert not any("--latex" in each.text for each in others)
    assert page.verdict == "An order by supernets, and no gains"

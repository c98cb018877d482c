"""The plan of a search with supernets: exact budgets, and no decision that depends on a kill."""

from dataclasses import replace

import pytest
from support.records import make_record

from se_search.errors import RunError
from se_search.score import supernet_seed
from se_search.search.segments import (
    Gains,
    Offer,
    Plan,
    ProbeCounts,
    Worth,
    count_probes,
    refuse_small_budget,
)
from se_search.store.supernets import Segment, SupernetRecord, Supernets

WORTH = Worth(4.0, 1.5)
TRAIN = Gains(train=0.002, supernet=0.001)
SUPERNET = Gains(train=0.001, supernet=0.002)


class MadeUpRun:
    """Makes each segment at once: trainings end well, supernets score or fail as they are told."""

    def __init__(self, plan, num_due=18, is_used=True, gains=(), failing=(), worth=WORTH):
        self.plan, self.num_due, self.is_used, self.worth = plan, num_due, is_used, worth
        self.gains, self.failing = list(gains), failing
        self.records, self.supernets = [], Supernets()
        self.catching_up = {}

    def next_segment(self):
        due = max(0, self.num_due - len(self.records))

        def weigh(offer):
            return self.gains.pop(0) if self.gains else None

        return self.plan.next_segment(
            self.records,
            self.supernets,
            due,
            ("supernet",) if self.is_used else (),
            Offer(self.worth, self.catching_up),
            weigh=weigh,
        )

    def make(self, segment):
        while len(self.records) < segment.until:
            self.records.append(replace(make_record("a", 0.5), number=len(self.records)))
        for seed in segment.seeds:
            number = len(self.supernets.supernets)
            state = "FAIL" if number in self.failing else "SCORED"
            worths = self.worth.training, self.worth.scoring
            own = SupernetRecord(seed, segment.begun, state, *worths)
            self.supernets = self.supernets.with_supernet(own)
        self.supernets = replace(self.supernets, segments=(*self.supernets.segments, segment))

    def go(self):
        while (segment := self.next_segment()) is not None:
            self.make(segment)
        return [(one.kind, one.begun, one.until, len(one.seeds)) for one in self.supernets.segments]

    @property
    def spent(self):
        return len(self.records) + self.supernets.worth


def make_plan(budget=100, evaluator="ladder"):
    return Plan(evaluator, budget, 0)


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (90, ProbeCounts(8, 2)),
        (120, ProbeCounts(11, 2)),
        (194, ProbeCounts(18, 2)),
        (195, ProbeCounts(12, 3)),
        (200, ProbeCounts(12, 3)),
        (499, ProbeCounts(24, 3)),
        (500, ProbeCounts(24, 4)),
        (10_000, ProbeCounts(24, 4)),
    ],
)
def test_probes_and_their_controls_have_at_most_a_fifth_of_the_budget(budget, expected):
    counts = count_probes(budget, 624)
    assert counts == expected
    assert 5 * counts.num_trainings <= budget


def test_a_small_space_is_probed_whole():
    assert count_probes(200, 9) == ProbeCounts(9, 4)


@pytest.mark.parametrize(
    ("budget", "size", "told"),
    [
        (89, 624, "89 trials are too few to test scores; 90 are the fewest"),
        (900, 7, "7 candidates"),
    ],
)
def test_a_budget_or_a_space_without_room_for_probes_is_refused_with_the_smallest(
    budget, size, told
):
    with pytest.raises(RunError, match=told):
        count_probes(budget, size)


def test_a_budget_without_room_for_supernets_is_refused_with_the_smallest():
    refuse_small_budget("ladder", 29, WORTH, 18)
    with pytest.raises(RunError, match=r"28 trials .* worth 29\.0 trainings; 29 are the fewest"):
        refuse_small_budget("ladder", 28, WORTH, 18)
    refuse_small_budget("supernet", 6, WORTH, 0)
    with pytest.raises(RunError, match=r"one supernet is worth 5\.5 trainings; 6 are the fewest"):
        refuse_small_budget("supernet", 5, WORTH, 0)


def test_supernets_alone_take_all_of_the_budget_that_they_can():
    run = MadeUpRun(make_plan(24, "supernet"), num_due=0)
    assert run.go() == [("supernets", 0, 0, 4)]
    assert run.spent == 22


def test_supernets_alone_go_on_when_the_budget_grows():
    run = MadeUpRun(make_plan(12, "supernet"), num_due=0)
    run.go()
    run.plan = make_plan(24, "supernet")
    assert run.go() == [("supernets", 0, 0, 2), ("supernets", 0, 0, 2)]
    assert [one.seed for one in run.supernets.supernets] == [supernet_seed(0, k) for k in range(4)]


def test_a_ladder_begins_with_its_probes_and_two_supernets():
    run = MadeUpRun(make_plan())
    assert run.go()[:2] == [("train", 0, 18, 0), ("supernets", 18, 18, 2)]


def test_scores_that_fail_the_test_leave_the_rest_to_trainings():
    run = MadeUpRun(make_plan(), is_used=False, gains=[SUPERNET] * 9)
    rest = run.go()[2:]
    assert {kind for kind, *_ in rest} == {"train"}
    assert (rest[0][1], rest[-1][2]) == (18, 89)
    assert run.spent == 100


def test_scores_that_fail_the_test_are_tested_again_when_trainings_have_grown_by_a_quarter():
    run = MadeUpRun(make_plan(200), is_used=False)
    ends = [until for _, _, until, _ in run.go()[2:]]
    assert ends == [24, 30, 38, 48, 60, 75, 94, 118, 148, 185, 189]


def test_before_they_are_tested_again_supernets_score_what_was_trained_if_that_can_be_paid():
    run = MadeUpRun(make_plan(40), is_used=False)
    run.catching_up = {1: 0.75, 2: 0.75}
    rest = run.go()[2:]
    assert rest[:3] == [("train", 18, 24, 0), ("supernets", 24, 24, 0), ("train", 24, 29, 0)]
    assert run.spent == 40


def test_scores_that_pass_a_later_test_are_used_from_then_on():
    run = MadeUpRun(make_plan(), is_used=False, gains=[TRAIN] * 9)
    for _ in range(4):
        run.make(run.next_segment())
    run.is_used = True
    run.go()
    rungs = [one.rungs for one in run.supernets.segments]
    assert rungs[:4] == [()] * 4
    assert set(rungs[4:]) == {("supernet",)}


def test_trials_of_which_a_score_has_had_a_part_in_the_choice_test_none():
    run = MadeUpRun(make_plan(60), gains=[TRAIN] * 9)
    run.go()
    untouched = run.supernets.list_untouched(run.records)
    assert [record.number for record in untouched] == list(range(18))


def test_after_the_test_what_promises_more_comes_next():
    run = MadeUpRun(make_plan(60), gains=[TRAIN, SUPERNET, SUPERNET, TRAIN])
    assert run.go()[2:] == [
        ("train", 18, 24, 0),  # what a supernet is worth, rounded
        ("supernets", 24, 24, 1),
        ("supernets", 24, 24, 1),
        ("train", 24, 30, 0),
        ("train", 30, 36, 0),  # without an answer
        ("train", 36, 38, 0),  # no supernet can follow
    ]
    first, second = run.supernets.segments[2:4]
    assert (first.train_gain, first.supernet_gain) == (TRAIN.train, TRAIN.supernet)
    assert (second.train_gain, second.supernet_gain) == (SUPERNET.train, SUPERNET.supernet)


@pytest.mark.parametrize("gains", [[TRAIN] * 40, [SUPERNET] * 40, [TRAIN, SUPERNET] * 20])
@pytest.mark.parametrize("worth", [Worth(4.0, 1.5), Worth(2.71, 0.3), Worth(4.0, 11.6)])
@pytest.mark.parametrize("budget", [90, 100, 101])
def test_a_ladder_never_spends_more_than_its_budget_and_wastes_less_than_a_training(
    budget, worth, gains
):
    run = MadeUpRun(make_plan(budget), gains=gains, worth=worth)
    run.go()
    assert budget - 1 < run.spent <= budget


def test_the_seeds_of_supernets_are_those_of_the_runs_own_stream():
    run = MadeUpRun(make_plan(), gains=[SUPERNET] * 9)
    run.go()
    seeds = [one.seed for one in run.supernets.supernets]
    assert seeds == [supernet_seed(0, number) for number in range(len(seeds))]
    assert len(set(seeds)) == len(seeds) > 3


def test_a_supernet_that_failed_costs_its_training_and_is_not_made_again():
    run = MadeUpRun(make_plan(), gains=[TRAIN] * 40, failing=[0])
    run.go()
    assert [one.state for one in run.supernets.supernets] == ["FAIL", "SCORED"]
    assert run.supernets.worth == 4.0 + 5.5
    assert run.spent > 99


def test_two_supernets_that_failed_are_the_last():
    run = MadeUpRun(make_plan(), gains=[SUPERNET] * 40, failing=[0, 1])
    assert run.go()[2:] == [("train", 18, 92, 0)]


@pytest.mark.parametrize("killed_after", range(1, 8))
def test_a_run_that_was_killed_between_segments_goes_on_as_an_undisturbed_one(killed_after):
    gains = [TRAIN, SUPERNET] * 20
    undisturbed = MadeUpRun(make_plan(), gains=gains)
    expected = undisturbed.go()
    killed = MadeUpRun(make_plan(), gains=gains)
    for _ in range(killed_after):
        killed.make(killed.next_segment())
    left = killed.gains
    again = MadeUpRun(make_plan(), gains=left)
    again.records, again.supernets = killed.records, killed.supernets
    assert again.go() == expected


def test_probes_that_a_failed_control_has_put_off_come_before_supernets():
    run = MadeUpRun(make_plan(), num_due=18)
    run.make(Segment("train", 0, 18))
    run.num_due = 19
    segment = run.next_segment()
    assert (segment.kind, segment.begun, segment.until) == ("train", 18, 19)

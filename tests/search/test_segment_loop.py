"""A search with supernets on made-up accuracies and scores: the real plan, loop and files."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest
from support.made_up_supernets import MadeUpSupernets
from support.searching import OBJECTIVES, Only, evaluation, make_space, open_store, search

from se_search.analysis.rung_test import judge_scores
from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.errors import DivergedError
from se_search.execution.drive import drive
from se_search.execution.serial import SerialExecutor
from se_search.record import Stop
from se_search.search.loop import Ending
from se_search.search.offers import MOST_CHOSEN, Offers
from se_search.search.probes import Spread, assign_probes
from se_search.search.registry import Setup
from se_search.search.rotation import Rotation
from se_search.search.segment_loop import SegmentLoop
from se_search.search.segments import Gains, Plan, ProbeCounts
from se_search.search.supernet_advice import SupernetAdvice
from se_search.search.supernet_work import SupernetWork
from se_search.store.supernets import (
    SupernetFiles,
    Supernets,
    read_supernet_scores,
    read_supernets,
    write_supernets,
)

SPACE = make_space({"choices": {"reduction": [4, 8, 16]}}, [32], [64], [128], [64])
PLAIN = Candidate.plain(SPACE.backbone)
TRAINING = 4.0  # worth of a supernet's training


def price(candidates):
    """Return what it costs to score candidates: 50 of them take as long as a training."""
    return len(candidates) / 50


def truth(candidate):
    """Return an accuracy that no cost orders: SE helps in stage 3, harms in stage 5."""
    signs = {2: 0.0, 3: 0.004, 4: 0.002, 5: -0.004}
    pairs = zip(SPACE.backbone.sites, candidate.blocks, strict=True)
    return 0.8 + sum(signs[site.stage] for site, block in pairs if block is not None)


def train(assignment):
    noise = np.random.default_rng([assignment.seed, int(assignment.candidate.key, 16)])
    level = np.random.default_rng(assignment.seed).normal(0, 0.003)
    return evaluation(truth(assignment.candidate) + level + noise.normal(0, 0.001))


# What an accuracy model would have scored that knows everything: the best come first.
BEST_FIRST = tuple(sorted(SPACE, key=truth, reverse=True))


@dataclass
class MadeUpSteps:
    """Trains by the real loop; ``evaluate`` makes accuracies up, ``supernets`` makes scores up."""

    folder: object
    supernets: MadeUpSupernets
    probes: list
    prefers: str = "supernet"
    store: object = None
    stop: object = lambda: Stop.NO
    evaluate: object = train
    chosen: tuple = ()
    tested_from: int = 0
    advice: SupernetAdvice | None = None
    used: list = field(default_factory=list)
    asked: list = field(default_factory=list)

    def train(self, until, scores):
        self.used.append(len(scores))
        _, ending = search(
            self.store,
            until,
            space=SPACE,
            evaluate=self.evaluate,
            probes=self.probes,
            replicates=2,
            stop=self.stop,
        )
        return ending

    def make_supernets(self, supernets, missing):
        files = SupernetFiles(self.folder)
        work = SupernetWork(files, supernets, missing, 4, has_earlier_results=True)
        executor = SerialExecutor(
            lambda assignment: self.supernets.evaluate(assignment, missing[assignment.seed])
        )
        stop = drive(work, executor, max_failures=None, stop=self.stop)
        return work.supernets, stop

    def read_records(self):
        return self.store.records

    def judge(self, scores, supernets):
        untouched = supernets.list_untouched(self.read_records())
        if len(untouched) < self.tested_from:
            return []
        tests = judge_scores(scores, untouched, SPACE)
        used = {test.name for test in tests if test.is_used}
        return [score for score in scores if score.rung in used]

    def weigh(self, scores, offer):
        return Gains(*((0.001, 0.002) if self.prefers == "supernet" else (0.002, 0.001)))

    def choose(self, scores, known, most):
        self.asked.append(len(scores))
        if self.advice is not None:
            return self.advice.choose(scores, known, most)
        left = [one for one in self.chosen if one not in known]
        return left[:most]


@pytest.fixture
def make_run(tmp_path):
    """Return a function that makes the steps and the loop of a run in a folder."""
    stores = {}

    def make(folder="a", budget=60, evaluator="ladder", failing=lambda assignment: None, **options):
        folder = tmp_path / folder
        folder.mkdir(exist_ok=True)
        spread = Spread(SPACE, Only(SPACE), lambda one: [count_cost(one).params], 0)
        files = SupernetFiles(folder)
        if evaluator == "ladder" and not files.json.exists():
            probes = spread.choose_probes(ProbeCounts(12, 2))
            write_supernets(files, Supernets(probes))
        probes = assign_probes(read_supernets(files).probes, SPACE, 4)
        store = stores.setdefault(folder, open_store(None))
        supernets = MadeUpSupernets(truth, failing)
        steps = MadeUpSteps(folder, supernets, probes, store=store, **options)
        loop = SegmentLoop(
            plan=Plan(evaluator, budget, 0),
            files=files,
            offers=Offers(SPACE, spread.choose(30, "scored"), price, TRAINING),
            probes=probes,
            rotation=Rotation(2, 0, PLAIN),
            steps=steps,
            read_records=steps.read_records,
        )
        return loop, steps

    return make


def read(loop, steps):
    """Return what a run has made: its trials, its segments and its scores."""
    supernets = read_supernets(loop.files)
    records = [(r.number, r.candidate, r.seed, r.role, r.accuracy) for r in steps.read_records()]
    segments = [
        (one.kind, one.begun, one.until, one.seeds, one.chosen) for one in supernets.segments
    ]
    return records, segments, read_supernet_scores(loop.files, supernets)


def test_a_ladder_trains_its_probes_then_two_supernets_and_then_what_promises_more(make_run):
    loop, steps = make_run()
    assert loop.go() == Ending.FINISHED
    records, segments, scores = read(loop, steps)
    assert [kind for kind, *_ in segments] == ["train", "supernets", *["supernets"] * 5]
    assert Counter(role for *_, role, _ in records[:26]) == {"control": 2, "probe": 24}
    assert 59 < len(records) + read_supernets(loop.files).worth <= 60
    members = Counter(score.member for score in scores)
    assert len(members) == 7
    assert len(set(members.values())) == 1


def test_scores_that_pass_the_test_are_handed_to_the_search_and_none_before(make_run):
    loop, steps = make_run(prefers="train", budget=50)
    loop.go()
    assert steps.used[0] == 0
    assert steps.used[1] == len(read(loop, steps)[2]) > 0


def test_scores_that_fail_the_test_are_not_used_and_no_supernet_follows(make_run):
    loop, steps = make_run()
    steps.supernets = MadeUpSupernets(lambda candidate: -truth(candidate))
    loop.go()
    _, segments, _ = read(loop, steps)
    assert [len(seeds) for *_, seeds, _ in segments if seeds] == [2]
    assert set(steps.used) == {0}


def test_scores_that_fail_are_tested_again_by_what_was_trained_since_and_then_used(make_run):
    loop, steps = make_run(prefers="train", budget=60, tested_from=35)
    loop.go()
    segments = read_supernets(loop.files).segments
    assert [one.kind for one in segments[:4]] == ["train", "supernets", "train", "supernets"]
    assert not any(one.rungs for one in segments[:5])
    assert all(one.rungs for one in segments[5:])
    assert steps.used[:3] == [0, 0, 0]
    assert all(steps.used[3:])
    until = segments[3].begun  # what was trained by then
    trained = {one.candidate for one in steps.read_records() if one.number < until}
    members: dict = {}
    for score in read(loop, steps)[2]:
        members.setdefault(score.member, set()).add(score.candidate)
    assert all(trained <= own for own in members.values())


def test_supernets_alone_train_no_candidate(make_run):
    loop, steps = make_run(evaluator="supernet", budget=17)
    assert loop.go() == Ending.FINISHED
    records, segments, scores = read(loop, steps)
    assert records == []
    assert [(kind, len(seeds)) for kind, *_, seeds, _ in segments] == [("supernets", 3)]
    assert Counter(score.member for score in scores) == dict.fromkeys(segments[0][3], 31)


class StopAfter:
    """Asks for a stop once so many evaluations have been made."""

    def __init__(self, number):
        self.number, self.count = number, 0

    def __call__(self):
        return Stop.NOW if self.count >= self.number else Stop.NO

    def counting(self, evaluate):
        def counted(*arguments):
            self.count += 1
            return evaluate(*arguments)

        return counted


@pytest.mark.parametrize("chosen", [(), BEST_FIRST])
@pytest.mark.parametrize("prefers", ["supernet", "train"])
@pytest.mark.parametrize("number", [3, 27, 29, 30])
def test_a_run_that_was_stopped_makes_the_trials_and_scores_of_an_undisturbed_one(
    make_run, number, prefers, chosen
):
    undisturbed, steps = make_run("a", budget=50, prefers=prefers, chosen=chosen)
    undisturbed.go()
    expected = read(undisturbed, steps)
    stop = StopAfter(number)
    loop, steps = make_run("b", budget=50, prefers=prefers, chosen=chosen, stop=stop)
    steps.evaluate = stop.counting(steps.evaluate)
    steps.supernets.evaluate = stop.counting(steps.supernets.evaluate)
    assert loop.go() == Ending.STOPPED
    loop, steps = make_run("b", budget=50, prefers=prefers, chosen=chosen)
    assert loop.go() == Ending.FINISHED
    assert read(loop, steps) == expected


def test_what_the_accuracy_model_chooses_is_scored_by_all_supernets_also_after_kills(make_run):
    def make(folder, **options):
        loop, steps = make_run(folder, budget=50, **options)
        setup = Setup(SPACE, Only(SPACE), 0, count_cost, OBJECTIVES, 4, control=PLAIN)
        steps.advice = SupernetAdvice(setup, Rotation(2, 0, PLAIN), steps.store)
        return loop, steps

    loop, steps = make("a")
    loop.go()
    expected = read(loop, steps)
    chosen = {text for *_, own in expected[1] for text in own}
    assert len(chosen) > MOST_CHOSEN  # in two segments or more
    for seed in {score.member for score in expected[2]}:
        assert {s.candidate for s in expected[2] if s.member == seed} >= chosen
    for number in (27, 30, 32):
        stop = StopAfter(number)
        loop, steps = make("b", stop=stop)
        steps.evaluate = stop.counting(steps.evaluate)
        steps.supernets.evaluate = stop.counting(steps.supernets.evaluate)
        stop.count = len(steps.read_records())
        loop.go()
    loop, steps = make("b")
    assert loop.go() == Ending.FINISHED
    assert read(loop, steps) == expected


def test_a_supernet_that_diverges_is_recorded_with_its_reason_and_not_made_again(make_run):
    def fail_first(assignment):
        first = not steps.supernets.made and not failed
        failed.append(assignment.seed)
        return DivergedError("the loss is nan at epoch 1, step 2 of 9") if first else None

    failed = []
    loop, steps = make_run(prefers="train", budget=40, failing=fail_first)
    loop.go()
    found = read_supernets(loop.files).supernets
    assert [(one.state, one.reason) for one in found] == [
        ("FAIL", "the loss is nan at epoch 1, step 2 of 9"),
        ("SCORED", None),
    ]
    assert failed.count(found[0].seed) == 1


def test_a_further_supernet_scores_what_was_trained_or_chosen_and_earlier_ones_score_it_too(
    make_run,
):
    loop, steps = make_run(budget=50, prefers="train")
    loop.go()
    (before,) = set(Counter(s.member for s in read(loop, steps)[2]).values())
    chosen = tuple(one for one in SPACE if one not in loop.offers.drawn)[-2:]
    loop, steps = make_run(budget=62, prefers="supernet", chosen=chosen)
    loop.go()
    scores = read(loop, steps)[2]
    members = {s.member: [] for s in scores}
    for score in scores:
        members[score.member].append(score.candidate)
    assert len(members) >= 3
    trained = {record.candidate for record in steps.read_records() if record.number < 40}
    for own in members.values():
        assert len(own) == len(set(own)) > before
        assert set(own) >= trained | {str(one) for one in chosen}


def test_candidates_are_chosen_for_the_first_supernets_without_scores_and_later_with_them(make_run):
    loop, steps = make_run(chosen=BEST_FIRST)
    loop.go()
    _, segments, _ = read(loop, steps)
    first, *further = (chosen for kind, *_, chosen in segments if kind == "supernets")
    assert steps.asked[0] == 0 < min(steps.asked[1:])
    assert len(first) == MOST_CHOSEN
    assert all(further)
    texts = [text for chosen in (first, *further) for text in chosen]
    assert len(texts) == len(set(texts))


@pytest.mark.parametrize("budget", [40, 47, 60, 61])
@pytest.mark.parametrize("prefers", ["supernet", "train"])
def test_chosen_candidates_are_paid_for_by_every_supernet_that_scores_them(
    make_run, budget, prefers
):
    loop, steps = make_run(budget=budget, prefers=prefers, chosen=BEST_FIRST)
    loop.go()
    _, _, scores = read(loop, steps)
    supernets = read_supernets(loop.files)
    for record in supernets.supernets:
        own = sum(score.member == record.seed for score in scores)
        assert record.worth == pytest.approx(TRAINING + own / 50)
    assert budget - 1 < len(steps.read_records()) + supernets.worth <= budget


def test_a_supernet_that_fails_when_it_scores_more_has_been_paid_for(make_run):
    def fail_again(assignment):
        again = assignment.seed in [seed for seed, _ in steps.supernets.made]
        return DivergedError("no score is finite") if again else None

    loop, steps = make_run(budget=45, chosen=BEST_FIRST, failing=fail_again)
    loop.go()
    failed = [one for one in read_supernets(loop.files).supernets if one.state == "FAIL"]
    assert len(failed) == 2
    assert min(one.worth for one in failed) > TRAINING + 1
    assert len(steps.read_records()) + read_supernets(loop.files).worth <= 45


def test_a_smaller_budget_starts_nothing(make_run):
    loop, steps = make_run(budget=50)
    loop.go()
    expected = read(loop, steps)
    loop, steps = make_run(budget=40)
    assert loop.go() == Ending.FINISHED
    assert read(loop, steps) == expected


def test_a_larger_budget_goes_on(make_run):
    loop, steps = make_run(budget=45)
    loop.go()
    loop, steps = make_run(budget=55)
    assert loop.go() == Ending.FINISHED
    assert 54 < len(steps.read_records()) + read_supernets(loop.files).worth <= 55

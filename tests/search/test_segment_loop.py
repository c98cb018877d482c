"""A search with supernets on made-up accuracies and scores: the real plan, loop and files."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest
from support.made_up_supernets import MadeUpSupernets
from support.searching import Only, evaluation, make_space, open_store, search

from se_search.analysis.rung_test import judge_scores
from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.errors import DivergedError
from se_search.execution.drive import drive
from se_search.execution.serial import SerialExecutor
from se_search.record import Stop
from se_search.search.loop import Ending
from se_search.search.probes import Spread, assign_probes
from se_search.search.rotation import Rotation
from se_search.search.segment_loop import SegmentLoop
from se_search.search.segments import Gains, Plan, ProbeCounts, Worth
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
WORTH = Worth(4.0, 1.0)


def truth(candidate):
    """Return an accuracy that no cost orders: SE helps in stage 3, harms in stage 5."""
    signs = {2: 0.0, 3: 0.004, 4: 0.002, 5: -0.004}
    pairs = zip(SPACE.backbone.sites, candidate.blocks, strict=True)
    return 0.8 + sum(signs[site.stage] for site, block in pairs if block is not None)


def train(assignment):
    noise = np.random.default_rng([assignment.seed, int(assignment.candidate.key, 16)])
    level = np.random.default_rng(assignment.seed).normal(0, 0.003)
    return evaluation(truth(assignment.candidate) + level + noise.normal(0, 0.001))


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
    used: list = field(default_factory=list)

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
        tests = judge_scores(scores, self.read_records(), SPACE)
        used = {test.name for test in tests if test.is_used}
        return [score for score in scores if score.rung in used]

    def weigh(self, scores):
        return Gains(*((0.001, 0.002) if self.prefers == "supernet" else (0.002, 0.001)))

    def choose(self, scores):
        return self.chosen


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
            plan=Plan(evaluator, budget, 0, WORTH),
            files=files,
            space=SPACE,
            drawn=spread.choose(30, "scored"),
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
    segments = [(one.kind, one.begun, one.until, one.seeds) for one in supernets.segments]
    return records, segments, read_supernet_scores(loop.files, supernets)


def test_a_ladder_trains_its_probes_then_two_supernets_and_then_what_promises_more(make_run):
    loop, steps = make_run()
    assert loop.go() == Ending.FINISHED
    records, segments, scores = read(loop, steps)
    assert [kind for kind, *_ in segments] == ["train", "supernets", *["supernets"] * 4, "train"]
    assert Counter(role for *_, role, _ in records[:26]) == {"control": 2, "probe": 24}
    assert len(records) + read_supernets(loop.files).worth == 60
    members = Counter(score.member for score in scores)
    assert len(members) == 6
    assert len(set(members.values())) == 1


def test_scores_that_pass_the_test_are_handed_to_the_search_and_none_before(make_run):
    loop, steps = make_run(prefers="train", budget=50)
    loop.go()
    assert steps.used[0] == 0
    assert steps.used[1] == len(read(loop, steps)[2]) > 0


def test_scores_that_fail_the_test_are_not_used_and_no_supernet_follows(make_run):
    loop, steps = make_run()
    steps.supernets = MadeUpSupernets(lambda candidate: count_cost(candidate).params / 1e6)
    loop.go()
    _, segments, _ = read(loop, steps)
    assert [kind for kind, *_ in segments] == ["train", "supernets", "train"]
    assert steps.used == [0, 0]


def test_supernets_alone_train_no_candidate(make_run):
    loop, steps = make_run(evaluator="supernet", budget=17)
    assert loop.go() == Ending.FINISHED
    records, segments, scores = read(loop, steps)
    assert records == []
    assert [(kind, len(seeds)) for kind, *_, seeds in segments] == [("supernets", 3)]
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


@pytest.mark.parametrize("prefers", ["supernet", "train"])
@pytest.mark.parametrize("number", [3, 27, 29])
def test_a_run_that_was_stopped_makes_the_trials_and_scores_of_an_undisturbed_one(
    make_run, number, prefers
):
    undisturbed, steps = make_run("a", budget=50, prefers=prefers)
    undisturbed.go()
    expected = read(undisturbed, steps)
    stop = StopAfter(number)
    loop, steps = make_run("b", budget=50, prefers=prefers, stop=stop)
    steps.evaluate = stop.counting(steps.evaluate)
    steps.supernets.evaluate = stop.counting(steps.supernets.evaluate)
    assert loop.go() == Ending.STOPPED
    loop, steps = make_run("b", budget=50, prefers=prefers)
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
    chosen = tuple(one for one in SPACE if one not in loop.drawn)[-2:]
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

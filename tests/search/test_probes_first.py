"""Probes: trainings that come first, in replicates of their own, whatever their results."""

import pytest
from support.searching import evaluate, made_up_accuracy, make_space, search

from se_search.candidate import Candidate
from se_search.errors import DivergedError
from se_search.record import Assignment
from se_search.search.loop import Ending

SEEDS = (2_000_000, 2_000_001)


def probes_of(space, numbers=(1, 5, 9), seeds=SEEDS):
    return [Assignment(space.candidate_at(number), seed, 4) for seed in seeds for number in numbers]


def list_first(records, count):
    return [(record.candidate, record.seed, record.role) for record in records[:count]]


def test_probes_come_first_in_their_order_behind_the_control_of_their_replicate():
    space = make_space()
    plain = str(Candidate.plain(space.backbone))
    probes = probes_of(space)
    records, _ = search(None, 12, space=space, probes=probes)
    expected = []
    for seed in SEEDS:
        own = [(str(p.candidate), seed, "probe") for p in probes if p.seed == seed]
        expected += [(plain, seed, "control"), *own]
    assert list_first(records, 8) == expected
    assert {record.seed for record in records[8:]} == {0, 1}
    assert "probe" not in {record.role for record in records[8:]}


@pytest.mark.parametrize("stopped_after", [1, 4, 7, 10])
def test_a_continued_search_makes_each_probe_once(tmp_path, stopped_after):
    space = make_space()
    options = {"space": space, "probes": probes_of(space), "sampler": "pareto", "replicates": 2}
    undisturbed, _ = search(None, 14, **options)
    search(tmp_path / "a.db", stopped_after, **options)
    continued, _ = search(tmp_path / "a.db", 14, **options)
    assert continued == undisturbed


def test_a_probe_that_fails_is_not_made_again():
    space = make_space()
    probes = probes_of(space)

    def fail_one(assignment):
        if assignment == probes[1]:
            raise DivergedError("the loss is nan")
        return evaluate(assignment)

    records, _ = search(None, 10, space=space, probes=probes, evaluate=fail_one)
    found = [r for r in records if r.key == probes[1].candidate.key and r.seed in SEEDS]
    assert [record.state for record in found] == ["FAIL", "COMPLETE"]


def test_trainings_beyond_the_probes_take_turns_among_the_replicates_of_the_search_alone():
    space = make_space({"choices": {"reduction": [4]}})  # 8 candidates: each comes again
    probes = probes_of(space, (1, 2, 3))
    records, _ = search(None, 24, space=space, probes=probes, replicates=3)
    counts = [sum(record.seed == seed for record in records) for seed in range(3)]
    assert max(counts) - min(counts) <= 1
    assert {record.seed for record in records} - set(SEEDS) <= {0, 1, 2, 3}


def test_a_search_does_not_end_as_exhausted_or_settled_before_its_probes_are_made():
    space = make_space({"choices": {"reduction": [4]}}, [32])  # the plain network and one more
    probes = probes_of(space, (1,))
    records, ending = search(
        None, 30, space=space, probes=probes, is_settled=lambda records: True, replicates=1
    )
    assert ending == Ending.SETTLED
    assert {(r.seed, r.role) for r in records} >= {(seed, "probe") for seed in SEEDS}


def test_probes_accuracies_are_those_of_their_own_replicates():
    space = make_space()
    probes = probes_of(space)
    records, _ = search(None, 8, space=space, probes=probes)
    assert [r.accuracy for r in records if r.role == "probe"] == [
        made_up_accuracy(probe) for probe in probes
    ]

"""Replicates: a search is a blocked experiment, and the plain network begins each block."""

from collections import Counter
from dataclasses import replace

import pytest
from support.optuna_studies import load_optuna_study
from support.records import make_record
from support.searching import evaluate, make_space, search

from se_search.candidate import Candidate
from se_search.errors import DivergedError
from se_search.search.registry import SAMPLERS
from se_search.search.rotation import (
    Rotation,
    count_replicates,
    list_replicates_without_control,
)

ALL_SAMPLERS = sorted(SAMPLERS)
ROTATING = [name for name in ALL_SAMPLERS if name != "grid"]
ALWAYS_SE = {"choices": {"none": False, "reduction": [4, 8]}}


def trials(*seeds, **fields):
    return [replace(make_record("a", 0.5, seed=seed), **fields) for seed in seeds]


@pytest.mark.parametrize(
    ("num_trials", "expected"),
    [(1, 2), (24, 2), (35, 2), (36, 3), (48, 4), (95, 7), (96, 8), (200, 8), (5_000, 8)],
)
def test_a_search_has_a_replicate_for_each_dozen_of_trials_from_2_to_8(num_trials, expected):
    assert count_replicates(num_trials) == expected


@pytest.mark.parametrize(
    ("begun", "taken", "expected"),
    [
        ([], [], 5),
        ([5], [], 6),
        ([5, 6, 7], [], 5),
        ([5, 6, 7, 5], [6], 7),
        ([5, 5, 5, 6, 6, 7], [7], 6),
        ([5, 6, 7], [5, 6, 7], 8),  # beyond those that take turns
        ([5, 6, 7, 8], [5, 6, 7], 8),
        ([5, 6, 7, 8], [5, 6, 7, 8], 9),
        ([5, 6, 8, 8, 8], [], 7),
    ],
)
def test_a_candidate_takes_the_emptiest_replicate_that_it_has_not_had(begun, taken, expected):
    rotation = Rotation(num_replicates=3, first_seed=5)
    assert rotation.next_replicate(None, taken, trials(*begun)) == expected


def test_failed_and_running_trainings_count_as_begun():
    begun = [*trials(0, state="FAIL"), *trials(1, state="RUNNING"), *trials(1)]
    assert Rotation(2, 0).next_replicate(None, [], begun) == 0
    assert Rotation(2, 0).next_replicate(None, [], [*begun, *trials(0, 0)]) == 1


def test_a_candidate_gets_no_replicate_that_is_not_offered_of_it():
    rotation = Rotation(2, 0, offered=lambda candidate: [1, 3])
    assert rotation.next_replicate(None, [], []) == 1
    assert rotation.next_replicate(None, [1], []) == 3


@pytest.mark.parametrize(
    ("states", "is_lacking"),
    [
        ([], True),
        (["RUNNING"], False),
        (["WAITING"], False),
        (["COMPLETE"], False),
        (["FAIL"], True),
        (["FAIL", "RUNNING"], False),
        (["FAIL", "FAIL"], False),
    ],
)
def test_a_control_comes_first_until_it_has_begun_or_failed_twice(states, is_lacking):
    rotation = Rotation(2, 0, control="plain")
    records = [record for state in states for record in trials(0, state=state, role="control")]
    assert rotation.lacks_control(0, records) == is_lacking
    assert rotation.lacks_control(0, [*records, *trials(0)]) == is_lacking
    assert not Rotation(2, 0).lacks_control(0, records)


def test_replicates_whose_control_never_ended_well_are_listed():
    controls = [
        *trials(0, 1, 2, 2, state="FAIL", role="control"),
        *trials(0, role="control"),
        *trials(1, state="RUNNING", role="control"),
        *trials(3, state="FAIL"),
    ]
    assert list_replicates_without_control(controls) == [2]


# -- in the loop --


@pytest.fixture
def database(tmp_path):
    return tmp_path / "trials.db"


@pytest.mark.parametrize(("sampler", "workers"), [*((name, 3) for name in ROTATING), ("random", 1)])
def test_a_search_begins_with_a_control_in_each_replicate_and_fills_them_evenly(sampler, workers):
    space = make_space()
    records, _ = search(None, 36, space=space, sampler=sampler, workers=workers, seed=4)
    assert [(r.seed, r.role) for r in records[:3]] == [(seed, "control") for seed in (4, 5, 6)]
    assert {r.candidate for r in records[:3]} == {str(Candidate.plain(space.backbone))}
    counts = Counter(r.seed for r in records if r.seed < 7)
    # A candidate that comes again can't take the emptiest replicate if it has had it.
    assert max(counts.values()) - min(counts.values()) <= 2
    assert sum(r.role == "control" for r in records) == len({r.seed for r in records})


@pytest.mark.parametrize("sampler", ALL_SAMPLERS)
def test_the_plain_network_is_the_control_of_a_space_that_does_not_have_it(database, sampler):
    space = make_space(ALWAYS_SE)
    records, _ = search(database, 26, space=space, sampler=sampler, workers=2)
    plain = str(Candidate.plain(space.backbone))
    for record, trial in zip(records, load_optuna_study(database).trials, strict=True):
        assert (record.role == "control") == (record.candidate == plain)
        assert (trial.params == {}) == (record.candidate == plain)
    assert sum(r.role == "control" for r in records) == len({r.seed for r in records}) >= 2


def test_a_control_that_fails_is_tried_once_more_and_then_its_replicate_goes_without():
    def fail_controls(assignment):
        if assignment.seed == 1 and not any(assignment.candidate.blocks):
            raise DivergedError("the loss is nan")
        return evaluate(assignment)

    records, _ = search(None, 24, evaluate=fail_controls)
    controls = [(r.seed, r.state) for r in records if r.role == "control"]
    assert Counter(controls) == {(0, "COMPLETE"): 1, (1, "FAIL"): 2}
    assert sum(r.seed == 1 for r in records) == 12
    assert list_replicates_without_control(records) == [1]


def test_a_candidate_that_has_had_every_replicate_opens_one_that_begins_with_the_control():
    space = make_space({"granularity": "network", "choices": {"reduction": [4, 8]}})
    records, _ = search(None, 20, space=space, replicates=2)
    assert max(r.seed for r in records) >= 3
    first = {}
    for record in records:
        first.setdefault(record.seed, record.role)
    assert set(first.values()) == {"control"}
    assert len({(r.key, r.seed) for r in records}) == 20


@pytest.mark.parametrize("inside", [True, False])
def test_a_grid_trains_all_of_a_block_before_the_next_and_the_control_once_in_each(inside):
    space = make_space() if inside else make_space(ALWAYS_SE)
    plain = Candidate.plain(space.backbone)
    block = [str(plain), *(str(c) for c in space if c != plain)]
    records, _ = search(None, 2 * len(block) + 2, space=space, sampler="grid", seed=3)
    assert [(r.candidate, r.seed) for r in records] == [
        *((text, 3) for text in block),
        *((text, 4) for text in block),
        *((text, 5) for text in block[:2]),
    ]


def test_more_trials_open_further_replicates_which_fill_first(database):
    search(database, 24)
    records, _ = search(database, 48)
    assert [r.role for r in records[24:26]] == ["control", "control"]
    assert [r.seed for r in records[24:30]] == [2, 3, 2, 3, 2, 3]
    assert min(Counter(r.seed for r in records).values()) >= 11


@pytest.mark.parametrize("sampler", ROTATING)
def test_first_candidates_are_proposed_before_all_others_and_are_starts(sampler):
    space = make_space()
    first = (space.candidate_at(space.size - 1), space.candidate_at(3))
    records, _ = search(None, 12, space=space, sampler=sampler, first=first)
    assert [r.role for r in records[:4]] == ["control", "control", "start", "start"]
    assert [r.candidate for r in records[2:4]] == [str(candidate) for candidate in first]


def test_only_paretos_design_and_first_candidates_are_starts():
    roles = {
        name: [r.role for r in search(None, 20, sampler=name)[0]] for name in ("pareto", "random")
    }
    assert roles["random"] == ["control"] * 2 + ["proposal"] * 18
    assert "start" in roles["pareto"][2:8]
    assert roles["pareto"][-1] == "proposal"


def test_the_plain_network_is_proposed_by_no_sampler_that_finds_it_trained():
    """The plain network is the best of 27 here: Optuna's samplers would train it for ever."""

    def favour_plain(assignment):
        result = evaluate(assignment)
        return result if any(assignment.candidate.blocks) else replace(result, accuracy=0.99999)

    for sampler in ("tpe", "nsga2"):
        records, _ = search(None, 30, sampler=sampler, evaluate=favour_plain)
        plain = [r for r in records if r.candidate == "tiny"]
        assert {r.role for r in plain} == {"control"}
        assert len(plain) == len({r.seed for r in records})

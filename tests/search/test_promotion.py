"""Promotion: who climbs from one rung to the next, and what the loop trains then."""

import math
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import permutations
from statistics import mean

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.optuna_studies import load_optuna_study
from support.records import front_of, make_record
from support.searching import OBJECTIVES, evaluate, evaluation, make_space, search
from support.spaces import choose_from

from se_search.analysis.pareto import summarize
from se_search.candidate import Candidate
from se_search.errors import DivergedError, RunError
from se_search.record import Rung, Stop
from se_search.search.climb import Climb, list_replicates
from se_search.search.promotion import (
    Contender,
    Estimate,
    Promotion,
    parse_rungs,
    promotable,
    score_at,
)
from se_search.search.registry import SAMPLERS
from se_search.search.samplers import RandomSampler
from se_search.store.trial_attributes import attributes_of
from se_search.store.trials import read_records

PLAIN = Candidate.plain(make_space().backbone).key
EPOCHS = parse_rungs("1x1,2x1,4x1", 4)
SEEDS = parse_rungs("1x2,4x1,4x3", 4)

# Few different values, so that ties are common.
accuracies = st.integers(0, 12).map(lambda value: value / 16)
costs = st.tuples(st.integers(1, 9).map(float), st.integers(1, 9).map(float))


def make_fields(sds):
    entry = st.tuples(accuracies, sds, costs, st.booleans())
    return st.lists(entry, min_size=1, max_size=14).map(
        lambda entries: [
            Contender(f"{index:02}", Estimate(accuracy, sd), prices, promoted)
            for index, (accuracy, sd, prices, promoted) in enumerate(entries)
        ]
    )


noisy_fields = make_fields(st.sampled_from([0.0, 1 / 16, 1 / 8]))
exact_fields = make_fields(st.just(0.0))
etas = st.integers(2, 4)


def climbers(contenders, eta, z=1.0):
    """Return all that are among the best, whether or not they have been promoted."""
    return promotable([replace(s, is_promoted=False) for s in contenders], eta, z)


def band(one, other, z=1.0):
    return z * math.hypot(one.estimate.sd, other.estimate.sd)


def beats(one, other, z=1.0):
    """Pareto dominance, where the other one is as much better as noise could have it."""
    pairs = list(zip(one.costs, other.costs, strict=True))
    lead = one.estimate.accuracy - (other.estimate.accuracy + band(one, other, z))
    no_worse = lead >= 0 and all(a <= b for a, b in pairs)
    return no_worse and (lead > 0 or any(a < b for a, b in pairs))


def sort_by_brute_force(contenders, z):
    """Return the front of each key, by the definition."""
    fronts, left = {}, list(contenders)
    while left:
        first = [s for s in left if not any(beats(other, s, z) for other in left)]
        fronts |= {s.key: len(set(fronts.values())) for s in first}
        left = [s for s in left if s not in first]
    return fronts


@given(noisy_fields, etas)
def test_a_newcomer_that_beats_everybody_is_always_promoted_and_first(contenders, eta):
    newcomer = Contender("new", Estimate(2.0, 0.0), (0.0, 0.0))
    assert promotable([*contenders, newcomer], eta)[0] == "new"


@given(noisy_fields, etas, st.randoms())
def test_the_order_of_the_standings_changes_nothing(contenders, eta, random):
    shuffled = list(contenders)
    random.shuffle(shuffled)
    assert promotable(shuffled, eta) == promotable(contenders, eta)


@given(noisy_fields, etas)
def test_units_and_scales_of_costs_change_nothing(contenders, eta):
    other = [
        replace(s, costs=(1e6 * math.exp(s.costs[0]), -1 / s.costs[1] ** 3)) for s in contenders
    ]
    assert promotable(other, eta) == promotable(contenders, eta)


@given(noisy_fields, etas)
def test_one_whom_all_others_beat_beyond_noise_never_climbs_while_places_are_scarce(
    contenders, eta
):
    last = Contender("last", Estimate(-9.0, 0.0), (99.0, 99.0))
    field = [*contenders, last]
    if math.ceil(len(field) / eta) < len(field):
        assert "last" not in climbers(field, eta)


@given(exact_fields, etas)
def test_without_noise_the_quota_is_filled_by_non_dominated_sorting(contenders, eta):
    """Brute force: nobody in has a later front than somebody out; twins of one in may go over."""
    fronts = sort_by_brute_force(contenders, z=0.0)
    best = climbers(contenders, eta)
    quota = math.ceil(len(contenders) / eta)
    values = {s.key: (s.estimate.accuracy, s.costs) for s in contenders}
    assert [fronts[key] for key in best] == sorted(fronts[key] for key in best)
    assert sorted(fronts[key] for key in best[:quota]) == sorted(fronts.values())[:quota]
    assert all(values[key] in [values[k] for k in best[:quota]] for key in best[quota:])


@given(noisy_fields, etas)
def test_with_noise_the_quota_is_filled_front_by_front_and_only_the_last_one_goes_over(
    contenders, eta
):
    fronts = sort_by_brute_force(contenders, z=1.0)
    best = climbers(contenders, eta)
    quota = math.ceil(len(contenders) / eta)
    assert len(best) >= quota
    assert sorted(fronts[key] for key in best[:quota]) == sorted(fronts.values())[:quota]
    assert {fronts[key] for key in best[quota:]} <= {fronts[best[quota - 1]]}


@given(noisy_fields, etas)
def test_nobody_is_left_behind_for_a_member_of_its_front_that_it_can_not_be_told_from(
    contenders, eta
):
    fronts = sort_by_brute_force(contenders, z=1.0)
    best = climbers(contenders, eta)
    inside = best[: math.ceil(len(contenders) / eta)]
    for one in contenders:
        for other in contenders:
            is_equal = (
                fronts[one.key] == fronts[other.key]
                and all(a <= b for a, b in zip(one.costs, other.costs, strict=True))
                and other.estimate.accuracy - (one.estimate.accuracy + band(one, other)) <= 0
            )
            if other.key in inside and is_equal:
                assert one.key in best


@given(noisy_fields, etas)
def test_those_that_have_been_promoted_count_and_are_not_promoted_again(contenders, eta):
    promoted = {s.key for s in contenders if s.is_promoted}
    best = climbers(contenders, eta)
    assert promotable(contenders, eta) == [key for key in best if key not in promoted]


def test_inside_a_front_the_ends_come_first_and_then_the_largest_gap_in_ranks():
    """The gaps of c, d and e in parameters are 90,000, 10 and 10; in ranks e's is the largest."""
    front = {"a": (1, 0.10), "c": (9e4, 0.20), "d": (9e4 + 5, 0.25), "e": (9e4 + 10, 0.5)}
    front["f"] = (1e6, 0.9)
    # Candidates that are beaten stand between d, e and f.
    beaten = {f"x{i}": (9e4 + 10 + i, 0.49 - i / 100) for i in range(1, 7)}
    contenders = [
        Contender(key, Estimate(accuracy, 0.0), (float(cost),))
        for key, (cost, accuracy) in {**front, **beaten}.items()
    ]
    assert len(contenders) == 11
    assert climbers(contenders, 3) == ["a", "f", "e", "d"]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_ties_within_the_band_go_over_the_quota(order):
    field = [Contender(str(i), Estimate(0.5 + i / 100, 0.01), (7.0,)) for i in range(3)]
    shuffled = [field[i] for i in order]
    assert promotable(shuffled, eta=3, z=1.0) == ["2", "1"]  # 1 is within 0.0141 of 2; 0 is not
    assert promotable(shuffled, eta=3, z=2.0) == ["2", "1", "0"]
    assert promotable(shuffled, eta=3, z=0.0) == ["2"]


@pytest.mark.parametrize(
    ("text", "epochs", "expected"),
    [
        ("off", 4, "4x1"),
        ("auto", 4, "1x1 2x1 4x1"),
        ("auto", 1, "1x1"),
        ("auto", 3, "1x1 2x1 3x1"),
        ("auto", 90, "22x1 45x1 90x1"),
        ("1x1, 2x1,4x3", 4, "1x1 2x1 4x3"),
        ("4x1,4x3", 4, "4x1 4x3"),
    ],
)
def test_rungs_are_read(text, epochs, expected):
    assert " ".join(map(str, parse_rungs(text, epochs))) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1x1,2", "'2' is not EPOCHSxREPLICATES"),
        ("1x0,4x1", "'1x0' is not EPOCHSxREPLICATES"),
        ("", "'' is not EPOCHSxREPLICATES"),
        ("2x1,1x1,4x1", "1x1 after 2x1; epochs must ascend"),
        ("2x2,2x2,4x1", "2x2 after 2x2"),
        ("1x1,2x1", "the last rung must be the full training, 4 epochs, as 4x1"),
        ("1x1,8x2", "the last rung must be the full training, 4 epochs, as 4x2"),
    ],
)
def test_rungs_that_mean_nothing_are_refused(text, words):
    with pytest.raises(RunError) as caught:
        parse_rungs(text, 4)
    assert words in str(caught.value)


def test_everybody_is_not_a_share():
    with pytest.raises(RunError, match="eta 1 is below 2"):
        Promotion(eta=1)


def balanced(*offsets, mean, key, epochs=4):
    """Return a candidate's trainings in replicates 0, 1, ..., given by their hundredths."""
    return [
        make_record(key, mean + offset / 100, seed=seed, epochs=epochs)
        for seed, offset in enumerate(offsets)
    ]


def test_a_rungs_noise_is_pooled_over_its_candidates():
    """Replicates have equal means. Squares about the candidates' means: 8 and 8 over 2 + 2."""
    records = [
        *balanced(2, -2, 0, mean=0.5, key="a"),
        *balanced(-2, 2, 0, mean=0.6, key="b"),
        *(make_record(key, 0.7, seed=seed) for seed, key in enumerate("cde")),
        make_record("f", 0.7, state="FAIL"),
    ]
    found = score_at(Rung(4, 1))(records)
    assert set(found) == set("abcde")
    assert found["b"].accuracy == pytest.approx(0.6)
    assert [found[key].sd for key in "abc"] == pytest.approx([0.02 / 3**0.5, 0.02 / 3**0.5, 0.02])


def test_a_rung_without_repeats_borrows_the_noise_of_others_and_knows_none_at_first():
    short = make_record("a", 0.5, epochs=1)
    assert score_at(Rung(1, 1))([short])["a"] == Estimate(0.5, 0.0)
    full = [*balanced(1, -1, mean=0.5, key="a"), *balanced(-1, 1, mean=0.6, key="b")]
    assert score_at(Rung(1, 1))([short, *full])["a"].sd == pytest.approx(0.01 * 2**0.5)


def test_accuracies_are_compared_less_the_levels_of_their_replicates_and_epochs():
    """Replicate 1 adds 10 points after 4 epochs and takes 10 off after 1."""
    records = [
        make_record(key, mean + 0.1 * seed * (1 if epochs == 4 else -1), seed=seed, epochs=epochs)
        for epochs in (1, 4)
        for key, mean, seeds in (("a", 0.5, (0, 1)), ("b", 0.55, (0, 1)), ("c", 0.6, (0,)))
        for seed in seeds
    ]
    for epochs in (1, 4):
        found = score_at(Rung(epochs, 1))(records)
        differences = [found[key].accuracy - found["a"].accuracy for key in "bc"]
        assert differences == pytest.approx([0.05, 0.1], abs=2e-4)


def make_trials(*trainings, key="a"):
    return [
        replace(make_record(key, 0.5, epochs=epochs, seed=seed, state=state), number=number)
        for number, (epochs, seed, state) in enumerate(trainings)
    ]


@pytest.mark.parametrize(
    ("trainings", "expected"),
    [
        ([], (1, 0)),
        ([(1, 0, "RUNNING")], (1, 1)),
        ([(1, 0, "PRUNED"), (1, 1, "PRUNED")], (4, 0)),
        ([(1, 0, "PRUNED"), (1, 1, "FAIL")], (4, 0)),
        ([(4, 0, "COMPLETE")], (4, 1)),  # what is below a finished rung is not asked for
        ([(4, 0, "COMPLETE"), (4, 1, "RUNNING"), (4, 2, "WAITING")], (4, 3)),
    ],
)
def test_a_proposed_candidate_takes_the_next_training_that_it_has_not_begun(trainings, expected):
    assert Climb(SEEDS).next_training(make_trials(*trainings)) == expected


@pytest.mark.parametrize(
    ("trainings", "expected"),
    [
        ([(1, 0, "RUNNING")], (1, 1)),  # a rung that was begun is finished
        ([(1, 0, "FAIL")], None),
        ([(1, 0, "PRUNED"), (1, 1, "RUNNING")], None),
        ([(1, 0, "PRUNED"), (1, 1, "PRUNED")], (4, 0)),
        ([(1, 0, "PRUNED"), (1, 1, "PRUNED"), (4, 0, "RUNNING")], None),
        ([(1, 0, "PRUNED"), (1, 1, "PRUNED"), (4, 0, "FAIL")], None),
        ([(4, 0, "COMPLETE")], (4, 1)),
        ([(4, 0, "COMPLETE"), (4, 1, "RUNNING")], (4, 2)),
        ([(4, 0, "COMPLETE"), (4, 1, "FAIL")], None),
        ([(4, 0, "COMPLETE"), (4, 1, "COMPLETE"), (4, 2, "COMPLETE")], None),
    ],
)
def test_a_promoted_candidate_trains_all_of_a_rung_and_nothing_for_ever(trainings, expected):
    climb = Climb(SEEDS)
    found = climb.next_promotion(make_trials(*trainings), ["params"], Promotion())
    assert found == (expected and ("tiny/a", expected))


def test_the_highest_rung_promotes_first():
    records = [
        *make_trials((1, 0, "PRUNED"), (2, 0, "PRUNED")),
        *make_trials((1, 0, "PRUNED"), key="b"),
    ]
    records = [
        replace(r, accuracy=0.9 if r.key == "b" else 0.1, number=n) for n, r in enumerate(records)
    ]
    climb = Climb(EPOCHS)
    assert climb.next_promotion(records, ["params"], Promotion()) == ("tiny/a", (4, 0))


def test_a_scorer_that_is_handed_in_decides_and_whom_it_leaves_out_stays():
    records = [
        replace(r, accuracy=accuracy)
        for key, accuracy in (("a", 0.9), ("b", 0.5), ("c", 0.7))
        for r in make_trials((1, 0, "PRUNED"), key=key)
    ]
    climb = Climb(EPOCHS)
    plain = climb.next_promotion(records, ["params"], Promotion())
    assert plain == ("tiny/a", (2, 0))

    def score(given):
        assert given == records
        return {"b": Estimate(0.8, 0.0), "c": Estimate(0.1, 0.0)}

    assert climb.next_promotion(records, ["params"], Promotion(score=score)) == (
        "tiny/b",
        (2, 0),
    )


# -- in the loop --


@pytest.fixture
def database(tmp_path):
    return tmp_path / "trials.db"


def trainings_by_candidate(records):
    """Return the epochs of each training, and the position of its replicate, by candidate."""
    own = defaultdict(list)
    for record in records:
        own[record.key].append(record)
    return {
        key: [(r.epochs, list_replicates(found).index(r.seed)) for r in found]
        for key, found in own.items()
    }


@pytest.mark.parametrize("rungs", [EPOCHS, SEEDS], ids=["epochs", "seeds"])
@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_every_sampler_climbs_and_trains_nothing_twice(sampler, rungs):
    records, _ = search(None, 36, sampler=sampler, workers=3, rungs=rungs)
    assert [r.number for r in records] == list(range(36))
    assert {r.state for r in records} == {"COMPLETE", "PRUNED"}
    assert {r.epochs for r in records if r.state == "COMPLETE"} == {4}
    assert max(r.epochs for r in records if r.state == "PRUNED") < 4
    order = [training for asked in Climb(rungs).new_trainings for training in asked]
    proposed = [r for r in records if r.key != PLAIN]
    for trainings in trainings_by_candidate(proposed).values():
        further = [(4, position) for position in range(rungs[-1].replicates, 36)]
        assert trainings == (order + further)[: len(trainings)]
    assert any(r.role == "promotion" for r in records)


def test_longer_trainings_take_the_replicates_of_shorter_ones_and_then_the_emptiest():
    records, _ = search(None, 60, rungs=SEEDS, replicates=4)
    climbed = {r.key for r in records if r.role == "promotion" and r.epochs == 4}
    assert climbed
    for key in climbed - {PLAIN}:
        short, full = ([r.seed for r in records if (r.key, r.epochs) == (key, e)] for e in (1, 4))
        assert full[: len(short)] == short[: len(full)]
        assert set(full) <= {0, 1, 2, 3}
        assert len(set(full)) == len(full)


def test_controls_are_full_trainings_and_climb_no_rung():
    records, _ = search(None, 40, rungs=EPOCHS, sampler="grid")
    plain = [r for r in records if r.key == PLAIN]
    assert {(r.role, r.epochs) for r in plain} == {("control", 4)}


def test_a_candidate_that_was_the_control_alone_is_no_contender():
    controls = [replace(r, role="control") for r in make_trials((4, 0, "COMPLETE"))]
    climb = Climb(parse_rungs("4x1,4x3", 4))
    assert climb.next_promotion(controls, ["params"], Promotion()) is None
    proposed = [*controls, *make_trials((4, 1, "COMPLETE"))]
    assert climb.next_promotion(proposed, ["params"], Promotion()) == ("tiny/a", (4, 2))


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_a_continued_study_decides_as_an_undisturbed_one(tmp_path, sampler):
    options = {"sampler": sampler, "rungs": EPOCHS, "replicates": 3}
    undisturbed, _ = search(None, 32, **options)
    for total in (11, 12, 27, 32):
        continued, _ = search(tmp_path / "b.db", total, **options)
    assert continued == undisturbed


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_a_study_that_was_broken_off_decides_as_an_undisturbed_one(tmp_path, sampler):
    def evaluate_some(assignment):
        evaluate_some.calls += 1
        return evaluate(assignment)

    evaluate_some.calls = 0
    broken, _ = search(
        tmp_path / "b.db",
        30,
        sampler=sampler,
        rungs=EPOCHS,
        workers=3,
        evaluate=evaluate_some,
        stop=lambda: Stop.NOW if evaluate_some.calls >= 13 else Stop.NO,
    )
    assert "WAITING" in {r.state for r in broken}
    continued, _ = search(tmp_path / "b.db", 30, sampler=sampler, rungs=EPOCHS, workers=3)
    undisturbed, _ = search(None, 30, sampler=sampler, rungs=EPOCHS, workers=3)
    assert continued == undisturbed


def test_about_a_third_climbs_from_each_rung():
    space = make_space({"choices": {"reduction": [2, 4, 8, 16]}})  # 125 candidates
    records, _ = search(None, 150, space=space, sampler="grid", rungs=EPOCHS)
    counts = Counter(r.epochs for r in records)
    assert counts[1] + counts[2] + counts[4] == 150
    assert 0.33 <= counts[2] / counts[1] <= 0.5
    assert 0.33 <= counts[4] / counts[2] <= 0.5


def test_promotions_do_not_make_a_grid_skip_candidates():
    space = make_space()
    records, _ = search(None, 30, space=space, sampler="grid", rungs=EPOCHS)
    proposed = [r.candidate for r in records if r.role == "proposal"]
    assert len(proposed) < 25
    # Candidate 0 is the plain network, which the control has trained.
    assert proposed == [str(space.candidate_at(i)) for i in range(1, len(proposed) + 1)]


def test_promoted_trials_have_optunas_parameters_of_their_candidate(database):
    space = make_space()
    records, _ = search(database, 30, space=space, sampler="tpe", rungs=EPOCHS)
    assert any(r.role == "promotion" for r in records)
    for record, trial in zip(records, load_optuna_study(database).trials, strict=True):
        assert str(choose_from(space, trial.params)) == record.candidate


def test_shorter_trainings_are_pruned_trials_with_their_numbers_as_attributes(database):
    search(database, 30, rungs=EPOCHS)
    trials = load_optuna_study(database).trials
    for trial in trials:
        is_short = attributes_of(trial)["epochs"] < 4
        assert (trial.state == optuna.trial.TrialState.PRUNED) == is_short
        assert (trial.values is None) == is_short
        assert attributes_of(trial)["accuracy"] > 0
    assert [r.state for r in read_records(database)] == [t.state.name for t in trials]


def test_optunas_front_and_ours_compare_full_trainings_alone(database):
    """The shorter a training the better it looks here: all on a front of all would be short."""

    def evaluate_backwards(assignment):
        return evaluation(evaluate(assignment).accuracy / assignment.epochs)

    space = make_space()
    records, _ = search(
        database, 30, space=space, sampler="grid", rungs=EPOCHS, evaluate=evaluate_backwards
    )
    ours = {s.candidate for s in front_of(summarize(records, OBJECTIVES))}
    best = load_optuna_study(database).best_trials
    assert {attributes_of(trial)["epochs"] for trial in best} == {4}
    assert ours == {attributes_of(trial)["candidate"] for trial in best}


def test_nsga2_breeds_from_promoted_trials(database):
    records, _ = search(database, 90, sampler="nsga2", rungs=EPOCHS)
    study = load_optuna_study(database)
    generations = {
        t.system_attrs["NSGAIISampler:generation"]
        for t in study.trials
        if attributes_of(t)["role"] == "promotion"
    }
    assert len(generations) > 1
    assert len(records) == 90


def test_a_candidate_whose_training_failed_stays_where_it_is_and_the_others_climb():
    space = make_space()
    cursed = str(space.candidate_at(1))

    def fail_one(assignment):
        if str(assignment.candidate) == cursed:
            raise DivergedError("cursed")
        return evaluate(assignment)

    records, _ = search(None, 30, space=space, sampler="grid", rungs=EPOCHS, evaluate=fail_one)
    assert [r.state for r in records if r.candidate == cursed] == ["FAIL"]
    assert {r.epochs for r in records} == {1, 2, 4}


def test_rungs_may_change_when_a_study_is_continued(database):
    space = make_space()
    options = {"space": space, "sampler": "grid"}
    search(database, 6, **options)
    records, _ = search(database, 25, rungs=EPOCHS, **options)
    assert {r.epochs for r in records[:6]} == {4}
    assert {r.epochs for r in records[6:]} == {1, 2, 4}
    records, _ = search(database, 35, **options)
    assert {r.epochs for r in records[25:]} == {4}
    for trainings in trainings_by_candidate(records).values():
        assert len(set(trainings)) == len(trainings)


def test_every_change_is_reported_with_counts_that_add_up():
    seen = []
    records, _ = search(None, 20, workers=2, rungs=EPOCHS, observe=seen.append)
    short = sum(r.state == "PRUNED" for r in records)
    last = seen[-1]
    assert (last.completed, last.shorter, last.failed, last.running) == (20, short, 0, 0)
    assert [p.changed.state for p in seen[1:]].count("PRUNED") == short


def test_the_samplers_own_estimates_decide_who_climbs(database, monkeypatch):
    class Favouring(RandomSampler):
        @property
        def score(self):
            # The worst of all, by what was seen.
            return lambda records: {
                r.key: Estimate(-r.accuracy, 0.0) for r in records if r.accuracy is not None
            }

    monkeypatch.setitem(SAMPLERS, "favouring", lambda s: Favouring(s.space, s.allowed, s.seed))
    by_sampler = {}
    for sampler in ("random", "favouring"):
        path = database.with_name(f"{sampler}.db")
        records, _ = search(path, 30, sampler=sampler, rungs=EPOCHS)
        short = {r.key: r.accuracy for r in records if r.epochs == 1}
        climbed = {r.key for r in records if r.role == "promotion"}
        by_sampler[sampler] = mean(short[key] for key in climbed) - mean(short.values())
    assert by_sampler["favouring"] < 0 < by_sampler["random"]

"""The sampler of exact costs in Optuna studies as people have them."""

import copy
import math
import pickle
import threading
import warnings
from collections import Counter

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from se_search import ExactCostSampler
from se_search.errors import SpaceError
from se_search.search.study_history import PROPOSAL

DEPTH = IntDistribution(1, 8)
KIND = CategoricalDistribution(["a", "b"])
SPACE = {"depth": DEPTH, "kind": KIND}
DIRECTIONS = ["maximize", "minimize"]


def cost(params):
    return params.get("depth", 1) + 1


def make_study(space=SPACE, cost=cost, storage=None, **options):
    sampler = ExactCostSampler(space, {1: cost}, **options)
    return optuna.create_study(directions=DIRECTIONS, sampler=sampler, storage=storage)


def objective(trial):
    depth, kind = trial.suggest_int("depth", 1, 8), trial.suggest_categorical("kind", ["a", "b"])
    return 0.5 + 0.04 * depth + 0.01 * (kind == "b"), depth + 1


def suggest_all(trial, space):
    values = {}
    for name, one in space.items():
        if isinstance(one, CategoricalDistribution):
            values[name] = trial.suggest_categorical(name, one.choices)
        elif isinstance(one, IntDistribution):
            values[name] = trial.suggest_int(name, one.low, one.high, step=one.step, log=one.log)
        else:
            values[name] = trial.suggest_float(name, one.low, one.high, step=one.step)
    return values


def tried(study):
    return [tuple(sorted(trial.params.items())) for trial in study.trials]


@pytest.fixture(params=["memory", "journal", "sqlite"])
def storage(request, tmp_path):
    if request.param == "memory":
        yield optuna.storages.InMemoryStorage()
    elif request.param == "journal":
        yield JournalStorage(JournalFileBackend(str(tmp_path / "journal.log")))
    else:
        database = RDBStorage(f"sqlite:///{tmp_path / 'study.db'}")
        yield database
        database.remove_session()
        database.engine.dispose()


# Several at a time


@pytest.mark.parametrize("num_jobs", [2, 4])
def test_threads_never_propose_one_combination_twice(num_jobs):
    study = make_study()
    study.optimize(objective, n_trials=12, n_jobs=num_jobs)
    assert len(set(tried(study))) == len(study.trials) == 12


def test_threads_with_samplers_of_their_own_share_no_combination():
    study = make_study()
    barrier = threading.Barrier(4)

    def work():
        own = optuna.load_study(
            study_name=study.study_name,
            storage=study._storage,
            sampler=ExactCostSampler(SPACE, {1: cost}),
        )
        barrier.wait()
        own.optimize(objective, n_trials=3)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(tried(study))) == len(study.trials) == 12


def test_a_study_asked_for_many_trials_at_once_gets_as_many_combinations():
    study = make_study()
    trials = [study.ask(SPACE) for _ in range(16)]
    assert len({(t.params["depth"], t.params["kind"]) for t in trials}) == 16


def test_what_another_process_proposes_is_seen_before_its_objective_suggests_everything(storage):
    study = make_study(storage=storage)
    first = study.ask()
    first.suggest_int("depth", 1, 8)
    other = optuna.load_study(
        study_name=study.study_name, storage=storage, sampler=ExactCostSampler(SPACE, {1: cost})
    )
    seconds = [other.ask(SPACE).params for _ in range(15)]
    rest = {"depth": first.params["depth"], "kind": first.suggest_categorical("kind", ["a", "b"])}
    assert rest not in seconds


def test_of_two_processes_that_decide_alike_at_one_moment_the_later_one_decides_anew():
    wanted = make_study().ask(SPACE).params
    study = make_study()
    waiting = []

    def cost_while_another_process_decides(params):
        for trial in waiting:
            texts = {name: repr(value) for name, value in wanted.items()}
            trial.storage.set_trial_system_attr(trial._trial_id, PROPOSAL, texts)
        waiting.clear()
        return cost(params)

    study.sampler = ExactCostSampler(SPACE, {1: cost_while_another_process_decides})
    waiting.append(study.ask())
    assert study.ask(SPACE).params != wanted
    assert study.trials[0].system_attrs[PROPOSAL] == {n: repr(v) for n, v in wanted.items()}


def test_combinations_that_two_processes_proposed_at_one_moment_do_no_harm():
    study = make_study()
    for _ in range(2):
        study.add_trial(
            optuna.create_trial(
                state=TrialState.RUNNING, params={"depth": 3, "kind": "a"}, distributions=SPACE
            )
        )
    study.optimize(objective, n_trials=20)
    assert Counter(tried(study)).most_common(1)[0][1] == 2
    assert len(set(tried(study))) == 16


# All have been tried


def test_a_study_stops_when_every_combination_has_been_tried(storage):
    study = make_study(storage=storage)
    study.optimize(objective, n_trials=40)
    assert len(set(tried(study))) == len(study.trials) == 16


def test_a_study_on_threads_stops_when_every_combination_has_been_tried():
    study = make_study()
    study.optimize(objective, n_trials=40, n_jobs=4)
    done = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    assert len({tuple(sorted(trial.params.items())) for trial in done}) == len(done) == 16
    assert len(study.trials) < 40


def test_a_trial_that_finds_nothing_left_says_so():
    study = make_study({"depth": IntDistribution(1, 2)})
    for _ in range(2):
        study.tell(study.ask({"depth": IntDistribution(1, 2)}), (1.0, 1.0))
    with pytest.raises(SpaceError, match=r"^all 2 combinations have been tried$"):
        study.ask().suggest_int("depth", 1, 2)


def test_a_study_whose_trials_all_fail_stops_where_candidates_are_repeated_as_well():
    study = make_study({"depth": IntDistribution(1, 3)}, repeat_candidates=True)

    def fail(trial):
        trial.suggest_int("depth", 1, 3)
        raise RuntimeError

    study.optimize(fail, n_trials=20, catch=RuntimeError)
    states = [trial.state for trial in study.trials]
    assert states == [TrialState.FAIL] * 3 + [TrialState.PRUNED]


def test_with_repeats_a_study_goes_on_after_the_last_combination():
    study = make_study({"depth": IntDistribution(1, 3)}, repeat_candidates=True)
    study.optimize(lambda t: (t.suggest_int("depth", 1, 3) / 9, 1.0), n_trials=8)
    assert len(study.trials) == 8
    assert len(set(tried(study))) == 3


# Old trials, enqueued trials, retried trials


def test_trials_outside_of_a_narrowed_range_are_left_out():
    old = make_study()
    old.optimize(objective, n_trials=6)
    narrow = {"depth": IntDistribution(1, 4), "kind": KIND}
    new = make_study(narrow)
    new.add_trials(old.trials)
    new.optimize(
        lambda t: (suggest_all(t, narrow)["depth"] / 9, t.params["depth"] + 1), n_trials=20
    )
    assert len(set(tried(new))) == len(new.trials)
    assert sum(trial.params["depth"] <= 4 for trial in new.trials) == 8


def test_trials_with_choices_that_are_gone_are_left_out():
    study = make_study({"kind": KIND}, cost=lambda params: 1.0)
    study.add_trial(
        optuna.create_trial(
            params={"kind": "z"},
            distributions={"kind": CategoricalDistribution(["z", "a", "b"])},
            values=[9.0, 1.0],
        )
    )
    study.optimize(lambda t: (1.0, len(t.suggest_categorical("kind", ["a", "b"]))), n_trials=9)
    assert [params for ((_, params),) in tried(study)[1:]] in (["a", "b"], ["b", "a"])


@pytest.mark.parametrize("value", [0.3, 0.1 * 3, 1 / 3 * 0.9])
def test_an_enqueued_value_that_floats_round_counts_as_tried(value):
    space = {"x": FloatDistribution(0, 1, step=0.1)}
    study = make_study(space, cost=lambda params: params["x"] + 1)
    study.enqueue_trial({"x": value})
    study.optimize(lambda t: (t.suggest_float("x", 0, 1, step=0.1), 1.0), n_trials=40)
    assert sorted(round(trial.params["x"], 9) for trial in study.trials) == [
        round(number / 10, 9) for number in range(11)
    ]


def test_an_enqueued_combination_is_not_proposed_while_it_waits():
    study = make_study({"depth": IntDistribution(1, 3)})
    first = study.ask()
    study.enqueue_trial({"depth": 2})
    assert first.suggest_int("depth", 1, 3) != 2


def test_an_enqueued_part_is_completed_by_what_has_not_been_tried():
    study = make_study()
    for kind in ("a", "b"):
        study.enqueue_trial({"depth": 3})
        study.enqueue_trial({"kind": kind})
    study.optimize(objective, n_trials=16)
    assert len(set(tried(study))) == 16
    assert study.trials[0].params["depth"] == study.trials[2].params["depth"] == 3


def test_an_enqueued_part_of_which_everything_has_been_tried_is_pruned_alone():
    study = make_study()
    for _ in range(3):
        study.enqueue_trial({"depth": 3})
    study.optimize(objective, n_trials=5)
    assert [trial.state.name for trial in study.trials] == [
        *("COMPLETE", "COMPLETE", "PRUNED", "COMPLETE", "COMPLETE")
    ]


def test_a_value_enqueued_beyond_the_range_is_tried_and_takes_nothing():
    study = make_study()
    study.enqueue_trial({"depth": 99})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Optuna's own: out of range
        study.optimize(objective, n_trials=30)
    assert study.trials[0].params["depth"] == 99
    assert len(study.trials) == 17


def test_a_failed_trial_that_is_retried_keeps_its_combination():
    study = make_study()
    trial = study.ask()
    depth = trial.suggest_int("depth", 1, 8)
    study.tell(trial, state=TrialState.FAIL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        retry = optuna.storages.RetryHeartbeatStaleTrialCallback()
    retry(study, study.trials[0])
    other = {study.ask(SPACE).params["depth"]}
    assert other == {depth}  # the retried one is first in the queue
    study.optimize(objective, n_trials=14)
    assert len({params for params in tried(study) if len(params) == 2}) == 15


def test_a_reopened_study_goes_on_as_an_undisturbed_one(storage):
    undisturbed = make_study(seed=3)
    undisturbed.optimize(objective, n_trials=12)
    study = make_study(storage=storage, seed=3)
    study.optimize(objective, n_trials=7)
    again = optuna.load_study(
        study_name=study.study_name,
        storage=storage,
        sampler=ExactCostSampler(SPACE, {1: cost}, seed=3),
    )
    again.optimize(objective, n_trials=5)
    assert tried(again) == tried(undisturbed)


@pytest.mark.parametrize(
    "make_copy", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))]
)
def test_a_copy_of_a_sampler_that_has_decided_decides_alike(make_copy):
    study, other = make_study(), make_study()
    study.optimize(objective, n_trials=6)
    other.add_trials(study.trials)
    other.sampler = make_copy(study.sampler)
    other.sampler.reseed_rng()
    for each in (study, other):
        each.optimize(objective, n_trials=6)
    assert tried(other) == tried(study)


def test_one_sampler_serves_studies_of_other_directions():
    sampler = ExactCostSampler(SPACE, {1: cost})
    down = ExactCostSampler(SPACE, {1: lambda params: -cost(params)})
    found = []
    for directions, sign, own in [
        (["maximize", "minimize"], 1, sampler),
        (["minimize", "minimize"], -1, sampler),
        (["minimize", "maximize"], -1, down),
    ]:
        study = optuna.create_study(directions=directions, sampler=own)
        study.optimize(lambda t, sign=sign: (sign * objective(t)[0], 1.0), n_trials=12)
        found.append(tried(study))
    assert found[0] == found[1] == found[2]


# Parameters that a trial has not, or has otherwise


def test_a_parameter_that_is_not_suggested_makes_no_two_combinations():
    study = make_study()

    def conditional(trial):
        kind = trial.suggest_categorical("kind", ["a", "b"])
        depth = trial.suggest_int("depth", 1, 8) if kind == "b" else 0
        return depth / 9, depth

    study.optimize(conditional, n_trials=40)
    assert len(set(tried(study))) == len(study.trials) == 9


def test_a_parameter_of_a_single_value_makes_no_two_combinations():
    study = make_study()

    def pinned(trial):
        trial.suggest_categorical("kind", ["a", "b"])
        return trial.suggest_int("depth", 9, 9) / 9, 1.0

    study.optimize(pinned, n_trials=40)
    assert len(study.trials) == 2


def test_a_parameter_that_optuna_fixes_makes_no_two_combinations():
    study = make_study()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.sampler = optuna.samplers.PartialFixedSampler({"depth": 3}, study.sampler)
    study.optimize(objective, n_trials=2)
    assert sorted(tried(study)) == [
        (("depth", 3), ("kind", "a")),
        (("depth", 3), ("kind", "b")),
    ]


@pytest.mark.parametrize(
    ("suggest", "sentence"),
    [
        (lambda t: t.suggest_int("depth", 20, 30), "gives .* from IntDistribution"),
        (lambda t: t.suggest_categorical("depth", ["x", "y"]), "suggests it from Categorical"),
        (lambda t: t.suggest_float("depth", 0.5, 0.75), "parameter 'depth': the sampler's search"),
        (lambda t: t.suggest_int("width", 1, 8), "'width' is not one of depth, kind"),
    ],
)
def test_another_distribution_is_refused_with_the_parameter_and_both(suggest, sentence):
    with pytest.raises(SpaceError, match=sentence):
        suggest(make_study().ask())


def test_another_distribution_that_holds_the_value_works():
    study = make_study()
    study.optimize(lambda t: (t.suggest_float("depth", 0.0, 9.0), 1.0), n_trials=8)
    assert sorted(trial.params["depth"] for trial in study.trials) == [1.0 * n for n in range(1, 9)]


# Values


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, None, "x", (1.0,)])
def test_values_that_are_no_finite_number_take_their_combination_and_teach_nothing(value):
    study = make_study()
    study.optimize(lambda t: (objective(t), (value, 1.0))[t.number % 3 == 1], n_trials=12)
    assert len(set(tried(study))) == 12


@pytest.mark.parametrize("scale", [1e300, 1e-300, 1e-12, 0.0, -1e9])
def test_values_of_any_size_are_told_apart(scale):
    study = make_study()
    study.optimize(lambda t: (scale * objective(t)[0], 1.0), n_trials=16)
    assert len(set(tried(study))) == 16


def test_sizes_that_differ_by_a_power_of_two_decide_alike():
    found = []
    for scale in (1.0, 2.0**900, 2.0**-900):
        study = make_study()
        study.optimize(lambda t, scale=scale: (scale * objective(t)[0], 1.0), n_trials=12)
        found.append(tried(study))
    assert found[0] == found[1] == found[2]


def test_a_trial_that_violates_a_constraint_is_not_on_the_front_that_others_are_held_against():
    study, free = make_study(), make_study()

    def constrained(trial):
        value, price = objective(trial)
        trial.set_constraint("size", 1.0 if trial.number == 2 else -1.0)
        return (1e6 if trial.number == 2 else value), price

    study.optimize(constrained, n_trials=10)
    free.optimize(objective, n_trials=10)
    assert len(set(tried(study))) == 10
    assert tried(study)[:3] == tried(free)[:3]


@pytest.mark.parametrize(
    ("cost", "sentence"),
    [
        (
            lambda params: math.nan,
            r"costs\[1\] returned nan for {'depth': 1, 'kind': 'a'}; allowed",
        ),
        (lambda params: -math.inf, r"returned -inf for"),
        (lambda params: None, "returned None for"),
        (lambda params: "7", "returned '7' for"),
        (lambda params: [1.0], r"returned \[1.0\] for"),
        (lambda params: 10**5000, "returned an integer beyond 1e308 for"),
        (
            lambda params: 1 / 0,
            r"costs\[1\] raised ZeroDivisionError: division by zero for {'depth'",
        ),
        (lambda params: params["width"], r"raised KeyError: 'width' for"),
    ],
)
def test_a_cost_that_is_no_finite_number_is_refused_with_its_combination(cost, sentence):
    study = make_study(cost=cost)
    with pytest.raises(SpaceError, match=sentence):
        study.optimize(objective, n_trials=1)


def test_costs_are_asked_for_allowed_combinations_alone():
    study = make_study(
        cost=lambda params: {1: 1.0, 2: 2.0}[params["depth"]],
        is_allowed=lambda params: params["depth"] < 3,
    )
    study.optimize(objective, n_trials=40)
    assert len(study.trials) == 4


@pytest.mark.parametrize(
    ("is_allowed", "sentence"),
    [
        (lambda params: False, "is_allowed allows no combination of the search space"),
        (lambda params: params["width"] > 1, "is_allowed raised KeyError"),
    ],
)
def test_a_rule_that_allows_nothing_or_raises_is_refused(is_allowed, sentence):
    with pytest.raises(SpaceError, match=sentence):
        make_study(is_allowed=is_allowed).optimize(objective, n_trials=1)


# Spaces


MIXED = [None, True, 2, 0.5, "1", math.inf, -3]


@pytest.mark.parametrize(
    "distribution",
    [
        CategoricalDistribution(MIXED),
        CategoricalDistribution([math.nan, 1.0]),
        CategoricalDistribution(["only"]),
        FloatDistribution(0.1, 0.7, step=0.2),
        FloatDistribution(-0.3, 0.3, step=0.1),
        FloatDistribution(2.5, 2.5),
        IntDistribution(1, 9, log=True),
        IntDistribution(-7, 5, step=4),
    ],
    ids=str,
)
def test_every_value_of_a_finite_distribution_is_tried_once_and_optuna_holds_it(distribution):
    space = {"x": distribution, "depth": IntDistribution(1, 2)}
    study = make_study(space)
    study.optimize(lambda t: (len(str(suggest_all(t, space))), 1.0), n_trials=40)
    values = Counter(str(trial.params["x"]) for trial in study.trials)
    assert set(values.values()) == {2}
    sizes = {str(trial.params) for trial in study.trials}
    assert len(sizes) == len(study.trials)
    for trial in study.trials:
        trial._validate()  # each value is in its distribution


def test_tuples_and_lists_are_choices():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Optuna's own: not for storages
        space = {"sizes": CategoricalDistribution([(1, 2), (3,), [4, 5], None])}
        study = make_study(space, cost=lambda params: len(params["sizes"] or ()))
        study.optimize(lambda t: (len(suggest_all(t, space)), 1.0), n_trials=9)
    assert len({str(trial.params) for trial in study.trials}) == len(study.trials) == 4


def test_lists_are_choices_of_a_study_in_a_file(storage):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        space = {"sizes": CategoricalDistribution([[1, 2], [3]]), "depth": IntDistribution(1, 2)}
        study = make_study(space, storage=storage)
        study.optimize(lambda t: (len(suggest_all(t, space)), 1.0), n_trials=9)
        assert len({str(trial.params) for trial in study.trials}) == len(study.trials) == 4


@pytest.mark.parametrize(
    ("space", "sentence"),
    [
        ({}, "search_space is {}; it takes the distribution of each parameter by name"),
        ([1], "search_space is"),
        ({"depth": (1, 8)}, r"parameter 'depth': \(1, 8\) is none of Optuna's"),
        ({3: DEPTH}, "search_space has the name 3, which is not a text"),
        ({"x": FloatDistribution(1e-3, 1.0, log=True)}, "'x' has no step: .* give it a step"),
        ({"x": IntDistribution(0, 10**12)}, "1,000,000,000,001 combinations"),
        ({"x": IntDistribution(1, 2000)}, "2,000 values together.*'x' with 2,000, and 1,000 are"),
        ({"x": IntDistribution(2**60, 2**60 + 3)}, "'x': Optuna can't tell"),
        ({"x": CategoricalDistribution([True, 1])}, "'x': Optuna can't tell 1 from True"),
        ({"x": CategoricalDistribution(["a", "a"])}, "can't tell 'a' from 'a'"),
        ({"x": CategoricalDistribution([0, False])}, "can't tell False from 0"),
    ],
)
def test_a_space_that_can_not_be_listed_is_refused_in_a_sentence(space, sentence):
    with pytest.raises(SpaceError, match=sentence):
        ExactCostSampler(space, {1: cost})


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"costs": [cost]}, r"costs \[.*takes a function for the number of each known objective"),
        ({"costs": {"1": cost}}, "costs has the key '1', which is not an objective's number"),
        ({"costs": {True: cost}}, "costs has the key True"),
        ({"costs": {1: 5}}, r"costs\[1\] is 5, not a function"),
        ({"seed": 1.5}, "seed 1.5 is not a whole number"),
        ({"seed": None}, "seed None is not a whole number"),
        ({"is_allowed": "yes"}, "is_allowed 'yes' is not a function"),
        ({"repeat_candidates": "no"}, "repeat_candidates 'no' is not True or False"),
    ],
)
def test_an_argument_of_another_type_is_refused_in_a_sentence(options, sentence):
    with pytest.raises(SpaceError, match=sentence):
        ExactCostSampler(**({"search_space": SPACE, "costs": {1: cost}} | options))


@pytest.mark.parametrize(
    ("directions", "costs", "sentence"),
    [
        (["maximize"], {1: cost}, r"costs\[1\] .* numbered from 0 to 0"),
        (["maximize"], {0: cost}, "of 1 objectives 1 are known"),
        (["maximize", "minimize"], {-1: cost}, r"costs\[-1\] .* numbered from 0 to 1"),
        (["maximize", "minimize"], {5: cost}, r"costs\[5\] .* numbered from 0 to 1"),
        (["maximize", "minimize", "minimize"], {1: cost}, "of 3 objectives 1 are known"),
    ],
)
def test_costs_that_do_not_fit_the_objectives_are_refused(directions, costs, sentence):
    study = optuna.create_study(directions=directions, sampler=ExactCostSampler(SPACE, costs))
    with pytest.raises(SpaceError, match=sentence):
        study.ask().suggest_int("depth", 1, 8)


# Any small space


@st.composite
def distributions(draw):
    low, step, count = draw(st.integers(-3, 3)), draw(st.integers(1, 3)), draw(st.integers(0, 3))
    kind = draw(st.sampled_from(["int", "log", "float", "choices"]))
    if kind == "int":
        return IntDistribution(low, low + step * count, step=step)
    if kind == "log":
        return IntDistribution(1, 1 + count, log=True)
    if kind == "float":
        begin = draw(st.sampled_from([0.0, 0.1, -0.3, 100.7]))
        width = draw(st.sampled_from([0.1, 0.3, 0.05, 1e-6]))
        return FloatDistribution(begin, round(begin + width * count, 9), step=width)
    choices = st.lists(
        st.sampled_from(["a", "", None, True, 2, 0.5, math.inf, math.nan]),
        min_size=1,
        max_size=4,
        unique_by=repr,
    )
    return CategoricalDistribution(draw(choices))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    space=st.dictionaries(st.sampled_from(["p", "q"]), distributions(), min_size=1),
    values=st.lists(st.floats() | st.sampled_from(["fail", "prune"]), min_size=10, max_size=10),
    prices=st.lists(st.floats(-1e300, 1e300), min_size=7, max_size=7),
    num_jobs=st.sampled_from([1, 2]),
    direction=st.sampled_from(["maximize", "minimize"]),
)
def test_no_combination_of_any_small_space_is_tried_twice(
    space, values, prices, num_jobs, direction
):
    sampler = ExactCostSampler(space, {0: lambda params: prices[len(repr(params)) % 7]})
    study = optuna.create_study(directions=["minimize", direction], sampler=sampler)

    def run(trial):
        suggest_all(trial, space)
        value = values[trial.number]
        if value == "fail":
            raise RuntimeError
        if value == "prune":
            raise optuna.TrialPruned
        return 1.0, value

    study.optimize(run, n_trials=10, n_jobs=num_jobs, catch=RuntimeError)
    proposed = [t for t in study.trials if "se_search:proposal" in t.system_attrs]
    assert len({repr(sorted(t.params.items())) for t in proposed}) == len(proposed)
    for trial in study.trials:
        trial._validate()

"""What Optuna's samplers see of replicates: nothing."""

import numpy as np
import pytest
from support.optuna_studies import load_optuna_study
from support.searching import evaluation, make_space, search

from se_search.search.levelled_study import LevelledStudy
from se_search.search.registry import _make_nsga2, _make_tpe
from se_search.search.samplers import OptunaSampler

FOUR_WIDTHS = {"choices": {"reduction": [2, 4, 8, 16]}}  # 125 candidates
ALWAYS_SE = {"choices": {"none": False, "reduction": [4, 8]}}
LEVELS = np.random.default_rng(0).normal(0, 0.05, 100)
MAKERS = {"tpe": (_make_tpe, 45), "nsga2": (_make_nsga2, 40)}  # trials: beyond random draws


def run(inner, levels, subtract):
    """Search candidates whose accuracies are additive; return the candidates trained."""

    def evaluate(assignment):
        true = 0.5 + int(assignment.candidate.key, 16) % 9973 / 100_000
        return evaluation(true + levels[assignment.seed])

    make_inner, num_trials = MAKERS[inner]

    def make(setup):
        return OptunaSampler(
            *(setup.space, setup.allowed, setup.seed, make_inner),
            subtract=subtract,
            control=setup.control,
        )

    space = make_space(FOUR_WIDTHS)
    records, _ = search(None, num_trials, space=space, sampler=make, evaluate=evaluate)
    return [record.candidate for record in records]


@pytest.mark.parametrize("inner", MAKERS)
def test_where_levels_are_known_they_change_no_proposal_of_optunas_samplers(inner):
    def subtract(values, keys, seeds):
        return np.round(np.array(values) - LEVELS[seeds], 6)

    def keep(values, keys, seeds):
        return np.round(values, 6)

    without = run(inner, 0 * LEVELS, keep)
    assert run(inner, LEVELS, subtract) == without
    assert run(inner, LEVELS, keep) != without


def test_the_controls_are_one_trial_of_their_mean_accuracy(tmp_path):
    records, _ = search(tmp_path / "a.db", 12, replicates=4)
    study = load_optuna_study(tmp_path / "a.db")
    seen = LevelledStudy(study, lambda values, keys, seeds: np.array(values)).trials
    assert [t.number for t in seen] == [0, *range(4, 12)]
    assert seen[0].values[0] == pytest.approx(np.mean([r.accuracy for r in records[:4]]))
    assert [t.values[0] for t in seen[1:]] == [r.accuracy for r in records[4:]]
    assert [t.values[1] for t in study.trials] == [r.params for r in records]


def test_a_control_outside_of_the_space_is_not_seen(tmp_path):
    search(tmp_path / "a.db", 10, space=make_space(ALWAYS_SE), replicates=3)
    seen = LevelledStudy(load_optuna_study(tmp_path / "a.db"))
    assert [t.number for t in seen.trials] == list(range(3, 10))
    assert all(t.params for t in seen.trials)


def test_the_study_keeps_its_own_accuracies_and_lends_all_else(tmp_path):
    records, _ = search(tmp_path / "a.db", 12, replicates=4)
    study = load_optuna_study(tmp_path / "a.db")
    seen = LevelledStudy(study)
    assert [t.values[0] for t in study.trials] == [r.accuracy for r in records]
    assert seen.directions == study.directions
    assert seen._storage is study._storage


def test_nsga2_fills_its_generations_with_candidates_and_not_with_controls(tmp_path):
    search(tmp_path / "a.db", 50, sampler="nsga2", replicates=4)
    study = load_optuna_study(tmp_path / "a.db")
    generations = [t.system_attrs["NSGAIISampler:generation"] for t in LevelledStudy(study).trials]
    assert [generations.count(number) for number in range(2)] == [20, 20]
    assert "NSGAIISampler:parent:2" in study._storage.get_study_system_attrs(study._study_id)

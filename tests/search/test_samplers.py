"""Samplers propose candidates: uniformly, in order, or as Optuna's samplers would."""

from collections import Counter

import optuna
import pytest
from scipy import stats
from support.networks import make_backbone
from support.optuna_studies import load_optuna_study
from support.searching import Only, make_space, search

from se_search.search.candidate_set import WholeSpace
from se_search.search.registry import SAMPLERS
from se_search.search.samplers import GridSampler, RandomSampler
from se_search.space.bound import BoundSpace
from se_search.space.schema import SearchSpace

# On 4 channels r = 4, 8 and 16 are one width: three spellings of one network.
SPELLINGS = {"choices": {"reduction": [2, 4, 8, 16]}}


def propose(sampler, num_trials):
    """Return proposals; each candidate is trained in replicates 0, 1, ..., as the store notes."""
    study = optuna.create_study(sampler=sampler)
    found = []
    for _ in range(num_trials):
        trial = study.ask()
        candidate = sampler.space.choose(
            lambda p, t=trial: t.suggest_categorical(p.name, p.choices)
        )
        trial.set_user_attr("candidate", str(candidate))
        trial.set_user_attr("seed", found.count(candidate))
        study.tell(trial, 0.0)
        found.append(candidate)
    return found


def test_random_draws_each_candidate_as_likely_as_any_other_however_often_it_is_spelled():
    space = make_space(SPELLINGS, [4], [4])
    assert (space.raw_size, space.size) == (25, 9)
    counts = Counter(propose(RandomSampler(space, WholeSpace(space), 3), 1_800))
    assert len(counts) == 9
    assert stats.chisquare(list(counts.values())).pvalue > 0.001


def test_a_proposal_is_a_function_of_seed_and_trial_number():
    space = make_space()
    draws = [propose(RandomSampler(space, WholeSpace(space), 5), 20) for _ in range(2)]
    assert draws[0] == draws[1]
    assert draws[0] != propose(RandomSampler(space, WholeSpace(space), 6), 20)


def test_a_grid_takes_the_candidates_in_order_and_starts_again():
    space = make_space()
    every = list(space)
    found = propose(GridSampler(space, WholeSpace(space), 0), len(every) + 2)
    assert found == [*every, *every[:2]]


def test_a_grid_skips_what_the_limits_exclude():
    space = make_space()
    allowed = [c for c in space if c.blocks[0] is None]
    sampler = GridSampler(space, Only(space, lambda c: c.blocks[0] is None), 0)
    assert propose(sampler, len(allowed)) == allowed


def test_spaces_of_more_than_64_bits_can_be_searched():
    backbone = make_backbone([64] * 70)
    space = BoundSpace(
        SearchSpace.model_validate({"granularity": "block", "choices": {"reduction": [4]}}),
        backbone,
    )
    assert space.size == 2**70
    found = propose(RandomSampler(space, WholeSpace(space), 0), 3)
    assert len(set(found)) == 3
    assert all(20 < sum(b is not None for b in c.blocks) < 50 for c in found)


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_a_model_based_sampler_finds_better_candidates_than_chance(sampler):
    """The accuracy falls with every block that carries SE: the plain network wins."""
    from support.searching import evaluation

    space = BoundSpace(
        SearchSpace.model_validate({"granularity": "block", "choices": {"reduction": [4]}}),
        make_backbone([64] * 12),
    )

    def evaluate(assignment):
        return evaluation(1 - sum(b is not None for b in assignment.candidate.blocks) / 20)

    def late_mean(name):
        records, _ = search(None, 80, space=space, sampler=name, evaluate=evaluate)
        return sum(r.accuracy for r in records[50:]) / 30

    assert late_mean(sampler) > late_mean("random") + 0.05


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_conditional_parameters_are_drawn_only_where_they_matter(tmp_path, sampler):
    space = make_space({"choices": {"integration": ["standard", "pre"], "reduction": [4, 8]}})
    search(tmp_path / "s.db", 30, space=space, sampler=sampler)
    study = load_optuna_study(tmp_path / "s.db")
    for trial in study.trials:
        for slot in ("stage2", "stage3", "stage4"):
            carries_se = trial.params[f"{slot}.integration"] != "none"
            assert (f"{slot}.reduction" in trial.params) == carries_se


def test_a_parameter_that_is_not_in_the_space_is_refused():
    from se_search.errors import SpaceError

    space = make_space()
    sampler = RandomSampler(space, WholeSpace(space), 0)
    study = optuna.create_study(sampler=sampler)
    with pytest.raises(SpaceError, match="'colour'"):
        study.ask().suggest_categorical("colour", ["red", "blue"])

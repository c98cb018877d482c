"""A study judged: its candidates, claims and costs, against bits counted by hand and the paper."""

import numpy as np
import pytest
from support.studies import (
    NUM_TEST,
    candidates_of,
    judge_made_up,
    made_up_training,
    study_file,
)

from se_search.analysis.comparison import compare
from se_search.analysis.replicates import Replicates
from se_search.reproduction.study_file import find_study, read_study


def right_shares(name, seeds):
    candidate = candidates_of(study_file())[name]
    packed = [made_up_training(candidate, seed).test_correct for seed in seeds]
    bits = [np.unpackbits(np.frombuffer(one, np.uint8)) for one in packed]
    return np.array([one.sum() / NUM_TEST for one in bits])


def test_claims_are_judged_by_the_test_images_that_are_right(tmp_path):
    report = judge_made_up(tmp_path)
    expected = compare(
        *(Replicates(tuple(range(6)), right_shares(name, range(6))) for name in ("all", "none"))
    )
    first = report.verdicts[0].comparison
    assert first.difference == pytest.approx(expected.difference)
    assert first.interval == pytest.approx(expected.interval)


def test_each_claim_has_its_verdict_in_the_order_of_the_study(tmp_path):
    verdicts = judge_made_up(tmp_path).verdicts
    assert [str(verdict.claim) for verdict in verdicts] == list(study_file().claims)
    assert [v.outcome for v in verdicts] == ["supported", "refuted", "supported", "supported"]


def test_a_population_interval_is_given_for_top_1_of_which_bits_are_kept(tmp_path):
    verdicts = judge_made_up(tmp_path).verdicts
    assert [v.comparison.population is None for v in verdicts] == [False, False, True, False]


def test_a_candidates_accuracies_are_those_of_its_last_epochs(tmp_path):
    result = judge_made_up(tmp_path).candidates[1]
    assert result.top1 == pytest.approx(right_shares("all", range(6)))
    assert result.top5 == (0.99,) * 6


def test_the_baseline_is_not_compared_with_itself(tmp_path):
    results = judge_made_up(tmp_path).candidates
    assert [result.against_baseline is None for result in results] == [True, False, False]


def test_claims_with_fewer_than_two_shared_replicates_are_not_judged(tmp_path):
    report = judge_made_up(tmp_path, replicates=[0])
    assert report.verdicts == ()
    assert tuple(map(str, report.unjudged)) == study_file().claims
    assert all(result.against_baseline is None for result in report.candidates)


def test_claims_about_top_5_are_not_judged_where_it_was_not_measured(tmp_path):
    trainings = [
        made_up_training(candidate, seed, top5=None)
        for candidate in candidates_of(study_file()).values()
        for seed in range(6)
    ]
    report = judge_made_up(tmp_path, trainings=trainings)
    assert [str(claim) for claim in report.unjudged] == ["all equals none within 30 in top-5"]
    assert [result.top5 for result in report.candidates] == [(), (), ()]


def test_a_candidate_without_a_training_has_no_accuracies(tmp_path):
    candidates = candidates_of(study_file())
    trainings = [made_up_training(candidates["none"], seed) for seed in range(2)]
    result = judge_made_up(tmp_path, trainings=trainings).candidates[1]
    assert (result.replicates, result.top1, result.validation) == ((), (), None)


def test_missing_trainings_are_counted_once_for_candidates_that_are_one_network(tmp_path):
    file = study_file(
        candidates={"none": "all=none", "all": "all=standard:r16", "same": "all=none"}
    )
    file = file.model_copy(update={"claims": ()})
    trainings = [made_up_training(candidates_of(file)["none"], seed) for seed in range(3)]
    report = judge_made_up(tmp_path, file=file, trainings=trainings, wanted=range(4))
    assert report.num_missing == 2 * 4 - 3


def test_only_environments_that_trained_are_reported(tmp_path):
    assert judge_made_up(tmp_path, trainings=[]).environments == ()
    assert len(judge_made_up(tmp_path).environments) == 1


def test_the_costs_of_dropping_the_last_stage_are_those_of_the_paper(tmp_path):
    """9.841 % and 3.686 % of 25,557,032 parameters; with biases 9.903 % and 3.723 %."""
    shipped = read_study(find_study("drop_last_stage")).costs
    costs = {"backbones": ["resnet50"], "candidates": shipped.candidates}
    report = judge_made_up(tmp_path, file=study_file(costs=costs))
    assert {row.params - row.added_params for row in report.costs} == {25_557_032}
    shares = [round(row.added_params_pct, 3) for row in report.costs]
    assert shares == [9.841, 3.686, 9.903, 3.723]

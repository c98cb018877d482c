"""Searches with supernets, from options to a finished folder, on made-up trainings and scores."""

from collections import Counter

import numpy as np
import pytest
from support.commands import read_rows
from support.made_up_supernets import MadeUpSupernets
from support.sessions import MadeUpSessions
from typer.testing import CliRunner

from se_search.cli import app
from se_search.commands.confirm import confirm
from se_search.commands.options import ConfirmOptions, SearchOptions
from se_search.commands.recorded_run import describe_recorded_run, read_recorded_options
from se_search.commands.search import search
from se_search.errors import DivergedError, RunChangedError, RunError, TooManyFailuresError
from se_search.execution.serial import SerialExecutor
from se_search.record import Evaluation
from se_search.report.display import QuietDisplay
from se_search.score import supernet_seed
from se_search.store.supernets import SupernetFiles, read_supernets
from se_search.store.trials import read_records
from se_search.training.supernet_run import SupernetTask


def truth(candidate):
    """Return an accuracy that no cost orders: SE helps in stage 3, harms in stage 5."""
    signs = {2: 0.001, 3: 0.010, 4: 0.004, 5: -0.010}
    pairs = zip(candidate.backbone.sites, candidate.blocks, strict=True)
    return 0.8 + sum(signs[site.stage] for site, block in pairs if block is not None)


def train(assignment):
    noise = np.random.default_rng([assignment.seed, int(assignment.candidate.key, 16)])
    return Evaluation(truth(assignment.candidate) + noise.normal(0, 1e-3), 0.5, (), b"\x80", 1.0)


class SupernetSessions(MadeUpSessions):
    """Sessions whose supernets are made up, too."""

    def __init__(self, supernets):
        super().__init__(train)
        self.supernets = supernets

    def _make_executor(self, task):
        if not isinstance(task, SupernetTask):
            return super()._make_executor(task)
        self.tasks.append(task)
        return SerialExecutor(
            lambda assignment: self.supernets.evaluate(assignment, task.scored[assignment.seed])
        )


class Notes(QuietDisplay):
    def __init__(self):
        self.texts, self.progress = [], []

    def note(self, text):
        self.texts.append(text)

    def update(self, progress):
        self.progress.append(progress)


@pytest.fixture
def run_search(tmp_path):
    """Search digits with made-up supernets; return the outcome, the sessions and the notes."""

    def run(failing=lambda assignment: None, **options):
        usual = {"space": "stages_ratio", "data": "digits", "epochs": 8, "trials": 30}
        usual |= {"evaluator": "supernet", "keep_weights": "none", "name": "made"}
        sessions, notes = SupernetSessions(MadeUpSupernets(truth, failing)), Notes()
        outcome = search(SearchOptions(runs_dir=tmp_path, **usual | options), notes, sessions)
        return outcome, sessions, notes

    return run


def test_supernets_alone_score_candidates_and_claim_no_gain(run_search, tmp_path):
    outcome, sessions, _ = run_search()
    supernets = read_supernets(SupernetFiles(tmp_path / "made"))
    assert 30 - supernets.worth < supernets.worth / len(supernets.supernets)
    assert [one.state for one in supernets.supernets] == ["SCORED"] * len(supernets.supernets)
    assert sessions.trained == []
    answer = outcome.findings.answer
    assert answer.what.startswith("Nothing can be said of gains, as no candidate was trained")
    assert "--evaluator ladder " in answer.next_step.command
    assert answer.next_step.trials == 90
    rows = read_rows(tmp_path / "made" / "scores.csv")
    scored = Counter(row["member"] for row in rows)
    assert len(scored) == len(supernets.supernets)
    assert "Supernets and their test" in outcome.folder.report_html.read_text()


def test_a_run_of_supernets_alone_speaks_of_no_replicates_of_trainings(run_search):
    _, _, notes = run_search(trials=12)
    assert not any("Trials take turns" in text for text in notes.texts)


def test_supernets_are_numbered_in_the_run_with_the_seed_that_files_have(run_search, tmp_path):
    _, _, notes = run_search()
    supernets = read_supernets(SupernetFiles(tmp_path / "made")).supernets
    ended = [text for text in notes.texts if text.startswith("supernet ")]
    heads = [f"supernet {k} (seed {one.seed}): " for k, one in enumerate(supernets, 1)]
    assert [text[: len(head)] for text, head in zip(ended, heads, strict=True)] == heads


def test_the_display_is_told_of_each_supernet_that_ends(run_search):
    _, _, notes = run_search()
    assert [progress.num_supernets for progress in notes.progress] == [1, 2, 3]


def test_a_run_of_supernets_is_read_back_as_one_so_that_it_can_be_confirmed(run_search):
    outcome, _, _ = run_search(trials=12)
    config = outcome.folder.read_config()
    recorded = read_recorded_options(config, ConfirmOptions())
    run = describe_recorded_run(outcome.folder, config, recorded)
    assert run.supernets == config["identity"]["supernets"]


def test_what_supernets_alone_have_ordered_is_not_confirmed_and_the_ladder_is_named(run_search):
    outcome, _, _ = run_search(trials=12)
    with pytest.raises(RunError, match=r"nothing to confirm.*(.|\n)*--evaluator ladder"):
        confirm(outcome.folder, ConfirmOptions())


def test_the_task_of_supernets_is_that_of_trainings_with_what_supernets_need(run_search):
    _, sessions, _ = run_search(trials=12)
    (task,) = sessions.tasks
    assert task.recipe == sessions.requests[0].recipe
    assert task.num_trainings == task.worth > 4
    assert len({len(own) for own in task.scored.values()}) == 1
    assert all(one in task.subspace for own in task.scored.values() for one in own)


def test_a_run_of_supernets_goes_on_as_a_ladder_with_the_supernets_that_it_has(
    run_search, tmp_path
):
    run_search(trials=12)
    before = read_supernets(SupernetFiles(tmp_path / "made")).supernets
    _, _, notes = run_search(evaluator="ladder", trials=90)
    supernets = read_supernets(SupernetFiles(tmp_path / "made"))
    assert supernets.supernets[0].seed == before[0].seed == supernet_seed(0, 0)
    assert [one.kind for one in supernets.segments[:3]] == ["supernets", "train", "supernets"]
    records = read_records(tmp_path / "made" / "trials.db")
    roles = Counter(record.role for record in records)
    assert (roles["probe"], {r.seed for r in records if r.role == "probe"}) == (
        *(16, {2_000_000, 2_000_001}),
    )
    assert 89 < len(records) + supernets.worth <= 90
    assert {progress.total for progress in notes.progress} == {90}
    spent = [progress.spent for progress in notes.progress]
    assert (spent[0], spent[-1]) == (before[0].worth, len(records) + supernets.worth)
    assert spent == sorted(spent)
    (test,) = CliRunner().invoke(app, ["ladder", str(tmp_path / "made")]).stdout.splitlines()[:1]
    assert "Do cheap scores order candidates" in test


def test_a_ladder_over_a_large_space_scores_and_pays_for_what_the_accuracy_model_chose(
    run_search, tmp_path
):
    _, _, notes = run_search(evaluator="ladder", trials=90)
    files = SupernetFiles(tmp_path / "made")
    supernets = read_supernets(files)
    segments = [one for one in supernets.segments if one.kind == "supernets"]
    assert all(10 < len(segment.chosen) <= 32 for segment in segments)
    every = {text for segment in segments for text in segment.chosen}
    by_member = {one.seed: set() for one in supernets.supernets}
    for row in read_rows(files.csv):
        by_member[int(row["member"])].add(row["candidate"])
    assert all(own >= every for own in by_member.values())
    records = read_records(tmp_path / "made" / "trials.db")
    assert 89 < len(records) + supernets.worth <= 90
    assert {one.candidate for one in records} & every
    assert any("that the accuracy model would know better" in text for text in notes.texts)


def test_in_a_ladder_over_a_small_space_nothing_is_chosen_as_all_is_scored(run_search, tmp_path):
    run_search(evaluator="ladder", trials=90, space="stages")
    supernets = read_supernets(SupernetFiles(tmp_path / "made"))
    assert {segment.chosen for segment in supernets.segments} == {()}
    assert len({(one.num_scored, one.worth) for one in supernets.supernets}) == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"evaluator": "ladder", "trials": 60}, "60 trials are too few to test scores; 90 are"),
        ({"trials": 3}, "evaluator supernet: 3 trials are too few"),
        ({"sampler": "random"}, "evaluator supernet with sampler random: it takes sampler pareto"),
        ({"promotion": "auto"}, "evaluator supernet with promotion auto: it takes promotion off"),
        ({"executor": "ray"}, "evaluator supernet with executor ray: it takes executor local"),
        ({"evaluator": "supernets"}, "did you mean supernet"),
    ],
)
def test_what_supernets_can_not_do_is_refused_with_what_they_take(
    run_search, tmp_path, options, told
):
    with pytest.raises(RunError, match=told):
        run_search(**options)
    assert list(tmp_path.iterdir()) == []  # nothing is left of a command that was refused


def test_trainings_and_supernets_are_not_mixed_in_a_run_that_began_without_probes(run_search):
    run_search(evaluator="train", trials=2)
    with pytest.raises(RunChangedError, match="with --evaluator train; it can't go on with"):
        run_search(trials=12)


def test_supernets_that_fail_in_a_row_stop_the_search_with_the_last_reason(run_search):
    def fail(assignment):
        return DivergedError(f"the loss of {assignment.seed} is nan")

    with pytest.raises(TooManyFailuresError, match=r"2 trainings in a row failed.* is nan"):
        run_search(failing=fail, trials=60, max_failures=2)


def test_a_run_without_supernets_has_no_ladder_and_says_what_has(run_search, tmp_path):
    run_search(evaluator="train", trials=2)
    outcome = CliRunner().invoke(app, ["ladder", str(tmp_path / "made")])
    assert "has no supernets: it was searched with --evaluator train" in str(outcome.exception)

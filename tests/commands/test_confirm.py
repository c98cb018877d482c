"""Confirmation: fresh seeds, nothing twice, the test images once, and honest numbers."""

import io
import json
import math
import os
import re
import shutil
import signal
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from rich.console import Console
from support.commands import RUN, read_rows
from support.networks import make_backbone
from support.sessions import MadeUpSessions

from se_search.backbone import FeatureMap, Site
from se_search.backbone_file import backbone_from_json
from se_search.candidate import Candidate
from se_search.commands.confirm import confirm
from se_search.commands.confirm_candidates import choose_candidates, fresh_seeds, se_everywhere
from se_search.commands.options import ConfirmOptions, SearchOptions
from se_search.commands.recorded_run import read_recorded_recipe
from se_search.commands.search import search
from se_search.cost import count_cost
from se_search.errors import (
    CandidateError,
    DataError,
    DivergedError,
    RecipeError,
    RunError,
    TooManyFailuresError,
)
from se_search.models.catalogue import describe_backbone
from se_search.recipe import read_recipe
from se_search.record import Evaluation
from se_search.report.confirmation import (
    confirmation_sentences,
    print_confirmation,
    print_result,
)
from se_search.report.display import QuietDisplay
from se_search.store.confirmations import count_readings, read_rounds, write_rounds
from se_search.store.run_folder import RunFolder
from se_search.store.run_space import digest_backbone
from se_search.store.run_space import read_space as read_run_space
from se_search.store.training_log import read_log
from se_search.store.trials import read_records
from se_search.surrogate.posterior_front import fit_front, plain_front

NUM_VALIDATION, NUM_TEST = 287, 360


def accuracy_of(assignment):
    """Return an accuracy that is a whole number of validation images, the seed's noise in it."""
    rng = np.random.default_rng([int(assignment.candidate.key, 16), assignment.seed])
    return round((0.5 + 0.3 * rng.random()) * NUM_VALIDATION) / NUM_VALIDATION


def evaluate_made_up(assignment):
    """Return a training whose test images go as the validation images do."""
    accuracy = accuracy_of(assignment)
    correct = np.arange(NUM_VALIDATION) < round(accuracy * NUM_VALIDATION)
    test_correct = np.arange(NUM_TEST) < round(accuracy * NUM_TEST)
    row = {
        "epoch": 1,
        "accuracy": correct.mean(),
        "loss": 1 - accuracy,
        "test_accuracy": test_correct.mean(),
        "test_loss": 1.0,
    }
    bits = [np.packbits(part).tobytes() for part in (correct, test_correct)]
    return Evaluation(correct.mean(), 1 - accuracy, (row,), bits[0], 2.0, bits[1])


def search_into(path, num_trials):
    """Make a run of made-up trials on digits."""
    options = SearchOptions(
        space="stages",
        data="digits",
        epochs=1,
        sampler="random",
        trials=num_trials,
        name=path.name,
        runs_dir=path.parent,
    )
    return search(options, QuietDisplay(), MadeUpSessions(evaluate_made_up)).folder


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return search_into(tmp_path_factory.mktemp("template") / "run", 7)


@pytest.fixture
def folder(template, tmp_path):
    return RunFolder(shutil.copytree(template.path, tmp_path / "run"))


@pytest.fixture
def train(folder):
    """Confirm with made-up trainings; return the outcome, what was trained, and what was said."""

    def run(evaluate=evaluate_made_up, **options):
        sessions, notes, ended = MadeUpSessions(evaluate), [], []
        outcome = confirm(folder, ConfirmOptions(**options), notes.append, ended.append, sessions)
        return SimpleNamespace(
            outcome=outcome,
            trained=[(a.candidate.placement, a.seed) for a in sessions.trained],
            notes=notes,
            ended=ended,
            tasks=sessions.tasks,
        )

    return run


# --- what is trained ------------------------------------------------------------------------------


def test_seeds_are_a_block_of_their_own_without_those_that_a_trial_had():
    assert fresh_seeds(0, {0, 1, 2}, 3) == (1_000_000, 1_000_001, 1_000_002)
    assert fresh_seeds(7, {1_000_008}, 2) == (1_000_007, 1_000_009)


def test_the_front_the_plain_backbone_and_se_everywhere_are_trained_once_with_each_seed(
    folder, train
):
    trained = train(seeds=3).trained
    front = {row["placement"] for row in read_rows(folder.pareto_csv)}
    wanted = front | {"no SE", "s2:2 s3:4 s4:8 s5:16"}
    assert sorted(trained) == sorted((p, 1_000_000 + s) for p in wanted for s in range(3))


def test_all_candidates_are_trained_with_a_seed_before_the_next_seed(train):
    seeds = [seed for _, seed in train(seeds=2).trained]
    assert seeds == sorted(seeds)


def test_named_candidates_are_trained_instead_of_the_front(train):
    text = "resnet20_bottleneck/stage4=standard:r4"
    placements = {placement for placement, _ in train(seeds=1, candidates=(text,)).trained}
    assert placements == {"s4:32", "no SE", "s2:2 s3:4 s4:8 s5:16"}


def test_the_credible_set_is_what_the_model_does_not_rule_out(tmp_path):
    run = search_into(tmp_path / "run", 12)
    records = read_records(run.database)
    space = read_run_space(run)
    believed = fit_front(records, space, ("accuracy", "params"), 1)
    chosen = choose_candidates(("all-credible",), space.backbone, believed)
    wanted = {c.summary.key for c in believed.candidates if c.probability_on_front >= 0.05}
    assert {c.key for c in chosen if "credible" in c.roles} == wanted
    estimates = {c.summary.key: c.estimate for c in believed.candidates}
    assert all(c.search_estimate == estimates.get(c.key) for c in chosen)


def test_a_candidate_of_another_backbone_is_refused(train):
    with pytest.raises(CandidateError, match="not of the backbone resnet20_bottleneck"):
        train(candidates=("resnet18",))


def test_se_everywhere_is_the_papers_network():
    backbone = describe_backbone("resnet50", 3, 224, 1000)
    assert count_cost(se_everywhere(backbone)).added_params == 2_514_944  # Hu et al. 2019, sec. 4


def test_se_everywhere_is_in_the_first_position_where_there_is_no_standard_one():
    backbone = make_backbone([32], [64])
    odd = Site(3, 1, {"post": FeatureMap(64, 16), "pre": FeatureMap(48, 16)})
    backbone = replace(backbone, sites=(backbone.sites[0], odd))
    assert str(se_everywhere(backbone)).endswith("stage2=standard:2/stage3=post:4")


def test_a_run_without_a_full_training_has_nothing_to_confirm():
    nothing = plain_front([], "fewer than 8 trainings have ended")
    with pytest.raises(RunError, match="no front to confirm"):
        choose_candidates(("front",), make_backbone([32]), nothing)


# --- what a run has recorded ----------------------------------------------------------------------


def test_the_recorded_recipe_is_trained_by(folder, train):
    recipe = read_recorded_recipe(folder.read_config())
    assert recipe.hash == read_recipe("quick").hash
    assert recipe.epochs == 1


def test_a_recipe_that_reads_otherwise_now_is_refused(folder, train):
    config = folder.read_config()
    config["identity"]["recipe"]["batch_size"] = 32
    folder.write_config(config)
    with pytest.raises(RecipeError, match="trains otherwise"):
        train()


@pytest.mark.parametrize(
    ("part", "key", "value", "line"),
    [
        ("data", "train", 999, "data.train: 999 in the run, 1150 asked for"),
        ("backbone", "params", 5, "backbone.params: 5 in the run"),
    ],
)
def test_what_is_no_longer_the_same_is_named_and_nothing_is_trained(
    folder, train, part, key, value, line
):
    config = folder.read_config()
    config["identity"][part][key] = value
    folder.write_config(config)
    with pytest.raises(RunError, match=line):
        train()
    assert not folder.confirmation_log.exists()
    assert not folder.confirmation_file.exists()


def change_backbone(folder):
    """Let the folder say that the network was of other channels; its size and costs stay."""
    row = json.loads(folder.backbone_file.read_text())
    row["sites"]["stage5.block1"]["rectified"] = [8, 1]
    folder.backbone_file.write_text(json.dumps(row))
    config = folder.read_config()
    folder.write_config(config | {"backbone_digest": digest_backbone(backbone_from_json(row))})


def test_a_network_that_has_changed_since_the_search_is_not_trained(folder, train):
    change_backbone(folder)
    with pytest.raises(RunError, match="resnet20_bottleneck has other sites or costs now"):
        train()
    assert not folder.confirmation_log.exists()


def test_where_nothing_is_missing_the_network_is_known_from_the_folder_alone(folder, train):
    before = train(seeds=1).outcome.rounds[-1].result
    change_backbone(folder)
    again = train(seeds=1)
    assert again.trained == []
    assert again.outcome.rounds[-1].result == before


# --- the test images ------------------------------------------------------------------------------


def test_each_training_evaluates_once_after_its_last_epoch(train):
    (task,) = train(seeds=1).tasks
    assert task.with_test
    assert task.recipe.validate_every == 0


def test_it_is_on_disk_that_the_test_images_are_read_before_they_are(folder, train):
    found = []

    def evaluate(assignment):
        found.append(count_readings(read_rounds(folder)))
        return evaluate_made_up(assignment)

    train(evaluate, seeds=1)
    assert set(found) == {1}


def test_another_confirmation_says_that_the_test_images_have_been_read_before(folder, train):
    assert not any("read before" in note for note in train(seeds=1).notes)
    second = train(seeds=1, candidates=("resnet20_bottleneck/stage4=standard:r4",))
    assert any("read before" in note and "once" in note for note in second.notes)
    rounds = read_rounds(folder)
    assert count_readings(rounds) == 2
    assert "2 confirmations of this run" in " ".join(confirmation_sentences(rounds))


def test_what_has_been_trained_needs_no_further_reading(folder, train):
    train(seeds=2)
    again = train(seeds=1)
    assert again.trained == []
    rounds = read_rounds(folder)
    assert [each.reads_test for each in rounds] == [True, False]
    assert {c.num_replicates for c in rounds[-1].result.candidates} == {1}


def test_a_session_that_can_not_be_opened_leaves_no_trace_of_a_reading(folder, train):
    def find_nothing(request, note):
        raise DataError("the data set is not there")

    with pytest.raises(DataError):
        confirm(folder, ConfirmOptions(), open_session=find_nothing)
    assert read_rounds(folder) == []
    assert not any("read before" in note for note in train(seeds=1).notes)


# --- going on -------------------------------------------------------------------------------------


def test_the_same_confirmation_again_trains_nothing_and_says_the_same(folder, train):
    first = train(seeds=2)
    again = train(seeds=2)
    assert again.trained == []
    assert again.outcome.rounds == first.outcome.rounds
    assert len(read_rounds(folder)) == 1


def test_ctrl_c_keeps_what_is_finished_and_the_same_command_goes_on(folder, train):
    def interrupt_second(assignment):
        if len(read_log(folder.confirmation_log).trainings) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return evaluate_made_up(assignment)

    stopped = train(interrupt_second, seeds=2)
    assert stopped.outcome.signal == signal.SIGINT
    assert len(stopped.trained) == 2
    rest = train(seeds=2)
    assert not set(rest.trained) & set(stopped.trained)
    (only,) = read_rounds(folder)
    assert only.result.num_trainings == 2 * len(only.chosen)


def test_a_failed_training_is_counted_named_and_made_again(folder, train):
    def fail_plain(assignment):
        if assignment.candidate == Candidate.plain(assignment.candidate.backbone):
            raise DivergedError("the loss is nan")
        return evaluate_made_up(assignment)

    failed = train(fail_plain, seeds=1)
    (last,) = read_rounds(folder)
    assert last.failures == ("no SE, seed 1000000: the loss is nan",)
    assert [e.reason for e in failed.ended if e.reason] == ["the loss is nan"]
    text = " ".join(confirmation_sentences([last]))
    assert "1 training failed: no SE" in text
    assert [placement for placement, _ in train(seeds=1).trained] == ["no SE"]


def test_an_accuracy_that_is_not_finite_is_a_failure(folder, train):
    with pytest.raises(TooManyFailuresError, match="in a row failed"):
        train(lambda a: replace(evaluate_made_up(a), loss=math.inf), seeds=1)
    assert "not finite" in read_rounds(folder)[-1].failures[0]


def test_rounds_read_back_as_they_were_written(folder, train):
    rounds = train(seeds=2).outcome.rounds
    write_rounds(folder, rounds)
    assert read_rounds(folder) == rounds


def test_a_broken_file_of_rounds_is_named(folder):
    folder.confirmation_file.write_text("confirmations: [{started: 1}]")
    with pytest.raises(RunError, match=r"confirmation.yaml can't be read"):
        read_rounds(folder)


# --- what is left and shown -----------------------------------------------------------------------


def test_the_csv_file_has_the_means_of_the_logged_trainings(folder, train):
    train(seeds=3)
    contents = read_log(folder.confirmation_log)
    for row in read_rows(folder.confirmation_csv):
        own = [t.history[-1] for t in contents.trainings if t.key == row["key"]]
        assert float(row["accuracy"]) == pytest.approx(np.mean([h["accuracy"] for h in own]))
        assert float(row["test_accuracy"]) == pytest.approx(
            np.mean([h["test_accuracy"] for h in own])
        )


def test_the_searchs_means_are_of_the_searchs_trials_alone(folder, train):
    train(seeds=2)
    trials = read_rows(folder.trials_csv)
    for row in read_rows(folder.confirmation_csv):
        own = [float(t["accuracy"]) for t in trials if t["key"] == row["key"]]
        assert int(row["search_replicates"]) == len(own)
        assert float(row["search_accuracy"] or "nan") == pytest.approx(
            np.mean(own) if own else math.nan, nan_ok=True
        )


def test_a_table_and_sentences_are_printed(folder, train):
    outcome = train(seeds=2).outcome
    console = Console(width=130, file=io.StringIO())
    print_confirmation(console, folder, outcome.rounds)
    text = " ".join(console.file.getvalue().split())
    assert "2 fresh seeds (from 1,000,000)" in text
    assert re.search(r"of the search's front (is|are) on the front of the fresh means", text)
    assert "never below 0.5" in text
    assert folder.confirmation_png.is_file()
    assert folder.confirmation_pdf.is_file()


def test_trials_since_the_confirmation_are_told(folder, train):
    outcome = train(seeds=2).outcome
    console = Console(width=130, file=io.StringIO())
    num_trials = outcome.rounds[-1].num_trials
    print_result(console, outcome.rounds, num_trials)
    assert "has gone on since" not in console.file.getvalue()
    print_result(console, outcome.rounds, num_trials + 5)
    assert "The search has gone on since, by 5 trials" in console.file.getvalue()


def test_a_run_is_confirmed_on_the_command_line(call, home):
    """A real run and real trainings: the test accuracy is that of the test images' bits."""
    call(*RUN, "--trials", 2, "--name", "confirmed", "--workers", 2, "--confirm", 1)
    folder = RunFolder(home / "runs" / "confirmed")
    before = read_log(folder.confirmation_log).trainings
    outcome = call("confirm", "confirmed", "--seeds", 2, "--workers", 2, "--json")
    events = [json.loads(line) for line in outcome.stdout.splitlines()]
    contents = read_log(folder.confirmation_log)
    num_candidates = len(read_rows(folder.confirmation_csv))
    assert contents.trainings[: len(before)] == before
    assert len(before) == num_candidates
    assert len(contents.trainings) == 2 * num_candidates
    assert [e["event"] for e in events] == ["training"] * num_candidates + ["confirmation"]
    assert events[-1]["test_readings"] == 2
    for training in contents.trainings:
        bits = np.unpackbits(np.frombuffer(training.test_correct, np.uint8), count=NUM_TEST)
        assert bits.mean() == pytest.approx(training.history[-1]["test_accuracy"])
        assert len(training.history) == 1
    assert yaml.safe_load(folder.confirmation_file.read_text())["confirmations"][1]["seeds"] == [
        1_000_000,
        1_000_001,
    ]

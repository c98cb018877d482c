"""Confirmation: fresh replicates, nothing twice, looks by plan, and honest numbers."""

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
from se_search.record import Effort, EpochRow, Evaluation
from se_search.report.confirmation import print_confirmation
from se_search.report.confirmation_answer import answer_confirmation
from se_search.report.confirmation_words import confirmation_sentences
from se_search.report.display import QuietDisplay
from se_search.report.run_facts import read_run_facts
from se_search.report.status import read_status
from se_search.store.confirmations import count_readings, read_rounds, write_rounds
from se_search.store.progress_log import ProgressLog, read_progress
from se_search.store.run_folder import RunFolder
from se_search.store.run_recipe import read_recorded_recipe
from se_search.store.run_space import digest_backbone
from se_search.store.run_space import read_space as read_run_space
from se_search.store.training_log import read_log
from se_search.store.trials import read_records
from se_search.surrogate.coded_trainings import Question
from se_search.surrogate.fit_front import fit_front

NUM_VALIDATION, NUM_TEST = 287, 360
QUESTION = Question(("accuracy", "params"), 1)


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


def search_into(path, num_trials, evaluate=evaluate_made_up):
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
    return search(options, QuietDisplay(), MadeUpSessions(evaluate)).folder


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


def test_what_is_no_candidate_is_answered_with_what_there_is(train):
    with pytest.raises(CandidateError, match=r"'none'.*allowed are recommended, best, front"):
        train(candidates=("none",))


# --- what is told in between ----------------------------------------------------------------------


def test_epochs_of_fresh_trainings_arrive_in_the_folder_as_they_end(folder):
    confirm(
        folder,
        ConfirmOptions(replicates=2),
        open_session=MadeUpSessions(evaluate_made_up, epochs=3),
    )
    rows = read_progress(folder.progress_log)
    fresh = read_log(folder.confirmation_log).trainings
    assert {row.trial for row in rows} == {None}
    assert [row.epoch for row in rows] == [1, 2, 3] * len(fresh)
    assert {row.seed for row in rows} == {training.seed for training in fresh}


def test_the_status_of_a_confirmation_says_how_far_it_is(folder):
    statuses = []

    def look(ended):
        if ended.done == 3:
            statuses.append(read_status(folder))

    sessions = MadeUpSessions(evaluate_made_up, num_workers=3, epochs=3)
    confirm(folder, ConfirmOptions(replicates=2), observe=look, open_session=sessions)
    (status,) = statuses
    confirming = status.confirming
    assert (confirming.num_ended, confirming.num_wanted) == (3, len(sessions.trained))
    assert f"Confirmation: 3 of {len(sessions.trained)} trainings" in str(confirming)
    assert confirming.seconds_left == 2.0 * (len(sessions.trained) - 3) / 1
    assert status.running == ()
    assert read_status(folder).confirming is None


def test_a_fresh_training_that_runs_shows_its_epoch(folder):
    seen = []

    def evaluate(assignment):
        log = ProgressLog(folder.progress_log)
        log.append_fresh(assignment, EpochRow(2, 4, 0.5, None, None, 40.0))
        seen.append(read_status(folder).running)
        return evaluate_made_up(assignment)

    confirm(folder, ConfirmOptions(replicates=2), open_session=MadeUpSessions(evaluate))
    (training,) = seen[1]
    assert (training.trial, training.epoch, training.seconds_left) == (None, 2, 40.0)
    assert training.placement not in {each.placement for each in seen[0]}


def test_what_the_trainings_of_a_look_take_is_told_before_them(tmp_path):
    def evaluate(assignment):
        return replace(evaluate_made_up(assignment), effort=Effort(1, 30.0, 20.0))

    folder = search_into(tmp_path / "run", 4, evaluate)
    told, sessions = [], MadeUpSessions(evaluate, num_workers=2)
    confirm(folder, ConfirmOptions(replicates=2), open_session=sessions, estimate=told.append)
    (estimate,) = told
    assert estimate.total == len(sessions.trained)
    assert estimate.seconds == 30.0 * len(sessions.trained) / 2


# --- what is trained ------------------------------------------------------------------------------


def test_seeds_are_a_block_of_their_own_without_those_that_a_trial_had():
    assert fresh_seeds(0, {0, 1, 2}, 3) == (1_000_000, 1_000_001, 1_000_002)
    assert fresh_seeds(7, {1_000_008}, 2) == (1_000_007, 1_000_009)


def test_the_front_the_plain_backbone_and_se_everywhere_are_trained_once_in_each_replicate(
    folder, train
):
    trained = train(replicates=3).trained
    front = {row["placement"] for row in read_rows(folder.pareto_csv)}
    wanted = front | {"no SE", "s2:2 s3:4 s4:8 s5:16"}
    assert sorted(trained) == sorted((p, 1_000_000 + s) for p in wanted for s in range(3))


def test_all_candidates_are_trained_in_a_replicate_before_the_next(train):
    seeds = [seed for _, seed in train(replicates=2).trained]
    assert seeds == sorted(seeds)


def test_named_candidates_are_trained_instead_of_the_front(train):
    text = "resnet20_bottleneck/stage4=standard:r4"
    placements = {placement for placement, _ in train(replicates=2, candidates=(text,)).trained}
    assert placements == {"s4:32", "no SE", "s2:2 s3:4 s4:8 s5:16"}


def test_the_credible_set_is_what_the_model_does_not_rule_out(tmp_path):
    run = search_into(tmp_path / "run", 12)
    records = read_records(run.database)
    space = read_run_space(run)
    believed = fit_front(records, space, QUESTION)
    chosen = choose_candidates(("all-credible",), space.backbone, believed)
    wanted = {c.summary.key for c in believed.candidates if c.probability_on_front >= 0.05}
    assert {c.key for c in chosen if "credible" in c.roles} == wanted
    gains = {c.summary.key: (c.gain, c.low, c.high) for c in believed.candidates}
    assert all(
        (c.search_gain, c.search_low, c.search_high) == gains.get(c.key, (None, None, None))
        for c in chosen
    )


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


def test_a_run_without_a_full_training_has_nothing_to_confirm(folder):
    space = read_run_space(folder)
    nothing = fit_front([], space, QUESTION)
    with pytest.raises(RunError, match="no full training has ended yet"):
        choose_candidates(("front",), space.backbone, nothing)


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
    before = train(replicates=2).outcome.rounds[-1].result
    change_backbone(folder)
    again = train(replicates=2)
    assert again.trained == []
    assert again.outcome.rounds[-1].result == before


# --- the test images ------------------------------------------------------------------------------


def test_each_training_evaluates_once_after_its_last_epoch(train):
    (task,) = train(replicates=2).tasks
    assert task.with_test
    assert task.recipe.validate_every == 0


def test_it_is_on_disk_that_the_test_images_are_read_before_they_are(folder, train):
    found = []

    def evaluate(assignment):
        found.append(count_readings(read_rounds(folder)))
        return evaluate_made_up(assignment)

    train(evaluate, replicates=2)
    assert set(found) == {1}


def test_another_confirmation_says_that_the_test_images_have_been_read_before(folder, train):
    assert not any("read before" in note for note in train(replicates=2).notes)
    second = train(replicates=2, candidates=("resnet20_bottleneck/stage4=standard:r4",))
    assert any("read before" in note and "once" in note for note in second.notes)
    rounds = read_rounds(folder)
    assert count_readings(rounds) == 2
    assert "2 confirmations of this run" in " ".join(confirmation_sentences(rounds))


def test_what_has_been_trained_needs_no_further_reading(folder, train):
    everywhere = next(
        c.candidate
        for c in train(replicates=2).outcome.rounds[-1].chosen
        if "SE everywhere" in c.roles
    )
    again = train(replicates=2, candidates=(everywhere,))
    assert again.trained == []
    rounds = read_rounds(folder)
    assert [each.reads_test for each in rounds] == [True, False]
    assert len(rounds[-1].result.candidates) == 2


def test_a_session_that_can_not_be_opened_leaves_no_trace_of_a_reading(folder, train):
    def find_nothing(request, note):
        raise DataError("the data set is not there")

    with pytest.raises(DataError):
        confirm(folder, ConfirmOptions(), open_session=find_nothing)
    assert read_rounds(folder) == []
    assert not any("read before" in note for note in train(replicates=2).notes)


# --- going on -------------------------------------------------------------------------------------


def test_the_same_confirmation_again_trains_nothing_and_says_the_same(folder, train):
    first = train(replicates=2)
    again = train(replicates=2)
    assert again.trained == []
    assert again.outcome.rounds == first.outcome.rounds
    assert len(read_rounds(folder)) == 1


def test_ctrl_c_keeps_what_is_finished_and_the_same_command_goes_on(folder, train):
    def interrupt_second(assignment):
        if len(read_log(folder.confirmation_log).trainings) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return evaluate_made_up(assignment)

    stopped = train(interrupt_second, replicates=2)
    assert stopped.outcome.signal == signal.SIGINT
    assert len(stopped.trained) == 2
    rest = train(replicates=2)
    assert not set(rest.trained) & set(stopped.trained)
    (only,) = read_rounds(folder)
    assert only.result.num_trainings == 2 * len(only.chosen)


def test_a_failed_training_is_counted_named_and_made_again(folder, train):
    def fail_plain(assignment):
        if assignment.candidate == Candidate.plain(assignment.candidate.backbone):
            raise DivergedError("the loss is nan")
        return evaluate_made_up(assignment)

    failed = train(fail_plain, replicates=2)
    (last,) = read_rounds(folder)
    assert last.failures[0] == "no SE, replicate 1000000: the loss is nan"
    assert {e.reason for e in failed.ended if e.reason} == {"the loss is nan"}
    text = " ".join(confirmation_sentences([last]))
    assert "2 trainings failed: no SE" in text
    assert [placement for placement, _ in train(replicates=2).trained] == ["no SE"] * 2


def test_an_accuracy_that_is_not_finite_is_a_failure(folder, train):
    with pytest.raises(TooManyFailuresError, match="in a row failed"):
        train(lambda a: replace(evaluate_made_up(a), loss=math.inf), replicates=2)
    assert "not finite" in read_rounds(folder)[-1].failures[0]


def test_rounds_read_back_as_they_were_written(folder, train):
    rounds = train(replicates=2).outcome.rounds
    write_rounds(folder, rounds)
    assert read_rounds(folder) == rounds


def test_a_broken_file_of_rounds_is_named(folder):
    folder.confirmation_file.write_text("confirmations: [{started: 1}]")
    with pytest.raises(RunError, match=r"confirmation.yaml can't be read"):
        read_rounds(folder)


# --- what is left and shown -----------------------------------------------------------------------


def test_the_csv_file_has_the_means_of_the_logged_trainings(folder, train):
    train(replicates=3)
    contents = read_log(folder.confirmation_log)
    for row in read_rows(folder.confirmation_csv):
        own = [t.history[-1] for t in contents.trainings if t.key == row["key"]]
        assert float(row["accuracy"]) == pytest.approx(np.mean([h["accuracy"] for h in own]))
        assert float(row["test_accuracy"]) == pytest.approx(
            np.mean([h["test_accuracy"] for h in own])
        )


def test_the_searchs_means_are_of_the_searchs_trials_alone(folder, train):
    train(replicates=2)
    trials = read_rows(folder.trials_csv)
    for row in read_rows(folder.confirmation_csv):
        own = [float(t["accuracy"]) for t in trials if t["key"] == row["key"]]
        assert int(row["search_replicates"]) == len(own)
        assert float(row["search_accuracy"] or "nan") == pytest.approx(
            np.mean(own) if own else math.nan, nan_ok=True
        )


def test_a_figure_that_can_not_be_written_keeps_no_other_file_from_it(folder, train):
    folder.confirmation_png.mkdir()
    outcome = train(replicates=2).outcome
    assert [error.path for error in outcome.unwritten] == [folder.confirmation_png]
    assert folder.confirmation_csv.is_file()
    assert folder.report_html.is_file()
    console = Console(width=130, file=io.StringIO())
    print_confirmation(console, folder, outcome.rounds, outcome.unwritten)
    *_, written, unwritten = console.file.getvalue().splitlines()
    assert written == (
        f"Written to {folder.path}: confirmation.pdf, confirmation.csv, confirmation.yaml"
    )
    assert unwritten == f"Not written (Is a directory): {folder.confirmation_png}"


def test_a_table_and_sentences_are_printed(folder, train):
    outcome = train(replicates=2).outcome
    console = Console(width=130, file=io.StringIO())
    print_confirmation(console, folder, outcome.rounds)
    text = " ".join(console.file.getvalue().split())
    assert "one look, at 2 replicates (from 1,000,000)" in text
    assert "*: listed by the search; b: the plain network; e: SE everywhere" in text
    assert re.search(r"of the search's list (is|are) on the front of the fresh gains", text)
    assert "2 replicates can decide nothing, and 6 are the fewest that can:" in text
    assert "--replicates 8" in text
    assert folder.confirmation_png.is_file()
    assert folder.confirmation_pdf.is_file()


# --- looks ----------------------------------------------------------------------------------------


# Gains in 20 replicates which the first eight of them leave open.
OPEN = 5 * np.random.default_rng(2).normal(0.003, 0.004, 20)


def gaining(clear):
    """Return made-up trainings: SE everywhere gains ``clear`` more than what is left open."""

    def evaluate(assignment):
        blocks = assignment.candidate.blocks
        gain = OPEN[assignment.seed - 1_000_000] if any(blocks) else 0.0
        share = 0.7 + gain + (clear if all(blocks) else 0.0)
        parts = [np.arange(n) < round(share * n) for n in (NUM_VALIDATION, NUM_TEST)]
        row = {
            "epoch": 1,
            "accuracy": float(parts[0].mean()),
            "loss": 1 - share,
            "test_accuracy": float(parts[1].mean()),
            "test_loss": 1.0,
        }
        bits = [np.packbits(part).tobytes() for part in parts]
        return Evaluation(float(parts[0].mean()), 1 - share, (row,), bits[0], 2.0, bits[1])

    return evaluate


def test_a_confirmation_goes_to_the_first_look_and_names_the_next_command(folder, train):
    first = train(gaining(0.1))
    assert {seed for _, seed in first.trained} == set(range(1_000_000, 1_000_008))
    last = first.outcome.rounds[-1]
    assert {claim.look for claim in last.result.claims} == {1}
    assert {claim.ending for claim in last.result.claims} == {"open", "decided"}
    step = answer_confirmation([last], read_run_facts(folder)).next_step
    assert "in 12 replicates" in step.text
    assert step.command == f"se-search confirm {folder.path}"


def test_the_next_call_trains_only_candidates_of_open_claims(folder, train):
    train(gaining(0.1))
    second = train(gaining(0.1))
    placements = {placement for placement, _ in second.trained}
    assert "no SE" in placements
    assert "s2:2 s3:4 s4:8 s5:16" not in placements
    assert {seed for _, seed in second.trained} == set(range(1_000_008, 1_000_012))
    assert len(read_rounds(folder)) == 1


def test_until_decided_goes_on_until_no_claim_is_open(folder, train):
    outcome = train(gaining(0.1), until_decided=True).outcome
    result = outcome.rounds[-1].result
    assert result.open_claims == []
    assert {claim.ending for claim in result.claims} <= {"decided", "futile", "spent"}
    whole = 20 * len(result.candidates)
    assert result.num_trainings + result.num_saved == whole
    step = answer_confirmation(outcome.rounds, read_run_facts(folder)).next_step
    assert (step.text, step.command) == ("Nothing more is to be confirmed.", None)
    assert train(gaining(0.1)).trained == []


def test_what_is_supported_is_said_first(folder, train):
    outcome = train(gaining(0.1), until_decided=True).outcome
    (everywhere,) = (c for c in outcome.rounds[-1].result.candidates if "SE everywhere" in c.roles)
    assert (everywhere.claim.outcome, everywhere.claim.look) == ("supported", 1)
    answer = answer_confirmation(outcome.rounds, read_run_facts(folder))
    assert answer.what.startswith("Put SE with r = ")
    assert answer.candidate in {c.candidate for c in outcome.rounds[-1].result.candidates}


def test_plan_and_claims_are_on_disk_before_the_first_training(folder, train):
    found = []

    def evaluate(assignment):
        found.append(read_rounds(folder)[-1].stated)
        return evaluate_made_up(assignment)

    last = train(evaluate).outcome.rounds[-1]
    assert set(found) == {last.stated}
    assert last.stated.plan.looks == (8, 12, 16, 20)
    others = {c.key for c in last.chosen if "plain backbone" not in c.roles}
    assert {claim.a for claim in last.stated.beats_plain} == others


def test_another_plan_takes_replicates_that_no_plan_has_looked_at(folder, train):
    train(replicates=2)
    again = train(replicates=3)
    assert {seed for _, seed in again.trained} == {1_000_002, 1_000_003, 1_000_004}
    assert count_readings(read_rounds(folder)) == 2


def test_without_a_number_the_last_plan_goes_on(folder, train):
    train(replicates=2)
    assert train().trained == []


def test_a_front_that_has_moved_has_just_its_new_members_confirmed(folder, train):
    before = train(replicates=2)
    rounds = read_rounds(folder)
    # As if the last confirmation had been of a front without its dearest member.
    dropped = next(c for c in reversed(rounds[-1].chosen) if c.roles == ("front",))
    kept = tuple(c for c in rounds[-1].chosen if c != dropped)
    claims = tuple(c for c in rounds[-1].stated.beats_plain if c.a != dropped.key)
    stated = replace(rounds[-1].stated, beats_plain=claims, not_worse=())
    write_rounds(folder, [replace(rounds[-1], chosen=kept, stated=stated)])
    lines = folder.confirmation_log.read_text().splitlines(keepends=True)
    folder.confirmation_log.write_text("".join(x for x in lines if dropped.key not in x))
    again = train()
    assert {placement for placement, _ in again.trained} == {dropped.placement}
    assert len(again.trained) == 2
    assert any(
        f"front has moved since the last confirmation: {dropped.placement} is" in note
        for note in again.notes
    )
    assert len(again.outcome.rounds) == 2
    assert before.outcome.rounds[-1].result.candidates == again.outcome.rounds[-1].result.candidates


def test_too_few_replicates_to_decide_anything_are_warned_of(train):
    notes = train(replicates=2).notes
    assert "2 replicates can't decide any claim; 6 are the fewest that can" in notes


def test_a_run_is_confirmed_on_the_command_line(call, home):
    """A real run and real trainings: the test accuracy is that of the test images' bits."""
    call(*RUN, "--trials", 2, "--name", "confirmed", "--workers", 2, "--confirm", 2)
    folder = RunFolder(home / "runs" / "confirmed")
    before = read_log(folder.confirmation_log).trainings
    assert len(before) == 2 * len(read_rows(folder.confirmation_csv))
    another = "resnet20_bottleneck/stage2=pre:2/stage5=post:2"
    outcome = call("confirm", "confirmed", "--candidates", another, "--workers", 2, "--json")
    events = [json.loads(line) for line in outcome.stdout.splitlines()]
    contents = read_log(folder.confirmation_log)
    assert contents.trainings[: len(before)] == before
    names = ["estimate", "training", "training", "confirmation"]
    assert [event["event"] for event in events] == names
    assert events[-1]["test_readings"] == 2
    assert events[-1]["stated"]["plan"]["looks"] == [2]
    for training in contents.trainings:
        bits = np.unpackbits(np.frombuffer(training.test_correct, np.uint8), count=NUM_TEST)
        assert bits.mean() == pytest.approx(training.history[-1]["test_accuracy"])
        assert len(training.history) == 1
    rounds = yaml.safe_load(folder.confirmation_file.read_text())["confirmations"]
    assert [each["seeds"] for each in rounds] == [[1_000_000, 1_000_001]] * 2

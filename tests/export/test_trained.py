"""A candidate's trained network: by its kept weights, or trained again as it was."""

import shutil
from dataclasses import replace

import pytest
import torch
from support.searching import evaluation
from support.sessions import GROUND, MadeUpSessions
from support.trained_runs import SPACE, make_sessions, make_trained_run, make_trial, train_at_once

from se_search.errors import RunError, SESearchError
from se_search.export.trained import (
    TrainAgain,
    find_first_training,
    find_or_train,
    trained_network,
)
from se_search.models.surgery import build
from se_search.record import Assignment
from se_search.store.kept_weights import KeptWeights
from se_search.store.run_folder import RunFolder

CANDIDATE = SPACE.parse("s2:4")
RECORDS = [
    make_trial("no SE", 0.9),
    make_trial("s2:4", 0.7, seed=2),
    make_trial("s2:4", 0.95, seed=1),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_trained_run(tmp_path_factory.mktemp("made") / "run", RECORDS)


@pytest.fixture
def folder(made, tmp_path):
    return RunFolder(shutil.copytree(made.path, tmp_path / "run"))


def train(folder, candidate=CANDIDATE, sessions=None):
    notes = []
    kept = find_or_train(folder, candidate, TrainAgain(), notes.append, sessions or make_sessions())
    return kept, notes


def test_the_first_replicate_stands_for_a_candidate_and_not_the_luckiest(folder):
    kept, _ = train(folder)
    assert (kept.replicate, kept.epochs) == (2, 4)


def test_the_longest_training_stands_for_a_candidate_and_a_failed_one_never():
    short = make_trial("s2:4", 0.9, state="PRUNED", seed=1, epochs=1)
    failed = make_trial("s2:4", 0.9, state="FAIL", seed=2)
    late = [make_trial("s2:4", 0.5, seed=seed) for seed in (4, 3)]
    records = [replace(r, number=n) for n, r in enumerate([short, failed, *late])]
    assert find_first_training(CANDIDATE, records).seed == 4
    assert find_first_training(CANDIDATE, records[:2]).epochs == 1
    assert find_first_training(CANDIDATE, records[1:2]) is None


def test_what_is_trained_again_is_said_with_its_time_before_it_begins(folder):
    sessions = make_sessions()
    _, notes = train(folder, sessions=sessions)
    assert notes[0] == (
        "The weights of s2:4 were not kept. It is trained again, as trial 1 was: 4 epochs in "
        "replicate 2: about 1 s"
    )
    path = KeptWeights(folder.path).path_for(CANDIDATE.key, 2, 4)
    assert sessions.trained == [Assignment(CANDIDATE, 2, 4, path)]


def test_kept_weights_are_taken_without_a_session(folder):
    first, _ = train(folder)
    again, notes = train(folder, sessions=lambda *_: pytest.fail("nothing is to be trained"))
    assert again == first
    assert notes == []


def test_damaged_weights_are_said_and_made_again(folder):
    kept, _ = train(folder)
    before = kept.path.read_bytes()
    kept.path.write_bytes(before[:-1] + b"x")
    again, notes = train(folder)
    assert again.path.read_bytes() == before
    assert notes[0].startswith("The weights of s2:4 can't be used")


def test_a_candidate_without_a_training_is_trained_in_the_first_replicate(folder):
    kept, notes = train(folder, SPACE.parse("s3:8"))
    assert (kept.replicate, kept.epochs) == (0, 4)
    assert notes[0] == (
        "The run has no training of s3:8. It is trained now, for 4 epochs in replicate 0: about 1 s"
    )


def test_the_last_word_on_a_first_training_is_how_it_ended(folder):
    _, notes = train(folder, SPACE.parse("s3:8"))
    assert notes[-1] == (
        "Trained: 80.00 % right; the search did not train this candidate in replicate 0"
    )


def test_equal_images_are_said(folder):
    folder.correct_file(1).parent.mkdir()
    folder.correct_file(1).write_bytes(b"\x80")
    _, notes = train(folder, sessions=make_sessions(same_as_trial_1))
    assert notes[-1] == "Trained again: 70.00 % right, the same images as in trial 1"


def same_as_trial_1(assignment):
    return replace(train_at_once(assignment), accuracy=0.7)


def test_other_numbers_are_said(folder):
    assert train(folder)[1][-1] == "Trained again: 80.00 % right, where trial 1 had 70.00 %"


def test_other_hardware_is_said_before_it_trains(folder):
    other = replace(GROUND, device="another CPU", torch="2.15.0")
    _, notes = train(folder, sessions=make_sessions(grounds=(other,)))
    assert notes[1] == (
        "It was trained on other hardware or with other versions (device: a CPU there, another CPU "
        "here; torch: 2.14.1 there, 2.15.0 here), so that its numbers may differ a little from "
        "those of the search"
    )


def test_other_images_are_refused(folder):
    config = folder.read_config()
    config["identity"]["data"]["fingerprint"] = "f" * 16
    folder.write_config(config)
    with pytest.raises(RunError, match=r"other images: .* f{16} and is 0123456789abcdef here"):
        train(folder)


def test_a_training_that_fails_is_told_with_its_reason(folder):
    nan = MadeUpSessions(lambda _: evaluation(float("nan")))
    with pytest.raises(SESearchError, match="s2:4 can't be trained: accuracy nan"):
        train(folder, sessions=nan)


def test_weights_that_could_not_be_written_are_an_error(folder):
    lost = make_sessions(lambda _: replace(evaluation(0.8), unkept="the disk is full"))
    with pytest.raises(RunError, match="the weights of s2:4 are lost: the disk is full"):
        train(folder, sessions=lost)


def test_the_network_has_the_outputs_of_the_training(folder):
    network = trained_network(folder, CANDIDATE, open_session=make_sessions())
    images = torch.rand(2, 1, 8, 8)
    assert torch.equal(network(images), build(CANDIDATE, seed=2).eval()(images))


def test_a_candidate_that_was_trained_lacks_only_the_replicate_that_is_asked_for(folder):
    notes = []
    find_or_train(folder, CANDIDATE, TrainAgain(), notes.append, make_sessions(), at=(7, 1))
    assert notes[0] == (
        "The run has no training of s2:4 for 1 epoch in replicate 7. It is trained now: about 1 s"
    )

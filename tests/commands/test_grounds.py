"""What a run's trainings ran on: nothing is mixed unasked, and what was mixed is said."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from support.sessions import GROUND, MadeUpSessions

from se_search.commands.confirm import confirm
from se_search.commands.grounds import check_grounds
from se_search.commands.options import ConfirmOptions, SearchOptions
from se_search.commands.recorded_run import read_recorded_options
from se_search.commands.search import search
from se_search.errors import RunChangedError
from se_search.record import Evaluation, RanOn
from se_search.report.display import QuietDisplay
from se_search.report.run_report import write_report
from se_search.store.run_folder import RunFolder
from se_search.store.trials import read_records

GPU = replace(GROUND, device="a GPU", threads=None, cuda="13.0", cudnn="91900")
NEWER = replace(GROUND, torch="2.15.0", precision="bf16-mixed")


def evaluate_on(ground, assignment):
    """Return a made-up training that ran on a ground."""
    accuracy = int(assignment.candidate.key, 16) % 287 / 287
    correct, test_correct = (np.arange(count) < accuracy * count for count in (287, 360))
    bits = [np.packbits(part).tobytes() for part in (correct, test_correct)]
    row = {"epoch": 1, "accuracy": correct.mean(), "loss": 0.5}
    row |= {"test_accuracy": test_correct.mean(), "test_loss": 0.5}
    ran_on = RanOn(
        *(ground.device, None, ground.cuda, ground.cudnn, ground.precision, ground.torch, 2**30),
        *(ground.threads, ground.packages, 64, None),
    )
    return Evaluation(correct.mean(), 0.5, (row,), bits[0], 1.0, bits[1], ran_on=ran_on)


class Notes(QuietDisplay):
    def __init__(self):
        self.texts = []

    def note(self, text):
        self.texts.append(text)


@pytest.fixture
def run_on(tmp_path):
    """Search on a ground to a number of trials; return the sessions and what was said."""

    def run(ground, trials, **options):
        sessions, notes = MadeUpSessions(partial(evaluate_on, ground), 1, (ground,)), Notes()
        given = {"space": "stages", "data": "digits", "epochs": 1, "name": "run"} | options
        search(SearchOptions(runs_dir=tmp_path, trials=trials, **given), notes, sessions)
        return sessions, notes.texts

    return run


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


@pytest.mark.parametrize(
    ("ground", "difference"),
    [
        (GPU, "device: a CPU there, a GPU here"),
        (NEWER, "torch: 2.14.1 there, 2.15.0 here"),
        (replace(GROUND, threads=2), "threads: 1 there, 2 here"),
        (replace(GROUND, precision="bf16-mixed"), "precision: 32-true there, bf16-mixed here"),
        (replace(GROUND, packages="numpy 2.5.0"), "numpy: 2.4.1 there, 2.5.0 here"),
    ],
)
def test_whatever_changes_numbers_is_refused_or_said(tmp_path, ground, difference):
    with pytest.raises(RunChangedError) as caught:
        check_grounds(tmp_path, {GROUND: 3}, [ground], mix=False)
    assert caught.value.exit_code == 4
    assert "3 trainings of other hardware or versions" in str(caught.value)
    assert f"\n  {difference}\n" in str(caught.value)
    assert "--mix-environments" in str(caught.value)
    assert difference in check_grounds(tmp_path, {GROUND: 3}, [ground], mix=True)
    assert check_grounds(tmp_path, {GROUND: 3, ground: 1}, [ground], mix=False) is None


def test_a_run_goes_on_on_another_ground_only_if_that_is_asked_for_and_says_so(run_on, folder):
    run_on(GROUND, 3)
    recorded = folder.read_config()
    with pytest.raises(RunChangedError, match=r"torch: 2\.14\.1 there, 2\.15\.0 here"):
        run_on(NEWER, 5)
    assert len(read_records(folder.database)) == 3
    assert folder.read_config() == recorded
    sessions, notes = run_on(NEWER, 5, mix_environments=True)
    assert len(sessions.trained) == 2
    assert any("torch: 2.14.1 there, 2.15.0 here" in note for note in notes)
    assert folder.read_config()["identity"] == recorded["identity"]  # with the first precision
    said = (
        "3 trainings on a CPU (precision 32-true, torch 2.14.1), "
        "2 trainings on a CPU (precision bf16-mixed, torch 2.15.0)"
    )
    assert said in write_report(folder).answer.how_sure
    assert said in folder.checklist.read_text()


def test_a_run_that_has_all_its_trials_is_read_anywhere_and_remembers_where_it_was_made(
    run_on, folder
):
    run_on(GROUND, 2)
    recorded = folder.read_config()["hardware"] | {"name": "the CPU of that time"}
    folder.write_config(folder.read_config() | {"hardware": recorded})
    sessions, _ = run_on(GPU, 2)
    assert sessions.trained == []
    assert folder.read_config()["hardware"] == recorded


def test_trainings_that_do_not_tell_what_they_ran_on_are_no_obstacle(tmp_path):
    assert check_grounds(tmp_path, {}, [GPU], mix=False) is None


def test_a_fact_that_one_side_does_not_tell_is_no_difference(tmp_path):
    silent = replace(GROUND, packages=None)
    assert check_grounds(tmp_path, {GROUND: 3}, [silent], mix=False) is None


def test_devices_of_two_models_in_one_machine_are_mixed_only_if_that_is_asked_for(tmp_path):
    both = [GPU, replace(GPU, device="a newer GPU")]
    with pytest.raises(RunChangedError, match=r"several models.*a GPU, a newer GPU.*CUDA_VISIBLE"):
        check_grounds(tmp_path, {}, both, mix=False)
    assert "a GPU, a newer GPU" in check_grounds(tmp_path, {}, both, mix=True)


def test_a_confirmation_on_another_ground_is_refused_before_it_trains_and_said_if_asked_for(
    run_on, folder
):
    run_on(GROUND, 4)
    sessions = MadeUpSessions(partial(evaluate_on, GPU), 1, (GPU,))
    with pytest.raises(RunChangedError, match="device: a CPU there, a GPU here"):
        confirm(folder, ConfirmOptions(replicates=2), open_session=sessions)
    assert sessions.trained == []
    assert not folder.confirmation_file.exists()
    notes = []
    options = ConfirmOptions(replicates=2, mix_environments=True)
    confirm(folder, options, notes.append, open_session=sessions)
    assert any("device: a CPU there, a GPU here" in note for note in notes)
    said = f"4 trainings on a CPU, {len(sessions.trained)} trainings of confirmations on a GPU"
    assert said in folder.checklist.read_text()
    assert said in write_report(folder).answer.how_sure


@pytest.mark.parametrize(("asked", "found"), [(None, "cuda"), ("auto", "auto")])
def test_a_confirmation_takes_the_accelerator_of_the_run_unless_told_otherwise(asked, found):
    config = {
        "identity": {
            "backbone": {"name": "resnet18"},
            "epochs": 1,
            "objectives": ["accuracy", "params"],
            "seed": 0,
        },
        "search": {"space": "stages", "data": "digits", "recipe": "quick", "accelerator": "cuda"},
    }
    options = ConfirmOptions(accelerator=asked)
    assert read_recorded_options(config, options).accelerator == found

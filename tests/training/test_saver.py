"""Trainings that are broken off go on to the same bits, whatever is wrong with their states."""

import hashlib
import io
import pickle
import signal
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from support import data_sets
from support.poison import Poison
from torch import nn

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.errors import BrokenOffError, DivergedError
from se_search.models.catalogue import describe_backbone
from se_search.models.surgery import build
from se_search.record import Assignment
from se_search.store.checkpoint_files import DIGEST_LENGTH, CheckpointFiles
from se_search.training.checkpointing import Checkpointing, never
from se_search.training.datasets import prepare_data
from se_search.training.evaluate import evaluate, train
from se_search.training.saver import Saver
from se_search.training.task import TrainingTask

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")

DEVICE = Device("cpu", 0, 1, "32-true")
BACKBONE = describe_backbone("resnet20_bottleneck", 1, 28, 10)
EVERYWHERE = Candidate.parse("resnet20_bottleneck/all=standard:r4", BACKBONE)
NUM_STEPS = 12  # of a training of three epochs


class PowerCutError(Exception):
    """Stands for whatever ends a training."""


def cut_power():
    raise PowerCutError


class DropoutUntil(nn.Dropout):
    """Draws from the global generator, and fails or does something else after some steps."""

    def __init__(self, num_steps=None, happen=None):
        super().__init__(0.3)
        self.num_steps = num_steps
        self.happen = happen or cut_power
        self.passed = 0

    def forward(self, x):
        if self.training:
            if self.passed == self.num_steps:
                self.happen()
            self.passed += 1
        return super().forward(x)


def make_recipe(**changes):
    fields = {
        "epochs": 3,
        "batch_size": 300,
        "optimizer": {"lr": 0.1, "nesterov": True, "momentum": 0.9, "weight_decay": 1e-3},
        "schedule": {"warmup": 0.2},
        "split": {"validation": 200},
        "validate_every": 1,
    }
    return data_sets.make_recipe(**(fields | changes))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return prepare_data("digits", None, tmp_path_factory.mktemp("cache"), make_recipe())


@pytest.fixture(scope="module")
def train_digits(digits):
    def run(checkpointing=None, cut_after=None, seed=3, happen=None, until=never):
        assignment = Assignment(EVERYWHERE, seed, 3)
        model = nn.Sequential(build(EVERYWHERE, seed), DropoutUntil(cut_after, happen))
        return train(
            model, assignment, digits, make_recipe(), DEVICE, True, checkpointing, until=until
        )

    return run


@pytest.fixture(scope="module")
def undisturbed(train_digits):
    return train_digits()


@pytest.fixture
def always(tmp_path):
    """Saves after every step."""
    return Checkpointing(tmp_path / "states", seconds=0, max_share=1e9)


def numbers(evaluation):
    return (
        evaluation.accuracy,
        evaluation.loss,
        evaluation.history,
        evaluation.correct,
        evaluation.test_correct,
    )


def state_files(checkpointing):
    return sorted(checkpointing.folder.rglob("*.state"))


@pytest.mark.parametrize("step", [3, 4, 5])
def test_a_training_that_is_broken_off_ends_with_the_same_bits(
    train_digits, undisturbed, always, step
):
    """Four steps are an epoch: in its midst, at its end, and after the first of the next one."""
    with pytest.raises(PowerCutError):
        train_digits(always, cut_after=step)
    assert 1 <= len(state_files(always)) <= 2
    resumed = train_digits(always, cut_after=NUM_STEPS - step + (step % 4 == 0))
    assert numbers(resumed) == numbers(undisturbed)
    assert not always.folder.exists()


def test_a_training_that_is_broken_off_again_and_again_ends_with_the_same_bits(
    train_digits, undisturbed, always
):
    for _ in range(4):
        with pytest.raises(PowerCutError):
            train_digits(always, cut_after=2)
    assert numbers(train_digits(always)) == numbers(undisturbed)


def test_the_seconds_of_all_attempts_count(train_digits, always):
    with pytest.raises(PowerCutError):
        train_digits(always, cut_after=6)
    payload = state_files(always)[-1].read_bytes()[DIGEST_LENGTH + 1 :]
    state = torch.load(io.BytesIO(payload), weights_only=True)
    earlier = state["callbacks"]["Saver"]["seconds"]
    assert earlier > 0
    assert train_digits(always).seconds > earlier


def test_a_damaged_state_gives_way_to_the_one_before(train_digits, undisturbed, always):
    with pytest.raises(PowerCutError):
        train_digits(always, cut_after=7)
    newest = state_files(always)[-1]
    newest.write_bytes(newest.read_bytes()[:-100])
    # One step more than is left after the newest: it goes on from the one before.
    with pytest.raises(PowerCutError):
        train_digits(always, cut_after=0)
    assert numbers(train_digits(always)) == numbers(undisturbed)


def test_a_training_whose_states_are_all_damaged_begins_anew(train_digits, undisturbed, always):
    with pytest.raises(PowerCutError):
        train_digits(always, cut_after=7)
    for path in state_files(always):
        path.write_bytes(b"nothing of use")
    assert numbers(train_digits(always)) == numbers(undisturbed)


def test_code_in_a_state_is_not_run(train_digits, undisturbed, always, tmp_path):
    with pytest.raises(PowerCutError):
        train_digits(always, cut_after=2)
    for path in state_files(always):
        poison = pickle.dumps({"callbacks": Poison(tmp_path / "marker")}, protocol=2)
        path.write_bytes(hashlib.sha256(poison).hexdigest().encode() + b"\n" + poison)
    assert numbers(train_digits(always)) == numbers(undisturbed)
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("state", [b"nothing of use", [1, 2], {"callbacks": 3}, {"a": 1}])
def test_a_whole_file_that_holds_no_state_of_a_training_is_passed_over(tmp_path, state):
    files = CheckpointFiles(tmp_path / "states")
    if not isinstance(state, bytes):
        buffer = io.BytesIO()
        torch.save(state, buffer)
        state = buffer.getvalue()
    files.write(7, state)
    assert Saver(files, {}, Checkpointing(tmp_path)).find() is None


def test_the_state_of_another_replicate_is_not_taken(train_digits, undisturbed, always):
    with pytest.raises(PowerCutError):
        train_digits(always, cut_after=2)
    mine = state_files(always)[0].parent
    with pytest.raises(PowerCutError):
        train_digits(always, cut_after=2, seed=4)
    (other,) = {path.parent for path in state_files(always)} - {mine}
    for path in mine.iterdir():
        path.unlink()
    for path in other.iterdir():
        path.rename(mine / path.name)
    assert numbers(train_digits(always)) == numbers(undisturbed)


def test_the_states_of_a_training_that_diverged_can_be_removed(digits, always):
    wild = make_recipe(optimizer={"lr": 1e30, "momentum": 0.0})
    assignment, other = Assignment(EVERYWHERE, 0, 3), Assignment(EVERYWHERE, 1, 3)
    always.files(other, wild, False).write(1, b"of another training")
    with pytest.raises(DivergedError):
        evaluate(assignment, digits, wild, DEVICE, checkpointing=always)
    assert len(state_files(always)) > 1
    TrainingTask(digits, wild, checkpointing=always).forget(assignment)
    assert [path.name for path in state_files(always)] == ["000000000001.state"]
    TrainingTask(digits, wild, checkpointing=always).forget(other)
    assert not always.folder.exists()


class AskedAfter:
    """Asks a training, after some steps, to have ended at a moment by the clock.

    Args:
        num_steps: after which it asks.
        seconds: from now on; negative: the moment has passed.
    """

    def __init__(self, num_steps, seconds):
        self.num_steps, self.seconds, self.asked = num_steps, seconds, 0

    def __call__(self):
        self.asked += 1
        return time.monotonic() + self.seconds if self.asked > self.num_steps else None


@pytest.mark.parametrize(("step", "expected"), [(0, "0.2"), (2, "0.8"), (3, "1.2")])
def test_a_long_training_that_is_asked_to_end_saves_its_state_and_ends_with_the_same_bits(
    train_digits, undisturbed, tmp_path, step, expected
):
    """Four steps are an epoch, and after the last one it is not asked."""
    usual = Checkpointing(tmp_path / "states")
    with pytest.raises(BrokenOffError, match=f"saved after {expected} of 3 epochs"):
        train_digits(usual, until=AskedAfter(step, -1))
    assert len(state_files(usual)) == 1
    assert numbers(train_digits(usual)) == numbers(undisturbed)
    assert not usual.folder.exists()


def test_a_training_that_ends_in_the_time_that_it_is_given_ends(
    train_digits, undisturbed, tmp_path
):
    usual = Checkpointing(tmp_path / "states")
    assert numbers(train_digits(usual, until=AskedAfter(0, 1000))) == numbers(undisturbed)
    assert not usual.folder.exists()


def test_a_training_that_is_asked_to_end_and_can_not_be_saved_goes_on(
    train_digits, undisturbed, tmp_path, capfd
):
    """It may yet end before it is killed. Each step would say that it can't be saved."""
    (tmp_path / "states").write_text("a file where the folder would be")
    stuck = Checkpointing(tmp_path / "states")
    assert numbers(train_digits(stuck, until=AskedAfter(0, -1))) == numbers(undisturbed)
    assert capfd.readouterr().err.count("The training goes on unsaved") == 1


def test_a_training_of_seconds_is_not_saved(train_digits, undisturbed, tmp_path):
    usual = Checkpointing(tmp_path / "states")
    with pytest.raises(PowerCutError):
        train_digits(usual, cut_after=8)
    assert not usual.folder.exists()


def test_a_training_that_can_not_be_saved_goes_on(train_digits, undisturbed, tmp_path, capfd):
    (tmp_path / "states").write_text("a file where the folder would be")
    unwritable = Checkpointing(tmp_path / "states", seconds=0, max_share=1e9)
    assert numbers(train_digits(unwritable)) == numbers(undisturbed)
    assert "The training goes on unsaved" in capfd.readouterr().err


class FakeTrainer:
    """Takes a number of seconds to save, by a clock that it moves."""

    num_training_batches, current_epoch, global_step = 1_000_000, 0, 0
    max_epochs, check_val_every_n_epoch = 10, 4

    def __init__(self, seconds_to_save, num_validating=0):
        self.datamodule = SimpleNamespace(val_dataloader=lambda: [range(num_validating)])
        self.now = 0.0
        self.saved_at = []
        self.seconds_to_save = seconds_to_save

    def save_checkpoint(self, path):
        self.saved_at.append(self.now)
        self.now += self.seconds_to_save


@pytest.mark.parametrize(
    ("seconds_to_save", "expected"), [(0.5, [60, 121, 182]), (6, [60, 366, 672])]
)
def test_states_come_each_minute_or_as_seldom_as_two_per_cent_of_the_time_asks(
    tmp_path, seconds_to_save, expected
):
    """A state of half a second may come each 25 s, one of 6 s each 300 s."""
    trainer = FakeTrainer(seconds_to_save)
    saver = Saver(CheckpointFiles(tmp_path), {}, Checkpointing(tmp_path), clock=lambda: trainer.now)
    saver.on_train_start(trainer, None)
    for second in range(1, 800):
        trainer.now = max(trainer.now, float(second))
        saver.on_train_batch_end(trainer, None, None, None, 0)
    assert [round(when) for when in trainer.saved_at[:3]] == expected


def test_the_last_step_of_an_epoch_is_not_saved_for_its_evaluation_is_to_come(tmp_path):
    trainer = FakeTrainer(0)
    trainer.num_training_batches = 5
    saver = Saver(
        CheckpointFiles(tmp_path), {}, Checkpointing(tmp_path, 0), clock=lambda: trainer.now
    )
    saver.on_train_start(trainer, None)
    saver.on_train_batch_end(trainer, None, None, None, 4)
    assert trainer.saved_at == []
    saver.on_train_batch_end(trainer, None, None, None, 3)
    assert trainer.saved_at == [0]


@pytest.mark.parametrize(("spare", "is_broken_off"), [(0.1, False), (-0.1, True)])
def test_how_long_a_training_takes_is_told_by_its_batches_so_far(tmp_path, spare, is_broken_off):
    """Ten epochs of 20 batches, validated with 6 after 4, 8 and 10 epochs; half a second a batch.

    It went on in the midst of epoch 6 (of 0 to 9), and has passed four batches and a validation.
    """
    trainer = FakeTrainer(0, num_validating=6)
    trainer.num_training_batches, trainer.current_epoch = 20, 5
    num_left = (4 * 20 + 20 - 14) + 2 * 6
    until = (4 + 6) / 2 + num_left / 2 + spare
    saver = Saver(
        CheckpointFiles(tmp_path),
        {},
        Checkpointing(tmp_path),
        lambda: until if trainer.now == 5 else None,
        lambda: trainer.now,
    )
    saver.on_train_start(trainer, None)
    for _ in range(6):
        saver.on_validation_batch_end(trainer, None, None, None, 0)
    for batch in range(10, 14):
        trainer.now = 5.0 if batch == 13 else 1.0
        if batch == 13 and is_broken_off:
            with pytest.raises(BrokenOffError, match=r"saved after 5\.7 of 10 epochs"):
                saver.on_train_batch_end(trainer, None, None, None, batch)
        else:
            saver.on_train_batch_end(trainer, None, None, None, batch)
    assert trainer.saved_at == [5.0] * is_broken_off


def test_images_of_a_folder_come_in_the_same_order_after_an_interruption(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "images/train" / name).mkdir(parents=True)
        for number in range(12):
            pixels = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"images/train/{name}/{number}.png")
    recipe = make_recipe(batch_size=4, split={"validation": 4}, epochs=2, image_size=16)
    data = prepare_data(f"folder:{tmp_path / 'images'}", None, tmp_path / "cache", recipe)
    candidate = Candidate.plain(
        describe_backbone("resnet20_bottleneck", 3, data.info.image_size, 2)
    )
    device = Device("cpu", 0, 1, "32-true", num_loaders=2)

    def run(checkpointing, cut_after=None):
        model = nn.Sequential(build(candidate, 0), DropoutUntil(cut_after))
        return train(model, Assignment(candidate, 0, 2), data, recipe, device, False, checkpointing)

    always = Checkpointing(tmp_path / "states", 0, 1e9)
    undisturbed = run(None)
    for steps in (2, 5):  # of five an epoch: in the first epoch, and in the second one
        with pytest.raises(PowerCutError):
            run(always, steps)
    assert numbers(run(always)) == numbers(undisturbed)


@pytest.fixture
def on_slurm(monkeypatch, tmp_path):
    """The surroundings of a job of Slurm."""
    for name in ("NTASKS", "JOB_ID", "PROCID", "LOCALID", "NODEID"):
        monkeypatch.setenv(f"SLURM_{name}", "1" if name == "NTASKS" else "0")
    monkeypatch.setenv("SLURM_JOB_NAME", "train")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("on_slurm")
def test_slurm_feeds_a_training_no_foreign_weights(train_digits, undisturbed, always, tmp_path):
    """Lightning would take ``hpc_ckpt_1.ckpt`` of its root folder: planted here is another seed."""
    with pytest.raises(PowerCutError):
        train_digits(always, cut_after=7, seed=4)
    planted = tmp_path / "hpc_ckpt_1.ckpt"
    planted.write_bytes(state_files(always)[-1].read_bytes()[DIGEST_LENGTH + 1 :])
    assert numbers(train_digits()) == numbers(undisturbed)


@pytest.mark.usefixtures("on_slurm")
def test_lightning_does_not_answer_the_signal_by_which_slurm_warns(train_digits):
    """It would requeue the job, and the signals of a training are its executor's business."""
    handlers = []
    train_digits(cut_after=1, happen=lambda: handlers.append(signal.getsignal(signal.SIGUSR1)))
    assert handlers == [signal.SIG_DFL]

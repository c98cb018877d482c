"""Training: the same numbers every time, and those of a plain PyTorch loop."""

import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support import data_sets
from torch.nn import functional as F  # noqa: N812  # its customary name

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.errors import DivergedError
from se_search.models.catalogue import describe_backbone
from se_search.models.surgery import build
from se_search.record import Assignment
from se_search.training.data import make_data
from se_search.training.datasets import prepare_data
from se_search.training.evaluate import evaluate
from se_search.training.evaluate import train as train_network
from se_search.training.repeatable import make_cuda_repeatable

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")


def make_recipe(**changes):
    fields = {
        "epochs": 2,
        "batch_size": 64,
        "optimizer": {"lr": 0.1, "nesterov": True, "momentum": 0.9, "weight_decay": 1e-3},
        "schedule": {"warmup": 0.2},
        "split": {"validation": 200},
    }
    return data_sets.make_recipe(**(fields | changes))


DEVICE = Device("cpu", 0, 1, "32-true")
BACKBONE = describe_backbone("resnet20_bottleneck", 1, 28, 10)
PLAIN = Candidate.plain(BACKBONE)
EVERYWHERE = Candidate.parse("resnet20_bottleneck/all=standard:r16", BACKBONE)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def train(cache):
    def run(
        candidate=PLAIN, seed=0, epochs=2, device=DEVICE, tensorboard=None, tell=None, **changes
    ):
        recipe = make_recipe(**changes)
        data = prepare_data("digits", None, cache, recipe)
        assignment = Assignment(candidate, seed, epochs)
        return evaluate(assignment, data, recipe, device, tensorboard=tensorboard, tell=tell)

    return run


@pytest.fixture(scope="module")
def baseline(train):
    return train(EVERYWHERE, seed=3)


def without_seconds(evaluation):
    return evaluation.accuracy, evaluation.loss, evaluation.history, evaluation.correct


def test_each_epoch_is_told_as_the_history_has_it(train):
    rows = []
    evaluation = train(epochs=3, tell=rows.append)
    assert [(row.epoch, row.epochs) for row in rows] == [(1, 3), (2, 3), (3, 3)]
    assert [(r.train_loss, r.loss, r.accuracy) for r in rows] == [
        (row["train_loss"], row["loss"], row["accuracy"]) for row in evaluation.history
    ]
    assert 0 < rows[0].seconds < rows[1].seconds < rows[2].seconds <= evaluation.seconds


def test_an_epoch_without_a_validation_is_told_by_its_training_loss(train):
    rows = []
    evaluation = train(epochs=2, tell=rows.append, validate_every=0)
    assert (rows[0].loss, rows[0].accuracy) == (None, None)
    assert math.isfinite(rows[0].train_loss)
    assert rows[1].accuracy == evaluation.accuracy


def test_tensorboard_has_the_curves_of_a_training_that_gives_the_same_bits(
    train, baseline, tmp_path
):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder = tmp_path / "trial-0003"
    logged = train(EVERYWHERE, seed=3, tensorboard=folder)
    assert without_seconds(logged) == without_seconds(baseline)
    curves = events.EventAccumulator(str(folder)).Reload()
    points = [(point.step, point.value) for point in curves.Scalars("accuracy/validation")]
    assert points == [
        (row["epoch"], pytest.approx(row["accuracy"], rel=1e-6)) for row in baseline.history
    ]
    assert len(curves.Scalars("loss/train")) == len(baseline.history)


def test_the_same_seed_gives_the_same_numbers_to_the_bit(train, baseline):
    torch.manual_seed(99)  # whatever went before must not matter
    train(PLAIN, seed=5)
    assert without_seconds(train(EVERYWHERE, seed=3)) == without_seconds(baseline)


def test_a_replicate_has_one_split_for_all_candidates_whatever_was_trained_before(train, baseline):
    other = train(PLAIN, seed=5)
    again = train(PLAIN, seed=3)
    assert (again.split_seed, again.split_hash) == (baseline.split_seed, baseline.split_hash)
    assert other.split_hash != baseline.split_hash


def test_a_fixed_split_is_recorded_as_one_for_all_replicates(train):
    fixed = {"validation": 200, "draw": "fixed", "seed": 9}
    first, second = (train(seed=seed, epochs=1, split=fixed) for seed in (0, 1))
    assert first.split_hash == second.split_hash
    assert (first.split_seed, second.split_seed) == (9, 9)


@pytest.fixture
def switches():
    """PyTorch's switches of this process, put back at the end."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32
    yield cudnn, matmul
    cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = before
    torch.use_deterministic_algorithms(False)
    torch.utils.deterministic.fill_uninitialized_memory = True


@pytest.mark.parametrize(("precision", "has_tf32"), [("32-true", False), ("bf16-mixed", True)])
def test_on_cuda_algorithms_are_repeatable_and_float32_is_not_tf32(
    switches, monkeypatch, precision, has_tf32
):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    cudnn, matmul = switches
    cudnn.allow_tf32 = matmul.allow_tf32 = True
    make_cuda_repeatable(precision)
    assert (cudnn.deterministic, cudnn.benchmark) == (True, False)
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert (cudnn.allow_tf32, matmul.allow_tf32) == (has_tf32, has_tf32)


def test_another_seed_gives_other_numbers(train, baseline):
    assert train(EVERYWHERE, seed=4).loss != baseline.loss


def test_a_training_learns(train):
    """Ten classes: chance is 10 %, and 300 training images of each digit are plenty."""
    assert train(epochs=6).accuracy > 0.8


def test_the_trainer_does_what_a_plain_pytorch_loop_does(cache, baseline):
    recipe = make_recipe()
    data = make_data(prepare_data("digits", None, cache, recipe), recipe, 3, in_channels=1)
    data.setup("fit")
    torch.set_num_threads(1)
    model = build(EVERYWHERE, 3).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3, nesterov=True, fused=True
    )
    batches = data.train_dataloader()
    num_steps, step = 2 * len(batches), 0
    for _ in range(2):
        for images, labels in batches:
            progress = step / num_steps
            factor = progress / 0.2 if progress < 0.2 else 1 - (progress - 0.2) / 0.8
            optimizer.param_groups[0]["lr"] = 0.1 * factor
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()
            step += 1
    model.eval()
    right, loss, count = [], 0.0, 0
    with torch.inference_mode():
        for images, labels in data.val_dataloader():
            logits = model(images)
            right.append(logits.argmax(1) == labels)
            loss += float(F.cross_entropy(logits, labels, reduction="sum"))
            count += len(labels)
    assert baseline.accuracy == float(torch.cat(right).double().mean())
    assert baseline.loss == pytest.approx(loss / count, rel=1e-6)


def test_the_bits_say_which_images_are_right(baseline):
    bits = np.unpackbits(np.frombuffer(baseline.correct, dtype=np.uint8), count=200)
    assert bits.mean() == baseline.accuracy


@pytest.mark.parametrize(
    ("validate_every", "epochs", "validated"),
    [(1, 3, [1, 2, 3]), (2, 4, [2, 4]), (2, 3, [2, 3]), (0, 3, [3]), (5, 2, [2])],
)
def test_validations_come_when_asked_for_and_always_at_the_end(
    train, validate_every, epochs, validated
):
    history = train(epochs=epochs, validate_every=validate_every).history
    assert [row["epoch"] for row in history] == validated
    assert all(math.isfinite(value) for row in history for value in row.values())


def test_validating_more_often_changes_nothing_else(train, baseline):
    often = train(EVERYWHERE, seed=3, validate_every=1)
    seldom = train(EVERYWHERE, seed=3, validate_every=0)
    assert (often.accuracy, often.loss) == (seldom.accuracy, seldom.loss)


def test_a_loss_that_is_not_finite_ends_the_training(train):
    with pytest.raises(DivergedError, match=r"the loss is (nan|inf) at epoch 1, step \d+ of"):
        train(optimizer={"lr": 1e30, "momentum": 0.0}, schedule={})


def test_the_test_images_are_not_read(cache, tmp_path):
    recipe = make_recipe()
    data = prepare_data("digits", None, tmp_path, recipe)
    for part in ("test_images", "test_labels"):
        Path(data.array_path(part)).unlink()
    assert evaluate(Assignment(PLAIN, 0, 1), data, recipe, DEVICE).accuracy > 0


def test_grey_images_feed_a_network_that_wants_three_channels(cache):
    recipe = make_recipe()
    data = prepare_data("digits", None, cache, recipe)
    backbone = describe_backbone("resnet18", 3, 8, 10)
    outcome = evaluate(Assignment(Candidate.plain(backbone), 0, 1), data, recipe, DEVICE)
    assert 0 <= outcome.accuracy <= 1


@pytest.mark.parametrize("optimizer", [{"name": "adamw", "lr": 0.003, "weight_decay": 0.01}])
def test_adamw_trains_too(train, optimizer):
    assert train(epochs=4, optimizer=optimizer).accuracy > 0.5


def test_label_smoothing_is_in_the_training_loss_and_not_in_the_validation_loss(train):
    """With so strong smoothing the training loss can't fall below the entropy of its targets."""
    smoothing = 0.5
    targets = torch.full((10,), smoothing / 10)
    targets[0] += 1 - smoothing
    entropy = float(-(targets * targets.log()).sum())
    last = train(epochs=6, label_smoothing=smoothing).history[-1]
    assert last["train_loss"] > entropy
    assert last["loss"] < entropy


def test_bfloat16_trains_where_it_is_asked_for(train):
    device = Device("cpu", 0, 1, "bf16-mixed")
    assert math.isfinite(train(epochs=1, device=device).loss)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "plain.pth"
    torch.save(build(PLAIN, 11).state_dict(), path)
    return path


@pytest.fixture
def train_frozen(cache, weights):
    def run(candidate, seed=0):
        recipe = make_recipe(split={"validation": 200, "draw": "fixed"})
        data = prepare_data("digits", None, cache, recipe)
        return evaluate(Assignment(candidate, seed, 2), data, recipe, DEVICE, weights, True)

    return run


def test_a_frozen_backbone_without_se_is_validated_and_not_trained(train_frozen):
    """Its accuracy is that of the weights in the file, whatever the seed."""
    assert train_frozen(PLAIN, seed=0).accuracy == train_frozen(PLAIN, seed=5).accuracy


def test_training_changes_nothing_but_se_in_a_frozen_backbone(cache, weights):
    model = build(EVERYWHERE, 0, weights, freeze_backbone=True)
    fresh = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    recipe = make_recipe()
    data = prepare_data("digits", None, cache, recipe)
    train_network(model, Assignment(EVERYWHERE, 0, 1), data, recipe, DEVICE)
    trained = model.state_dict()
    for name, tensor in trained.items():
        if name.endswith("num_batches_tracked"):
            continue
        assert torch.equal(tensor, fresh[name]) == (".inserted_se." not in name), name


@pytest.fixture(scope="module")
def tested(cache):
    """The training of ``baseline`` with the test images evaluated, and its network."""
    recipe = make_recipe()
    data = prepare_data("digits", None, cache, recipe)
    model = build(EVERYWHERE, 3)
    outcome = train_network(
        model, Assignment(EVERYWHERE, 3, 2), data, recipe, DEVICE, with_test=True
    )
    return outcome, model


def test_evaluating_the_test_images_changes_no_other_number(tested, baseline):
    outcome, _ = tested
    history = tuple(
        {name: value for name, value in row.items() if not name.startswith("test_")}
        for row in outcome.history
    )
    assert without_seconds(replace(outcome, history=history)) == without_seconds(baseline)


def test_without_the_test_images_there_is_nothing_about_them(baseline):
    assert baseline.test_correct is None
    assert set(baseline.history[-1]) == {"epoch", "train_loss", "accuracy", "loss", "top5"}


def test_the_test_accuracy_is_that_of_the_trained_network_on_the_test_images(cache, tested):
    outcome, model = tested
    recipe = make_recipe()
    data = make_data(prepare_data("digits", None, cache, recipe), recipe, 3, in_channels=1)
    data.setup("test")
    model.eval()
    right, loss = [], 0.0
    with torch.inference_mode():
        for images, labels in data.test_dataloader():
            logits = model(images)
            right += (logits.argmax(1) == labels).tolist()
            loss += float(F.cross_entropy(logits, labels, reduction="sum"))
    bits = np.unpackbits(np.frombuffer(outcome.test_correct, dtype=np.uint8), count=len(right))
    assert bits.tolist() == right
    assert outcome.history[-1]["test_accuracy"] == np.mean(right)
    assert outcome.history[-1]["test_loss"] == pytest.approx(loss / len(right), rel=1e-6)


def test_every_validation_goes_on_to_the_test_images(tested):
    history = tested[0].history
    assert [row["epoch"] for row in history] == [1, 2]
    assert len({row["test_loss"] for row in history}) == 2


def test_the_test_images_of_a_folder_are_evaluated_and_change_no_other_number(tmp_path):
    rng = np.random.default_rng(0)
    for part, count in (("train", 12), ("val", 3)):
        for name in ("cat", "dog"):
            folder = tmp_path / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    recipe = make_recipe(batch_size=4, split={"validation": 4}, image_size=16)
    data = prepare_data(f"folder:{tmp_path}", None, tmp_path, recipe)
    assignment = Assignment(Candidate.plain(describe_backbone("resnet18", 3, 16, 2)), 0, 2)
    with_test = evaluate(assignment, data, recipe, DEVICE, with_test=True)
    without = evaluate(assignment, data, recipe, DEVICE)
    assert without_seconds(with_test)[:2] == without_seconds(without)[:2]
    assert with_test.correct == without.correct
    bits = np.unpackbits(np.frombuffer(with_test.test_correct, dtype=np.uint8), count=6)
    assert bits.mean() == pytest.approx(with_test.history[-1]["test_accuracy"])

"""A batch in pieces trains as a whole batch, but for batch norm, which sees a piece at a time."""

import warnings

import pytest
import pytorch_lightning as pl
import torch
from pydantic import ValidationError
from pytorch_lightning.plugins import MixedPrecision
from support import data_sets
from torch import nn
from torch.nn import functional as F  # noqa: N812  # its customary name

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.models.catalogue import describe_backbone
from se_search.models.surgery import build
from se_search.record import Assignment
from se_search.training.checkpointing import Checkpointing
from se_search.training.classifier import Classifier
from se_search.training.data import make_data
from se_search.training.datasets import prepare_data
from se_search.training.evaluate import evaluate, train

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")

DEVICE = Device("cpu", 0, 1, "32-true")
BACKBONE = describe_backbone("resnet20_bottleneck", 1, 8, 10)
EVERYWHERE = Candidate.parse("resnet20_bottleneck/all=standard:r16", BACKBONE)
NUM_STEPS = 4  # an epoch


def make_recipe(**changes):
    fields = {
        "epochs": 2,
        "batch_size": 301,
        "optimizer": {"lr": 0.1, "nesterov": True, "momentum": 0.9, "weight_decay": 1e-3},
        "schedule": {"warmup": 0.2},
        "split": {"validation": 200},
    }
    return data_sets.make_recipe(**(fields | changes))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return prepare_data("digits", None, tmp_path_factory.mktemp("cache"), make_recipe())


def make_plain_net():
    """Return a network without batch norm, always with the same weights."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


@pytest.mark.parametrize(("precision", "tolerance"), [("32-true", 1e-5), ("bf16-mixed", 2e-2)])
def test_without_batch_norm_pieces_train_as_the_whole_batch_does(digits, precision, tolerance):
    """301 images in pieces of 101, 100 and 100."""
    nets, losses = [], []
    for changes in ({}, {"micro_batch": 128}):
        net = make_plain_net()
        recipe = make_recipe(label_smoothing=0.1, **changes)
        device = Device("cpu", 0, 1, precision)
        outcome = train(net, Assignment(EVERYWHERE, 3, 2), digits, recipe, device)
        nets.append(net)
        losses.append(outcome.history[-1]["train_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=tolerance)
    started = make_plain_net()
    for whole, pieces, first in zip(*(net.parameters() for net in (*nets, started)), strict=True):
        torch.testing.assert_close(whole, pieces, rtol=tolerance, atol=tolerance)
        assert (whole - first).abs().max() > 5 * (whole - pieces).abs().max()


def test_pieces_train_as_in_a_plain_loop_with_batch_norm_over_each(digits):
    recipe = make_recipe(micro_batch=128)
    outcome = evaluate(Assignment(EVERYWHERE, 3, 2), digits, recipe, DEVICE)
    data = make_data(digits, recipe, 3, in_channels=1)
    data.setup("fit")
    torch.set_num_threads(1)
    model = build(EVERYWHERE, 3).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3, nesterov=True, fused=True
    )
    batches, step = data.train_dataloader(), 0
    for _ in range(2):
        for images, labels in batches:
            progress = step / (2 * NUM_STEPS)
            factor = progress / 0.2 if progress < 0.2 else 1 - (progress - 0.2) / 0.8
            optimizer.param_groups[0]["lr"] = 0.1 * factor
            optimizer.zero_grad()
            for start, end in ((0, 101), (101, 201), (201, 301)):
                loss = F.cross_entropy(model(images[start:end]), labels[start:end])
                (loss * ((end - start) / 301)).backward()
            optimizer.step()
            step += 1
    assert step == 2 * NUM_STEPS
    model.eval()
    right = []
    with torch.inference_mode():
        for images, labels in data.val_dataloader():
            right.append(model(images).argmax(1) == labels)
    assert outcome.accuracy == float(torch.cat(right).double().mean())
    assert outcome.ran_on.micro_batch == 101


def test_the_loss_scaler_of_half_precision_scales_each_piece_and_steps_once(digits):
    """Float16 on the CPU: with a loss scale of 1,024 tiny gradients differ from unscaled ones."""
    nets = []
    for changes in ({}, {"micro_batch": 128}):
        recipe = make_recipe(**changes)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        net = make_plain_net()
        data = make_data(digits, recipe, 3, in_channels=1)
        trainer = pl.Trainer(
            accelerator="cpu",
            max_epochs=1,
            plugins=[MixedPrecision("16-mixed", "cpu", scaler)],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            trainer.fit(Classifier(net, recipe, NUM_STEPS), datamodule=data)
        assert scaler._get_growth_tracker() == NUM_STEPS  # one update a step
        assert trainer.global_step == NUM_STEPS
        nets.append(net)
    for whole, pieces in zip(*(net.parameters() for net in nets), strict=True):
        torch.testing.assert_close(whole, pieces, rtol=1e-2, atol=1e-3)


class CutOff(nn.Module):
    """Draws from the global generator, and fails after a number of pieces."""

    def __init__(self, num_pieces):
        super().__init__()
        self.num_pieces = num_pieces
        self.dropout = nn.Dropout(0.3)

    def forward(self, x):
        if self.training:
            if self.num_pieces == 0:
                raise KeyError("cut off")
            self.num_pieces -= 1
        return self.dropout(x)


@pytest.mark.parametrize("num_pieces", [4, 8, 17])
def test_a_training_in_pieces_that_is_broken_off_within_a_batch_ends_with_the_same_bits(
    digits, tmp_path, num_pieces
):
    always = Checkpointing(tmp_path / "states", seconds=0, max_share=1e9)

    def run(cut_after, checkpointing):
        model = nn.Sequential(build(EVERYWHERE, 3), CutOff(cut_after))
        recipe = make_recipe(micro_batch=128)
        assignment = Assignment(EVERYWHERE, 3, 2)
        return train(model, assignment, digits, recipe, DEVICE, False, checkpointing)

    with pytest.raises(KeyError, match="cut off"):
        run(num_pieces, always)
    num_left = 3 * 2 * NUM_STEPS - 3 * (num_pieces // 3)  # the batch that was cut off is made again
    resumed, undisturbed = run(num_left, always), run(-1, None)
    assert resumed.history == undisturbed.history
    assert resumed.correct == undisturbed.correct


@pytest.mark.parametrize(
    ("batch_size", "micro_batch", "words"),
    [
        (64, 64, "is not below batch_size 64"),
        (64, 65, "is not below batch_size 64"),
        (5, 2, "would leave a single image of a batch of 5"),
        (64, 1, "greater than or equal to 2"),
    ],
)
def test_pieces_that_can_not_be_are_refused(batch_size, micro_batch, words):
    with pytest.raises(ValidationError, match=words):
        make_recipe(batch_size=batch_size, micro_batch=micro_batch)


@pytest.mark.parametrize(
    ("batch_size", "micro_batch", "sizes"),
    [(64, 32, [32, 32]), (64, 24, [22, 21, 21]), (5, 3, [3, 2])],
)
def test_pieces_are_as_equal_as_can_be(batch_size, micro_batch, sizes):
    recipe = make_recipe(batch_size=batch_size, micro_batch=micro_batch)
    pieces = torch.arange(batch_size).tensor_split(recipe.num_pieces)
    assert [len(piece) for piece in pieces] == sizes
    assert recipe.images_at_a_time == sizes[0]

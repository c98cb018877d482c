"""Training of supernets: the same numbers every time, and those of plain PyTorch loops."""

import dataclasses
import math
import pickle

import pytest
import torch
from safetensors.torch import save_file
from support.small_network import SMALL
from support.supernets import DEVICE, SETTINGS, SPACE, SUBSPACE, make_recipe, prepare_images, train
from torch.nn import functional as F  # noqa: N812  # its customary name

from se_search.candidate import Candidate
from se_search.errors import BackboneError, BrokenOffError, DivergedError, RunError
from se_search.models.memory_layout import lay_channels_last
from se_search.models.supernet import make_supernet, read_out
from se_search.models.surgery import build
from se_search.record import Assignment
from se_search.score import SupernetSettings
from se_search.space.level_draws import LevelDraws
from se_search.space.subspace import Subspace
from se_search.training.checkpointing import Checkpointing
from se_search.training.classifier import make_optimizer, rate_factor
from se_search.training.data import make_data
from se_search.training.evaluate import train as train_network
from se_search.training.supernet import load_supernet
from se_search.training.supernet_task import ScoreCandidates, TrainSupernet

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")

PLAIN = Candidate.plain(SMALL)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return prepare_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def undisturbed(images):
    return train(images)


@pytest.fixture
def always(tmp_path):
    """Saves after every step."""
    return Checkpointing(tmp_path / "states", seconds=0, max_share=1e9)


def numbers(outcome):
    supernet, result = outcome
    return supernet.state_dict(), result.history, result.split_hash


def assert_equal(one, another):
    """Compare two outcomes of a training to the bit."""
    (first, *facts), (second, *others) = numbers(one), numbers(another)
    assert facts == others
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_second_training_gives_the_same_bits(images, undisturbed):
    torch.rand(7)  # whatever has been drawn before
    assert_equal(train(images), undisturbed)


def test_of_several_devices_one_is_taken(images, undisturbed):
    assert_equal(train(images, device=dataclasses.replace(DEVICE, num_devices=2)), undisturbed)


def test_another_seed_gives_other_weights_and_images(images, undisturbed):
    (first, _, split), (second, _, other) = numbers(undisturbed), numbers(train(images, seed=4))
    assert split != other
    assert not torch.equal(first["network.conv1.weight"], second["network.conv1.weight"])


def test_without_designs_it_trains_as_the_plain_network_does(images):
    nothing = Subspace.of_designs(SMALL, ((),) * len(SMALL.sites))
    supernet, result = train(images, nothing)
    plain = build(PLAIN, seed=3)
    evaluation = train_network(plain, Assignment(PLAIN, 3, 2), images, make_recipe(), DEVICE)
    trained = read_out(supernet, PLAIN).state_dict()
    for name, tensor in plain.state_dict().items():
        assert torch.equal(trained[name], tensor), name
    rows = [row["train_loss"] for row in evaluation.history]
    assert [row["plain_loss"] for row in result.history] == rows


def train_by_hand(images, num_steps, settings, recipe):
    """Train with one network of each candidate, built anew for each pass from the shared weights.

    A parameter's gradient is the mean over the networks that have it.
    """
    supernet = make_supernet(SMALL, SUBSPACE.designs, 3)
    lay_channels_last(supernet)
    draws = LevelDraws(SUBSPACE, 3)
    optimizer = make_optimizer(supernet, recipe.optimizer)
    data = make_data(images, recipe, 3, 1)
    data.setup("fit")
    in_all = len(data.train_dataloader()) * recipe.epochs
    for step, (batch, labels) in zip(range(num_steps), data.train_dataloader(), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = recipe.optimizer.lr * rate_factor(recipe.schedule, step / in_all)
        candidates = [draws.draw_widest(step), PLAIN]
        candidates += [draws.draw(settings.num_drawn * step + i) for i in range(settings.num_drawn)]
        found, soft = {}, None
        for candidate in dict.fromkeys(candidates):
            supernet.activate(candidate)
            logits = supernet(batch)
            loss = F.cross_entropy(logits, labels)
            if soft is None:
                soft = logits.detach().softmax(1)
            else:
                soft_loss = -(soft * logits.log_softmax(1)).sum(1).mean()
                weight = settings.distillation
                loss = (1 - weight) * loss + weight * soft_loss
            gradients = torch.autograd.grad(loss, list(supernet.parameters()), allow_unused=True)
            for index, gradient in enumerate(gradients):
                if gradient is not None:
                    found.setdefault(index, []).append(gradient)
        for index, parameter in enumerate(supernet.parameters()):
            parameter.grad = None
            if index in found:  # laid out as the parameter, which the fused step needs
                parameter.grad = torch.empty_like(parameter)
                parameter.grad.copy_(torch.stack(found[index]).mean(0))
        optimizer.step()
    return supernet


@pytest.mark.parametrize("distillation", [0.0, 0.4])
def test_a_step_moves_each_weight_by_the_mean_gradient_of_the_networks_that_have_it(
    images, distillation
):
    settings = SupernetSettings(num_drawn=2, distillation=distillation)
    recipe = make_recipe(epochs=1)
    trained = train(images, settings=settings, recipe=recipe)[0].state_dict()
    by_hand = train_by_hand(images, 99, settings, recipe)
    for name, parameter in by_hand.named_parameters():
        torch.testing.assert_close(trained[name], parameter.detach(), atol=2e-5, rtol=2e-4)


def test_a_batch_in_pieces_has_about_the_loss_of_a_whole_one(images):
    """Batch norms see smaller batches, so that the losses are close, not equal."""
    whole = train(images, recipe=make_recipe(epochs=1))[1].history[0]
    pieces = train(images, recipe=make_recipe(epochs=1, micro_batch=4))[1].history[0]
    assert pieces["train_loss"] == pytest.approx(whole["train_loss"], rel=0.1)
    assert pieces["train_loss"] != whole["train_loss"]


def test_the_history_has_the_loss_of_each_role_and_each_epoch_is_told(images):
    told = []
    _, result = train(images, tell=told.append)
    for row in result.history:
        assert row.keys() == {"epoch", "train_loss", "widest_loss", "plain_loss", "drawn_loss"}
        assert all(map(math.isfinite, row.values()))
    assert [(row.epoch, row.epochs, row.train_loss) for row in told] == [
        (row["epoch"], 2, row["train_loss"]) for row in result.history
    ]


def end_after(num_asked):
    """Return an ``Until`` that asks a training to end at once after some steps."""
    asked = iter(range(1_000))
    return lambda: 0.0 if next(asked) >= num_asked else None


@pytest.mark.parametrize("num_asked", [1, 2])  # in the midst of the first epoch, and the second
def test_a_training_that_is_broken_off_ends_with_the_same_bits(
    images, undisturbed, always, num_asked
):
    with pytest.raises(BrokenOffError, match="saved after"):
        train(images, checkpointing=always, until=end_after(num_asked))
    assert list(always.folder.rglob("*.state"))
    resumed = train(images, checkpointing=always)
    assert_equal(resumed, undisturbed)
    assert not always.folder.exists()


def test_a_state_of_other_settings_is_not_gone_on_from(images, undisturbed, always):
    other = dataclasses.replace(SETTINGS, distillation=1.0)
    with pytest.raises(BrokenOffError):
        train(images, settings=other, checkpointing=always, until=end_after(2))
    assert_equal(train(images, checkpointing=always), undisturbed)


def test_a_loss_that_is_not_finite_raises(images):
    recipe = make_recipe(optimizer={"lr": 1e20})
    with pytest.raises(DivergedError, match="the loss is nan at epoch 1"):
        train(images, recipe=recipe)


def test_a_task_leaves_weights_that_score_as_the_supernet_itself(images, tmp_path):
    recipe, file = make_recipe(epochs=1), tmp_path / "supernets" / "3.safetensors"
    told = []
    task = TrainSupernet(SUBSPACE, 3, images, recipe, SETTINGS, DEVICE, file)
    result = pickle.loads(pickle.dumps(task)).telling(told.append)()
    assert result.weights_file == file
    assert len(told) == 1
    trained, _ = train(images, recipe=recipe)
    loaded = load_supernet(SUBSPACE, file).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in trained.state_dict().items())
    chosen = (SPACE.candidate_at(7), PLAIN)
    scores = ScoreCandidates(SUBSPACE, 3, images, recipe, SETTINGS, DEVICE, file, chosen)()
    assert {one.candidate for one in scores} == set(map(str, chosen))


def test_what_was_frozen_is_frozen_when_it_is_loaded(images, tmp_path):
    """Batch norms of a frozen backbone keep their statistics, in scores too."""
    weights, file = tmp_path / "backbone.safetensors", tmp_path / "3.safetensors"
    save_file(build(PLAIN, seed=8).state_dict(), weights)
    TrainSupernet(
        SUBSPACE, 3, images, make_recipe(epochs=1), SETTINGS, DEVICE, file, weights, True
    )()
    loaded = load_supernet(SUBSPACE, file)
    assert not any(value.requires_grad for value in loaded.network.parameters())
    assert all(value.requires_grad for value in loaded.blocks.parameters())
    for name, value in build(PLAIN, seed=8).state_dict().items():
        assert torch.equal(loaded.network.state_dict()[name], value)


def test_damaged_weights_and_those_of_another_supernet_are_refused(images, tmp_path):
    file = tmp_path / "3.safetensors"
    TrainSupernet(SUBSPACE, 3, images, make_recipe(epochs=1), SETTINGS, DEVICE, file)()
    with pytest.raises(BackboneError, match="is of another supernet"):
        load_supernet(SUBSPACE.with_integrations(["standard"]), file)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(RunError, match="is damaged"):
        load_supernet(SUBSPACE, file)
    with pytest.raises(RunError, match="can't be read"):
        load_supernet(SUBSPACE, tmp_path / "none")

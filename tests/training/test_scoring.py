"""Scores by a supernet are those of the networks that are read out of it, and leave no trace."""

import copy
import random

import pytest
import torch
from support.small_network import SMALL
from support.supernets import DEVICE, SETTINGS, SPACE, SUBSPACE, make_recipe, prepare_images
from torch import nn
from torch.nn import functional as F  # noqa: N812  # its customary name

from se_search.candidate import Candidate
from se_search.errors import CandidateError
from se_search.models.memory_layout import lay_channels_last
from se_search.models.supernet import make_supernet, read_out
from se_search.training import scoring
from se_search.training.data import make_data
from se_search.training.scoring import score

CHOSEN = tuple(SPACE.candidate_at(index) for index in (0, 3, 78, 79, 300, 624))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return prepare_images(tmp_path_factory.mktemp("images"))


@pytest.fixture
def supernet():
    """A supernet whose batch norms remember something of their own."""
    made = make_supernet(SMALL, SUBSPACE.designs, seed=5)
    for number, (_, buffer) in enumerate(made.named_buffers()):
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 2.0, generator=torch.Generator().manual_seed(number))
    return made


@pytest.fixture
def score_all(images, supernet):
    def run(candidates=CHOSEN, settings=SETTINGS, seed=3):
        return list(score(supernet, candidates, images, make_recipe(), seed, settings, DEVICE))

    return run


def numbers(scores):
    return {one.candidate: (one.accuracy, one.loss, one.value) for one in scores}


def score_by_hand(supernet, candidate, images, num_calibration, num_scoring):
    """Read a candidate's network out, compute its batch norms anew, and classify images with it."""
    model = read_out(supernet, candidate)
    lay_channels_last(model)
    data = make_data(images, make_recipe(), 3, 1)
    data.setup("validate")
    ((calibrating, _),) = data.plain_dataloader("train", num_calibration)
    ((validating, labels),) = data.plain_dataloader("validation", num_scoring)
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train()
            module.reset_running_stats()
            module.momentum = None
    with torch.no_grad():
        model(calibrating)
        logits = model.eval()(validating)
    accuracy = float((logits.argmax(1) == labels).double().mean())
    return accuracy, float(F.cross_entropy(logits, labels, reduction="sum")) / len(labels)


def test_scores_are_those_of_the_networks_read_out(images, supernet, score_all):
    found = numbers(score_all())
    for candidate in CHOSEN:
        accuracy, loss = score_by_hand(supernet, candidate, images, 20, 8)
        assert found[str(candidate)] == (accuracy, loss, accuracy)
    assert len(set(found.values())) > 3


def test_scores_do_not_depend_on_the_order_or_the_company_of_candidates(score_all):
    together = numbers(score_all())
    shuffled = random.Random(1).sample(CHOSEN, len(CHOSEN))
    assert numbers(score_all([*shuffled, *shuffled])) == together
    for candidate in CHOSEN:
        (alone,) = score_all([candidate])
        assert numbers([alone]).items() <= together.items()


def test_scores_do_not_depend_on_what_the_supernet_s_batch_norms_remember(supernet, score_all):
    before = numbers(score_all())
    for module in supernet.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.fill_(torch.inf)
            module.running_var.fill_(torch.nan)
    assert numbers(score_all()) == before


def test_the_supernet_is_as_before_whenever_a_score_is_handed_out(images, supernet):
    supernet.train()
    supernet.activate(CHOSEN[2])
    before = copy.deepcopy(supernet.state_dict())
    momenta = [m.momentum for m in supernet.modules() if isinstance(m, nn.BatchNorm2d)]
    for _ in score(supernet, CHOSEN, images, make_recipe(), 3, SETTINGS, DEVICE):
        after = supernet.state_dict()
        assert all(torch.equal(after[name], value) for name, value in before.items())
        assert all(module.training for module in supernet.modules())
        assert supernet.candidate == CHOSEN[2]
        assert momenta == [m.momentum for m in supernet.modules() if isinstance(m, nn.BatchNorm2d)]
        assert not any(
            module._forward_pre_hooks
            for module in supernet.modules()
            if isinstance(module, nn.BatchNorm2d)
        )


def test_it_is_as_before_after_a_failure_too(images, supernet):
    before = copy.deepcopy(supernet.state_dict())
    for block in supernet.blocks["stage5_block1"].values():
        block.register_forward_hook(fail)
    with pytest.raises(ArithmeticError):
        list(score(supernet, CHOSEN, images, make_recipe(), 3, SETTINGS, DEVICE))
    assert all(torch.equal(supernet.state_dict()[name], value) for name, value in before.items())


def fail(*_):
    raise ArithmeticError


def test_batch_norms_of_a_frozen_backbone_keep_their_statistics(images):
    """Only plain networks have no other batch norm: they are scored as they are."""
    frozen = make_supernet(SMALL, SUBSPACE.designs, seed=5)
    for parameter in frozen.network.parameters():
        parameter.requires_grad_(False)
    plain = Candidate.plain(SMALL)
    (found,) = score(frozen, [plain], images, make_recipe(), 3, SETTINGS, DEVICE)
    data = make_data(images, make_recipe(), 3, 1)
    data.setup("validate")
    ((validating, labels),) = data.plain_dataloader("validation", SETTINGS.num_scoring)
    with torch.no_grad():
        logits = read_out(frozen, plain).eval()(validating)
    assert found.accuracy == float((logits.argmax(1) == labels).double().mean())


def test_statistics_of_several_batches_are_averaged_by_their_numbers_of_images(supernet):
    """Of the first batch norm they are the means of the batches, whatever is behind it."""
    generator = torch.Generator().manual_seed(0)
    batches = [
        (torch.randn(count, 1, 28, 28, generator=generator), torch.zeros(count, dtype=torch.long))
        for count in (10, 20, 5, 3)  # are run as 10, 20 and 8
    ]
    one = scoring._Scoring(supernet, make_recipe(), "32-true", torch.device("cpu"), 10 * 28 * 28)
    with one.restoring():
        (found,) = one.calibrate([Candidate.plain(SMALL)], batches)
    mean, _ = found[supernet.network.bn1]
    with torch.no_grad():
        first = torch.cat([supernet.network.conv1(images) for images, _ in batches])
    torch.testing.assert_close(mean, first.mean((0, 2, 3)), atol=1e-5, rtol=1e-4)


def test_a_candidate_that_the_supernet_lacks_is_refused_before_anything_is_run(images, supernet):
    other = Candidate.parse("all=post:r4", SMALL)
    with pytest.raises(CandidateError, match="has no SE block post"):
        next(score(supernet, [*CHOSEN, other], images, make_recipe(), 3, SETTINGS, DEVICE))

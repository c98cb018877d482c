"""Readings of a trained network: its gates by hand, and its answers with gates replaced."""

import copy

import numpy as np
import pytest
import torch
from support.batches import all_numbers, make_labels, make_recipe, open_data, prepare
from support.data_sets import write_image_folders
from torch import nn

from se_search.candidate import SE, Candidate
from se_search.device import Device
from se_search.errors import BackboneError
from se_search.models.attachment import attach
from se_search.models.catalogue import describe_backbone
from se_search.models.squeeze_excite import make_block
from se_search.models.surgery import build
from se_search.models.trained import pack_weights
from se_search.training.data import make_data
from se_search.training.datasets import prepare_data
from se_search.training.gates import read_gates
from se_search.training.gates_task import ReadGates
from se_search.training.split import draw_split, spread_evenly

SMALL = describe_backbone("resnet20_bottleneck", 1, 28, 10)
GENERATOR = torch.Generator().manual_seed(0)
TRAIN, VALIDATION = (
    [
        (torch.rand(8, 1, 28, 28, generator=GENERATOR), torch.arange(8) % 4)
        for _ in range(num_batches)
    ]
    for num_batches in (2, 3)
)


def small(text="stage3=standard:4/stage5=standard:4"):
    """Return a network whose gates spread as a trained one's do."""
    model = build(Candidate.parse(f"{SMALL.name}/{text}", SMALL), 0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "inserted_se" in name:
                weight *= 8
    return model


def toy(weight):
    """Return two pixels' channels gated by sigmoid(weight * mean), then added up by class."""
    attention = make_block(SE("standard", 1), 1)
    attention.site = "stage2.block1"
    nn.init.ones_(attention.reduce.weight)
    nn.init.constant_(attention.expand.weight, weight)
    host = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.ones_(host.weight)
    attach(host, "after", attention)
    head = nn.Linear(2, 2, bias=False)
    head.weight = nn.Parameter(torch.eye(2))
    return nn.Sequential(host, nn.Flatten(), head)


def test_the_gates_of_a_toy_network_are_those_computed_by_hand():
    images = torch.tensor([[0.0, 2.0], [1.0, 3.0]])[:, None, None]  # means 1 and 2
    batches = [(images, torch.tensor([0, 1]))]
    found = read_gates(toy(weight=2.0), batches, batches, num_classes=2)
    gates = 1 / (1 + np.exp(-2.0 * np.array([1.0, 2.0])))
    block = found.blocks["stage2.block1"]
    assert block.mean == pytest.approx(gates.mean())
    assert block.sd_images == pytest.approx(gates.std(), rel=1e-5)
    np.testing.assert_allclose(block.class_means[:, 0], gates, rtol=1e-6)
    np.testing.assert_allclose(found.constants["stage2.block1"], gates.mean(), rtol=1e-6)
    assert found.correct.tolist() == [False, True]  # the second pixel is larger in both


@torch.no_grad()
def test_answers_without_a_block_are_those_of_a_network_written_with_its_mean_gates():
    model = small()
    found = read_gates(model, TRAIN, VALIDATION, num_classes=10)
    chosen = next(sites for sites in found.without if len(sites) == 1)
    written = copy.deepcopy(model).eval()
    for module in written.modules():
        if getattr(module, "site", None) in chosen:
            constant = torch.from_numpy(found.constants[chosen[0]]).float()[None, :, None, None]
            module._forward_hooks.clear()
            module.forward = lambda x, constant=constant: x * constant
    expected = [written(images).argmax(1) == labels for images, labels in VALIDATION]
    assert found.without[chosen].tolist() == torch.cat(expected).tolist()


def test_constants_are_measured_on_the_images_that_train():
    found = read_gates(small(), TRAIN, VALIDATION, num_classes=10)
    other = read_gates(small(), VALIDATION, TRAIN, num_classes=10)
    for site, block in other.blocks.items():
        np.testing.assert_array_equal(found.constants[site], block.channel_means)


def test_each_block_is_replaced_each_stage_and_all_together():
    found = read_gates(small(), TRAIN, VALIDATION, num_classes=10)
    sites = tuple(found.blocks)
    assert sites == ("stage3.block1", "stage3.block2", "stage5.block1")
    assert list(found.without) == [*((site,) for site in sites), sites[:2], sites]


def test_batches_of_another_size_tell_the_same():
    def split(batches):
        return [
            (i[None], n[None])
            for images, labels in batches
            for i, n in zip(images, labels, strict=True)
        ]

    whole = read_gates(small(), TRAIN, VALIDATION, num_classes=10)
    parts = read_gates(small(), split(TRAIN), split(VALIDATION), num_classes=10)
    for site, block in whole.blocks.items():
        assert parts.blocks[site].class_share == pytest.approx(block.class_share, abs=1e-4)
        np.testing.assert_allclose(parts.blocks[site].class_means, block.class_means, rtol=1e-4)


def test_the_network_is_afterwards_as_it_was():
    model = small().train()
    model.layer1.eval()
    weights = copy.deepcopy(model.state_dict())
    modes = [module.training for module in model.modules()]
    read_gates(model, TRAIN, VALIDATION, num_classes=10)
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert not any("gates" in repr(h) for m in model.modules() for h in m._forward_hooks.values())


def test_gates_of_each_pixel_tell_their_spread_over_pixels():
    found = read_gates(small("stage2=standard:4+none"), TRAIN, VALIDATION, num_classes=10)
    block = found.blocks["stage2.block1"]
    assert block.sd_pixels is not None
    assert block.sd_pixels > 0
    assert read_gates(small(), TRAIN, VALIDATION, 10).blocks["stage3.block1"].sd_pixels is None


def test_a_network_without_se_is_refused():
    with pytest.raises(BackboneError, match="no SE block"):
        read_gates(build(Candidate.plain(SMALL), 0), TRAIN, VALIDATION, num_classes=10)


class TakesApart(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(torch.cat([x, x])).chunk(2)[0]


def test_a_network_that_takes_images_apart_is_refused():
    with pytest.raises(BackboneError, match="for 16 inputs, and the batch has 8 images"):
        read_gates(TakesApart(small()), TRAIN, VALIDATION, num_classes=10)


def test_plain_images_are_those_of_the_split_in_its_order(tmp_path):
    prepared = prepare(tmp_path)
    split = draw_split(make_recipe(), make_labels(), replicate=0)
    data = open_data(prepared, stage="validate")
    for part in ("train", "validation"):
        indices = getattr(split, part)
        assert all_numbers(prepared, data.plain_dataloader(part, 100)) == indices.tolist()
        some = all_numbers(prepared, data.plain_dataloader(part, 4))
        assert some == spread_evenly(indices, 4).tolist()


def test_plain_images_of_folders_are_those_of_the_split_resized_whole(tmp_path):
    write_image_folders(tmp_path / "images")
    recipe = make_recipe(image_size=8, batch_size=4, split={"validation": 4})
    name = f"folder:{tmp_path / 'images'}"
    data = make_data(prepare_data(name, None, tmp_path / "cache", recipe), recipe, 0, 3)
    data.setup("validate")
    for part, expected in (("train", 13), ("validation", 3)):
        [(images, labels), *more] = list(data.plain_dataloader(part, 100))
        seen = torch.cat([labels, *(others for _, others in more)])
        assert len(seen) == len(getattr(data.split, part)) == expected
        assert seen.tolist() == [int(place >= 8) for place in getattr(data.split, part)]
        assert images.shape[1:] == (3, 8, 8)
    assert sum(len(labels) for _, labels in data.plain_dataloader("train", 5)) == 5


def test_spread_indices_reach_from_the_first_to_the_last():
    assert spread_evenly(np.arange(10), 4).tolist() == [0, 3, 6, 9]
    assert spread_evenly(np.arange(3), 4).tolist() == [0, 1, 2]


def test_a_task_reads_the_network_whose_weights_it_is_given(tmp_path):
    candidate = Candidate.parse(f"{SMALL.name}/stage5=standard:4", SMALL)
    model = build(candidate, seed=5)
    prepared = prepare(tmp_path)
    task = ReadGates(
        candidate,
        pack_weights(model),
        prepared,
        make_recipe(),
        replicate=0,
        device=Device("cpu", 0, 1, "32-true"),
        num_images=100,
        replaced=(("stage5.block1",),),
    )
    found = task()
    data = open_data(prepared, stage="validate")
    parts = [list(data.plain_dataloader(part, 100)) for part in ("train", "validation")]
    expected = read_gates(model, *parts, 10)
    assert found.correct.tolist() == expected.correct.tolist()
    np.testing.assert_allclose(
        found.constants["stage5.block1"], expected.constants["stage5.block1"], rtol=1e-5
    )

"""Rehearsals: which networks pass, and what is said of those in which SE goes wrong."""

import pytest
import torch
from support.own_networks import Net

from se_search.candidate import SE, Candidate
from se_search.cost import count_cost
from se_search.errors import BackboneError
from se_search.models.backbones import construct
from se_search.models.catalogue import describe_backbone
from se_search.models.rehearsal import cover, rehearse
from se_search.models.surgery import build, locate
from se_search.models.trace import trace_cost
from se_search.space.bound import BoundSpace
from se_search.space.designs import collect_designs, list_designs
from se_search.space.schema import read_space

SMALL = describe_backbone("resnet20_bottleneck", 1, 28, 10)


def own(name, size=16):
    return describe_backbone(f"support.own_networks:{name}", 3, size, 10, allow_code=True)


def designs(backbone, *integrations):
    blocks = tuple(SE(integration, 2) for integration in integrations)
    return (blocks,) * len(backbone.sites)


EVERYWHERE = ("standard", "pre", "post")


@pytest.mark.parametrize(
    "name",
    [
        "Net",
        "AsksForItsClass",
        "TakesSeveralArguments",
        "ChangesItsInput",
        "SkipsUnits",
        "DrawsFromAllGenerators",
        "HasAConv3d",
        "HasLazyWeights",
    ],
)
def test_networks_with_habits_of_their_own_pass(name):
    backbone = own(name)
    assert rehearse(backbone, designs(backbone, *EVERYWHERE)) == 3


@pytest.mark.parametrize("name", ["AsksForItsClass", "TakesSeveralArguments", "ChangesItsInput"])
@pytest.mark.parametrize("integration", EVERYWHERE)
def test_what_is_counted_of_such_a_network_is_what_runs(name, integration):
    backbone = own(name)
    candidate = Candidate.parse(f"{backbone.name}/all={integration}:2", backbone)
    assert count_cost(candidate) == trace_cost(build(candidate, 0), backbone)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("DrawsFromItsOwnGenerator", r"is built with other weights \(fc.bias\)"),
        ("LooksForLayers", r"SE at stage2.block1 as standard runs .* are counted: its code"),
        (
            "HasTwoOutputsInTraining",
            r"without SE gives tuple in training mode on 2 images of 3 x 16 x 16; allowed: \(2, 10",
        ),
        ("PutsChannelsLast", r"SE at stage2.block1 as standard fails on images of 3 x 48 x 16"),
        ("Explodes", r"SE at stage2.block1 as standard gives .* a gradient that is not finite"),
        (
            "RefusesChildren",
            r"SE at stage3.block1 as standard can't be built: RuntimeError: a module can't be",
        ),
        (
            "FailsInTrainingWithSE",
            r"SE at stage3.block1 as standard fails in training mode .*: ValueError: an unknown",
        ),
    ],
)
def test_a_network_in_which_se_goes_wrong_is_refused_by_the_name_of_the_site(name, message):
    backbone = own(name)
    with pytest.raises(BackboneError, match=message) as caught:
        rehearse(backbone, designs(backbone, "standard"))
    assert str(caught.value).startswith(f"support.own_networks:{name}")


def test_a_unit_that_has_any_attribute_takes_no_se_block():
    backbone = own("HasAnyAttribute")
    assert rehearse(backbone, designs(backbone, "standard"))
    with pytest.raises(BackboneError, match=r"as post can't be built: KeyError: .*already exists"):
        rehearse(backbone, designs(backbone, "post"))


def test_the_shipped_backbone_passes_with_every_design_of_a_space():
    space = BoundSpace(read_space("full"), SMALL)
    assert rehearse(SMALL, list_designs(space)) > 1


def test_every_kind_of_block_comes_to_every_kind_of_site():
    space = BoundSpace(read_space("integration"), SMALL)
    model = construct("resnet20_bottleneck", 1, 10, seed=0)
    found = cover(SMALL, list_designs(space), locate(model, SMALL), model)
    with_projection = [site.block == 1 for site in SMALL.sites]
    for projects in (True, False):
        seen = {
            block.integration
            for candidate in found
            for block, own_projection in zip(candidate.blocks, with_projection, strict=True)
            if block is not None and own_projection == projects
        }
        assert seen == set(space.space.choices.integration)
    assert all(block is not None for block in found[0].blocks)


def test_alike_sites_share_their_rehearsals():
    resnet = describe_backbone("resnet152", 3, 32, 10)
    space = BoundSpace(read_space("integration"), resnet)
    model = construct("resnet152", 3, 10, seed=0)
    count = len(cover(resnet, list_designs(space), locate(model, resnet), model))
    assert count <= len(space.space.choices.integration) / 2


def test_sites_that_a_space_leaves_out_stay_empty():
    candidate = Candidate.parse("resnet20_bottleneck/stage5=standard:4", SMALL)
    model = construct("resnet20_bottleneck", 1, 10, seed=0)
    found = cover(SMALL, collect_designs([candidate]), locate(model, SMALL), model)
    assert found == [candidate]


def test_construction_is_repeatable_and_leaves_every_global_generator_alone():
    import random

    import numpy as np

    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    one = construct("support.own_networks:DrawsFromAllGenerators", 3, 10, 5, allow_code=True)
    assert random.getstate() == states[0]
    assert np.random.get_state()[1].tolist() == states[1]
    assert torch.equal(torch.get_rng_state(), states[2])
    random.random(), np.random.rand(), torch.rand(1)
    other = construct("support.own_networks:DrawsFromAllGenerators", 3, 10, 5, allow_code=True)
    for parameter, twin in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(parameter, twin)
    assert isinstance(one, Net)

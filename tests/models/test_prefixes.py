"""Candidates that begin alike share what runs before they differ, with equal answers."""

import copy
import random
from functools import cache

import pytest
import torch
from support.read_outs import answer, assert_equal_states, images, perturb, supernet_of
from torch import nn

from se_search.candidate import SE, Candidate
from se_search.errors import BackboneError
from se_search.models.catalogue import describe_backbone
from se_search.models.prefixes import PrefixMemo

DEFAULT = "resnet20_bottleneck"
NETWORKS = [
    DEFAULT,
    *(
        f"support.own_networks:{name}"
        for name in (
            "small_densenet",
            "small_inception",
            "Net",
            "TakesSeveralArguments",
            "ChangesItsInput",
            "KeepsAFeatureMap",
        )
    ),
]


@cache
def described(name):
    channels, size = (1, 28) if name == DEFAULT else (3, 32)
    return describe_backbone(name, channels, size, 10, allow_code=name.startswith("support"))


def draw_candidates(backbone, count=3):
    """Draw candidates, and for each site one that differs from the first only from it on."""
    draw = random.Random(0)
    levels = [
        [None, *(SE(i, width) for i in site.feature_maps for width in (2, 3))]
        for site in backbone.sites
    ]
    found = [tuple(map(draw.choice, levels)) for _ in range(count)]
    for site in range(len(levels)):
        found.append((*found[0][:site], *map(draw.choice, levels[site:])))
    return [Candidate(backbone, blocks) for blocks in dict.fromkeys(found)]


def parse(*texts):
    return [Candidate.parse(f"{DEFAULT}/{text}", described(DEFAULT)) for text in texts]


def perturbed(candidates):
    supernet = supernet_of(candidates).eval()
    perturb(supernet)
    return supernet


def norms(model):
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


@torch.no_grad()
def calibrate(model, run, x, fresh):
    """Compute statistics of batch norms from nothing, but of those alone that run."""
    for norm in norms(model):
        norm.train().momentum = None
        if norm in fresh:
            norm.reset_running_stats()
    return run(x)


def which_run(supernet, run):
    """Return the paths of the modules whose forward runs."""
    seen = []
    hooks = [
        module.register_forward_pre_hook(lambda *_, path=path: seen.append(path))
        for path, module in supernet.network.named_modules()
    ]
    run()
    for hook in hooks:
        hook.remove()
    return seen


@pytest.mark.parametrize("name", NETWORKS)
def test_answers_are_those_without_sharing(name):
    candidates = draw_candidates(described(name))
    supernet = perturbed(candidates)
    x = images(supernet.backbone)
    memo = PrefixMemo(supernet)
    for candidate in memo.sort(candidates):
        supernet.activate(candidate)
        expected = answer(supernet, x)
        answer(supernet, x.flip(0, 2))  # what a module may have noted is of other images now
        assert torch.equal(memo.run(x), expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_statistics_of_batch_norms_are_those_without_sharing(name):
    candidates = draw_candidates(described(name))
    supernet = perturbed(candidates)
    twin = copy.deepcopy(supernet)
    memo = PrefixMemo(supernet)
    x = images(supernet.backbone)
    for norm in norms(supernet):
        norm.train()
    for candidate in memo.sort(candidates):
        supernet.activate(candidate)
        twin.activate(candidate)
        answers = [calibrate(supernet, memo.run, x, memo.find_fresh(x))]
        answers.append(calibrate(twin, twin, x, list(twin.modules())))
        assert torch.equal(*answers)
        assert_equal_states(supernet.state_dict(), twin.state_dict())


def test_in_evaluation_mode_statistics_that_are_put_in_place_count():
    candidates = draw_candidates(described(DEFAULT))
    supernet = perturbed(candidates)
    x = images(supernet.backbone)
    memo = PrefixMemo(supernet)
    for number, candidate in enumerate(candidates):
        supernet.activate(candidate)
        last = norms(supernet)[number]
        last.running_mean.copy_(torch.full_like(last.running_mean, 0.1 * number))
        expected = answer(supernet, x)
        assert torch.equal(memo.run(x), expected)


def test_the_order_in_which_candidates_come_does_not_matter():
    candidates = draw_candidates(described(DEFAULT))
    supernet = perturbed(candidates)
    x = images(supernet.backbone)
    memo = PrefixMemo(supernet)
    for candidate in (*candidates, *reversed(candidates), candidates[0], candidates[0]):
        supernet.activate(candidate)
        expected = answer(supernet, x)
        assert torch.equal(memo.run(x), expected)


# Without SE the unit adds its shortcut to the batch norm's output in place.
@pytest.mark.parametrize("block", ["none", "standard:4"])
def test_only_what_comes_after_the_first_difference_runs(block):
    one, other = parse(f"all=standard:2/stage4.block2={block}", "all=standard:2")
    supernet = perturbed([one, other])
    x = images(supernet.backbone)
    memo = PrefixMemo(supernet)
    supernet.activate(one)
    memo.run(x)
    supernet.activate(other)
    ran = which_run(supernet, lambda: memo.run(x))
    assert ran == [
        *("", "layer3", "layer3.1", "layer3.1.bn3", "layer3.1.relu"),
        *(path for path in which_run(supernet, lambda: supernet(x)) if "layer4" in path),
        *("avgpool", "flatten", "fc"),
    ]


def test_a_position_at_the_beginning_of_a_unit_lets_the_unit_run():
    one, other = parse("stage5=pre:2", "stage5=pre:4")
    supernet = perturbed([one, other])
    x = images(supernet.backbone)
    memo = PrefixMemo(supernet)
    supernet.activate(one)
    memo.run(x)
    supernet.activate(other)
    ran = which_run(supernet, lambda: memo.run(x))
    assert "layer4.0.conv1" in ran
    assert not any(path.startswith(("conv1", "layer1", "layer2", "layer3")) for path in ran)


def test_a_batch_norm_is_not_run_again_for_an_se_block_behind_it():
    one, other = parse("all=standard:2", "all=standard:2/stage5=standard:4")
    supernet = perturbed([one, other])
    memo = PrefixMemo(supernet)
    x = images(supernet.backbone)
    supernet.activate(one)
    assert set(norms(supernet)) <= set(memo.find_fresh(x))
    memo.run(x)
    supernet.activate(other)
    fresh = memo.find_fresh(x)
    assert supernet.network.fc in fresh
    # The shortcut's batch norm comes after the branch's, and no batch norm after it.
    assert [norm for norm in norms(supernet) if norm in fresh] == [
        supernet.network.layer4[0].downsample[1]
    ]


def test_sorted_candidates_are_in_lexicographic_order_of_the_sites_as_they_run():
    candidates = draw_candidates(described(DEFAULT), 20)
    supernet = supernet_of(candidates)
    memo = PrefixMemo(supernet)
    assert memo.order == tuple(range(len(supernet.backbone.sites)))
    ordered = memo.sort(candidates)
    assert set(ordered) == set(candidates)
    firsts = [candidate.blocks[0] for candidate in ordered]
    groups = [block for i, block in enumerate(firsts) if i == 0 or block != firsts[i - 1]]
    assert len(groups) == len(set(groups))


def change_a_weight(supernet, x):
    with torch.no_grad():
        supernet.network.layer1[0].conv1.weight.mul_(2)


def change_an_se_weight(supernet, x):
    with torch.no_grad():
        supernet.blocks["stage2_block1"]["standard"].reduce.weight.neg_()


def change_a_statistic(supernet, x):
    supernet.network.bn1.running_var.mul_(2)


def change_the_images(supernet, x):
    x.mul_(2)


def change_a_mode(supernet, x):
    supernet.network.layer1.train()


@pytest.mark.parametrize(
    "change",
    [
        *(change_a_weight, change_an_se_weight, change_a_statistic),
        *(change_the_images, change_a_mode),
    ],
)
def test_a_change_between_runs_is_noticed(change):
    one, other = parse("all=standard:2", "all=standard:2/stage5=none")
    supernet = perturbed([one, other])
    x = images(supernet.backbone)
    memo = PrefixMemo(supernet)
    supernet.activate(one)
    before = memo.run(x)
    change(supernet, x)
    assert not torch.equal(memo.run(x), before)
    supernet.activate(other)
    expected = answer(copy.deepcopy(supernet), x)
    assert torch.equal(memo.run(x), expected)


def test_a_feature_map_that_is_changed_in_place_later_is_not_used_again():
    candidates = parse("all=standard:2", "all=standard:2/stage5=standard:4")
    supernet = perturbed(candidates)
    x = images(supernet.backbone)
    memo = PrefixMemo(supernet)
    supernet.network.layer4.register_forward_pre_hook(lambda _, args: (args[0].mul_(2),))
    for candidate in (*candidates, *candidates):
        supernet.activate(candidate)
        expected = answer(supernet, x)
        assert torch.equal(memo.run(x), expected)


def test_batch_norms_that_were_reset_run_again():
    candidates = parse("all=standard:2", "all=standard:2/stage5=standard:4")
    supernet = perturbed(candidates)
    twin = copy.deepcopy(supernet)
    memo = PrefixMemo(supernet)
    x = images(supernet.backbone)
    for candidate in candidates:
        for model, run in ((supernet, memo.run), (twin, twin)):
            model.activate(candidate)
            calibrate(model, run, x, norms(model))
        assert_equal_states(supernet.state_dict(), twin.state_dict())


def test_an_answer_that_is_changed_in_place_changes_no_other_answer():
    (candidate,) = parse("all=standard:2")
    supernet = perturbed([candidate])
    x = images(supernet.backbone)
    memo = PrefixMemo(supernet)
    supernet.activate(candidate)
    first = memo.run(x)
    expected = first.clone()
    first.zero_()
    assert torch.equal(memo.run(x), expected)


@pytest.mark.parametrize("num_maps", [0, 3, 30])
def test_no_more_is_kept_than_allowed(num_maps):
    candidates = draw_candidates(described(DEFAULT))
    supernet = perturbed(candidates)
    x = images(supernet.backbone)
    allowed = num_maps * x.element_size() * len(x) * 128 * 4 * 4  # of the last stage but one
    memo = PrefixMemo(supernet, max_bytes=allowed)
    for candidate in memo.sort(candidates):
        supernet.activate(candidate)
        expected = answer(supernet, x)
        assert torch.equal(memo.run(x), expected)
        assert memo.num_bytes <= allowed
    assert (memo.num_bytes > 0) == (num_maps > 0)
    memo.clear()
    assert memo.num_bytes == 0


def test_a_network_that_calls_other_modules_than_last_time_is_refused():
    name = "support.own_networks:HasASwitch"
    texts = ("stage2=standard:2", "stage2=standard:2/stage3=standard:2")
    one, other = (Candidate.parse(f"{name}/{text}", described(name)) for text in texts)
    supernet = perturbed([one, other])
    x = images(supernet.backbone)
    memo = PrefixMemo(supernet)
    supernet.activate(one)
    supernet.network.skips = True
    memo.run(x)
    supernet.network.skips = False
    supernet.activate(other)
    with pytest.raises(BackboneError, match=r"calls units.0 now, and did not in its last run"):
        memo.run(x)
    expected = answer(supernet, x)
    assert torch.equal(memo.run(x), expected)


def test_the_network_is_as_it_was_after_a_run():
    (candidate,) = parse("all=standard:2")
    supernet = perturbed([candidate])
    supernet.activate(candidate)
    before = {path: dict(vars(module)) for path, module in supernet.named_modules()}
    memo = PrefixMemo(supernet)
    memo.run(images(supernet.backbone))
    assert supernet.candidate == candidate
    for path, module in supernet.named_modules():
        ours = {k: v for k, v in vars(module).items() if v is not None}
        assert ours == {k: v for k, v in before[path].items() if v is not None}

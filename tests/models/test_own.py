"""Networks that a user brings: importing them only when allowed, and naming their sites."""

import sys
from functools import partial
from itertools import count

import pytest
import torch
from torch.nn import functional as F  # noqa: N812  (as everybody calls it)

from se_search.backbone import FeatureMap
from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.errors import BackboneError
from se_search.execution.child import call_in_child
from se_search.models.backbones import construct
from se_search.models.catalogue import backbone_in_channels, default_shape, describe_backbone
from se_search.models.surgery import build, plain_state_dict, se_modules
from se_search.models.trace import trace_cost

NETWORK = """
import torch
from torch import nn
from torchvision.models.resnet import BasicBlock


class Net(nn.Module):
    def __init__(self, num_classes=10, in_channels=3):
        super().__init__()
        self.first = nn.Conv2d(in_channels, 8, 3, stride=2, padding=1)
        self.second = nn.Conv2d(8, 12, 3, padding=1)
        self.unused = nn.Conv2d(8, 8, 1)
        self.act = nn.ReLU()
        self.fc = nn.Linear(12, num_classes)

    def forward(self, x):
        x = self.act(self.first(x))
        x = self.act(self.second(x))
        return self.fc(x.mean((2, 3)))


class Listing(Net):
    def se_sites(self):
        return [
            {"stage": 2, "standard": {"after": "first"}, "pre": {"before": "first"}},
            {"stage": 3, "standard": {"after": "second"}},
        ]


class Wrong(Net):
    def se_sites(self):
        return [{"stage": 2, "standard": "first"}]


class Misspelt(Net):
    def se_sites(self):
        return [{"stage": 2, "standart": {"after": "first"}}]


class Mapped(Net):
    def se_sites(self):
        return {"sites": [{"stage": 2, "standard": {"after": "first"}}]}


class Raising(Net):
    def se_sites(self):
        raise KeyError("units")


def ends(num_classes):
    raise SystemExit(2)


class Mine(BasicBlock):
    pass


class Residual(nn.Sequential):
    def __init__(self, num_classes):
        super().__init__(
            nn.Conv2d(3, 8, 1),
            nn.Sequential(Mine(8, 8), Mine(8, 8)),
            nn.Sequential(Mine(8, 8)),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, num_classes),
        )


def ten_classes():
    return Net(10)


def fails(num_classes):
    raise OSError("no such disk")


def nothing(**options):
    return options


number = 3
"""
SITES = """\
sites:
  - {stage: 2, pre: {before: first}, standard: {after: first}, rectified: {after: first}}
  - stage: 3
    standard:
      after: second
"""
names = (f"own_network_{number}" for number in count())


@pytest.fixture
def module(tmp_path, monkeypatch):
    name = next(names)
    (tmp_path / f"{name}.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return name


def write_sites(tmp_path, text):
    path = tmp_path / "sites.yaml"
    path.write_text(text)
    return path


def describe(name, tmp_path=None, text=SITES, shape=(3, 8, 10)):
    sites = write_sites(tmp_path, text) if tmp_path else None
    return describe_backbone(name, *shape, allow_code=True, sites=sites)


def test_code_is_not_run_unless_that_is_allowed(module, tmp_path):
    marker = tmp_path / "ran"
    (tmp_path / f"{module}.py").write_text(f"open({str(marker)!r}, 'w')")
    for refused in (
        lambda: describe_backbone(f"{module}:Net", 3, 8, 10),
        lambda: backbone_in_channels(f"{module}:Net", 3),
        lambda: construct(f"{module}:Net", 3, 10, 0),
    ):
        with pytest.raises(BackboneError, match="--allow-code"):
            refused()
    default_shape(f"{module}:Net")
    assert not marker.exists()


def test_sites_of_a_file_are_found_and_measured(module, tmp_path):
    backbone = describe(f"{module}:Net", tmp_path)
    assert [site.name for site in backbone.sites] == ["stage2.block1", "stage3.block1"]
    assert backbone.sites[0].feature_maps == {
        "pre": FeatureMap(3, 64),
        "standard": FeatureMap(8, 16),
        "rectified": FeatureMap(8, 16),
    }
    assert backbone.sites[1].feature_maps == {"standard": FeatureMap(12, 16)}


def test_se_stands_where_the_file_says(module, tmp_path):
    backbone = describe(f"{module}:Net", tmp_path)
    text = f"{module}:Net/stage2=pre:2/stage3=standard:3"
    model = build(Candidate.parse(text, backbone), 0)
    x = torch.rand(2, 3, 8, 8)
    first, second = se_modules(model).values()
    w = plain_state_dict(model)
    y = F.conv2d(first(x), w["first.weight"], w["first.bias"], stride=2, padding=1).relu()
    y = second(F.conv2d(y, w["second.weight"], w["second.bias"], padding=1)).relu()
    expected = F.linear(y.mean((2, 3)), w["fc.weight"], w["fc.bias"])
    torch.testing.assert_close(model(x), expected)


@pytest.mark.parametrize("text", ["stage2=pre:2", "all=standard:3", "stage2=rectified:2"])
def test_the_closed_form_is_what_fvcore_counts(module, tmp_path, text):
    backbone = describe(f"{module}:Net", tmp_path)
    candidate = Candidate.parse(f"{module}:Net/{text}", backbone)
    assert count_cost(candidate) == trace_cost(build(candidate, 0), backbone)


def test_a_network_may_list_its_sites_itself(module):
    backbone = describe(f"{module}:Listing")
    assert [site.name for site in backbone.sites] == ["stage2.block1", "stage3.block1"]
    assert set(backbone.sites[0].feature_maps) == {"standard", "pre"}
    model = build(Candidate.parse(f"{module}:Listing/all=standard:2", backbone), 0)
    assert list(se_modules(model)) == ["first.inserted_se", "second.inserted_se"]


def test_a_file_counts_more_than_what_a_network_lists(module, tmp_path):
    text = "sites: [{stage: 4, post: {after: second}}]"
    assert [site.name for site in describe(f"{module}:Listing", tmp_path, text).sites] == [
        "stage4.block1"
    ]


def test_blocks_that_derive_from_torchvisions_are_found(module):
    backbone = describe(f"{module}:Residual")
    assert [site.name for site in backbone.sites] == [
        "stage2.block1",
        "stage2.block2",
        "stage3.block1",
    ]
    assert backbone.attach is None


def test_a_network_is_given_the_arguments_that_it_takes(module):
    assert construct(f"{module}:Net", 1, 7, 0, allow_code=True).first.in_channels == 1
    assert construct(f"{module}:Residual", 3, 7, 0, allow_code=True)[5].out_features == 7
    assert construct(f"{module}:ten_classes", 3, 7, 0, allow_code=True).fc.out_features == 10


def test_channels_are_those_of_the_images_or_of_the_first_convolution(module):
    assert backbone_in_channels(f"{module}:Net", 1, allow_code=True) == 1
    assert backbone_in_channels(f"{module}:Residual", 1, allow_code=True) == 3


def weigh(candidate):
    return {name: tensor.tolist() for name, tensor in build(candidate, 3).state_dict().items()}


def test_a_child_process_builds_the_same_network(module, tmp_path):
    backbone = describe(f"{module}:Net", tmp_path)
    candidate = Candidate.parse(f"{module}:Net/all=standard:2", backbone)
    (tmp_path / "sites.yaml").unlink()
    assert call_in_child(partial(weigh, candidate), tmp_path / "log") == weigh(candidate)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "sites:\n  - stage: 2\n    standard: {after: frist}\n",
            r"sites.yaml:3: standard: Net has no module 'frist' \(did you mean first\?\)",
        ),
        ("sites:\n  - {stage: 2, standard: {after: unused}}", r"stage2.block1.*'unused'.*reaches"),
        ("sites:\n  - {stage: 2, standard: {after: act}}", r"'act': .*runs this module 2 times"),
        ("sites:\n  - {stage: 2, standard: {after: fc}}", r"'fc': \(1, 10\) is not a feature map"),
        ("sites:\n  - {stage: 2, middle: {after: fc}}", r":2: unknown key .*middle.*standard, pre"),
        ("sites:\n  - stage: 0\n", r":2: sites.0.stage"),
        ("sites:\n  - {stage: 2}\n", r":2: sites.0: needs an attach point"),
        ("sites:\n  - {stage: 2, pre: {before: first, after: first}}", "either before or after"),
        ("sites: []", r":1: sites"),
        (
            "sites: [{stage: 2, post: {after: first}}, {stage: 3, pre: {before: first}}]",
            "stage2.block1 at 'first' contains stage3.block1",
        ),
    ],
)
def test_a_mistake_in_the_file_is_named(module, tmp_path, text, message):
    with pytest.raises(BackboneError, match=message) as caught:
        describe(f"{module}:Net", tmp_path, text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("Nett", r"has no Nett \(did you mean Net\?\)"),
        ("number", "can't be called"),
        ("fails", "raised OSError: no such disk"),
        ("nothing", "made a dict, not a torch.nn.Module"),
        ("ends", "raised SystemExit: 2"),
        ("Raising", r"Raising.se_sites\(\) raised KeyError: 'units'"),
        ("Mapped", r"Mapped.se_sites\(\) returns \{'sites': .*allowed: a list of sites, as \[\{"),
        (
            "Misspelt",
            r"Misspelt.se_sites\(\): unknown key 'sites.0.standart' .did you",
        ),
        ("Wrong", r"Wrong.se_sites\(\): sites.0.standard"),
        ("Net", r"Net has no sites .*runs 2 convolutions, but.*se_sites\(\)"),
    ],
)
def test_what_is_no_network_with_sites_is_an_error(module, attribute, message):
    with pytest.raises(BackboneError, match=message):
        describe(f"{module}:{attribute}")


def test_a_script_that_reads_the_command_line_is_told_how_to_be_imported(module, tmp_path):
    (tmp_path / f"{module}.py").write_text(
        "import argparse\nargparse.ArgumentParser().parse_args(['--no-such-option'])"
    )
    with pytest.raises(BackboneError, match=r"ends the process \(exit status 2\).*__main__"):
        describe(f"{module}:Net")


def test_a_network_with_other_classes_is_an_error(module, tmp_path):
    with pytest.raises(BackboneError, match=r"maps one image to \(1, 10\); allowed: \(1, 7\)"):
        describe(f"{module}:ten_classes", tmp_path, shape=(3, 8, 7))


def test_a_module_that_is_not_there_is_an_error():
    with pytest.raises(BackboneError, match="there is no module no_such_module in "):
        construct("no_such_module:Net", 3, 10, 0, allow_code=True)


def test_building_does_not_depend_on_the_global_random_state(module):
    backbone = describe(f"{module}:Listing")
    one = build(Candidate.plain(backbone), 0)
    torch.rand(3)
    other = build(Candidate.plain(backbone), 0)
    assert torch.equal(one.first.weight, other.first.weight)

"""Backbones: from a name to a plain network."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torchvision.models import resnet

from se_search.errors import BackboneError
from se_search.models.catalogue import TORCHVISION_NAMES, check_name


def resnet20_bottleneck(in_channels: int, num_classes: int) -> nn.Module:
    """Return a small ResNet with ResNet-50's proportions, for images of 28 to 32 pixels.

    Twenty convolutions in bottleneck units, stages (1, 2, 2, 1), 32 to 256 channels out.
    """
    stem = 8
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(in_channels, stem, kernel_size=3, stride=2, padding=1, bias=False),
        bn1=nn.BatchNorm2d(stem),
        relu=nn.ReLU(inplace=True),
        layer1=_bottlenecks(stem, planes=8, num_blocks=1, stride=1),
        layer2=_bottlenecks(32, planes=16, num_blocks=2, stride=2),
        layer3=_bottlenecks(64, planes=32, num_blocks=2, stride=2),
        layer4=_bottlenecks(128, planes=64, num_blocks=1, stride=2),
        avgpool=nn.AdaptiveAvgPool2d((1, 1)),
        flatten=nn.Flatten(),
        fc=nn.Linear(256, num_classes),
    )
    net = nn.Sequential(layers)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):  # as torchvision does (He et al. 2015)
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return net


def torchvision_net(name: str, in_channels: int, num_classes: int) -> nn.Module:
    """Return torchvision's network of this name, without pretrained weights."""
    if in_channels != 3:
        raise BackboneError(f"{name} takes images of 3 channels, not {in_channels}")
    net: nn.Module = getattr(resnet, name)(weights=None, num_classes=num_classes)
    return net


BACKBONES: dict[str, Callable[[int, int], nn.Module]] = {
    "resnet20_bottleneck": resnet20_bottleneck,
    **{name: partial(torchvision_net, name) for name in TORCHVISION_NAMES},
}


def construct(name: str, in_channels: int, num_classes: int, seed: int) -> nn.Module:
    """Return a backbone with its own initialisation; the global random state stays as it is.

    Raises:
        BackboneError: there is no such backbone, or it takes images of other channels.
    """
    check_name(name)
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would seed the GPUs too, which the fork does not put back.
        torch.default_generator.manual_seed(seed)
        return BACKBONES[name](in_channels, num_classes)


def _bottlenecks(in_channels: int, planes: int, num_blocks: int, stride: int) -> nn.Sequential:
    channels = planes * resnet.Bottleneck.expansion
    projection = nn.Sequential(
        nn.Conv2d(in_channels, channels, kernel_size=1, stride=stride, bias=False),
        nn.BatchNorm2d(channels),
    )
    first = resnet.Bottleneck(in_channels, planes, stride, projection)
    return nn.Sequential(
        first, *(resnet.Bottleneck(channels, planes) for _ in range(num_blocks - 1))
    )

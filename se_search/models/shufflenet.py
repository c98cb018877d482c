"""ShuffleNet v1 (Zhang et al. 2018), the second mobile network of the SE paper."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from se_search.models.initialisation import initialise_convolutions


class ChannelShuffle(nn.Module):
    """Distributes the channels of each group over all groups (Zhang et al. 2018, sec. 3.1)."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(b, c, h, w)`` to ``(b, c, h, w)``."""
        b, c, h, w = x.shape
        grouped = x.reshape(b, self.groups, c // self.groups, h, w)
        return grouped.transpose(1, 2).reshape(b, c, h, w)


class ShuffleUnit(nn.Module):
    """A ShuffleNet unit (Zhang et al. 2018, fig. 2b, 2c): grouped 1x1, depthwise 3x3, grouped 1x1.

    With stride 2 the average-pooled input is concatenated with the branch, not added to it, so that
    the branch has only ``channels - in_channels`` channels.
    """

    # The SE paper does not say where SE is. On the branch, before it meets the shortcut, SE adds
    # 610,416 weights at r = 16, which makes 2.48 M in place of 1.87 M; table 3 has 2.4 M and 1.8 M.
    # On the unit's output it would add 720,000.
    se_points: ClassVar[dict[str, tuple[str, str]]] = {
        "standard": ("bn3", "after"),
        "pre": ("conv1", "before"),
        "post": ("", "after"),  # after the ReLU
        "identity": ("downsample", "after"),
        "inner": ("conv3", "before"),
    }

    def __init__(
        self, in_channels: int, channels: int, stride: int, groups: int, first_groups: int
    ) -> None:
        super().__init__()
        self.stride = stride
        width = channels // 4
        out_channels = channels if stride == 1 else channels - in_channels
        self.conv1 = nn.Conv2d(in_channels, width, 1, groups=first_groups, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.shuffle = ChannelShuffle(groups)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, groups=width, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, groups=groups, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample = (
            nn.Identity() if stride == 1 else nn.AvgPool2d(kernel_size=3, stride=2, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(b, in_channels, h, w)`` to ``(b, channels, h / stride, w / stride)``."""
        branch = self.shuffle(functional.relu(self.bn1(self.conv1(x))))
        branch = self.bn2(self.conv2(branch))  # no ReLU after a depthwise convolution
        branch = self.bn3(self.conv3(branch))
        shortcut = self.downsample(x)
        if self.stride == 1:
            return functional.relu(shortcut + branch)
        return functional.relu(torch.cat([shortcut, branch], dim=1))


def shufflenet_v1_g3(in_channels: int, num_classes: int) -> nn.Module:
    """Return ShuffleNet 1x with 3 groups (Zhang et al. 2018, table 1)."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        stem=nn.Sequential(
            nn.Conv2d(in_channels, 24, kernel_size=3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(24),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
        ),
        layer1=_stage(24, 240, num_units=4, first_groups=1),
        layer2=_stage(240, 480, num_units=8, first_groups=3),
        layer3=_stage(480, 960, num_units=4, first_groups=3),
        avgpool=nn.AdaptiveAvgPool2d((1, 1)),
        flatten=nn.Flatten(),
        fc=nn.Linear(960, num_classes),
    )
    net = nn.Sequential(layers)
    initialise_convolutions(net)
    return net


SHUFFLENETS: dict[str, Callable[[int, int], nn.Module]] = {"shufflenet_v1_g3": shufflenet_v1_g3}


def _stage(in_channels: int, channels: int, num_units: int, first_groups: int) -> nn.Sequential:
    """Return a stage; the network's first 1x1 convolution has one group, for its input is small."""
    first = ShuffleUnit(in_channels, channels, 2, groups=3, first_groups=first_groups)
    rest = (ShuffleUnit(channels, channels, 1, 3, 3) for _ in range(num_units - 1))
    return nn.Sequential(first, *rest)

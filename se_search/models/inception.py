"""BN-Inception (Ioffe & Szegedy 2015), the Inception network of the SE paper."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from se_search.models.initialisation import initialise_convolutions


class Row(NamedTuple):
    """The channels of a module's convolutions, a row of figure 5 of Ioffe & Szegedy 2015.

    A module without projection (0) has stride 2, and its pooled input is a branch of its output.
    """

    conv1x1: int
    reduce3x3: int
    conv3x3: int
    reduce_double: int
    double3x3: int
    pool: Literal["avg", "max"]
    projection: int


# One tuple for each stage. Figure 5 says that 4c has 576 output channels and 4e 1024, but the
# branches of 4c add up to 608, and so those of 4e to 1056, as in the SE paper's Caffe model.
STAGES: tuple[tuple[Row, ...], ...] = (
    (
        Row(64, 64, 64, 64, 96, "avg", 32),  # 3a
        Row(64, 64, 96, 64, 96, "avg", 64),  # 3b
        Row(0, 128, 160, 64, 96, "max", 0),  # 3c
    ),
    (
        Row(224, 64, 96, 96, 128, "avg", 128),  # 4a
        Row(192, 96, 128, 96, 128, "avg", 128),  # 4b
        Row(160, 128, 160, 128, 160, "avg", 128),  # 4c
        Row(96, 128, 192, 160, 192, "avg", 128),  # 4d
        Row(0, 128, 192, 192, 256, "max", 0),  # 4e
    ),
    (
        Row(352, 192, 320, 160, 224, "avg", 128),  # 5a
        Row(352, 192, 320, 192, 224, "max", 128),  # 5b
    ),
)


class InceptionModule(nn.Module):
    """Parallel convolutions and a pooling of one input, concatenated over the channels."""

    # On the concatenated output (Hu et al. 2019, fig. 2): there is no shortcut to add.
    se_points: ClassVar[dict[str, tuple[str, str]]] = {"standard": ("", "after")}

    def __init__(self, in_channels: int, row: Row) -> None:
        super().__init__()
        stride = 1 if row.projection else 2
        branches: OrderedDict[str, nn.Module] = OrderedDict()
        if row.conv1x1:
            branches["conv1x1"] = ConvNormReLU(in_channels, row.conv1x1, 1)
        branches["conv3x3"] = nn.Sequential(
            ConvNormReLU(in_channels, row.reduce3x3, 1),
            ConvNormReLU(row.reduce3x3, row.conv3x3, 3, stride),
        )
        branches["double3x3"] = nn.Sequential(
            ConvNormReLU(in_channels, row.reduce_double, 1),
            ConvNormReLU(row.reduce_double, row.double3x3, 3),
            ConvNormReLU(row.double3x3, row.double3x3, 3, stride),
        )
        pool: nn.Module = _max_pool(stride) if row.pool == "max" else nn.AvgPool2d(3, 1, padding=1)
        branches["pool"] = (
            nn.Sequential(pool, ConvNormReLU(in_channels, row.projection, 1))
            if row.projection
            else pool
        )
        self.branches = nn.ModuleDict(branches)
        self.out_channels = (
            row.conv1x1 + row.conv3x3 + row.double3x3 + (row.projection or in_channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(b, c, h, w)`` to ``(b, out_channels, h / stride, w / stride)``."""
        return torch.cat([branch(x) for branch in self.branches.values()], dim=1)


class ConvNormReLU(nn.Sequential):
    """A convolution with padding, batch norm and ReLU."""

    def __init__(self, in_channels: int, channels: int, side: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(in_channels, channels, side, stride, padding=side // 2, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )


def bn_inception(in_channels: int, num_classes: int) -> nn.Module:
    """Return BN-Inception: ``layer1`` is 3a to 3c, ``layer2`` 4a to 4e, ``layer3`` 5a and 5b.

    The first convolution is not separable, as in the SE paper's Caffe model; that of Ioffe &
    Szegedy is.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        stem=nn.Sequential(
            ConvNormReLU(in_channels, 64, 7, stride=2),
            _max_pool(2),
            ConvNormReLU(64, 64, 1),
            ConvNormReLU(64, 192, 3),
            _max_pool(2),
        )
    )
    channels = 192
    for number, rows in enumerate(STAGES, start=1):
        stage = nn.Sequential()
        for row in rows:
            module = InceptionModule(channels, row)
            stage.append(module)
            channels = module.out_channels
        layers[f"layer{number}"] = stage
    layers["avgpool"] = nn.AdaptiveAvgPool2d((1, 1))
    layers["flatten"] = nn.Flatten()
    layers["fc"] = nn.Linear(channels, num_classes)
    net = nn.Sequential(layers)
    initialise_convolutions(net)
    return net


INCEPTION_NETS: dict[str, Callable[[int, int], nn.Module]] = {"bn_inception": bn_inception}


def _max_pool(stride: int) -> nn.Module:
    # Caffe's pooling has no padding and rounds up. For odd sizes that gives other sizes than the
    # convolutions of stride 2 in the other branches.
    return nn.MaxPool2d(kernel_size=3, stride=stride, padding=1)

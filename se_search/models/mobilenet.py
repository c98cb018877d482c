"""A small MobileNet v1 (Howard et al. 2017), the first mobile network of the SE paper's table 3."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import ClassVar

from torch import nn

from se_search.models.initialisation import initialise_convolutions


class SeparableUnit(nn.Sequential):
    """A depthwise separable convolution (Howard et al. 2017, fig. 3, right).

    It maps ``(b, in_channels, h, w)`` to ``(b, channels, h / stride, w / stride)`` by a depthwise
    3x3 and a pointwise 1x1 convolution, each with batch norm and ReLU. There is no shortcut.
    """

    # The SE paper does not say where SE is in its MobileNet. Its weights are those of SE on every
    # pointwise output: 4.2 M + 0.48 M = 4.7 M (table 3). In a network without shortcuts it puts SE
    # "after the non-linearity following each convolution" (sec. 3.3). The integration inner is
    # where MobileNetV3 has its own SE.
    se_points: ClassVar[dict[str, tuple[str, str]]] = {
        "standard": ("relu2", "after"),
        "inner": ("pointwise", "before"),  # after the depthwise convolution's ReLU
    }

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__(
            OrderedDict[str, nn.Module](
                depthwise=nn.Conv2d(
                    in_channels, in_channels, 3, stride, padding=1, groups=in_channels, bias=False
                ),
                bn1=nn.BatchNorm2d(in_channels),
                relu1=nn.ReLU(inplace=True),
                pointwise=nn.Conv2d(in_channels, channels, 1, bias=False),
                bn2=nn.BatchNorm2d(channels),
                relu2=nn.ReLU(inplace=True),
            )
        )


def mobilenet_small(in_channels: int, num_classes: int) -> nn.Module:
    """Return a small MobileNet v1 for images of 28 to 32 pixels.

    It is MobileNet 0.25 (Howard et al. 2017, tables 1 and 6) with a stride of 1 in its stem and
    with seven of its thirteen units: 1, 1, 1, 2 and 2 in five stages of 16 to 256 channels.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(in_channels, 8, kernel_size=3, padding=1, bias=False),
        bn1=nn.BatchNorm2d(8),
        relu=nn.ReLU(inplace=True),
        layer1=_stage(8, 16, num_units=1, stride=1),
        layer2=_stage(16, 32, num_units=1, stride=2),
        layer3=_stage(32, 64, num_units=1, stride=2),
        layer4=_stage(64, 128, num_units=2, stride=2),
        layer5=_stage(128, 256, num_units=2, stride=2),
        avgpool=nn.AdaptiveAvgPool2d((1, 1)),
        flatten=nn.Flatten(),
        fc=nn.Linear(256, num_classes),
    )
    net = nn.Sequential(layers)
    initialise_convolutions(net)
    return net


MOBILENETS: dict[str, Callable[[int, int], nn.Module]] = {"mobilenet_small": mobilenet_small}


def _stage(in_channels: int, channels: int, num_units: int, stride: int) -> nn.Sequential:
    first = SeparableUnit(in_channels, channels, stride)
    rest = (SeparableUnit(channels, channels, stride=1) for _ in range(num_units - 1))
    return nn.Sequential(first, *rest)

"""ResNets of the SE paper that torchvision lacks: v1, ResNeXt-101 32x4d, SENet-154 without SE."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn
from torchvision.models import resnet

from se_search.models.initialisation import initialise_convolutions


class BottleneckV1(resnet.Bottleneck):  # type: ignore[misc]  # torchvision ships no types
    """A bottleneck whose first 1x1 convolution has the stride, as in the code of He et al. 2016a.

    The SE paper's Caffe model has it there, too. In torchvision's bottleneck (v1.5) the 3x3
    convolution has the stride.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conv1.stride, self.conv2.stride = self.conv2.stride, self.conv1.stride


class BottleneckSENet(resnet.Bottleneck):  # type: ignore[misc]  # torchvision ships no types
    """The bottleneck of SENet-154: that of ResNeXt 64x4d with half the width in the first 1x1."""

    def __init__(
        self, in_channels: int, planes: int, stride: int, downsample: nn.Module | None
    ) -> None:
        super().__init__(in_channels, planes, stride, downsample, groups=64, base_width=4)
        self.conv1 = nn.Conv2d(in_channels, 2 * planes, kernel_size=1, bias=False)
        self.bn1 = nn.BatchNorm2d(2 * planes)
        self.conv2 = nn.Conv2d(
            2 * planes, 4 * planes, kernel_size=3, stride=stride, padding=1, groups=64, bias=False
        )


def resnet_v1(blocks: tuple[int, ...], in_channels: int, num_classes: int) -> nn.Module:
    """Return the paper's bottleneck ResNet with the given number of blocks in each stage.

    Names and shapes of its parameters are torchvision's; strides and pooling differ.
    """
    net: nn.Module = resnet.ResNet(BottleneckV1, list(blocks), num_classes=num_classes)
    net.maxpool = _caffe_pool()
    _take_channels(net, in_channels)
    return net


def resnext101_32x4d(in_channels: int, num_classes: int) -> nn.Module:
    """Return ResNeXt-101 32x4d (Xie et al. 2017); torchvision has 32x8d and 64x4d only."""
    net: nn.Module = resnet.ResNet(
        resnet.Bottleneck, [3, 4, 23, 3], num_classes=num_classes, groups=32, width_per_group=4
    )
    _take_channels(net, in_channels)
    return net


def senet154(in_channels: int, num_classes: int) -> nn.Module:
    """Return SENet-154 without its SE blocks (Hu et al. 2019, appendix)."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        stem=nn.Sequential(
            *_conv_norm_relu(in_channels, 64, stride=2),
            *_conv_norm_relu(64, 64, stride=1),
            *_conv_norm_relu(64, 128, stride=1),
            _caffe_pool(),
        ),
        layer1=_senet_stage(128, planes=64, num_blocks=3, stride=1),
        layer2=_senet_stage(256, planes=128, num_blocks=8, stride=2),
        layer3=_senet_stage(512, planes=256, num_blocks=36, stride=2),
        layer4=_senet_stage(1024, planes=512, num_blocks=3, stride=2),
        avgpool=nn.AdaptiveAvgPool2d((1, 1)),
        flatten=nn.Flatten(),
        dropout=nn.Dropout(0.2),
        fc=nn.Linear(2048, num_classes),
    )
    net = nn.Sequential(layers)
    initialise_convolutions(net)
    return net


PAPER_RESNETS: dict[str, Callable[[int, int], nn.Module]] = {
    "resnet50_v1": partial(resnet_v1, (3, 4, 6, 3)),
    "resnet101_v1": partial(resnet_v1, (3, 4, 23, 3)),
    "resnet152_v1": partial(resnet_v1, (3, 8, 36, 3)),
    "resnext101_32x4d": resnext101_32x4d,
    "senet154": senet154,
}


def _caffe_pool() -> nn.Module:
    """Return the max-pooling of the Caffe models, whose windows start at the first pixel.

    torchvision's windows start one pixel outside. Both map 112 pixels to 56.
    """
    return nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)


def _take_channels(net: nn.Module, in_channels: int) -> None:
    """Replace the first convolution of torchvision's ResNet unless the images have 3 channels."""
    if in_channels != 3:
        net.conv1 = nn.Conv2d(in_channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
        initialise_convolutions(net.conv1)


def _conv_norm_relu(in_channels: int, channels: int, stride: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(in_channels, channels, kernel_size=3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


def _senet_stage(in_channels: int, planes: int, num_blocks: int, stride: int) -> nn.Sequential:
    channels = 4 * planes
    side = 1 if stride == 1 else 3  # the projections with stride 2 are 3x3 (appendix)
    projection = nn.Sequential(
        nn.Conv2d(
            in_channels, channels, kernel_size=side, stride=stride, padding=side // 2, bias=False
        ),
        nn.BatchNorm2d(channels),
    )
    first = BottleneckSENet(in_channels, planes, stride, projection)
    rest = (BottleneckSENet(channels, planes, 1, None) for _ in range(num_blocks - 1))
    return nn.Sequential(first, *rest)

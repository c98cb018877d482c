"""The CIFAR networks of the SE paper (tables 4 and 5)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.resnet import BasicBlock

from se_search.models.initialisation import initialise_convolutions

Branch = Callable[[int, int, int], nn.Module]  # of channels in, channels out, stride


class PadShortcut(nn.Module):
    """A shortcut without parameters (He et al. 2016a, sec. 3.3, option A).

    It takes every ``stride``-th pixel, and adds channels of zeros.
    """

    def __init__(self, added_channels: int, stride: int) -> None:
        super().__init__()
        self.added_channels = added_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(b, c, h, w)`` to ``(b, c + added_channels, h / stride, w / stride)``."""
        picked = x[:, :, :: self.stride, :: self.stride]
        return functional.pad(picked, (0, 0, 0, 0, 0, self.added_channels))


class PreActivationUnit(nn.Module):
    """A residual unit with batch norm and ReLU in front of each convolution (He et al. 2016b).

    Nothing follows the addition. If ``shares_activation``, the input of the shortcut is the output
    of the first batch norm and ReLU, else the input of the unit.
    """

    # SE of the integration pre must gate the branch alone. If the shortcut shares the first
    # activation, SE goes behind this activation, because everything before it feeds both.
    se_points: ClassVar[dict[str, tuple[str, str]]] = {
        "standard": ("branch", "after"),
        "pre": ("branch_in", "after"),
        "post": ("", "after"),
        "identity": ("downsample", "after"),
        "inner": ("branch.last", "before"),  # after the 3x3's batch norm and ReLU
    }

    def __init__(
        self, in_channels: int, branch: nn.Module, downsample: nn.Module, shares_activation: bool
    ) -> None:
        super().__init__()
        self.shares_activation = shares_activation
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.branch_in = nn.Identity()
        self.branch = branch
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(b, c, h, w)`` to ``(b, channels, h / stride, w / stride)``."""
        if self.shares_activation:
            x = functional.relu(self.bn1(x))
            branch: Tensor = self.branch(self.branch_in(x))
        else:
            branch = self.branch(functional.relu(self.bn1(self.branch_in(x))))
        shortcut: Tensor = self.downsample(x)
        return shortcut + branch


class ShakeShakeUnit(nn.Module):
    """A residual unit that adds a random mixture of two branches (Gastaldi 2017)."""

    # The integration inner is left out: it would need a block in each of the two branches.
    se_points: ClassVar[dict[str, tuple[str, str]]] = {
        "standard": ("mix", "after"),
        "pre": ("branch_in", "after"),
        "post": ("", "after"),
        "identity": ("downsample", "after"),
    }

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.branch_in = nn.Identity()
        self.branch1 = _shake_branch(in_channels, channels, stride)
        self.branch2 = _shake_branch(in_channels, channels, stride)
        self.mix = RandomMix()
        self.downsample = (
            nn.Identity()
            if in_channels == channels
            else ShiftedShortcut(in_channels, channels, stride)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(b, in_channels, h, w)`` to ``(b, channels, h / stride, w / stride)``."""
        entering = self.branch_in(x)
        shortcut: Tensor = self.downsample(x)
        mixed: Tensor = self.mix((self.branch1(entering), self.branch2(entering)))
        return shortcut + mixed


class RandomMix(nn.Module):
    """Mixes two feature maps with random weights, drawn for every image (Gastaldi 2017).

    In training the gradient is mixed with other random weights. In evaluation both weights are 0.5.
    """

    def forward(self, pair: tuple[Tensor, Tensor]) -> Tensor:
        """Map a pair of tensors ``(b, c, h, w)`` to one tensor ``(b, c, h, w)``."""
        first, second = pair
        if not self.training:
            return (first + second) / 2
        shares = torch.rand(2, len(first), 1, 1, 1, dtype=first.dtype, device=first.device)
        alpha, beta = shares.unbind()
        forward = alpha * first + (1 - alpha) * second
        backward = beta * first + (1 - beta) * second
        return backward + (forward - backward).detach()


class ShiftedShortcut(nn.Module):
    """A projection whose two halves of channels see different pixels (Gastaldi 2017, sec. 2.1).

    The second half sees the input shifted by one pixel to the right and down. The paper subsamples
    by 1x1 average pooling; here the stride of the convolution does, which is equal.
    """

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        half = channels // 2
        self.conv1 = nn.Conv2d(in_channels, half, kernel_size=1, stride=stride, bias=False)
        self.conv2 = nn.Conv2d(in_channels, half, kernel_size=1, stride=stride, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(b, in_channels, h, w)`` to ``(b, channels, h / stride, w / stride)``."""
        x = functional.relu(x)
        moved = functional.pad(x, (1, -1, 1, -1))
        both: Tensor = self.bn(torch.cat([self.conv1(x), self.conv2(moved)], dim=1))
        return both


def cifar_resnet(num_units: int, in_channels: int, num_classes: int) -> nn.Module:
    """Return the ResNet of ``6 * num_units + 2`` layers (He et al. 2016a, sec. 4.2)."""
    stages = []
    channels = 16
    for width, stride in ((16, 1), (32, 2), (64, 2)):
        stage = nn.Sequential()
        for number in range(num_units):
            shortcut = None if channels == width else PadShortcut(width - channels, stride)
            stage.append(BasicBlock(channels, width, stride if number == 0 else 1, shortcut))
            channels = width
        stages.append(stage)
    stem = [("conv1", _conv3x3(in_channels, 16)), ("bn1", nn.BatchNorm2d(16)), ("relu", nn.ReLU())]
    return _network(stem, stages, [], 64, num_classes)


def pre_activation_net(
    widths: tuple[int, int, int],
    num_units: int,
    make_branch: Branch,
    shortcut: Literal["pad", "project"],
    in_channels: int,
    num_classes: int,
) -> nn.Module:
    """Return a network of pre-activation units (He et al. 2016b, appendix).

    The shortcut shares the first activation in the network's first unit (appendix), and in units
    whose shortcut is a projection (as in the authors' code; the paper does not say).
    """
    stages: list[nn.Module] = []
    channels = 16
    for width, stride in zip(widths, (1, 2, 2), strict=True):
        stage = nn.Sequential()
        for number in range(num_units):
            step = stride if number == 0 else 1
            downsample: nn.Module = nn.Identity()
            is_shared = not stages and number == 0
            if channels != width and shortcut == "pad":
                downsample = PadShortcut(width - channels, step)
            elif channels != width:
                downsample = nn.Conv2d(channels, width, kernel_size=1, stride=step, bias=False)
                is_shared = True
            branch = make_branch(channels, width, step)
            stage.append(PreActivationUnit(channels, branch, downsample, is_shared))
            channels = width
        stages.append(stage)
    last = [("bn", nn.BatchNorm2d(channels)), ("relu", nn.ReLU())]
    return _network([("conv1", _conv3x3(in_channels, 16))], stages, last, channels, num_classes)


def basic_branch(in_channels: int, channels: int, stride: int) -> nn.Module:
    """Return the branch of two 3x3 convolutions, without its first batch norm and ReLU."""
    return _named(
        conv1=_conv3x3(in_channels, channels, stride),
        bn2=nn.BatchNorm2d(channels),
        relu2=nn.ReLU(),
        last=_conv3x3(channels, channels),
    )


def bottleneck_branch(in_channels: int, channels: int, stride: int) -> nn.Module:
    """Return the branch of 1x1, 3x3 and 1x1 convolutions, without its first batch norm and ReLU.

    The first convolution has the stride, as in the authors' code.
    """
    width = channels // 4
    return _named(
        conv1=nn.Conv2d(in_channels, width, kernel_size=1, stride=stride, bias=False),
        bn2=nn.BatchNorm2d(width),
        relu2=nn.ReLU(),
        conv2=_conv3x3(width, width),
        bn3=nn.BatchNorm2d(width),
        relu3=nn.ReLU(),
        last=nn.Conv2d(width, channels, kernel_size=1, bias=False),
    )


def shake_shake(base_width: int, num_units: int, in_channels: int, num_classes: int) -> nn.Module:
    """Return the shake-shake network of ``6 * num_units + 2`` layers (Gastaldi 2017, table 1)."""
    stages = []
    channels = 16
    for width, stride in ((base_width, 1), (2 * base_width, 2), (4 * base_width, 2)):
        stage = nn.Sequential()
        for number in range(num_units):
            stage.append(ShakeShakeUnit(channels, width, stride if number == 0 else 1))
            channels = width
        stages.append(stage)
    stem = [("conv1", _conv3x3(in_channels, 16)), ("bn1", nn.BatchNorm2d(16))]
    return _network(stem, stages, [("relu", nn.ReLU())], channels, num_classes)


CIFAR_NETS: dict[str, Callable[[int, int], nn.Module]] = {
    "cifar_resnet20": partial(cifar_resnet, 3),
    "cifar_resnet56": partial(cifar_resnet, 9),
    "cifar_resnet110": partial(cifar_resnet, 18),
    "preact_resnet110": partial(pre_activation_net, (16, 32, 64), 18, basic_branch, "pad"),
    "preact_resnet164": partial(
        pre_activation_net, (64, 128, 256), 18, bottleneck_branch, "project"
    ),
    # Zagoruyko & Komodakis 2016, table 1: depth 16 is two units a stage, widened eight times.
    "wrn_16_8": partial(pre_activation_net, (128, 256, 512), 2, basic_branch, "project"),
    "shake_shake_26_2x96d": partial(shake_shake, 96, 4),
}


def _network(
    stem: Sequence[tuple[str, nn.Module]],
    stages: Sequence[nn.Module],
    last: Sequence[tuple[str, nn.Module]],
    channels: int,
    num_classes: int,
) -> nn.Module:
    """Return stem, stages and last modules in sequence, then global pooling and a linear layer."""
    net = nn.Sequential(
        OrderedDict(
            [
                *stem,
                *((f"layer{number}", stage) for number, stage in enumerate(stages, start=1)),
                *last,
                ("avgpool", nn.AdaptiveAvgPool2d((1, 1))),
                ("flatten", nn.Flatten()),
                ("fc", nn.Linear(channels, num_classes)),
            ]
        )
    )
    initialise_convolutions(net)
    return net


def _shake_branch(in_channels: int, channels: int, stride: int) -> nn.Module:
    return nn.Sequential(
        nn.ReLU(),
        _conv3x3(in_channels, channels, stride),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        _conv3x3(channels, channels),
        nn.BatchNorm2d(channels),
    )


def _conv3x3(in_channels: int, channels: int, stride: int = 1) -> nn.Module:
    return nn.Conv2d(in_channels, channels, kernel_size=3, stride=stride, padding=1, bias=False)


def _named(**modules: nn.Module) -> nn.Module:
    return nn.Sequential(OrderedDict(modules))

"""A network of a user: pre-activation residual units (He et al. 2016b), written for 28 px.

``--backbone benchmarks.ladder.networks:PreActResNet --allow-code`` takes it from the checkout.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # its customary name


class PreActUnit(nn.Module):
    """Two 3x3 convolutions, each after batch norm and ReLU, beside a shortcut."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != channels:
            self.shortcut = nn.Conv2d(in_channels, channels, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(b, in_channels, h, w)`` to ``(b, channels, h / stride, w / stride)``."""
        out = self.conv1(F.relu(self.norm1(x)))
        out = self.conv2(F.relu(self.norm2(out)))
        return torch.add(out, self.shortcut(x))


class PreActResNet(nn.Module):
    """Six pre-activation units in three stages of 12, 24 and 48 channels, after a 3x3 stem."""

    def __init__(self, in_channels: int = 1, num_classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, 12, 3, stride=2, padding=1, bias=False)
        self.stage1 = nn.Sequential(PreActUnit(12, 12, 1), PreActUnit(12, 12, 1))
        self.stage2 = nn.Sequential(PreActUnit(12, 24, 2), PreActUnit(24, 24, 1))
        self.stage3 = nn.Sequential(PreActUnit(24, 48, 2), PreActUnit(48, 48, 1))
        self.norm = nn.BatchNorm2d(48)
        self.head = nn.Linear(48, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map images ``(b, in_channels, h, w)`` to logits ``(b, classes)``."""
        x = self.stage3(self.stage2(self.stage1(self.stem(images))))
        return self.head(F.relu(self.norm(x)).mean((2, 3)))

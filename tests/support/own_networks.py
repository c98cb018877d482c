"""Networks of a user's own in which SE can go wrong, as ``support.own_networks:NAME``."""

import random

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (as everybody calls it)
from torchvision.models.densenet import DenseNet
from torchvision.models.googlenet import Inception


class Unit(nn.Module):
    """A residual unit with one convolution."""

    def __init__(self, channels):
        super().__init__()
        self.branch = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return F.relu(x + self.branch(x))


class Net(nn.Module):
    """A stem, two units, pooling and a classifier; SE before, after and around each branch."""

    unit = Unit

    def __init__(self, num_classes=10, in_channels=3, channels=8):
        super().__init__()
        self.stem = nn.Conv2d(in_channels, channels, 3, stride=2, padding=1)
        self.units = nn.ModuleList(self.unit(channels) for _ in range(2))
        self.fc = nn.Linear(channels, num_classes)

    def body(self, x):
        for unit in self.units:
            x = unit(x)
        return x

    def forward(self, x):
        return self.fc(self.body(F.relu(self.stem(x))).mean((2, 3)))

    def se_sites(self):
        return [
            {
                "stage": i + 2,
                "standard": {"after": f"units.{i}.branch"},
                "pre": {"before": f"units.{i}.branch"},
                "post": {"after": f"units.{i}"},
            }
            for i in range(len(self.units))
        ]


class AsksForItsClass(Net):
    """Runs what has the class of a unit, and skips anything else."""

    def body(self, x):
        for unit in self.units:
            if type(unit) is Unit:
                x = unit(x)
        return x


class ScaledUnit(Unit):
    def forward(self, x, scale=1.0):
        return F.relu(x + scale * self.branch(input=x)), scale


class TakesSeveralArguments(Net):
    """Calls its units by keyword with a number, and gets two values from each of them."""

    unit = ScaledUnit

    def body(self, x):
        for i, unit in enumerate(self.units):
            x, _ = unit(scale=1.0 / (i + 1), x=x)
        return x


class InPlaceUnit(Unit):
    def forward(self, x):
        x += self.branch(x.relu())
        return x


class ChangesItsInput(Net):
    """Adds to the shortcut in place."""

    unit = InPlaceUnit

    def forward(self, x):
        return self.fc(self.body(self.stem(x)).mean((2, 3)))


class SkippedUnit(Unit):
    def forward(self, x):
        if self.training and torch.rand(1).item() < 0.5:
            return x
        return super().forward(x)


class SkipsUnits(Net):
    """Stochastic depth: half of the units are left out of each training step."""

    unit = SkippedUnit


class DrawsFromAllGenerators(Net):
    """Initial weights from the global generators of Python, NumPy and PyTorch; noise, too."""

    def __init__(self, num_classes=10, in_channels=3):
        super().__init__(num_classes, in_channels)
        with torch.no_grad():
            self.stem.weight.mul_(random.uniform(0.5, 1.5))
            self.fc.bias.copy_(torch.from_numpy(np.random.randn(num_classes)))

    def forward(self, x):
        if self.training:
            x = x * random.uniform(0.9, 1.1) + np.random.uniform(-0.1, 0.1)
        return super().forward(x)


class DrawsFromItsOwnGenerator(Net):
    def __init__(self, num_classes=10, in_channels=3):
        super().__init__(num_classes, in_channels)
        noise = np.random.default_rng().standard_normal(num_classes)
        with torch.no_grad():
            self.fc.bias.copy_(torch.from_numpy(noise))


class LooksForLayers(Net):
    """Runs each linear layer that it finds, wherever it is."""

    def forward(self, x):
        x, extra = self.body(F.relu(self.stem(x))).mean((2, 3)), 0.0
        for layer in self.modules():
            if isinstance(layer, nn.Linear) and layer.in_features == x.shape[1]:
                extra = extra + layer(x).mean()
        return self.fc(x) + extra


class HasTwoOutputsInTraining(Net):
    def forward(self, x):
        logits = super().forward(x)
        return (logits, logits) if self.training else logits


class PutsChannelsLast(Net):
    """Has its units work on (batch, height, width, channels)."""

    class LastUnit(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.branch = nn.Linear(channels, channels)

        def forward(self, x):
            return x + self.branch(x)

    unit = LastUnit

    def forward(self, x):
        return self.fc(self.body(self.stem(x).permute(0, 2, 3, 1)).mean((1, 2)))


class Explodes(Net):
    """Gives a finite output whose gradient is not finite."""

    def body(self, x):
        x = super().body(x)
        return x + 0 * (x * 0).sqrt()


class Compiled(nn.Module):
    """Has a unit that takes no child, as a module compiled by TorchScript has."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        return self.conv(x)

    def add_module(self, name, module):
        raise RuntimeError("a module can't be added")


class RefusesChildren(Net):
    def __init__(self, num_classes=10, in_channels=3):
        super().__init__(num_classes, in_channels)
        self.units[1].branch = Compiled()


class FailsInTrainingWithSE(Net):
    def body(self, x):
        if self.training and "inserted_se" in str(self.units[1]):
            raise ValueError("an unknown layer")
        return super().body(x)


class ActivatedUnit(Unit):
    def forward(self, x):
        return x + F.relu(self.branch(x))


class EndsWithAFunction(Net):
    """Has units whose branch ends with a function, behind which no hook can stand."""

    unit = ActivatedUnit
    se_sites = None


class FlattenedUnit(Unit):
    def __init__(self, channels):
        super().__init__(channels)
        self.mix = nn.Conv1d(channels, channels, 3, padding=1)

    def forward(self, x):
        return F.relu(x + self.branch(self.mix(x.flatten(2)).view_as(x)))


class BeginsWithAConv1d(Net):
    """Has units whose branch begins with a layer over flattened pixels."""

    unit = FlattenedUnit
    se_sites = None


class VolumeUnit(Unit):
    def __init__(self, channels):
        super().__init__(channels)
        self.mix = nn.Conv3d(1, 1, 3, padding=1)

    def forward(self, x):
        return F.relu(x + self.branch(self.mix(x.unsqueeze(1)).squeeze(1)))


class HasAConv3d(Net):
    """Has weights of five axes."""

    unit = VolumeUnit


class HasACompiledModule(Net):
    """Has a module that TorchScript has compiled, with sites that are listed."""

    def __init__(self, num_classes=10, in_channels=3):
        super().__init__(num_classes, in_channels)
        self.act = torch.jit.script(nn.Hardtanh())

    def forward(self, x):
        return super().forward(self.act(x))


class UnitWithAnyAttribute(Unit):
    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return None


class HasAnyAttribute(Net):
    """Has units that give None for attributes that they don't have."""

    unit = UnitWithAnyAttribute


class HasLazyWeights(Net):
    """Has weights whose shapes the first image gives."""

    def __init__(self, num_classes=10):
        super().__init__(num_classes)
        self.stem = nn.LazyConv2d(8, 3, stride=2, padding=1)
        self.fc = nn.LazyLinear(num_classes)


def small_densenet(num_classes=10):
    """Return a network whose layers each see what all layers before them have made."""
    return DenseNet(4, (2, 2), 8, bn_size=2, num_classes=num_classes)


def small_inception(num_classes=10):
    """Return a network whose units have four parallel branches."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=4),
        Inception(8, 4, 4, 4, 4, 4, 4),
        Inception(16, 4, 4, 4, 4, 4, 4),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, num_classes),
    )


class RunsItsChildrenUnit(Unit):
    """Runs all modules that it holds, one after the other, where SE would be among them."""

    def forward(self, x):
        y = x
        for layer in self.children():
            y = layer(y)
        return F.relu(x + y)


class RunsItsChildren(Net):
    """Has units that would run another child."""

    unit = RunsItsChildrenUnit

    def se_sites(self):
        return [{"stage": i + 2, "post": {"after": f"units.{i}"}} for i in range(2)]


class KeepingUnit(Unit):
    def forward(self, x):
        self.kept = self.branch(x)
        return F.relu(x + self.kept)


class KeepsAFeatureMap(Net):
    """Hands a feature map on in an attribute, as no module's output."""

    unit = KeepingUnit

    def body(self, x):
        return super().body(x) + self.units[0].kept


class HasASwitch(Net):
    """Leaves its first unit out when it is told to."""

    skips = False

    def body(self, x):
        for unit in self.units[int(self.skips) :]:
            x = unit(x)
        return x

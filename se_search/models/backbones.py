"""Constructs the network that a backbone's name means, with the SE blocks it may come with."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

import torchvision
from torch import nn
from torchvision.models import resnet

from se_search.errors import BackboneError, name_foreign, suggest_nearest
from se_search.models.cifar_nets import CIFAR_NETS
from se_search.models.inception import INCEPTION_NETS
from se_search.models.initialisation import initialise_convolutions
from se_search.models.mobilenet import MOBILENETS
from se_search.models.names import BACKBONE_NAMES, TORCHVISION, TORCHVISION_NAMES
from se_search.models.own import construct_own, is_own_name
from se_search.models.paper_resnets import PAPER_RESNETS
from se_search.models.random_state import seeded_generators
from se_search.models.shufflenet import SHUFFLENETS


def resnet20_bottleneck(in_channels: int, num_classes: int) -> nn.Module:
    """Return a small ResNet with the proportions of ResNet-50, for images of 28 to 32 pixels.

    It has 20 layers: bottleneck units in four stages of 1, 2, 2 and 1, with 32 to 256 channels.
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
    initialise_convolutions(net)
    return net


def torchvision_net(name: str, in_channels: int, num_classes: int) -> nn.Module:
    """Return torchvision's network ``NAME`` or ``torchvision:NAME``, without pretrained weights.

    Raises:
        BackboneError: torchvision has no such network, or the images do not have 3 channels.
    """
    arch = torchvision_name(name)
    if in_channels != 3:
        raise BackboneError(f"{name} takes images of 3 channels, not {in_channels}")
    # Without auxiliary classifiers a network has one output in training mode, too.
    has_auxiliary = arch in ("googlenet", "inception_v3")
    options: dict[str, Any] = {"aux_logits": False, "init_weights": True} if has_auxiliary else {}
    net: nn.Module = torchvision.models.get_model(
        arch, weights=None, num_classes=num_classes, **options
    )
    return net


def torchvision_name(name: str) -> str:
    """Return torchvision's name of the backbone ``torchvision:NAME`` or ``NAME``.

    Raises:
        BackboneError: torchvision has no such network for the classes of images.
    """
    bare = name.removeprefix(TORCHVISION)
    known = torchvision.models.list_models(module=torchvision.models)
    if bare not in known:
        raise BackboneError(
            f"backbone {name!r}: torchvision has no network {bare!r}{suggest_nearest(bare, known)}"
        )
    return bare


def timm_net(name: str, in_channels: int, num_classes: int) -> nn.Module:
    """Return timm's network of this name, without pretrained weights.

    Raises:
        BackboneError: timm has no such network, or it takes images of other channels.
    """
    arch = timm_name(name)
    import timm

    try:
        net: nn.Module = timm.create_model(
            arch, pretrained=False, num_classes=num_classes, in_chans=in_channels
        )
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        raise BackboneError(f"{name}: timm raised {name_foreign(error)}") from error
    return net


BACKBONES: dict[str, Callable[[int, int], nn.Module]] = {
    "resnet20_bottleneck": resnet20_bottleneck,
    **PAPER_RESNETS,
    **CIFAR_NETS,
    **INCEPTION_NETS,
    **MOBILENETS,
    **SHUFFLENETS,
    **{name: partial(torchvision_net, name) for name in TORCHVISION_NAMES},
}


def construct(
    name: str, in_channels: int, num_classes: int, seed: int, allow_code: bool = False
) -> nn.Module:
    """Return a backbone with initial weights; the global random generators stay as they are.

    Args:
        name: one of ``BACKBONES``, ``torchvision:NAME``, a user's ``module:callable``, or one of
            timm's, with or without ``timm:`` in front.
        in_channels: channels of the images.
        num_classes: output width of the last layer.
        seed: of the initial weights.
        allow_code: whether a user's own code may be run.

    Raises:
        BackboneError: there is no such backbone, it takes images of other channels, or it is a
            user's own code and running it is not allowed.
    """
    with seeded_generators(seed):
        if name in BACKBONES:
            return BACKBONES[name](in_channels, num_classes)
        if name.startswith(TORCHVISION):
            return torchvision_net(name, in_channels, num_classes)
        if is_own_name(name):
            return construct_own(name, in_channels, num_classes, allow_code)
        return timm_net(name, in_channels, num_classes)


def timm_name(name: str) -> str:
    """Return timm's name of the backbone ``timm:NAME`` or ``NAME``.

    Raises:
        BackboneError: timm has no such network, or is not installed.
    """
    bare = name.removeprefix("timm:")
    try:
        import timm
    except ImportError as error:
        raise BackboneError(f"backbone {name!r} may be one of timm's: {error}") from error
    # A name such as hf-hub:OWNER/NAME would download a configuration.
    if re.fullmatch(r"[\w.-]+", bare, re.ASCII) and timm.is_model(bare):
        return bare
    known = timm.list_models() if name != bare else [*BACKBONES, *timm.list_models()]
    known = list(dict.fromkeys(known))  # a name of both libraries is suggested once
    longer = [other for other in known if bare and other.startswith(bare)]
    hint = suggest_nearest(bare, known) or suggest_nearest(bare, longer, at_least=0.0)
    allowed = ", ".join(BACKBONE_NAMES)
    raise BackboneError(
        f"backbone {name!r}{hint} is not one of {allowed}, and neither another network of "
        "torchvision or timm nor module:callable"
    )


def timm_shape(name: str) -> tuple[int, int, int]:
    """Return the image channels, image size and number of classes of timm's configuration."""
    import timm

    config = timm.get_pretrained_cfg(timm_name(name))
    if config is None or not config.input_size:
        return 3, 224, 1000
    channels, height, _ = config.input_size
    return int(channels), int(height), int(config.num_classes)


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

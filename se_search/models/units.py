"""The units of known networks that can carry SE, and the attach points in each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import nn

from se_search.backbone import INTEGRATIONS, Integration
from se_search.errors import BackboneError

Side = Literal["before", "after", "instead"]
Points = Mapping[Integration, tuple[str, Side]]
"""For each integration of a unit the path of a module inside it, and the side where SE goes."""

# SE of the integration inner follows the 3x3 convolution (of a basic block the first one): it goes
# before conv3 in a bottleneck, and before conv2 in a basic block.
BASIC_BLOCK: Points = {
    "standard": ("bn2", "after"),
    "pre": ("conv1", "before"),
    "post": ("", "after"),
    "identity": ("downsample", "after"),
    "inner": ("conv2", "before"),
    "rectified": ("bn2", "after"),
}
BOTTLENECK: Points = {
    **BASIC_BLOCK,
    "standard": ("bn3", "after"),
    "inner": ("conv3", "before"),
    "rectified": ("bn3", "after"),
}
OUTPUT: Points = {"standard": ("", "after")}
BRANCH: Points = {"standard": ("conv2d", "after")}

# Units that can carry SE, by the full names of their classes, so that no library is imported only
# to look for its units. A unit of this package or of a user has a class attribute ``se_points``.
UNITS: dict[str, Points] = {
    "torchvision.models.resnet.BasicBlock": BASIC_BLOCK,
    "torchvision.models.resnet.Bottleneck": BOTTLENECK,
    "torchvision.models.googlenet.Inception": OUTPUT,
    "timm.models.resnet.BasicBlock": BASIC_BLOCK,
    "timm.models.resnet.Bottleneck": BOTTLENECK,
    # The paper does not say where SE is in a MobileNet. SE on the output of the pointwise
    # convolution has the number of parameters of its table 3.
    "timm.models._efficientnet_blocks.DepthwiseSeparableConv": {
        "standard": ("bn2", "after"),
        "inner": ("conv_pw", "before"),
    },
    "timm.models._efficientnet_blocks.InvertedResidual": {
        "standard": ("bn3", "after"),
        "inner": ("conv_pwl", "before"),
    },
    "timm.models.inception_resnet_v2.Block35": BRANCH,  # before the branch is scaled
    "timm.models.inception_resnet_v2.Block17": BRANCH,
    "timm.models.inception_resnet_v2.Block8": BRANCH,
    "timm.models.inception_resnet_v2.Mixed_5b": OUTPUT,
    "timm.models.inception_resnet_v2.Mixed_6a": OUTPUT,
    "timm.models.inception_resnet_v2.Mixed_7a": OUTPUT,
}

# Units whose networks are run to find their sites. These units have no addition that shows where SE
# goes, or several.
DENSE_LAYER: Points = {
    "standard": ("", "after"),  # on the new features, before they are concatenated
    "pre": ("norm1", "before"),
    "inner": ("conv2", "before"),
}
PARALLEL: Points = {"standard": ("attn", "after"), "post": ("", "after")}  # on the branches' sum
CONVNEXT: Points = {
    "standard": ("drop_path", "before"),  # behind the layer scale
    "pre": ("conv_dw", "before"),
    "post": ("", "after"),
    "identity": ("shortcut", "after"),
    "inner": ("conv_dw", "after"),
}
MORE_UNITS: dict[str, Points] = {
    "torchvision.models.convnext.CNBlock": {
        "standard": ("stochastic_depth", "before"),
        "pre": ("block", "before"),
        "post": ("", "after"),
        "inner": ("block.0", "after"),
    },
    "torchvision.models.densenet._DenseLayer": DENSE_LAYER,
    **{f"torchvision.models.inception.Inception{kind}": OUTPUT for kind in "ABCDE"},
    "torchvision.models.shufflenetv2.InvertedResidual": {
        "standard": ("branch2", "after"),
        "pre": ("branch2", "before"),
        "post": ("", "after"),
        "inner": ("branch2.5", "before"),
    },
    "torchvision.models.squeezenet.Fire": OUTPUT,
    "timm.models.byobnet.MobileOneBlock": PARALLEL,
    "timm.models.byobnet.RepVggBlock": PARALLEL,
    "timm.models.convnext.ConvNeXtBlock": CONVNEXT,
    "timm.models.densenet.DenseLayer": DENSE_LAYER,
    # One convolution makes what is added to the residual path and what joins the dense one.
    "timm.models.dpn.DualPathBlock": {
        "standard": ("c1x1_c", "after"),
        "inner": ("c1x1_c", "before"),
    },
    "timm.models.ghostnet.GhostBottleneck": {
        "standard": ("ghost2", "after"),
        "pre": ("ghost1", "before"),
        "post": ("", "after"),
        "identity": ("shortcut", "after"),
        "inner": ("ghost2", "before"),
    },
    **{f"timm.models.inception_v3.Inception{kind}": OUTPUT for kind in "ABCDE"},
    **{f"timm.models.inception_v4.Inception{kind}": OUTPUT for kind in "ABC"},
    "timm.models.vovnet.OsaBlock": {"standard": ("conv_concat", "after"), "post": ("", "after")},
}

# Networks without units: SE goes after the ReLU of each convolution in ``features``.
CHAINS = ("torchvision.models.vgg.VGG", "timm.models.vgg.VGG")

# SE blocks that networks come with, by class, with the names of their two layers.
NATIVE: dict[str, tuple[str, str]] = {
    "torchvision.ops.misc.SqueezeExcitation": ("fc1", "fc2"),
    "timm.layers.squeeze_excite.SEModule": ("fc1", "fc2"),
    "timm.models._efficientnet_blocks.SqueezeExcite": ("conv_reduce", "conv_expand"),
    "timm.models.senet.SEModule": ("fc1", "fc2"),
}


def find_units(model: nn.Module) -> list[tuple[str, Points]]:
    """Return the path and the attach points of each unit that can carry SE, in module order.

    If the network has SE blocks of torchvision or timm, the units are those around these blocks.

    Raises:
        BackboneError: ``se_points`` of a unit is wrong.
    """
    return find_native_units(model) or find_chain(model) or find_known_units(model, UNITS)


def find_native_units(model: nn.Module) -> list[tuple[str, Points]]:
    """Find SE blocks; the unit of each is the innermost module around it that is no Sequential."""
    found: list[tuple[str, Points]] = []
    for path, module in model.named_modules():
        if not native_layers(module):
            continue
        unit, _, inner = path.rpartition(".")
        while unit and isinstance(model.get_submodule(unit), nn.Sequential):
            unit, _, name = unit.rpartition(".")
            inner = f"{name}.{inner}"
        points: Points = {"native": (inner if unit else "", "instead")}
        found.append((unit or path, points))
    return found


def find_chain(model: nn.Module) -> list[tuple[str, Points]]:
    """Return the activations of a network that is one chain of convolutions, as VGG is."""
    if not is_chain(model):
        return []
    features = model.get_submodule("features")
    return [
        (f"features.{name}", OUTPUT)
        for name, module in features.named_children()
        if isinstance(module, nn.ReLU)
    ]


def find_known_units(model: nn.Module, units: Mapping[str, Points]) -> list[tuple[str, Points]]:
    """Return the units whose classes are listed or say by ``se_points`` where SE goes.

    Args:
        model: the network.
        units: attach points by the full name of a unit's class.

    Raises:
        BackboneError: ``se_points`` of a unit is wrong.
    """
    found: list[tuple[str, Points]] = []
    for path, module in model.named_modules():
        if not path or (found and path.startswith(f"{found[-1][0]}.")):
            continue
        points = _points_of(module, units)
        if points is not None:
            found.append((path, points))
    return found


def _points_of(unit: nn.Module, units: Mapping[str, Points]) -> Points | None:
    declared = getattr(type(unit), "se_points", None)
    if declared is None:
        known = [units[name] for name in class_names(unit) if name in units]
        return known[0] if known else None
    name = f"se_points of {type(unit).__name__}"
    if not isinstance(declared, Mapping) or not declared:
        raise BackboneError(
            f'{name} is {declared!r:.80}; allowed: a dictionary as {{"standard": ("bn2", "after")}}'
        )
    allowed = [integration for integration in INTEGRATIONS if integration != "native"]
    for integration, point in declared.items():
        if integration not in allowed or not _is_point(point):
            raise BackboneError(
                f"{name}: {integration!r}: {point!r:.80} is none of {', '.join(allowed)} with the "
                'path of a module of the unit and the side, as ("bn2", "after") or '
                '("conv1", "before")'
            )
    points: Points = declared
    return points


def _is_point(point: object) -> bool:
    return (
        isinstance(point, tuple | list)
        and len(point) == 2
        and isinstance(point[0], str)
        and point[1] in ("before", "after")
    )


def overlaps(path: str, other: str) -> bool:
    """Tell whether one of two modules holds the other, or both are one, by their paths."""
    return f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}.")


def native_layers(module: nn.Module) -> dict[str, nn.Conv2d]:
    """Return the two layers of an SE block of torchvision or timm by name; empty for others."""
    names = next((NATIVE[name] for name in class_names(module) if name in NATIVE), ())
    layers = {name: module.get_submodule(name) for name in names}
    return {name: layer for name, layer in layers.items() if isinstance(layer, nn.Conv2d)}


def is_chain(model: nn.Module) -> bool:
    """Tell whether a network is one chain of convolutions without units, as VGG is."""
    return any(name in CHAINS for name in class_names(model))


def class_names(module: nn.Module) -> list[str]:
    """Return the full names of a module's class and of those that it derives from."""
    return [f"{cls.__module__}.{cls.__qualname__}" for cls in type(module).__mro__]

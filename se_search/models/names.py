"""Names of backbones that can be listed without importing torch."""

from __future__ import annotations

RESNET_NAMES = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
)
# Networks of torchvision, which take images of 3 channels. Those of timm's names (densenet121) are
# meant by ``torchvision:NAME``.
TORCHVISION_NAMES = (
    *RESNET_NAMES,
    "vgg11_bn",
    "vgg13_bn",
    "vgg16_bn",
    "vgg19_bn",
    "googlenet",
    *(f"efficientnet_b{size}" for size in range(8)),
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    *(f"regnet_y_{size}" for size in ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf")),
    "regnet_y_128gf",
    *(f"regnet_x_{size}" for size in ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf")),
    *(f"efficientnet_v2_{size}" for size in "sml"),
    "mobilenet_v2",
    *(f"mnasnet{width}" for width in ("0_5", "0_75", "1_0", "1_3")),
    *(f"shufflenet_v2_x{width}" for width in ("0_5", "1_0", "1_5", "2_0")),
    "maxvit_t",
    "squeezenet1_0",
    "squeezenet1_1",
    "alexnet",
    *(f"swin_{size}" for size in "tsb"),
    *(f"swin_v2_{size}" for size in "tsb"),
    *(f"vit_{size}" for size in ("b_16", "b_32", "l_16", "l_32", "h_14")),
)
TORCHVISION = "torchvision:"  # before a name of torchvision

# The networks of the catalogue, each with the image channels, the image size and the number of
# classes for which it is measured.
CIFAR = (3, 32, 10)
IMAGENET = (3, 224, 1000)
SHAPES: dict[str, tuple[int, int, int]] = {
    "resnet20_bottleneck": (1, 28, 10),
    "mobilenet_small": (1, 28, 10),
    **dict.fromkeys(RESNET_NAMES, IMAGENET),
    "resnet50_v1": IMAGENET,
    "resnet101_v1": IMAGENET,
    "resnet152_v1": IMAGENET,
    "resnext101_32x4d": IMAGENET,
    "senet154": IMAGENET,
    "cifar_resnet20": CIFAR,
    "cifar_resnet56": CIFAR,
    "cifar_resnet110": CIFAR,
    "preact_resnet110": CIFAR,
    "preact_resnet164": CIFAR,
    "wrn_16_8": CIFAR,
    "shake_shake_26_2x96d": CIFAR,
    "vgg16_bn": IMAGENET,
    "googlenet": IMAGENET,
    "bn_inception": IMAGENET,
    "inception_resnet_v2": (3, 299, 1000),
    "mobilenetv1_100": IMAGENET,
    "shufflenet_v1_g3": IMAGENET,
    "efficientnet_b0": IMAGENET,
    "mobilenet_v3_small": IMAGENET,
    "mobilenet_v3_large": IMAGENET,
    "regnet_y_400mf": IMAGENET,
    "seresnet50": IMAGENET,
}
BACKBONE_NAMES = tuple(SHAPES)


def is_torchvision_name(name: str) -> bool:
    """Tell whether a backbone is one of torchvision's, whose images have 3 channels."""
    return name in TORCHVISION_NAMES or name.startswith(TORCHVISION)

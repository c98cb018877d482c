"""Modules of the squeeze-and-excitation block and of its variants (ese, eca, ge)."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from se_search.candidate import SE, Gate, GateInit, Kind, Squeeze, eca_kernel
from se_search.seeds import derive_seed

LEAST_VARIANCE = 1e-5  # for smaller variances the gradient of the square root grows without bound
OPEN_GATE = 0.98  # initial value of an open gate; at 1 a hard sigmoid has no gradient


def _mean(x: Tensor) -> Tensor:
    # Not AdaptiveAvgPool2d, which fvcore would count together with the pooling of the head.
    return x.mean((2, 3))


def _max(x: Tensor) -> Tensor:
    return x.amax((2, 3))


def _average_of_mean_and_max(x: Tensor) -> Tensor:
    """Return ``0.5 * mean + 0.5 * max``, as timm's ``SEModule`` does with ``add_maxpool``.

    CBAM (Woo et al. 2018, eq. 2) sends both through the layers and adds the results.
    """
    return torch.lerp(_mean(x), _max(x), 0.5)


def _standard_deviation(x: Tensor) -> Tensor:
    # Not variance + epsilon: fvcore would report that sum as an operator it does not count.
    return x.var((2, 3), correction=0).clamp(min=LEAST_VARIANCE).sqrt()


SQUEEZE_FUNCTIONS: dict[Squeeze, Callable[[Tensor], Tensor]] = {
    "avg": _mean,
    "max": _max,
    "avgmax": _average_of_mean_and_max,
    "std": _standard_deviation,
    "none": lambda x: x,
}
GATE_FUNCTIONS: dict[Gate, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "hard_sigmoid": functional.hardsigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
}
# The input at which each gate has the value OPEN_GATE.
OPEN_BIASES: dict[Gate, float] = {
    "sigmoid": math.log(OPEN_GATE / (1 - OPEN_GATE)),
    "hard_sigmoid": 6 * OPEN_GATE - 3,
    "tanh": math.atanh(OPEN_GATE),
    "relu": OPEN_GATE,
}


class ChannelAttention(nn.Module):
    """Multiplies a feature map by gates that are computed from it."""

    def gates(self, x: Tensor) -> Tensor:
        """Map ``(b, c, h, w)`` to gates ``(b, c, 1, 1)``, or ``(b, c, h, w)`` without a squeeze."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(b, c, h, w)`` to the gated feature map ``(b, c, h, w)``."""
        return x * self.gates(x)


class SqueezeExcite(ChannelAttention):
    """The squeeze-and-excitation block (Hu et al. 2019, eq. 2-4).

    ``z = mean of x over its pixels``, ``s = gate(expand(relu(reduce(z))))``, ``y = s * x``.
    It has ``2 * channels * width`` parameters, and ``channels + width`` more with biases. Without a
    squeeze both layers are 1x1 convolutions, and each pixel has its own gates.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        squeeze: Squeeze = "avg",
        gate: Gate = "sigmoid",
        bias: bool = False,
        gate_init: GateInit = "half",
    ) -> None:
        super().__init__()
        self.squeeze = squeeze
        self.gate = gate
        self.gate_init = gate_init
        layer: Callable[..., nn.Linear | nn.Conv2d] = (
            partial(nn.Conv2d, kernel_size=1) if squeeze == "none" else nn.Linear
        )
        self.reduce = layer(channels, width, bias=bias)
        self.expand = layer(width, channels, bias=bias)
        self.open_gate()

    @classmethod
    def of(cls, block: SE, channels: int) -> SqueezeExcite:
        """Return the module for a candidate's block of kind ``se``."""
        return cls(channels, block.width, block.squeeze, block.gate, block.bias, block.gate_init)

    def gates(self, x: Tensor) -> Tensor:
        """Map ``(b, c, h, w)`` to gates ``(b, c, 1, 1)``, or ``(b, c, h, w)`` without a squeeze."""
        z = SQUEEZE_FUNCTIONS[self.squeeze](x)
        s = GATE_FUNCTIONS[self.gate](self.expand(torch.relu(self.reduce(z))))
        if self.gate_init == "double":
            s = 2 * s
        return s if self.squeeze == "none" else s[:, :, None, None]

    def open_gate(self) -> None:
        """Let the gate start near 1 by the last layer's bias, if ``gate_init`` is ``open``."""
        if self.gate_init == "open":
            assert self.expand.bias is not None
            nn.init.constant_(self.expand.bias, OPEN_BIASES[self.gate])

    def extra_repr(self) -> str:
        """Return the options that the two layers do not show."""
        gate_init = "" if self.gate_init == "half" else f", gate_init={self.gate_init}"
        return f"squeeze={self.squeeze}, gate={self.gate}{gate_init}"


class EffectiveSqueezeExcite(ChannelAttention):
    """Effective SE: one layer without a bottleneck (Lee & Park 2020).

    It has ``channels * (channels + 1)`` parameters. The gate is a hard sigmoid, as in the authors'
    code and in timm's ``EffectiveSEModule``.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, channels)

    def gates(self, x: Tensor) -> Tensor:
        """Map ``(b, c, h, w)`` to gates ``(b, c, 1, 1)``."""
        return functional.hardsigmoid(self.fc(_mean(x)))[:, :, None, None]


class EfficientChannelAttention(ChannelAttention):
    """Efficient channel attention: a convolution over the channels (Wang et al. 2020).

    Each channel is gated by the means of the channels next to it. ``eca_kernel`` is the number of
    parameters.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        size = eca_kernel(channels)
        self.conv = nn.Conv1d(1, 1, size, padding=size // 2, bias=False)

    def gates(self, x: Tensor) -> Tensor:
        """Map ``(b, c, h, w)`` to gates ``(b, c, 1, 1)``."""
        s = torch.sigmoid(self.conv(_mean(x)[:, None]))
        return s[:, 0, :, None, None]


class GatherExcite(ChannelAttention):
    """Gather-Excite without parameters: the sigmoid of the mean (Hu et al. 2018, theta-minus)."""

    def __init__(self, channels: int) -> None:
        super().__init__()

    def gates(self, x: Tensor) -> Tensor:
        """Map ``(b, c, h, w)`` to gates ``(b, c, 1, 1)``."""
        return torch.sigmoid(_mean(x))[:, :, None, None]


VARIANTS: dict[Kind, Callable[[int], ChannelAttention]] = {
    "ese": EffectiveSqueezeExcite,
    "eca": EfficientChannelAttention,
    "ge": GatherExcite,
}


def make_block(block: SE, channels: int) -> ChannelAttention:
    """Return the module for a candidate's block; ``initialise`` draws its weights."""
    if block.kind == "se":
        return SqueezeExcite.of(block, channels)
    return VARIANTS[block.kind](channels)


def initialise(attention: ChannelAttention, site: str, seed: int) -> None:
    """Draw the weights as PyTorch's layers do by default, each from its own random stream.

    Args:
        attention: the block.
        site: name of the site, which makes the streams those of this place.
        seed: seed of the training.
    """
    for layer_name, layer in attention.named_children():
        bound = 1 / math.sqrt(layer.get_parameter("weight")[0].numel())
        for name, parameter in layer.named_parameters():
            generator = torch.Generator()
            generator.manual_seed(derive_seed(seed, site, f"{layer_name}.{name}"))
            nn.init.uniform_(parameter, -bound, bound, generator=generator)
    if isinstance(attention, SqueezeExcite):
        attention.open_gate()

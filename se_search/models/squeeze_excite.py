"""Modules of the squeeze-and-excitation block and of its variants (ese, eca, ge)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from se_search.candidate import SE, Gate, Kind, Squeeze, eca_kernel
from se_search.seeds import derive_seed

LEAST_VARIANCE = 1e-5  # for smaller variances the gradient of the square root grows without bound
OPEN_GATE = 0.98  # initial value of an open gate; at 1 a hard sigmoid has no gradient


def _mean(x: Tensor) -> Tensor:
    # Not AdaptiveAvgPool2d, which fvcore would count together with the pooling of the head.
    return x.sum((2, 3)) / (x.shape[2] * x.shape[3]) if _learns(x) else x.mean((2, 3))


def _learns(x: Tensor) -> bool:
    """Tell whether a feature map is better summed than averaged, as a gradient will be asked for.

    The gradient of a sum is a view of one number a channel. That of a mean is a feature map with
    channels first, which is slow to write and to add to gradients with channels last: SE's forward
    and backward pass takes 1.2 to 2.2 times as long. In float16 a sum may overflow. Tracers get the
    mean, which fvcore counts; what FX hands over is no tensor and has no dtype.
    """
    is_tracing = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]  # so in torch
    is_tensor = isinstance(x, Tensor) and x.dtype != torch.float16
    return is_tensor and torch.is_grad_enabled() and not is_tracing


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


Layers = Mapping[str, Callable[[Tensor], Tensor]]


def compute_gates(x: Tensor, block: SE, layers: Layers) -> Tensor:
    """Return the gates of an SE block.

    Args:
        x: the feature map ``(b, c, h, w)``.
        block: the design: kind, squeeze, gate, initial gate.
        layers: the block's layers by name: ``reduce`` and ``expand`` (kind ``se``), ``fc``
            (``ese``), ``conv`` (``eca``).

    Returns:
        ``(b, c, 1, 1)``, or ``(b, c, h, w)`` without a squeeze.
    """
    if block.kind == "ge":
        s = torch.sigmoid(_mean(x))
    elif block.kind == "ese":
        s = functional.hardsigmoid(layers["fc"](_mean(x)))
    elif block.kind == "eca":
        s = torch.sigmoid(layers["conv"](_mean(x)[:, None]))[:, 0]
    else:
        z = SQUEEZE_FUNCTIONS[block.squeeze](x)
        s = GATE_FUNCTIONS[block.gate](layers["expand"](torch.relu(layers["reduce"](z))))
        if block.gate_init == "double":
            s = 2 * s
        if block.squeeze == "none":
            return s
    return s[:, :, None, None]


def keep_gates(gates: Tensor) -> Tensor:
    """Return the gates as they are."""
    return gates


def apply_gates(
    x: Tensor, block: SE, layers: Layers, change: Callable[[Tensor], Tensor] = keep_gates
) -> Tensor:
    """Map ``(b, c, h, w)`` to the gated feature map; see ``compute_gates``.

    A ``rectified`` block gates what a ReLU leaves of the feature map.

    Args:
        x: the feature map ``(b, c, h, w)``.
        block: the design.
        layers: the block's layers by name.
        change: maps the gates to those that are used.
    """
    if block.integration == "rectified":
        x = torch.relu(x)
    return x * change(compute_gates(x, block, layers))


class ChannelAttention(nn.Module):
    """Multiplies a feature map by gates that are computed from it.

    Attributes:
        block: the design.
        site: name of the site at which it is, as ``stage2.block1``; empty: it is at none.
    """

    def __init__(self, block: SE, channels: int) -> None:
        super().__init__()
        self.block = block
        self.site = ""

    def gates(self, x: Tensor) -> Tensor:
        """Map ``(b, c, h, w)`` to gates ``(b, c, 1, 1)``, or ``(b, c, h, w)`` without a squeeze."""
        return compute_gates(x, self.block, dict(self.named_children()))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(b, c, h, w)`` to the gated feature map ``(b, c, h, w)``."""
        return apply_gates(x, self.block, dict(self.named_children()))

    def extra_repr(self) -> str:
        """Return the block in the text form of candidates."""
        return str(self.block)


class SqueezeExcite(ChannelAttention):
    """The squeeze-and-excitation block (Hu et al. 2019, eq. 2-4).

    ``z = mean of x over its pixels``, ``s = gate(expand(relu(reduce(z))))``, ``y = s * x``.
    It has ``2 * channels * width`` parameters, and ``channels + width`` more with biases. Without a
    squeeze both layers are 1x1 convolutions, and each pixel has its own gates.
    """

    def __init__(self, block: SE, channels: int) -> None:
        super().__init__(block, channels)
        layer: Callable[..., nn.Linear | nn.Conv2d] = (
            partial(nn.Conv2d, kernel_size=1) if block.squeeze == "none" else nn.Linear
        )
        self.reduce = layer(channels, block.width, bias=block.bias)
        self.expand = layer(block.width, channels, bias=block.bias)

    def open_gate(self) -> None:
        """Let the gate start near 1 by the last layer's bias, if ``gate_init`` is ``open``."""
        if self.block.gate_init == "open":
            assert self.expand.bias is not None
            nn.init.constant_(self.expand.bias, OPEN_BIASES[self.block.gate])


class EffectiveSqueezeExcite(ChannelAttention):
    """Effective SE: one layer without a bottleneck (Lee & Park 2020).

    It has ``channels * (channels + 1)`` parameters. The gate is a hard sigmoid, as in the authors'
    code and in timm's ``EffectiveSEModule``.
    """

    def __init__(self, block: SE, channels: int) -> None:
        super().__init__(block, channels)
        self.fc = nn.Linear(channels, channels)


class EfficientChannelAttention(ChannelAttention):
    """Efficient channel attention: a convolution over the channels (Wang et al. 2020).

    Each channel is gated by the means of the channels next to it. ``eca_kernel`` is the number of
    parameters.
    """

    def __init__(self, block: SE, channels: int) -> None:
        super().__init__(block, channels)
        size = eca_kernel(channels)
        self.conv = nn.Conv1d(1, 1, size, padding=size // 2, bias=False)


class GatherExcite(ChannelAttention):
    """Gather-Excite without parameters: the sigmoid of the mean (Hu et al. 2018, theta-minus)."""


ATTENTION: dict[Kind, Callable[[SE, int], ChannelAttention]] = {
    "se": SqueezeExcite,
    "ese": EffectiveSqueezeExcite,
    "eca": EfficientChannelAttention,
    "ge": GatherExcite,
}


def make_block(block: SE, channels: int) -> ChannelAttention:
    """Return the module for a candidate's block; ``initialise`` draws its weights."""
    return ATTENTION[block.kind](block, channels)


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

"""The squeeze-and-excitation block."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from se_search.candidate import SE, Gate, Squeeze

GATE_FUNCTIONS: dict[Gate, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "hard_sigmoid": functional.hardsigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
}


class SqueezeExcite(nn.Module):
    """Gate the channels of a feature map by what all of it holds (Hu et al. 2019, eq. 2-4).

    ``z = mean of x over its pixels``, ``s = gate(expand(relu(reduce(z))))``, ``y = s * x``.
    Costs ``2 * channels * width`` parameters, and ``channels + width`` more with biases.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        squeeze: Squeeze = "avg",
        gate: Gate = "sigmoid",
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.squeeze = squeeze
        self.gate = gate
        self.reduce = nn.Linear(channels, width, bias=bias)
        self.expand = nn.Linear(width, channels, bias=bias)

    @classmethod
    def of(cls, block: SE, channels: int) -> SqueezeExcite:
        """Return the module that a candidate's block stands for."""
        return cls(channels, block.width, block.squeeze, block.gate, block.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(b, c, h, w)`` to the same shape."""
        # Not AdaptiveAvgPool2d, which would be counted together with the head's pooling.
        z = x.mean((2, 3)) if self.squeeze == "avg" else x.amax((2, 3))
        s = GATE_FUNCTIONS[self.gate](self.expand(torch.relu(self.reduce(z))))
        return x * s[:, :, None, None]

    def extra_repr(self) -> str:
        """Say what the two layers below don't."""
        return f"squeeze={self.squeeze}, gate={self.gate}"
